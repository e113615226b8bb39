"""Which configuration is best on the validation split, and which of its runs is kept. Knows no store.

The best single run of many is the one with the luckiest seed, so a configuration is chosen, by its mean over seeds and
splits, and of its runs the median one is kept: neither lucky nor unlucky.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from equipoise.comparison import configurations, repetitions, splits
from equipoise.comparison.configurations import Configuration
from equipoise.core.errors import ConfigError, counted, listing, suggestion
from equipoise.metrics.orientation import orientation
from equipoise.tracking.history import Logged

TESTED = ("test/", "decision/")


@dataclass(frozen=True)
class Chosen:
    """A run, and why it is the one.

    Attributes
    ----------
    value : the run's metric
    mean : that of its configuration
    said : why, in a sentence
    notes : what was left out, a sentence each
    """

    run: Logged
    configuration: str
    value: float
    mean: float
    said: str
    notes: tuple[str, ...]


def read_metric(typed: str) -> str:
    """Return the name of a validation metric, typed with `val/` or without.

    Raises
    ------
    ConfigError
        If it is of the test split, or of one decision rule.
    """
    name = typed.rpartition("/")[2]
    if typed.startswith(TESTED):
        raise ConfigError(
            f"metric={typed}: the test split is for judging, not for choosing; choose by metric=val/{name}"
        )
    if typed.startswith(splits.BY_RULE):
        raise ConfigError(f"metric={typed}: type metric=val/{name} decision={typed.split('/')[2]}")
    return typed.removeprefix("val/")


def choose(runs: Sequence[Logged], metric: str, rule: str | None = None) -> Chosen:
    """Return the median run of the configuration with the best mean on validation.

    Of configurations with the same mean, that with the oldest run is taken; of an even number of runs, the worse one of
    the two in the middle; of runs with the same value, the older. Where all configurations share splits and seeds, only
    these count, as in a comparison.

    Parameters
    ----------
    metric : without `val/`
    rule : the decision rule to judge all runs by; None: each run's own; of no effect on log loss

    Raises
    ------
    ConfigError
        If no run has a model and the metric.
    """
    rule = None if metric in splits.OF_EPOCHS else rule
    candidates = [run for run in runs if _has(run, metric, rule)]
    if not candidates:
        raise ConfigError(_lacking(runs, metric, rule))
    members, of_others = _on_the_newest_data(candidates)
    by_settings = configurations.by_settings(members, configurations.varied_params(members))
    shared, note = configurations.shared_places(by_settings)
    merged = configurations.merged(by_settings, shared, (metric,), splits.VALIDATION)
    found = [replace(one, rule=rule) for one in merged]
    sign = orientation(metric)
    means = {one.label: float(repetitions.repeated(one.values(metric)).mean()) for one in found}
    best = max(sign * mean for mean in means.values())
    tied = [one for one in found if sign * means[one.label] >= best - repetitions.ROUNDING]
    chosen = min(tied, key=lambda one: min(run.started for run in one.runs.values()))
    run, value = _median(chosen, metric, sign)
    said = _said(chosen, means, [one.label for one in tied if one is not chosen], metric)
    kept = "its only run" if len(chosen.runs) == 1 else f"its median run, {value:.4f}"
    return Chosen(
        run,
        chosen.label,
        value,
        means[chosen.label],
        f"{said}; run {run.id} is {kept}",
        (*of_others, *filter(None, [note])),
    )


def _has(run: Logged, metric: str, rule: str | None) -> bool:
    return "weights_sha256" in run.tags and splits.key(run, metric, splits.VALIDATION, rule) in run.metrics


def _on_the_newest_data(runs: Sequence[Logged]) -> tuple[list[Logged], list[str]]:
    """Return the runs on the data of the newest one, and a note if there are others: a model is of one data set."""
    datasets, newest = configurations.by_dataset(runs), max(runs, key=lambda run: run.started)
    title = next(title for title, members in datasets.items() if newest in members)
    others = [name for name in datasets if name != title]
    notes = [f"only runs on {title}, the newest run's data, count; others are on {listing(others)}"] if others else []
    return datasets[title], notes


def _median(chosen: Configuration, metric: str, sign: int) -> tuple[Logged, float]:
    values = chosen.values(metric)
    rising = sorted(values, key=lambda place: (sign * values[place], chosen.runs[place].started))
    middle = values[rising[(len(rising) - 1) // 2]]
    place = next(place for place in rising if values[place] == middle)
    return chosen.runs[place], middle


def _said(chosen: Configuration, means: dict[str, float], tied: Sequence[str], metric: str) -> str:
    """Return what the choice is by."""
    by = f"val/{metric}" + (f" under decision={chosen.rule}" if chosen.rule else "")
    over = f"{means[chosen.label]:.4f} over {counted(len(chosen.runs), 'run', 'runs')}"
    if len(means) == 1:
        return f"{chosen.label}, the only configuration, with a mean {by} of {over}"
    sign, others = orientation(metric), {label: mean for label, mean in means.items() if label != chosen.label}
    nearest = max(others, key=lambda label: sign * others[label])
    second = f"tied with {listing(tied)}: the oldest is taken" if tied else f"next: {nearest} {others[nearest]:.4f}"
    return f"{chosen.label}, the best of {len(means)} configurations by mean {by}, {over} ({second})"


def _lacking(runs: Sequence[Logged], metric: str, rule: str | None) -> str:
    """Say why there is nothing to choose from, and what to do."""
    typed = f"metric=val/{metric}" + (f" decision={rule}" if rule else "")
    trained = [run for run in runs if "weights_sha256" in run.tags]
    if not trained:
        return f"{typed}: no finished run has a model"
    known, rules = splits.metrics(trained, splits.VALIDATION), splits.rules(trained)
    if not known:
        return (
            f"{typed}: an earlier version logged the {len(trained)} runs, and judged no decision rule on validation; "
            "train again, or name a run: run=RUN_ID"
        )
    if rule is not None and rule not in rules:
        return f"{typed}: no finished run has judged decision={rule} on validation{suggestion(rule, rules)}"
    known += [name for name in splits.OF_EPOCHS if name not in known]
    return f"{typed}: no finished run with a model has it{suggestion(metric, known)}"
