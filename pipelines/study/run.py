"""One data set of the grid under one group of methods, as a sweep: python pipelines/study/run.py DATASET METHODS.

What the store has already is not trained again. The metrics of the runs are written into
pipelines/study/runs/DATASET-METHODS.json.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from equipoise.config.model import Config, config_sha256
from equipoise.core.paths import project_root
from equipoise.sweeps import planning
from equipoise.tracking import history
from equipoise.tracking.store import open_store

HERE = Path(__file__).parent
SWEEP = "study"
# Quoted, since Hydra's sweeper escapes braces otherwise. Intervals come from the repetitions here, not from resampling.
REPEATED = ("seed=range({repetitions})", "dataset.split_seed='${{seed}}'", "evaluation.resamples=0")


def main(dataset: str, methods: str) -> int:
    """Run the sweep, from the project's root; returns its exit code."""
    grid = yaml.safe_load((HERE / "grid.yaml").read_text())
    repeated = (word.format(**grid) for word in REPEATED)
    words = [
        "-m",
        f"sweep={SWEEP}",
        f"hydra/launcher={grid['launcher']}",
        *shlex.split(f"{grid['datasets'][dataset]} {grid['methods'][methods]}"),
        *repeated,
    ]
    code = subprocess.run([sys.executable, "src/train.py", *words], check=False).returncode
    if code == 0:
        plan = planning.plan(words)
        assert plan is not None, "no flag asks for help"
        (HERE / "runs").mkdir(exist_ok=True)
        (HERE / "runs" / f"{dataset}-{methods}.json").write_text(json.dumps(_results(plan.jobs), indent=1) + "\n")
    return code


def _results(jobs: tuple[Config, ...]) -> list[dict[str, str | float]]:
    """Return what each job was, with its metrics on the test split."""
    runs = {run.tags["config_sha256"]: run for run in history.sweep_runs(open_store(project_root()), SWEEP, ["test/"])}
    found = (runs[config_sha256(job)] for job in jobs)
    return [
        {key: run.tags[key] for key in ("weighting", "loss", "seed")}
        | {key: run.metrics[key] for key in sorted(run.metrics)}
        for run in found
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
