"""Recall of each class in slices of the test split, and which of them differ by more than noise. NumPy and SciPy.

A column divides the test samples into slices. In each of them, the recall of a class is compared with its recall in
the rest of the test split by Fisher's exact test, which holds for any number of rows, and p is adjusted by Holm's
correction for all tests of one call.
"""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np

from equipoise.core.schema import Integers
from equipoise.metrics.multiplicity import holm
from equipoise.metrics.proportions import LEVEL, wilson

ALPHA = round(1 - LEVEL, 12)

Finding: TypeAlias = Literal["lower", "higher", "not shown to differ", "too few rows", "no rest"]


class Slicing(Protocol):
    """A column that divides the samples."""

    @property
    def names(self) -> tuple[str, ...]:
        """Those of its slices."""

    @property
    def codes(self) -> Integers:
        """The place of each sample's slice in `names`, int64 (n,)."""


@dataclass(frozen=True)
class SliceRecall:
    """The recall of a class in one slice, against its recall in the rest of the test split.

    Attributes
    ----------
    label, column, name : the class, and which slice it is
    hits, support : how many of its samples there are found, and how many there are
    rest_hits, rest_support : the same of its samples in the other slices of the column
    low, high : ends of Wilson's interval, NaN without samples
    p, adjusted : of Fisher's exact test, two-sided, and after Holm's correction; NaN where a side has no samples
    is_small : whether not even a recall of 0 or 1 there would be shown to differ
    """

    label: str
    column: str
    name: str
    hits: int
    support: int
    rest_hits: int
    rest_support: int
    low: float
    high: float
    p: float = float("nan")
    adjusted: float = float("nan")
    is_small: bool = False

    @property
    def where(self) -> str:
        """The slice, as a gate names it."""
        return f"{self.column}={self.name}"

    @property
    def recall(self) -> float:
        """NaN without samples."""
        return self.hits / self.support if self.support else float("nan")

    @property
    def rest(self) -> float:
        """The recall in the other slices, NaN without samples."""
        return self.rest_hits / self.rest_support if self.rest_support else float("nan")

    @property
    def is_tested(self) -> bool:
        """Whether there are samples on both sides."""
        return self.support > 0 and self.rest_support > 0

    @property
    def finding(self) -> Finding:
        """What is known of the difference; that none is shown does not show that there is none."""
        if not self.is_tested:
            return "no rest"
        if self.adjusted <= ALPHA:
            return "lower" if self.recall < self.rest else "higher"
        return "too few rows" if self.is_small else "not shown to differ"


@dataclass(frozen=True)
class Slices:
    """The recall of every class in every slice.

    Attributes
    ----------
    recalls : the lowest first, of equal ones that of fewer samples; at the end those without samples
    tests : over how many Holm's correction is; the two slices of a class that has no third are one test
    notes : what a reader must know of how the slices were made
    """

    recalls: tuple[SliceRecall, ...]
    tests: int
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(dict.fromkeys(one.column for one in self.recalls))

    @property
    def with_samples(self) -> list[SliceRecall]:
        """The recalls that are defined."""
        return [one for one in self.recalls if one.support]


def recall_by_slice(
    labels: Integers, predicted: Integers, classes: Sequence[str], slicings: Mapping[str, Slicing]
) -> Slices:
    """Return the recall of each class in each slice, with intervals and tests.

    Parameters
    ----------
    labels, predicted : int64 (n,) class indices, or 0 and 1 of shape (n, labels)
    slicings : column to the slices that it makes
    """
    found = [
        one for column, slicing in slicings.items() for one in _counted(labels, predicted, classes, (column, slicing))
    ]
    return _tested(found)


@functools.lru_cache(maxsize=2**16)  # many classes in many slices have few samples, and so the same few tables
def fisher_p(hits: int, support: int, rest_hits: int, rest_support: int) -> float:
    """Return the two-sided p that two shares of hits are equal, by Fisher's exact test."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([[hits, support - hits], [rest_hits, rest_support - rest_hits]]).pvalue)


def _counted(
    labels: Integers, predicted: Integers, classes: Sequence[str], sliced: tuple[str, Slicing]
) -> Iterator[SliceRecall]:
    """Yield the counts and intervals of each class and slice of a column."""
    column, slicing = sliced
    if labels.ndim == 1:
        rows, own = np.arange(len(labels)), labels
        right = predicted == labels
    else:
        rows, own = np.nonzero(labels)
        right = predicted[rows, own] == 1
    shape = len(classes), len(slicing.names)
    cell = own * shape[1] + slicing.codes[rows]
    support, hits = (np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape) for cells in (cell, cell[right]))
    low, high = wilson(hits, support)
    for label, place in np.ndindex(*shape):
        here, found = int(support[label, place]), int(hits[label, place])
        yield SliceRecall(
            label=classes[label],
            column=column,
            name=slicing.names[place],
            hits=found,
            support=here,
            rest_hits=int(hits[label].sum()) - found,
            rest_support=int(support[label].sum()) - here,
            low=float(low[label, place]),
            high=float(high[label, place]),
        )


def _tested(counted: Sequence[SliceRecall]) -> Slices:
    """Return the recalls with the tests of all that have samples on both sides."""
    several = Counter((one.label, one.column) for one in counted if one.support)
    keys = [
        (one.label, one.column, "" if several[one.label, one.column] == 2 else one.name) if one.is_tested else None
        for one in counted
    ]
    p = {
        key: fisher_p(one.hits, one.support, one.rest_hits, one.rest_support)
        for key, one in zip(keys, counted, strict=True)
        if key is not None
    }
    adjusted = dict(zip(p, holm(list(p.values())), strict=True)) if p else {}
    found = [
        one if key is None else replace(one, p=p[key], adjusted=adjusted[key], is_small=_is_small(one, len(p)))
        for key, one in zip(keys, counted, strict=True)
    ]
    return Slices(tuple(sorted(found, key=lambda one: (not one.support, one.recall, one.support))), len(p))


def _is_small(one: SliceRecall, tests: int) -> bool:
    """Return whether a slice has too few samples for any number of hits in it to be shown to differ from the rest."""
    least = min(fisher_p(hits, one.support, one.rest_hits, one.rest_support) for hits in (0, one.support))
    return least * tests > ALPHA
