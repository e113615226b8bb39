"""From logits to predicted classes. Pure NumPy.

A decision rule takes logits, float64 (n, classes), and returns class indices, int64 (n,).
"""

from collections.abc import Callable, Mapping

import numpy as np

from equipoise.options import Floats, Integers, Section


def argmax(logits: Floats) -> Integers:
    """The most probable class."""
    chosen: Integers = np.argmax(logits, axis=1)
    return chosen


DECISIONS: Mapping[str, Callable[..., Integers]] = {"argmax": argmax}


class Decision(Section):
    """The keys that every decision rule has."""

    name: str
