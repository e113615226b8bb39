"""Compare the runs of a sweep: what is known, and what is noise.

  python src/compare.py                                   the sweep whose run started last
  python src/compare.py sweep=930b94ec45 metric=macro_f1  another one, by another metric
  python src/compare.py runs=RUN_ID,RUN_ID                these runs
  python src/compare.py filter="tags.model = 'cnn'"       what an MLflow filter finds; slow for thousands of runs

  baseline=balanced   what to compare with: a configuration as the table names it, or a weighting (none)
  tracking=server     the runs of the server that MLFLOW_TRACKING_URI names, instead of the project's own store
  rope=0.01           also the Bayesian test (correlated t over splits, signed-rank over the seeds of one): differences up to
                      this count as equal

Prints a table for each data set and writes comparison.csv, comparison.json and comparison.html, a page of its
own, below outputs/comparison; those of a sweep are logged to its summary run as well.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.paths import project_root
from equipoise.core.schema import ConfigError

OPTIONS = ("sweep", "runs", "filter", "metric", "baseline", "rope", "tracking")
SOURCES = OPTIONS[:3]


def _compare(words: Sequence[str]) -> None:
    options = key_values.read(words, OPTIONS)
    typed = [key for key in SOURCES if key in options]
    if len(typed) > 1:
        raise ConfigError(f"{' and '.join(typed)} contradict each other: choose one of {', '.join(SOURCES)}")
    rope = key_values.number(options, "rope")
    where = key_values.store(options)

    from equipoise.tracking.store import existing_store

    advice = "start some: python src/train.py -m weighting=none,balanced seed=0,1,2"
    store = existing_store(project_root(), where, advice)

    from equipoise.comparison import compare, report
    from equipoise.comparison.console import print_comparison
    from equipoise.core.terminal import console
    from equipoise.tracking import history
    from equipoise.tracking.artifacts import log_comparison, log_sweep_texts
    from equipoise.tracking.run import outer_run

    outer = outer_run(store)
    metric = options.get("metric", "").removeprefix("test/") or None
    keys = compare.wanted(metric)
    sweep = None
    if "runs" in options:
        source, runs = f"runs={options['runs']}", history.chosen_runs(store, options["runs"].split(","), keys)
    elif "filter" in options:
        source, runs = f"filter={options['filter']}", history.filtered_runs(store, options["filter"], keys)
    else:
        sweep = options.get("sweep", "latest")
        sweep = history.latest_sweep(store) if sweep == "latest" else sweep
        source, runs = f"Sweep {sweep}", history.sweep_runs(store, sweep, keys)
    if not runs:
        raise ConfigError(f"{source}: no finished run")
    found = compare.compare(runs, metric, baseline=options.get("baseline"), rope=rope)
    print_comparison(found, source)

    texts = {
        "comparison.csv": report.as_csv(found),
        "comparison.json": report.as_json(found),
        "comparison.html": report.as_html(found, source),
    }
    folder = _write(
        texts, sweep or "runs-" + hashlib.sha256(" ".join(run.id for run in runs).encode()).hexdigest()[:10]
    )
    if sweep:
        log_sweep_texts(store, sweep, {run.experiment_id for run in runs}, texts)
    if outer:
        log_comparison(store, outer, texts)
    console.print(
        f"Written to {folder}/comparison.html, .csv and .json"
        + (", and logged to the sweep's summary run" if sweep else ""),
        soft_wrap=True,
    )


def _write(texts: dict[str, str], name: str) -> Path:
    folder = project_root() / "outputs" / "comparison" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, _compare))
