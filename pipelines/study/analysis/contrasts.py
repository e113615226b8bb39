"""Paired contrasts: what a sum of signed cells is on each data set, how well it is measured, and its family means.

Measurement error. The table keeps confusion matrices and no predictions of rows, so a bootstrap cannot draw the same
rows for both sides of a difference. Two things are known. Each side's rows can be drawn within their class, apart from
the other's: `apart` is the variance of a difference of independent sides, too large, since both err on much the same
rows. And the five folds are five disjoint sets of test rows on which both sides are paired: their jackknife is right on
average for rows and for what each training adds, but has 4 degrees of freedom. So v = κ · `apart`, with one κ for a
contrast: the mean over data sets of jackknife / `apart`. Sizes and recalls of classes shape v, and the folds scale it.
"""

import functools
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from analysis.pooled import LOG_LOSS, PRIMARY, leave_one_out, measure
from analysis.table import FOLDS, LENGTHS, Cell, DataSet, Runs, Study
from equipoise.core.schema import Booleans, Floats

Key = TypeVar("Key")
Contrast = tuple[tuple[Cell, float], ...]
DRAWS = 300
SPREAD = 1.0  # rows that are added to each class, spread evenly over predictions: 0 of 30 has an error, too
LEAST = 0.02  # of κ: identical predictions on all data sets leave an error, too
# 0.2 of all rows test, and 0.64 train, since 0.16 validate: (1/5 + 0.2/0.64) over 1/5 (Nadeau and Bengio 2003).
ENLARGED = (1 / FOLDS + 0.2 / 0.64) * FOLDS


def difference(of: Cell, minus: Cell) -> Contrast:
    """Return one cell minus another."""
    return ((of, 1.0), (minus, -1.0))


def slope(of: Cell, minus: Cell, lengths: Sequence[int] = LENGTHS) -> Contrast:
    """Return the slope of a difference over the logarithm to base 10 of the epochs, by least squares."""
    logs = np.log10(lengths)
    shares = (logs - logs.mean()) / ((logs - logs.mean()) ** 2).sum()
    return tuple(
        (replace(cell, epochs=epochs), float(sign * share))
        for epochs, share in zip(lengths, shares, strict=True)
        for cell, sign in ((of, 1), (minus, -1))
    )


def minus(first: Contrast, second: Contrast) -> Contrast:
    """Return a contrast minus another."""
    return (*first, *((cell, -share) for cell, share in second))


@dataclass(frozen=True)
class Effects:
    """A contrast on each data set that has all of its cells, with shared seeds.

    Attributes
    ----------
    datasets : their facts
    values : float64 (data sets,)
    folds : float64 (data sets,), the jackknife's variance
    apart : float64 (data sets,), the variance of independent sides
    seeds : float64 (data sets,), how many all cells share
    """

    datasets: tuple[DataSet, ...]
    values: Floats
    folds: Floats
    apart: Floats
    seeds: Floats

    @property
    def overlap(self) -> float:
        """κ: the part of the independent variance that the folds show; above 1 if trainings differ by more."""
        return max(LEAST, float(np.mean(self.folds / self.apart))) if len(self.values) else math.nan

    @property
    def variances(self) -> Floats:
        return self.overlap * self.apart

    def where(self, keep: Callable[[DataSet], bool]) -> "Effects":
        """Return the effects on some data sets; κ is then theirs alone."""
        return self.at(np.array([keep(one) for one in self.datasets], dtype=bool))

    def at(self, chosen: Booleans) -> "Effects":
        """Return the effects where a mask, bool (data sets,), is true."""
        kept = tuple(one for one, is_kept in zip(self.datasets, chosen, strict=True) if is_kept)
        return Effects(kept, *(each[chosen] for each in (self.values, self.folds, self.apart, self.seeds)))


@dataclass(frozen=True)
class Families:
    """Means over each family's tables. They share rows, so their errors count as one: v is the mean error squared."""

    names: tuple[str, ...]
    effects: Floats
    variances: Floats


