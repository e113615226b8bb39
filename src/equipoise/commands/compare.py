"""Compare the runs of a sweep: which differences are shown, and which may be noise.

  python src/compare.py                                   the sweep whose run started last
  python src/compare.py sweep=930b94ec45 metric=macro_f1  another one, by another metric
  python src/compare.py metric=val/macro_f1               by the validation split, to choose: with every decision rule
  python src/compare.py runs=RUN_ID,RUN_ID                these runs
  python src/compare.py filter="tags.model = 'cnn'"       what an MLflow filter finds; slow for thousands of runs

  split=val           the validation split, to choose; if not typed, the test split, which is for judging
  baseline=balanced   what to compare with: a configuration as the table names it, or a weighting (none)
  tracking=server     the runs of the server that MLFLOW_TRACKING_URI names, instead of the project's own store
  rope=0.01           also the Bayesian test, in which differences up to this value count as equal: correlated t over
                      splits, signed-rank over the seeds of one split

  --quiet             warnings, errors and the verdict alone

Prints the verdict in a sentence and a table for each data set, and writes comparison.csv, comparison.json and the page
comparison.html below outputs/comparison; of the validation split they are called validation.*. The files of a sweep are
logged to its summary run as well. On validation, what a decision rule tunes there is cross-fitted: its score is not
that of its own tuning.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.paths import project_root

if TYPE_CHECKING:
    from equipoise.tracking.history import Logged
    from equipoise.tracking.store import Store

OPTIONS = ("sweep", "runs", "filter", "metric", "split", "baseline", "rope", "tracking")
SOURCES = OPTIONS[:3]


@dataclass(frozen=True)
class Chosen:
    """The runs to compare."""

    title: str
    runs: "Sequence[Logged]"
    sweep: str | None  # None if the runs are not chosen by their sweep

    @property
    def name(self) -> str:
        digest = hashlib.sha256(" ".join(run.id for run in self.runs).encode()).hexdigest()
        return self.sweep or f"runs-{digest[:10]}"


def _compare(words: Sequence[str]) -> None:
    options = key_values.read(words, OPTIONS)
    typed = [key for key in SOURCES if key in options]
    if len(typed) > 1:
        raise ConfigError(f"{' and '.join(typed)} contradict each other: choose one of {', '.join(SOURCES)}")
    rope = key_values.number(options, "rope")
    where = key_values.store(options)

    from equipoise.comparison import splits
    from equipoise.tracking.store import existing_store

    metric, split = splits.read(options.get("metric"), options.get("split"))
    advice = f"start some: {command('train')} -m weighting=none,balanced seed=0,1,2"
    store = existing_store(project_root(), where, advice)

    from equipoise.comparison import compare, files, verdict
    from equipoise.comparison.console import print_comparison
    from equipoise.core.terminal import say
    from equipoise.tracking.run import outer_run

    outer = outer_run(store)
    chosen = _choose(store, options, compare.wanted(metric, split))
    found = compare.compare(chosen.runs, metric, split, baseline=options.get("baseline"), rope=rope)
    said = verdict.headline(found, files.missing(store, chosen.sweep) if chosen.sweep else "")
    print_comparison(found, chosen.title, said)
    texts = files.texts(store, found, chosen.title, said, chosen.sweep)
    where = files.write(texts, files.folder(chosen.name))
    _log(texts, chosen, store, outer)
    logged = ", and logged to the sweep's summary run" if chosen.sweep else ""
    say(f"{where}{logged}")


def _choose(store: "Store", options: Mapping[str, str], metrics: Sequence[str]) -> Chosen:
    from equipoise.tracking import history

    if "runs" in options:
        runs = history.chosen_runs(store, options["runs"].split(","), metrics)
        chosen = Chosen(f"runs={options['runs']}", runs, None)
    elif "filter" in options:
        runs = history.filtered_runs(store, options["filter"], metrics)
        chosen = Chosen(f"filter={options['filter']}", runs, None)
    else:
        typed = options.get("sweep", "latest")
        sweep = history.latest_sweep(store) if typed == "latest" else typed
        chosen = Chosen(f"Sweep {sweep}", history.sweep_runs(store, sweep, metrics), sweep)
    if not chosen.runs:
        raise ConfigError(f"{chosen.title}: no finished run")
    return chosen


def _log(texts: Mapping[str, str], chosen: Chosen, store: "Store", outer: str | None) -> None:
    from equipoise.tracking.artifacts import log_comparison, log_sweep_texts

    if chosen.sweep:
        log_sweep_texts(store, chosen.sweep, {run.experiment_id for run in chosen.runs}, texts)
    if outer:
        log_comparison(store, outer, texts)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _compare, can_be_quiet=True)
