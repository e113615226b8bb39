"""What a search has found: its best trials in the terminal, its trials, importances and pictures in the sweep's summary run."""

import shlex
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.comparison import compare
from equipoise.core.terminal import console, print_table
from equipoise.metrics.orientation import orientation
from equipoise.sweeps import search
from equipoise.tracking import history
from equipoise.tracking.artifacts import log_sweep_figures, log_sweep_texts
from equipoise.tracking.store import Store

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

MOST_ROWS = 10


def show(store: Store, sweep: str, settings: search.Settings) -> None:
    """Print the best trials, of several metrics those that no other beats in all, and log what is known of all of them."""
    from optuna.trial import TrialState

    study = search.load(store.root, sweep, settings)
    by_state = {state: study.get_trials(deepcopy=False, states=(state,)) for state in TrialState}
    finished, pruned, failed = (
        len(by_state[state]) for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    console.print(
        f"\nSearch {sweep}: {finished} trials finished, {pruned} were given up, {failed} failed",
        style="bold",
        soft_wrap=True,
    )
    runs = history.sweep_runs(store, sweep, compare.wanted(None))
    if not finished or not runs:
        return
    several = len(settings.metric) > 1
    shown = study.best_trials if several else by_state[TrialState.COMPLETE]
    best = sorted(shown, key=lambda trial: -orientation(settings.metric[0]) * trial.values[0])[:MOST_ROWS]
    keys = list(best[0].params)
    rows = [
        [str(trial.number), *(f"{value:.4f}" for value in trial.values), *(_short(trial.params[key]) for key in keys)]
        for trial in best
    ]
    title = "Trials that no other beats in all metrics" if several else "Best trials, by the validation split"
    # An option by its last word, where that is enough.
    words = [key.rpartition(".")[2] for key in keys]
    print_table(
        title,
        [
            "trial",
            *settings.metric,
            *(word if words.count(word) == 1 else key for key, word in zip(keys, words, strict=True)),
        ],
        rows,
    )
    again = [line for line in best[0].user_attrs[search.OVERRIDES] if not line.startswith("sweep=")]
    # A recipe may ask for a sweep.
    again += ["hydra.mode=RUN"] * any(line.startswith("experiment=") for line in again)
    console.print(
        "The first of them again, as a run of its own:\n  " + shlex.join(["python", "src/train.py", *again]),
        soft_wrap=True,
    )
    importance = _importance(study, settings)
    for metric, shares in importance.items():
        console.print(
            f"What {metric} depends on: " + ", ".join(f"{key} {share:.0%}" for key, share in shares.items()),
            soft_wrap=True,
        )
    experiments = {run.experiment_id for run in runs}
    log_sweep_texts(store, sweep, experiments, {"search/trials.csv": _as_csv(study, settings)})
    log_sweep_figures(
        store,
        sweep,
        experiments,
        {f"search/{name}.png": figure for name, figure in _pictures(study, settings, importance).items()},
    )


def _importance(study: "optuna.Study", settings: search.Settings) -> dict[str, dict[str, float]]:
    """Each option's share of the metrics' variance (fANOVA, Hutter et al. 2014), largest first; nothing of too few trials."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    found = {}
    for index, metric in enumerate(settings.metric):
        values = {trial.values[index] for trial in _finished(study)}
        if len(values) > 1:
            evaluator = FanovaImportanceEvaluator(seed=settings.seed)
            found[metric] = get_param_importances(study, evaluator=evaluator, target=partial(_value, index=index))
    return found


def _value(trial: "optuna.trial.FrozenTrial", index: int) -> float:
    return float(trial.values[index])


def _pictures(
    study: "optuna.Study", settings: search.Settings, importance: Mapping[str, Mapping[str, float]]
) -> dict[str, "Figure"]:
    from equipoise.sweeps import search_figures

    trials = _finished(study)
    numbers, values = [trial.number for trial in trials], np.array([trial.values for trial in trials])
    drawn = {}
    for index, metric in enumerate(settings.metric):
        drawn[f"history_{metric.removeprefix('val/')}"] = search_figures.history(
            numbers, values[:, index], metric, orientation(metric)
        )
        if metric in importance:
            drawn[f"importance_{metric.removeprefix('val/')}"] = search_figures.importances(importance[metric], metric)
    if len(settings.metric) == 2:
        best = [trial.number for trial in study.best_trials]
        drawn["pareto_front"] = search_figures.front(values, np.isin(numbers, best), numbers, settings.metric)
    return drawn


def _finished(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Without those that were given up, to which Optuna gives the last value that they reported."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _as_csv(study: "optuna.Study", settings: search.Settings) -> str:
    import pandas as pd

    rows = []
    for trial in study.get_trials(deepcopy=False):
        values = dict(zip(settings.metric, trial.values or [], strict=False))
        rows.append({"trial": trial.number, "state": trial.state.name.lower(), **values, **trial.params})
    return pd.DataFrame(rows).to_csv(index=False)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
