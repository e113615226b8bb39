"""The learning rate over the epochs: a factor of `trainer.learning_rate` for each epoch. Pure NumPy.

A factor is a function of the epoch, of how many there are, and of what the epochs before it have scored: nothing else
is to be kept, so that a training that was interrupted goes on as it would have.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from equipoise.core.schema import Fraction, KeyOf, PositiveInt, Section, arguments

# Takes the epoch, from 0, the number of epochs, the scores of the epochs before, higher is better, and its own options.
Factor = Callable[..., float]


def constant(epoch: int, epochs: int, scores: Sequence[float]) -> float:
    """The same rate in every epoch."""
    return 1.0


def cosine(epoch: int, epochs: int, scores: Sequence[float], *, schedule_end: Fraction) -> float:
    """End + (1 - end) (1 + cos(pi e / E)) / 2: half a wave from the whole rate downwards (Loshchilov, Hutter 2017)."""
    return float(schedule_end + (1 - schedule_end) * (1 + np.cos(np.pi * epoch / epochs)) / 2)


def warmup_cosine(
    epoch: int, epochs: int, scores: Sequence[float], *, schedule_warmup: Fraction, schedule_end: Fraction
) -> float:
    """(e + 1) / W in the first W = warmup x E epochs, then `cosine` over the others (Goyal et al. 2017)."""
    rising = round(schedule_warmup * epochs)
    wave = (1 + np.cos(np.pi * (epoch - rising) / (epochs - rising))) / 2
    return (epoch + 1) / rising if epoch < rising else float(schedule_end + (1 - schedule_end) * wave)


def step(
    epoch: int, epochs: int, scores: Sequence[float], *, schedule_drops: tuple[float, ...], schedule_factor: float
) -> float:
    """`factor` once more from each share of the epochs in `drops` on (He et al. 2016)."""
    # What is taken off keeps 0.07 * 100 from becoming 8.
    return float(schedule_factor ** len([share for share in schedule_drops if epoch >= share * epochs - 1e-9]))


def reduce_on_plateau(
    epoch: int, epochs: int, scores: Sequence[float], *, schedule_patience: int, schedule_factor: float
) -> float:
    """`factor` once more after each `patience` epochs without a better `trainer.monitor`."""
    best, waited, rate = -np.inf, 0, 1.0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == schedule_patience:
            rate, waited = rate * schedule_factor, 0
    return rate


LEARNING_RATES: Mapping[str, Factor] = {
    "constant": constant,
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "step": step,
    "reduce_on_plateau": reduce_on_plateau,
}


class LearningRate(Section):
    """The keys of how the learning rate changes."""

    schedule: Annotated[str, KeyOf(LEARNING_RATES)]
    schedule_warmup: Fraction
    schedule_end: Fraction
    schedule_drops: Annotated[tuple[Fraction, ...], Field(strict=False, min_length=1)]
    schedule_factor: Annotated[float, Field(gt=0, lt=1)]
    schedule_patience: PositiveInt


def factor_at(options: LearningRate, epoch: int, epochs: int, scores: Sequence[float]) -> float:
    """Return what the learning rate is multiplied by in an epoch, counted from 0.

    Parameters
    ----------
    scores : what the epochs before it were worth on validation, higher is better; `reduce_on_plateau` alone reads them
    """
    return LEARNING_RATES[options.schedule](epoch, epochs, scores, **options_of(options))


def options_of(options: LearningRate) -> dict[str, Any]:
    """Return the options that the schedule takes."""
    return arguments(options, LEARNING_RATES[options.schedule])
