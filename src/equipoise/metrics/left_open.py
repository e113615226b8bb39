"""What a decision rule leaves open: rows that are given no class, and sets of several classes. NumPy and SciPy."""

from dataclasses import dataclass

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.counts import NO_CLASS
from equipoise.metrics.proportions import LEVEL, Numbers, effective_trials, least_shown

BY_RULE = ("coverage", "error_decided", "set_size", "set_coverage")


@dataclass(frozen=True)
class LeftOpen:
    """Measures of the whole, without those that are not defined, and of each class, float64 (classes,)."""

    summary: dict[str, float]
    per_class: dict[str, Floats]

    @property
    def by_rule(self) -> dict[str, float]:
        """The measures by which decision rules are compared."""
        return {name: self.summary[name] for name in BY_RULE if name in self.summary}


def rejections(labels: Integers, predicted: Integers, classes: int, weights: Floats | None = None) -> LeftOpen:
    """Return `coverage`, the share of rows that are given a class, and `error_decided`, the share of these in error.

    Parameters
    ----------
    labels, predicted : int64 (n,), NO_CLASS where no class is given
    weights : float64 (n,), by which rows count; None: all alike
    """
    own = np.ones(len(labels)) if weights is None else weights
    decided, wrong = own * (predicted != NO_CLASS), own * ((predicted != NO_CLASS) & (predicted != labels))
    support, given, missed = (np.bincount(labels, each, classes) for each in (own, decided, wrong))
    found = {"coverage": _over(given, support), "error_decided": _over(missed, given)}
    whole = {"coverage": _over(given.sum(), support.sum()), "error_decided": _over(missed.sum(), given.sum())}
    return LeftOpen({name: float(value) for name, value in whole.items() if not np.isnan(value)}, found)


def sets_of_classes(labels: Integers, sets: Booleans, weights: Floats | None = None) -> LeftOpen:
    """Return how large sets are, and how often they hold the true class, over all rows and of the rows of each class.

    Parameters
    ----------
    labels : int64 (n,)
    sets : bool (n, classes), whether each class is in the row's set
    """
    classes, held = sets.shape[1], sets[np.arange(len(labels)), labels]
    own = np.ones(len(labels)) if weights is None else weights
    found = _of_classes(*effective_trials(held, labels, classes, own))
    return LeftOpen(
        _of_sizes(sets, weights)
        | {"set_coverage": float(np.average(held, weights=weights))}
        | {"worst_class_set_coverage": float(np.nanmin(found["set_coverage"]))},
        found | {"set_share": np.average(sets, axis=0, weights=weights)},
    )


def sets_of_labels(labels: Integers, sets: Booleans) -> LeftOpen:
    """Return the same where a row has any number of labels, 0 and 1 of (n, labels).

    `set_coverage` is the share of the labels that rows have which are in their sets; a label counts by itself.
    """
    hits, trials = (labels * sets).sum(axis=0), labels.sum(axis=0)
    found = _of_classes(hits, trials.astype(np.float64))
    summary = _of_sizes(sets, None)
    if trials.any():
        summary |= {"set_coverage": float(hits.sum() / trials.sum())}
        summary |= {"worst_class_set_coverage": float(np.nanmin(found["set_coverage"]))}
    return LeftOpen(summary, found | {"set_share": sets.mean(axis=0)})


def _of_classes(hits: Numbers, trials: Floats) -> dict[str, Floats]:
    """Return the coverage of each class with the ends of its exact interval (Clopper & Pearson 1934), or NaN."""
    confidence, present = 0.5 + LEVEL / 2, trials > 0
    low, high = least_shown(hits, trials, confidence), 1 - least_shown(trials - hits, trials, confidence)
    return {
        "set_coverage": _over(hits, trials),
        "set_coverage_low": np.where(present, low, np.nan),
        "set_coverage_high": np.where(present, high, np.nan),
    }


def _of_sizes(sets: Booleans, weights: Floats | None) -> dict[str, float]:
    sizes = sets.sum(axis=1)
    each = {"set_size": sizes, "singletons": sizes == 1, "empty_sets": sizes == 0, "full_sets": sizes == sets.shape[1]}
    return {name: float(np.average(values, weights=weights)) for name, values in each.items()}


def _over(parts: Numbers, wholes: Numbers) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(np.asarray(wholes) > 0, np.divide(parts, wholes), np.nan)
    return found
