"""Many tests at once: p adjusted so that one false alarm among all of them stays rare. Pure NumPy."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Return p adjusted for as many comparisons as there are (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate([(len(p) - rank) * p[index] for rank, index in enumerate(order)])
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]
