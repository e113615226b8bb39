"""Calibrated logits, from a model's own: the maps that `methods/calibration.py` fits, as data. Pure NumPy.

Each takes logits, (n, classes) or (n, labels), and returns logits of the same shape, float64 or as they were above
MOST_DOUBLE cells. Of classes their softmax is meant, of labels the sigmoid of each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.metrics.classification import by_rows, log_softmax

LEAST_LOG = -36.0  # of a probability, which float64 still tells from 0


@dataclass(frozen=True)
class Unchanged:
    """The logits as they are."""

    def __call__(self, logits: Floats) -> Floats:
        return logits


@dataclass(frozen=True)
class Affine:
    """z times the scale plus the bias, each float64 (classes,) or (labels,)."""

    scale: Floats
    bias: Floats

    def __call__(self, logits: Floats) -> Floats:
        return by_rows(lambda rows: rows * self.scale + self.bias, logits)


@dataclass(frozen=True)
class Steps:
    """A rising function of each class's probability, or each label's, between points that it goes through.

    Attributes
    ----------
    offset : float64 (classes,), added to the logits first
    scores, values : for each class the points, ascending; a value is a probability above 0 and below 1
    exclusive : whether a sample has one of the classes, so that probabilities are renormalised
    """

    offset: Floats
    scores: tuple[Floats, ...]
    values: tuple[Floats, ...]
    exclusive: bool

    def __call__(self, logits: Floats) -> Floats:
        return by_rows(self._of_rows, logits)

    def _of_rows(self, logits: Floats) -> Floats:
        found = np.exp(log_shares(logits + self.offset, exclusive=self.exclusive)[0])
        each = zip(found.T, self.scores, self.values, strict=True)
        stepped: Floats = np.column_stack([np.interp(column, scores, values) for column, scores, values in each])
        odds: Floats = np.log(stepped) if self.exclusive else np.log(stepped) - np.log1p(-stepped)
        return odds


@dataclass(frozen=True)
class Beta:
    """The log odds a log p - b log(1 - p) + c of each class or label, whose probability is p (Kull et al. 2017, eq. 5).

    Attributes
    ----------
    offset, a, b, c : float64 (classes,)
    exclusive : as for `Steps`
    """

    offset: Floats
    a: Floats
    b: Floats
    c: Floats
    exclusive: bool

    def __call__(self, logits: Floats) -> Floats:
        return by_rows(self._of_rows, logits)

    def _of_rows(self, logits: Floats) -> Floats:
        log_p, log_rest = log_shares(logits + self.offset, exclusive=self.exclusive)
        odds: Floats = self.a * log_p - self.b * log_rest + self.c
        return -np.logaddexp(0, -odds) if self.exclusive else odds


UNCHANGED = Unchanged()
Calibrated = Unchanged | Affine | Steps | Beta
KINDS: Mapping[str, type[Calibrated]] = {kind.__name__: kind for kind in (Unchanged, Affine, Steps, Beta)}


def log_shares(logits: Floats, *, exclusive: bool) -> tuple[Floats, Floats]:
    """Return log p and log(1 - p), each float64 of the shape of the logits and at least LEAST_LOG.

    Parameters
    ----------
    exclusive : whether p is a softmax over classes, or the sigmoid of each label
    """
    if exclusive:
        log_p = log_softmax(logits)
        with np.errstate(divide="ignore"):
            log_rest = np.log(-np.expm1(log_p))
    else:
        log_p, log_rest = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    return np.maximum(log_p, LEAST_LOG), np.maximum(log_rest, LEAST_LOG)


def as_data(calibrated: Calibrated) -> dict[str, Any]:
    """Return the map as data, from which `from_data` makes it again."""
    return {"kind": type(calibrated).__name__, **{name: _plain(value) for name, value in vars(calibrated).items()}}


def from_data(data: Mapping[str, Any]) -> Calibrated:
    """Make the map that `as_data` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the data are none that it wrote.
    """
    fields = {name: _arrays(value) for name, value in data.items() if name != "kind"}
    return KINDS[data["kind"]](**fields)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [each.tolist() for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], list):
        return tuple(np.array(each, np.float64) for each in value)
    return np.array(value, np.float64)
