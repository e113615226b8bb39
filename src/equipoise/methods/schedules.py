"""How much of the class weights is in force at an epoch. Pure NumPy; knows nothing of how weights are made or put in.

At a share s the weights are 1 + s (w - 1): none at 0, all of them at 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Fraction, KeyOf, Section

START = 0.8  # of the epochs: 160 of 200 in Cao et al. 2019


def constant(epoch: int, begin: int, shape: str) -> float:
    """All of the weights from the first epoch on."""
    return 1.0


def deferred(epoch: int, begin: int, shape: str) -> float:
    """No weights before epoch `begin`, all of them from there on (Cao et al. 2019, DRW)."""
    return float(epoch >= begin)


def ramp(epoch: int, begin: int, shape: str) -> float:
    """From no weights at epoch 0 to all of them at epoch `begin`: along a line, or half a cosine wave."""
    share = min(1.0, epoch / begin) if begin else 1.0
    return share if shape == "linear" else float((1 - np.cos(np.pi * share)) / 2)


@dataclass(frozen=True)
class Course:
    """How the share of the weights goes over the epochs.

    Attributes
    ----------
    share : from the epoch, the epoch that it begins at, and its shape, to the share, 0 to 1
    has_start : whether it begins later than training does, or ends before
    has_shape : whether there is more than one way from the beginning to the end
    """

    share: Callable[[int, int, str], float]
    has_start: bool = False
    has_shape: bool = False


SCHEDULES: Mapping[str, Course] = {
    "constant": Course(constant),
    "deferred": Course(deferred, has_start=True),
    "ramp": Course(ramp, has_start=True, has_shape=True),
}


class Schedule(Section):
    """The keys that say when weights are put in."""

    schedule: Annotated[str, KeyOf(SCHEDULES)]
    start: Literal["auto"] | Fraction  # share of the epochs after which the weights are in full
    shape: Literal["auto", "linear", "cosine"]  # of a ramp


def check(schedule: Schedule) -> None:
    """Refuse what would have no effect.

    Raises
    ------
    ConfigError
        If a start or a shape is typed where nothing follows from it.
    """
    course, typed = SCHEDULES[schedule.schedule], f"weighting.schedule={schedule.schedule}"
    if schedule.start != "auto" and not course.has_start:
        with_start = " or ".join(name for name, other in SCHEDULES.items() if other.has_start)
        raise ConfigError(
            f"weighting.start={schedule.start} has no effect with {typed}: add weighting.schedule={with_start}"
        )
    if schedule.shape != "auto" and not course.has_shape:
        shaped = " or ".join(name for name, other in SCHEDULES.items() if other.has_shape)
        raise ConfigError(
            f"weighting.shape={schedule.shape} has no effect with {typed}: it is for weighting.schedule={shaped}"
        )


def share_at(schedule: Schedule, epoch: int, epochs: int) -> float:
    """Return the share of the weights, 0 to 1, in force at an epoch, counted from 0."""
    return SCHEDULES[schedule.schedule].share(epoch, *begin_and_shape(schedule, epochs))


def begin_and_shape(schedule: Schedule, epochs: int) -> tuple[int, str]:
    """Return the epoch that a schedule begins, or ends, at, and its shape."""
    start = START if schedule.start == "auto" else schedule.start
    return epoch_of(start, epochs), "linear" if schedule.shape == "auto" else schedule.shape


def epoch_of(share: float, epochs: int) -> int:
    """Return the epoch, from 0, that begins when this share of the epochs is over."""
    return int(share * epochs + 1e-9)  # the addend keeps 0.29 * 100 from becoming 28


def stretches(schedule: Schedule, epochs: int) -> list[tuple[int, int, float]]:
    """Return the epochs as (first, end, share): consecutive ones with the same share together."""
    shares = [share_at(schedule, epoch, epochs) for epoch in range(epochs)]
    borders = [0, *(epoch for epoch in range(1, epochs) if shares[epoch] != shares[epoch - 1]), epochs]
    return [(first, end, shares[first]) for first, end in pairwise(borders)]


def weights_at(weights: Floats, share: float) -> Floats:
    """Return 1 + share (w - 1), float64 (classes,), and exactly w at a share of 1."""
    return weights if share == 1 else 1 + share * (weights - 1)
