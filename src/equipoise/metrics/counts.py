"""The metrics that follow from counts of test samples by class: one set for every use of them. Pure NumPy.

A metric that is not defined for a class, such as the recall of a class without test samples, is NaN. Samples that have
weights are counted by them: a sample of weight 2 counts as two. A sample that is given no class is found by none: it
counts among the samples of its class, and among no class's predictions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from equipoise.core.schema import Floats, Integers

Cells: TypeAlias = np.ndarray[
    Any, np.dtype[Any]
]  # whole numbers, or sums of weights, in whichever type they were summed
NO_CLASS = -1  # in place of a predicted class
NOTHING = 1e-12  # of a whole, a part that is rounding alone


@dataclass(frozen=True)
class Counts:
    """Counts of one confusion matrix, or of any number of them at once.

    Attributes
    ----------
    hits : (…, classes), how often each class was predicted rightly
    predictions : (…, classes), how often each class was predicted
    support : (classes,) or (…, classes), samples of each class
    """

    hits: Cells
    predictions: Cells
    support: Cells

    @classmethod
    def of(cls, labels: Integers, predicted: Integers, classes: int, weights: Floats | None = None) -> "Counts":
        """Count labels and predictions, each int64 (n,), into int64 (classes,); float64 of weights, (n,)."""
        labels, predicted = np.asarray(labels), np.asarray(predicted)
        right, everyone = labels == predicted, np.ones(len(labels), bool)
        each = ((labels, right), (predicted, predicted != NO_CLASS), (labels, everyone))
        return cls(
            *(
                np.bincount(indices[chosen], None if weights is None else weights[chosen], classes)
                for indices, chosen in each
            )
        )

    @classmethod
    def of_each(cls, labels: Integers, predicted: Integers, classes: int) -> "Counts":
        """Count labels, int64 (n,), and predictions of models, int64 (models, n), into int64 (models, classes)."""
        models = len(predicted)
        cells = predicted + classes * np.arange(models)[:, np.newaxis]
        hits, predictions = (
            np.bincount(chosen, minlength=models * classes).reshape(models, classes)
            for chosen in (cells[predicted == labels], cells.ravel())
        )
        return cls(hits, predictions, np.bincount(labels, minlength=classes))

    @cached_property
    def recall(self) -> Floats:
        """(…, classes), NaN for a class without samples."""
        return self._of_present(_over(self.hits, self.support))

    @cached_property
    def precision(self) -> Floats:
        """(…, classes), NaN for a class without samples; 0 for one that is never predicted, as in scikit-learn."""
        return self._of_present(_over(self.hits, self.predictions))

    @cached_property
    def f1(self) -> Floats:
        """(…, classes), NaN for a class without samples."""
        return self._of_present(f1_score(self.hits, self.predictions, self.support))

    @cached_property
    def total(self) -> Cells:
        """Samples, of shape (…,)."""
        total: Cells = self.support.sum(axis=-1)
        return total

    @cached_property
    def rejected(self) -> Cells:
        """Samples that are given no class, of shape (…,)."""
        rejected: Cells = self.total - self.predictions.sum(axis=-1)
        return rejected

    @cached_property
    def agreement(self) -> Cells:
        """The total squared times the accuracy that the two margins alone would give, of shape (…,)."""
        agreement: Cells = (self.predictions * self.support).sum(axis=-1)
        return agreement

    @cached_property
    def covariance(self) -> Cells:
        """The total squared times what the accuracy exceeds that by, of shape (…,)."""
        covariance: Cells = self.hits.sum(axis=-1) * self.total - self.agreement
        return covariance

    def _of_present(self, values: Floats) -> Floats:
        return np.where(self.support == 0, np.nan, values)


def _over(parts: Cells, wholes: Cells) -> Floats:
    """Return the quotient; 0 where there is nothing."""
    found: Floats = parts / np.where(wholes > 0, wholes, 1)
    return found


def f1_score(hits: Cells, predictions: Cells, support: Cells) -> Floats:
    """Return the harmonic mean of precision and recall; 0 where there is nothing to find and nothing is predicted."""
    return _over(2 * hits, support + predictions)


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the last axis of the values that are not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(defined, values, 0).sum(axis=-1) / defined.sum(axis=-1)
    return mean


def _accuracy(counts: Counts) -> Floats:
    accuracy: Floats = counts.hits.sum(axis=-1) / counts.total
    return accuracy


def _weighted_f1(counts: Counts) -> Floats:
    f1: Floats = np.where(counts.support > 0, counts.f1 * counts.support, 0).sum(axis=-1) / counts.total
    return f1


def _geometric_mean_of_recalls(counts: Counts) -> Floats:
    """Take the mean of logarithms: the product of a thousand recalls underflows."""
    with np.errstate(divide="ignore"):
        mean: Floats = np.exp(mean_of_defined(np.log(counts.recall)))
    return mean


def _matthews_correlation(counts: Counts) -> Floats:
    """Gorodkin 2004; 0 where it is not defined, as in scikit-learn. No class is one more that no sample has."""
    squared = counts.total**2
    by_predictions, by_support = (squared - (of**2).sum(axis=-1) for of in (counts.predictions, counts.support))
    by_predictions = by_predictions - counts.rejected**2
    spread = np.sqrt(np.maximum(by_predictions * by_support.astype(np.float64), 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > NOTHING * squared, counts.covariance / spread, 0.0)


def _cohen_kappa(counts: Counts) -> Floats:
    """Cohen 1960."""
    squared = counts.total**2
    left = squared - counts.agreement
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(left > NOTHING * squared, counts.covariance / left, np.nan)


def _worst_class_recall(counts: Counts) -> Floats:
    worst: Floats = np.where(np.isnan(counts.recall), np.inf, counts.recall).min(axis=-1)
    return worst


# Each gives values of shape (…,); averages are over the classes that have samples.
COUNTED: Mapping[str, Callable[[Counts], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": lambda counts: mean_of_defined(counts.recall),
    "macro_f1": lambda counts: mean_of_defined(counts.f1),
    "weighted_f1": _weighted_f1,
    "g_mean": _geometric_mean_of_recalls,
    "mcc": _matthews_correlation,
    "cohen_kappa": _cohen_kappa,
    "worst_class_recall": _worst_class_recall,
}


def counted_metrics(counts: Counts, groups: Mapping[str, Integers]) -> dict[str, Floats]:
    """Return all of `COUNTED`, and the mean recall of each group of classes that has samples.

    Parameters
    ----------
    groups : name to the indices of its classes; its metric is called `recall_<name>`

    Returns
    -------
    Metric name to values of shape (…,), NaN where not defined.
    """
    of_groups = {f"recall_{name}": mean_of_defined(counts.recall[..., members]) for name, members in groups.items()}
    return {
        **{name: metric(counts) for name, metric in COUNTED.items()},
        **{name: values for name, values in of_groups.items() if not np.isnan(values).all()},
    }