def effects(study: Study, contrast: Contrast, metric: str = PRIMARY) -> Effects:
    """Return the contrast on every data set that has it.

    Log loss is not told of images: their test rows are balanced, and probabilities have the long-tailed prior.
    """
    found = []
    for name, runs in study.runs.items():
        if metric == LOG_LOSS and study.datasets[name].balanced_test:
            continue
        if all(cell in runs for cell, _ in contrast):
            one = _of_one(study.datasets[name], runs, contrast, metric)
            if one and not math.isnan(one[0]):  # log loss has no value where the prior learned is not known
                found.append((study.datasets[name], *one))
    if not found:
        return Effects((), *(np.empty(0) for _ in range(4)))
    datasets, *numbers = zip(*found, strict=True)
    return Effects(datasets, *(np.array(values) for values in numbers))


def shared(found: Mapping[Key, Effects]) -> dict[Key, Effects]:
    """Return the effects on the data sets that all of them have."""
    names = set.intersection(*({one.name for one in each.datasets} for each in found.values()))
    return {key: each.where(lambda one: one.name in names) for key, each in found.items()}


def _of_one(
    dataset: DataSet, runs: Mapping[Cell, Runs], contrast: Contrast, metric: str
) -> tuple[float, float, float, int] | None:
    """Return value, variances and the number of seeds on one data set, or None where no seed is shared."""
    seeds = tuple(sorted(set.intersection(*(set(runs[cell].seeds) for cell, _ in contrast))))
    if not seeds:
        return None
    if metric == LOG_LOSS:
        by_fold = sum(share * runs[cell].of(seeds).log_loss.mean(axis=0) for cell, share in contrast)
        variance = float(np.var(by_fold, ddof=1) / FOLDS)
        return float(np.mean(by_fold)), variance, max(variance, 1e-12), len(seeds)
    sides = [(_measured(dataset, cell, runs[cell], seeds, metric), share) for cell, share in contrast]
    value = sum(share * side.value for side, share in sides)
    pseudo = FOLDS * value - (FOLDS - 1) * sum(share * side.left for side, share in sides)
    apart = sum(share**2 * side.variance for side, share in sides)
    return value, float(np.var(pseudo, ddof=1) / FOLDS), apart, len(seeds)


@dataclass(frozen=True)
class _Side:
    """One cell on one data set: the metric, without each fold (folds,), and its variance over draws of rows."""

    value: float
    left: Floats
    variance: float


@functools.cache
def _measured(dataset: DataSet, cell: Cell, runs: Runs, seeds: tuple[int, ...], metric: str) -> _Side:
    """Return the mean over seeds. Many contrasts ask for the same side."""
    natural = dataset.counts if dataset.balanced_test else None
    test = runs.of(seeds).test
    value = float(measure(metric, test.sum(axis=1), natural).mean())
    left = measure(metric, leave_one_out(test), natural).mean(axis=1)
    confusion = test.sum(axis=1).mean(axis=0)
    support = confusion.sum(axis=1)
    shares = (confusion + SPREAD / len(support)) / (support[:, np.newaxis] + SPREAD)
    generator = np.random.default_rng(zlib.crc32(f"{dataset.name} {cell}".encode()))
    draws = generator.multinomial(np.rint(support).astype(np.int64), shares, size=(DRAWS, len(support)))
    return _Side(value, left, float(np.var(measure(metric, draws.astype(np.float64), natural), ddof=1)))


def families(
    found: Effects, variances: Floats | None = None, family: Callable[[DataSet], str] = lambda one: one.family
) -> Families:
    """Return the family means.

    Parameters
    ----------
    variances : float64 (data sets,), in place of κ · `apart`
    """
    each = found.variances if variances is None else variances
    labels = np.array([family(one) for one in found.datasets])
    names = tuple(sorted(set(labels.tolist())))
    where = [labels == name for name in names]
    means = np.array([found.values[chosen].mean() for chosen in where])
    errors = np.array([np.sqrt(each[chosen]).mean() for chosen in where])
    return Families(names, means, errors**2)
