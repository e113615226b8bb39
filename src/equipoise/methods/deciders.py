"""Decisions as they are logged and served: from logits to classes, to no class, or to sets of them. Pure NumPy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.classification import log_softmax, move_prior, row_blocks
from equipoise.metrics.counts import NO_CLASS

CACHED = 50_000  # cells, as many as a processor keeps near


@dataclass(frozen=True)
class Biased:
    """argmax of z + b, b of shape (classes,); `note` tells what a reader must know of it."""

    bias: Floats
    note: str = ""

    def __call__(self, logits: Floats) -> Integers:
        return _chosen(lambda rows: rows + self.bias, logits)


@dataclass(frozen=True)
class LeastCost:
    """The class of least expected cost, under the target prior where the effective one is known."""

    costs: Floats
    effective: Floats | None
    target: Floats

    def __call__(self, logits: Floats) -> Integers:
        log_p = log_probabilities(logits, self.effective, self.target)
        return _chosen(lambda rows: -_expected(np.exp(rows), self.costs), log_p)


@dataclass(frozen=True)
class Rejecting:
    """The class of least expected cost, as of `LeastCost`, and NO_CLASS where that cost is above a limit.

    Attributes
    ----------
    costs : float64 (true class, predicted class)
    limit : one number, or float64 (classes,), what it costs to reject a row of each class
    note : tells what a reader must know of it
    """

    costs: Floats
    effective: Floats | None
    target: Floats
    limit: float | Floats
    note: str = ""

    def __call__(self, logits: Floats) -> Integers:
        log_p = log_probabilities(logits, self.effective, self.target)
        chosen = np.empty(len(logits), np.int64)
        for rows in row_blocks(logits.shape):
            p = np.exp(np.asarray(log_p[rows], np.float64))
            expected, limit = _expected(p, self.costs), self.limit
            if isinstance(limit, np.ndarray):
                limit = _expected(p, limit[:, None])[:, 0]
            chosen[rows] = np.where(expected.min(axis=1) > limit, NO_CLASS, expected.argmin(axis=1))
        return chosen

    def least_cost(self, logits: Floats) -> Floats:
        """Return what the class of least expected cost is expected to cost, float64 (n,)."""
        least = np.empty(len(logits))
        log_p = log_probabilities(logits, self.effective, self.target)
        for rows in row_blocks(logits.shape):
            least[rows] = _expected(np.exp(np.asarray(log_p[rows], np.float64)), self.costs).min(axis=1)
        return least

    @property
    def all_costs(self) -> Floats | None:
        """The costs with a last column for no class, float64 (classes, classes + 1); None if that has no cost."""
        return np.column_stack([self.costs, self.limit]) if isinstance(self.limit, np.ndarray) else None


@dataclass(frozen=True)
class MostProbable:
    """The most probable class under the target prior: argmax of z - log q + log pi."""

    effective: Floats
    target: Floats

    def __call__(self, logits: Floats) -> Integers:
        moved = np.log(self.target) - np.log(self.effective)
        return _chosen(lambda rows: rows + moved, logits)


@dataclass(frozen=True)
class Above:
    """Every label of a sample whose logit is above its threshold: 0 and 1 of shape (n, labels)."""

    thresholds: Floats

    def __call__(self, logits: Floats) -> Integers:
        return (logits > self.thresholds).astype(np.int64)


@dataclass(frozen=True)
class ClassSets:
    """The most probable class, and beside it the set of the classes that are not ruled out.

    Attributes
    ----------
    least : float64 (classes,), the least probability of a class that is in the set, under the target prior where the
        effective one, of the model's own logits, is known
    """

    least: Floats
    effective: Floats | None
    target: Floats
    note: str = ""

    def __call__(self, logits: Floats) -> Integers:
        return _chosen(lambda rows: rows, logits)

    def sets(self, logits: Floats) -> Booleans:
        """Return whether each class is in the set, (n, classes), of the model's own logits, before calibration."""
        log_p = log_probabilities(logits, self.effective, self.target)
        found = np.empty(logits.shape, bool)
        for rows in row_blocks(logits.shape):
            found[rows] = np.exp(np.asarray(log_p[rows], np.float64)) >= self.least
        return found


@dataclass(frozen=True)
class LabelSets:
    """Every label that is more probable than not, (n, labels), and beside it the labels that are not ruled out.

    Attributes
    ----------
    least : float64 (labels,), the least logit of a label that is not ruled out
    """

    least: Floats
    note: str = ""

    def __call__(self, logits: Floats) -> Integers:
        return (logits > 0).astype(np.int64)

    def sets(self, logits: Floats) -> Booleans:
        """Return whether each label is in the set, (n, labels), of the model's own logits, before calibration."""
        found: Booleans = logits >= self.least
        return found


Decide = Biased | LeastCost | MostProbable | Rejecting | Above | ClassSets | LabelSets
WithSets = ClassSets | LabelSets
OfLabels = Above | LabelSets


def log_probabilities(logits: Floats, effective: Floats | None, target: Floats) -> Floats:
    """Return log p, (n, classes), under the target prior where the effective one is known."""
    found = log_softmax(np.ascontiguousarray(logits))  # a sum over columns depends on how they lie in memory
    return found if effective is None else move_prior(found, effective, target)


def is_moved(decide: Decide) -> bool:
    """Return whether the decision follows the target prior."""
    by_cost = isinstance(decide, LeastCost) or (isinstance(decide, Rejecting) and decide.all_costs is not None)
    return isinstance(decide, MostProbable) or (by_cost and getattr(decide, "effective", None) is not None)


def names_of(predicted: Integers, classes: Sequence[str]) -> Any:
    """Return the name of each predicted class, (n,); None, in an array of objects, where no class is given."""
    names, rejected = np.array(classes)[predicted], predicted == NO_CLASS
    if not rejected.any():
        return names
    found = names.astype(object)
    found[rejected] = None
    return found


def as_json(decide: Decide) -> dict[str, Any]:
    """Return the decision as data that `from_json` reads."""
    return {
        "kind": type(decide).__name__,
        **{name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(decide).items()},
    }


def from_json(data: Mapping[str, Any]) -> Decide:
    """Return the decision that `as_json` wrote."""
    kinds: Mapping[str, Callable[..., Decide]] = {kind.__name__: kind for kind in get_args(Decide)}
    return kinds[data["kind"]](
        **{
            name: np.array(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name != "kind"
        }
    )


def _expected(p: Floats, costs: Floats) -> Floats:
    """Return what each choice is expected to cost, float64 (n, choices).

    It is summed class by class: a product of matrices gives other last bits for one row than for a block, and a limit
    must decide equal rows alike, wherever they stand.

    Parameters
    ----------
    p : float64 (n, classes)
    costs : float64 (classes, choices)

    Raises
    ------
    ValueError
        If the costs are of another number of classes.
    """
    if p.shape[1] != len(costs):
        raise ValueError(f"costs of {len(costs)} classes for {p.shape[1]}")
    found = np.zeros((len(p), costs.shape[1]))
    step = max(1, CACHED // costs.shape[1])
    for start in range(0, len(p), step):
        rows = slice(start, start + step)
        for true, of_class in enumerate(costs):
            found[rows] += p[rows, true, None] * of_class
    return found


def _chosen(score: Callable[[Floats], Floats], values: Floats) -> Integers:
    """Return the class with the highest score, int64 (n,), a block of rows at a time."""
    chosen = np.empty(len(values), np.int64)
    for rows in row_blocks(values.shape):
        chosen[rows] = np.argmax(score(np.asarray(values[rows], np.float64)), axis=1)
    return chosen
