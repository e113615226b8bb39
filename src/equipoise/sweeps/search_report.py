"""The results of a search: its best trials in the terminal, all trials and a page in the sweep's summary run."""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.commands import command
from equipoise.core.errors import counted
from equipoise.core.paths import project_root
from equipoise.core.terminal import console, print_table, say, warn
from equipoise.metrics.orientation import orientation
from equipoise.reports.page import Block, Fact, Page, Part, Table
from equipoise.sweeps import descriptions, search, search_charts
from equipoise.tracking import history
from equipoise.tracking.artifacts import log_sweep_texts
from equipoise.tracking.store import Store

if TYPE_CHECKING:
    import optuna

MOST_ROWS = 10


def show(store: Store, sweep: str, settings: search.Settings, flags: Sequence[str] = ()) -> str:
    """Print the best trials, or for several metrics those that no other beats in all, and log all trials.

    Return the verdict; "" without a finished trial.

    The sweep's summary run gets the trials as a table, and a page.

    Parameters
    ----------
    flags : that its command needs for one of its trials, too
    """
    study = search.load(store.root, sweep, settings)
    finished, pruned, failed = (len(_trials(study, state)) for state in ("COMPLETE", "PRUNED", "FAIL"))
    counts = f"{finished} trials finished, {pruned} pruned, {failed} failed"
    console.print(f"\nSearch {sweep}: {counts}", style="bold", soft_wrap=True)
    runs = history.sweep_runs(store, sweep, ["samples/"])
    if not finished or not runs:
        return ""
    said = verdict(study, settings)
    say(said)
    _print_best(study, settings, flags)
    for line in said_of_noise(study, settings, int(runs[-1].metrics.get("samples/validation", 0))):
        warn(line)
    console.print("To register the model of the best, the median of its runs:", soft_wrap=True)
    console.print(f"  {command('register')} sweep={sweep} metric={settings.metric[0]}", soft_wrap=True)
    importance = _importance(study, settings)
    for metric, shares in importance.items():
        listed = ", ".join(f"{key} {share:.0%}" for key, share in shares.items())
        console.print(f"What {metric} depends on: {listed}", soft_wrap=True)
    console.print(f"To see its trials in a browser:\n  {search.dashboard(store.root, sweep)}", soft_wrap=True)
    experiments = {run.experiment_id for run in runs}
    folder = project_root() / "outputs" / "searches" / sweep
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "trials.csv": _as_csv(study, settings),
        "search.html": page(study, settings, sweep, importance).as_html(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    log_sweep_texts(store, sweep, experiments, {f"search/{name}": text for name, text in texts.items()})
    say(f"Written to {folder / 'search.html'}, with trials.csv, and logged to the search's summary run")
    for experiment in experiments:
        descriptions.describe(store, experiment, sweep, said)
    return said


def _print_best(study: "optuna.Study", settings: search.Settings, flags: Sequence[str]) -> None:
    """Print a table of the best trials, and the command that runs the first of them on its own."""
    best = _best_trials(study, settings)
    title = "Trials that no other beats in all metrics" if len(settings.metric) > 1 else "Best trials"
    title += ", by the validation split"
    repetitions = len(_repeated(best[0], 0))
    title += f", mean ± SD of {repetitions} repetitions" if repetitions > 1 else ""
    print_table(title, *_best(study, settings))
    again = [line for line in best[0].user_attrs[search.OVERRIDES] if not line.startswith("sweep=")]
    # A recipe may ask for a sweep.
    again += ["hydra.mode=RUN"] * any(line.startswith("experiment=") for line in again)
    typed = f"{command('train')} {shlex.join([*flags, *again])}"
    console.print(f"The first of them again, as a run of its own:\n  {typed}", soft_wrap=True)


def _best_trials(study: "optuna.Study", settings: search.Settings) -> list["optuna.trial.FrozenTrial"]:
    shown = study.best_trials if len(settings.metric) > 1 else _trials(study, "COMPLETE")
    return sorted(shown, key=lambda trial: -orientation(settings.metric[0]) * trial.values[0])[:MOST_ROWS]


def _best(study: "optuna.Study", settings: search.Settings) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the best trials, or of those that no other beats in all metrics."""
    best = _best_trials(study, settings)
    keys = list(best[0].params)
    # The last word of an option names it, where no other option ends in the same word.
    words = [key.rpartition(".")[2] for key in keys]
    options = [word if words.count(word) == 1 else key for key, word in zip(keys, words, strict=True)]
    rows = [
        [
            str(trial.number),
            *(_mean(trial, index) for index in range(len(settings.metric))),
            *(_short(trial.params[key]) for key in keys),
        ]
        for trial in best
    ]
    return ["trial", *settings.metric, *options], rows


def verdict(study: "optuna.Study", settings: search.Settings) -> str:
    """Return what the search has found in one sentence: its best trial, and how sure the validation split is of it."""
    trials, metric = _trials(study, "COMPLETE"), settings.metric[0]
    sign = orientation(metric)
    best = max(trials, key=lambda trial: sign * trial.values[0])
    alike, _ = _alike(trials, metric, 0)
    sure = f", which validation cannot tell from {counted(len(alike), 'other trial', 'other trials')}" if alike else ""
    several = len(settings.metric) > 1
    front = f"; {len(study.best_trials)} are beaten by none in all of {', '.join(settings.metric)}" if several else ""
    end = "highest" if sign > 0 else "lowest"
    return (
        f"Verdict (validation split, for choosing): of {counted(len(trials), 'trial', 'trials')} number "
        f"{best.number} is {end} by {metric} ({_mean(best, 0)}){sure}{front}; as the best of them its value flatters "
        "it."
    )


def said_of_noise(study: "optuna.Study", settings: search.Settings, rows: int) -> list[str]:
    """Say which trials the validation samples cannot tell from the best one, in a sentence for each metric.

    They are those whose difference is below one standard error of the best one's metric, of its 95 % interval on these
    samples. All trials are measured on the same samples, so of some differences more is known than that.

    Parameters
    ----------
    rows : validation samples; 0 if that is not known
    """
    trials, said = _trials(study, "COMPLETE"), []
    for index, metric in enumerate(settings.metric):
        best = max(trials, key=lambda trial: orientation(metric) * trial.values[index])
        alike, error = _alike(trials, metric, index)
        if alike:
            count = counted(len(alike), "other trial", "other trials")
            of_rows = f" on {rows} rows" if rows else ""
            said.append(
                f"validation cannot tell trial {best.number} from {count}: they differ by less than one standard "
                f"error of {metric}{of_rows}, {error:.4f}; more rows tell more, and so do more splits for each trial: "
                "dataset.split_seed=0,1,2"
            )
    return said


def _alike(
    trials: Sequence["optuna.trial.FrozenTrial"], metric: str, index: int
) -> tuple[list["optuna.trial.FrozenTrial"], float]:
    """Return the trials that are within one standard error of the best one, and that error; 0 if it is not known."""
    best, *others = sorted(trials, key=lambda trial: -orientation(metric) * trial.values[index])
    error: float = best.user_attrs.get(search.STANDARD_ERRORS, {}).get(metric) or 0.0
    return [trial for trial in others if abs(trial.values[index] - best.values[index]) < error], error


def _repeated(trial: "optuna.trial.FrozenTrial", index: int) -> list[float]:
    """Return the metric of each repetition; of a trial of an earlier version, of the only one."""
    found: list[list[float]] = trial.user_attrs.get(search.REPETITIONS, [[value] for value in trial.values])
    return found[index]


def _mean(trial: "optuna.trial.FrozenTrial", index: int) -> str:
    values = _repeated(trial, index)
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{trial.values[index]:.4f}{spread}"


def _importance(study: "optuna.Study", settings: search.Settings) -> dict[str, dict[str, float]]:
    """Return each option's share of each metric's variance (fANOVA, Hutter et al. 2014), largest first.

    A metric that never varies is omitted.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    found: dict[str, dict[str, float]] = {}
    for index, metric in enumerate(settings.metric):
        values = {trial.values[index] for trial in _trials(study, "COMPLETE")}
        if len(values) > 1:
            evaluator = FanovaImportanceEvaluator(seed=settings.seed)
            found[metric] = get_param_importances(study, evaluator=evaluator, target=partial(_value, index=index))
    return found


def _value(trial: "optuna.trial.FrozenTrial", index: int) -> float:
    return float(trial.values[index])


def page(
    study: "optuna.Study", settings: search.Settings, sweep: str, importance: Mapping[str, Mapping[str, float]]
) -> Page:
    """Return the search as one page: its best trial, how they went, and what the metric depends on."""
    trials = _trials(study, "COMPLETE")
    numbers, values = [trial.number for trial in trials], np.array([trial.values for trial in trials])
    best: list[Block] = [Table(*_best(study, settings))]
    if len(settings.metric) == 2:
        on_front = np.isin(numbers, [trial.number for trial in study.best_trials])
        best.append(search_charts.front(values, on_front, numbers, settings.metric))
    history = [
        search_charts.history(numbers, values[:, index], metric, orientation(metric))
        for index, metric in enumerate(settings.metric)
    ]
    parts = [Part("Which is best?", best), Part("How did the search go?", history)]
    if importance:
        drawn = [search_charts.importances(shares, metric) for metric, shares in importance.items()]
        parts.append(Part("What does it depend on?", drawn))
    parts.append(Part("All trials", [Table(*_all(study, settings))]))
    counts = {state: len(_trials(study, state)) for state in ("COMPLETE", "PRUNED", "FAIL")}
    facts: list[Fact] = [
        ("Search", sweep),
        ("Trials", f"{counts['COMPLETE']} finished, {counts['PRUNED']} pruned, {counts['FAIL']} failed"),
        ("Metric", ", ".join(settings.metric)),
    ]
    return Page("Search", f"Search by {', '.join(settings.metric)}", [verdict(study, settings)], facts, [], parts)


def _trials(study: "optuna.Study", state: str) -> list["optuna.trial.FrozenTrial"]:
    """Return the trials of one state: COMPLETE, PRUNED or FAIL. Optuna gives a pruned one its last reported value."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState[state],))


def _as_csv(study: "optuna.Study", settings: search.Settings) -> str:
    import pandas as pd

    return pd.DataFrame(_rows(study, settings)).to_csv(index=False)


def _rows(study: "optuna.Study", settings: search.Settings) -> list[dict[str, Any]]:
    """Return every trial: its state, its metrics and its options."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        values = dict(zip(settings.metric, trial.values or [], strict=False))
        rows.append({"trial": trial.number, "state": trial.state.name.lower(), **values, **trial.params})
    return rows


def _all(study: "optuna.Study", settings: search.Settings) -> tuple[list[str], list[list[str]]]:
    rows = _rows(study, settings)
    headings = list(dict.fromkeys(key for row in rows for key in row))
    return headings, [[_short(row.get(key, "")) for key in headings] for row in rows]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
