"""How validation samples are dealt into folds. Pure NumPy."""

import numpy as np

from equipoise.core.schema import Integers

FOLDS = 5


def folds(labels: Integers) -> Integers:
    """Return the fold of each sample, int64 (n,): class after class, the samples are dealt out in turn.

    So the folds of a class, and the folds as a whole, differ by one sample at most.

    Parameters
    ----------
    labels : class indices, or 0 and 1 of one label, (n,)
    """
    found = np.empty(len(labels), np.int64)
    found[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    return found
