"""A bias for each class that is best for a score of validation samples, by coordinate ascent. Pure NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.metrics.classification import TIE, best_nearest, cuts
from equipoise.metrics.counts import Counts

MOST_PASSES = 10  # over the classes
MOST_CANDIDATES = 256  # biases tried for one class at a time

# From counts to values of shape (…,), of which the highest is the best.
Score = Callable[[Counts], Floats]


def ascended(labels: Integers, logits: Floats, score: Score, start: Floats | None = None) -> Floats:
    """Return the biases, float64 (classes,), that are added to the logits before the highest is taken.

    The bias of each class in turn is set to what is best for the score, until a pass over the classes improves
    nothing; of equally good biases it takes that nearest to 0. With two classes it tunes a threshold.

    Parameters
    ----------
    labels : int64 (n,), class indices
    logits : float64 (n, classes)
    start : float64 (classes,); None: no bias
    """
    leaders = Leaders(logits)
    for index, bias in enumerate(() if start is None else start):
        leaders.set_bias(index, bias)
    best = float(score(Counts.of(labels, leaders.first, logits.shape[1])))
    for _ in range(MOST_PASSES):
        before = best
        for index in range(len(leaders.bias)):
            candidate, value = _best_bias(labels, leaders, index, score)
            if value > best + TIE:
                leaders.set_bias(index, candidate)
                best = value
        if best == before:
            break
    return leaders.bias


class Leaders:
    """The two best classes of each sample, under biases that change one at a time.

    To find them afresh for each class would take most of the time of tuning a hundred classes.

    Attributes
    ----------
    bias : float64 (classes,)
    first, second : int64 (n,), the class with the highest z + b, and the one after it; of equal ones the first
    """

    def __init__(self, logits: Floats) -> None:
        self.logits, self.bias = logits, np.zeros(logits.shape[1])
        self._sums = np.array(logits, np.float64)
        self.first, self.second = (np.empty(len(logits), np.int64) for _ in range(2))
        self._find(np.arange(len(logits)))

    def set_bias(self, index: int, bias: float) -> None:
        """Set the bias of one class: of a sample of which it was no leader and is none, the leaders stay."""
        self.bias[index] = bias
        sums = self.logits[:, index].astype(np.float64) + bias
        second = self._sums[np.arange(len(sums)), self.second]
        concerned = (self.first == index) | (self.second == index) | (sums >= second)
        self._sums[:, index] = sums
        self._find(np.flatnonzero(concerned))

    def rivals(self, index: int) -> tuple[Integers, Floats]:
        """Return the best of the other classes, int64 (n,), and its z + b, float64 (n,)."""
        rival: Integers = np.where(self.first == index, self.second, self.first)
        return rival, self._sums[np.arange(len(rival)), rival]

    def _find(self, rows: Integers) -> None:
        sums, each = self._sums[rows], np.arange(len(rows))
        self.first[rows] = first = np.argmax(sums, axis=1)
        sums[each, first] = -np.inf
        self.second[rows] = np.argmax(sums, axis=1)


def _best_bias(labels: Integers, leaders: Leaders, index: int, score: Score) -> tuple[float, float]:
    """Return the best bias of one class while those of the others are fixed, and its score.

    Of equally good biases it is that nearest to 0. From some bias on, its threshold, a sample is given to the class;
    between two thresholds nothing changes. So the counts behind the metric follow, for all candidates at once, from
    sums over the sorted thresholds.
    """
    classes = len(leaders.bias)
    rival, of_rival = leaders.rivals(index)
    threshold = of_rival - leaders.logits[:, index]
    candidates = cuts(threshold)
    if len(candidates) > MOST_CANDIDATES:
        candidates = candidates[np.linspace(0, len(candidates) - 1, MOST_CANDIDATES).round().astype(int)]
    place = np.searchsorted(candidates, threshold)  # the first candidate that takes the sample

    def lost(chosen: Any) -> Floats:
        """Return how many of the chosen samples each rival has lost at each candidate, (candidates, classes)."""
        cells = np.bincount(place[chosen] * classes + rival[chosen], minlength=(len(candidates) + 1) * classes)
        sums: Floats = cells.reshape(-1, classes)[: len(candidates)].cumsum(axis=0).astype(np.float64)
        return sums

    everywhere, right = np.ones(len(rival), bool), rival == labels
    taken, missed = lost(everywhere), lost(right)
    predicted = np.bincount(rival, minlength=classes) - taken
    hits = np.bincount(rival[right], minlength=classes) - missed
    predicted[:, index] = taken.sum(axis=1)
    hits[:, index] = lost(labels == index).sum(axis=1)
    scores = score(Counts(hits, predicted, np.bincount(labels, minlength=classes)))
    return best_nearest(candidates, scores, to=0.0), float(scores.max())
