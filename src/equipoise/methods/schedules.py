"""How much of the class weights is in force at an epoch. Pure NumPy; knows nothing of how weights are put in.

At a share s the weights are 1 + s (w - 1): none at 0, all of them at 1.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from equipoise.core.schema import ConfigError, Floats
from equipoise.methods.weighting import Weighting

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


SCHEDULES: Mapping[str, Callable[[int, int, str], float]] = {"constant": constant, "deferred": deferred, "ramp": ramp}


def check(weighting: Weighting) -> None:
    """Refuse what would have no effect.

    Raises
    ------
    ConfigError
        If a schedule, its start or its shape is typed where nothing follows from it.
    """
    if weighting.name == "none" and weighting.schedule != "constant":
        raise ConfigError(
            f"weighting.schedule={weighting.schedule}: weighting=none has no weights to put in later; choose a weighting"
        )
    if weighting.schedule == "constant" and weighting.start != "auto":
        raise ConfigError(
            f"weighting.start={weighting.start} has no effect with weighting.schedule=constant: add weighting.schedule=deferred or ramp"
        )
    if weighting.schedule != "ramp" and weighting.shape != "auto":
        raise ConfigError(
            f"weighting.shape={weighting.shape} has no effect with weighting.schedule={weighting.schedule}: it is the shape of a ramp"
        )


def share_at(weighting: Weighting, epoch: int, epochs: int) -> float:
    """The share of the weights, 0 to 1, in force at an epoch, counted from 0."""
    start = START if weighting.start == "auto" else weighting.start
    begin = int(start * epochs + 1e-9)  # the addend keeps 0.29 * 100 from becoming 28
    shape = "linear" if weighting.shape == "auto" else weighting.shape
    return SCHEDULES[weighting.schedule](epoch, begin, shape)


def stretches(weighting: Weighting, epochs: int) -> list[tuple[int, int, float]]:
    """The epochs as (first, end, share): consecutive ones with the same share together."""
    shares = [share_at(weighting, epoch, epochs) for epoch in range(epochs)]
    borders = [0, *(epoch for epoch in range(1, epochs) if shares[epoch] != shares[epoch - 1]), epochs]
    return [(first, end, shares[first]) for first, end in pairwise(borders)]


def weights_at(weights: Floats, share: float) -> Floats:
    """float64 (classes,): 1 + share (w - 1), and exactly w at a share of 1."""
    return weights if share == 1 else 1 + share * (weights - 1)
