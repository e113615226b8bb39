"""Thresholds of prediction sets that hold the true class as often as was asked, class by class. Pure NumPy.

Split conformal prediction with the labels as categories (Vovk 2012, label conditional): a class is in a row's set if
its score is at least the l-th lowest that validation rows of this class have, l = floor(alpha (n_c + 1)). Of n_c + 1
rows of the class that come alike, each is as likely as any other to have one of the l lowest scores. So a new row of
the class has it in its set with a probability of at least 1 - alpha, whatever the distribution, the model and the
frequencies of the classes. Where scores do not tie, that probability given the validation rows is distributed as
Beta(n_c + 1 - l, l), whose mean is 1 - l / (n_c + 1).

With the classes' true probabilities as scores no sets with the same coverages are smaller on average (Sadinle, Lei &
Wasserman 2019, the sets of least ambiguity for coverages by class).
"""

import math
from collections.abc import Sequence

import numpy as np

from equipoise.core.errors import listing
from equipoise.core.schema import Floats, Integers
from equipoise.methods.reservation import reservation
from equipoise.metrics.classification import TIE

OTHERS = 0.1  # alpha of classes that are not named


def by_class(alpha: float | Floats, classes: int) -> Floats:
    """Return the alpha of each class, float64 (classes,); those that are NaN have that of all others."""
    each = np.broadcast_to(np.asarray(alpha, np.float64), classes)
    return np.where(np.isnan(each), OTHERS, each)


def least_scores(scores: Floats, is_of: Integers, alpha: Floats, lowest: float) -> Floats:
    """Return the least score of each class that is in a set, float64 (classes,).

    Parameters
    ----------
    scores : float64 (n, classes)
    is_of : (n, classes), whether the row has the class or label
    lowest : the score of a class that is in every set, since too few rows have it
    """
    found = np.full(scores.shape[1], lowest)
    for index in range(len(found)):
        own = np.sort(scores[is_of[:, index] == 1, index])
        rank = _rank(alpha[index], len(own))
        if rank:
            found[index] = own[rank - 1]
    return found


def told(counts: Integers, alpha: Floats, classes: Sequence[str], used: Sequence[str], what: str = "class") -> str:
    """Return what the sets are worth, and of which classes too few rows are there, in a sentence or two.

    Parameters
    ----------
    counts : int64 (classes,), validation rows that have each
    used : what else these rows have chosen
    """
    typed = np.unique(alpha)
    level = f"{1 - typed[0]:g}" if len(typed) == 1 else "1 - decision.alpha"
    found = (
        f"decision=conformal: of new rows that come as the validation rows of their {what} do, at least {level} have "
        f"it in their set, for each {what}, on average over such splits, whatever the distribution and the "
        f"frequencies, {reservation(used)}."
    )
    few = [
        f"{name} ({count} of {_needed(level)})"
        for name, count, level in zip(classes, counts.tolist(), alpha.tolist(), strict=True)
        if not _rank(level, count)
    ]
    if few:
        found += f" Too few validation rows to rule it out at that level, so in every set: {listing(few)}."
    return found


def _rank(alpha: float, rows: int) -> int:
    return math.floor(alpha * (rows + 1) + TIE)


def _needed(alpha: float) -> int:
    """Return how many rows rule a class out at all."""
    return math.ceil(1 / alpha - TIE) - 1
