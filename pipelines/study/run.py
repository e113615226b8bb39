"""One run of the study: python pipelines/study/run.py FILE OVERRIDE… trains it, unless the store has it, and writes its metrics."""

import json
import sys
from pathlib import Path

from equipoise import command_line, experiment, logged, sweep
from equipoise.config import Config
from equipoise.data.prepare import prepare
from equipoise.options import ConfigError
from equipoise.paths import cache_folder, project_root
from equipoise.pipeline import run_folder
from equipoise.store import open_store

SWEEP = "study"


def main(words: list[str]) -> int:
    file, *overrides = words
    try:
        plan = command_line.plan([*overrides, f"sweep={SWEEP}"])
        assert plan is not None, "no flag asks for help"
        metrics = _metrics(plan.jobs[0])
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(json.dumps(metrics, indent=1, sort_keys=True) + "\n")
    return 0


def _metrics(config: Config) -> dict[str, float]:
    """What the run found on the test split."""
    store = open_store(project_root(), config.tracking.name)
    data = prepare(config.dataset, cache_folder())
    with sweep.claimed(store, config, data.data_sha256) as settled:
        if settled and settled.run is None:
            raise ConfigError(f"this run {settled.reason}")
        run = settled.run if settled and settled.run else experiment.run(config, data, store, run_folder()).run_id
    return dict(logged.chosen_runs(store, [run], ["test/"])[0].metrics)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
