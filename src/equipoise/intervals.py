"""How far a metric would move with another test sample of the same size: 95 % intervals. No TensorFlow.

The bootstrap is stratified: every resample has as many samples of each class as the test split, so that no
class is ever lost. All metrics see the same resamples, as counts of how often each sample was drawn.

The calibration errors get no interval: they are means of absolute gaps, which resampling only ever inflates.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from scipy import sparse

from equipoise.metrics import LEVEL, counted_metrics, sample_scores
from equipoise.options import Booleans, Floats, Integers

CELLS_AT_ONCE = 4_000_000  # numbers of one block of resamples: 16 MB, 32 above MOST_EXACT samples
MOST_EXACT = 2**22  # samples whose counts, and halves of them, are exact in float32: half the memory to walk through
# Classes x samples from which ranking every class against the rest would take minutes.
MOST_RANKED = 20_000_000

Interval = tuple[float, float]


def bootstrap(
    labels: Integers,
    predicted: Integers,
    log_probabilities: Mapping[str, Floats],
    groups: Mapping[str, Integers],
    *,
    resamples: int,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of the summary metrics.

    Parameters
    ----------
    labels, predicted : int64 (n,)
    log_probabilities : suffix of the metric's name to float64 (n, classes): "" as predicted, which also ranks
        the samples, and "_corrected" after the prior is moved
    groups : as given to `metrics.evaluate`

    Returns
    -------
    Metric name to (low, high); macro AP and AUROC are left out where classes x samples exceed 20 million.
    """
    classes = log_probabilities[""].shape[1]
    support = np.bincount(labels, minlength=classes)
    scores = {name + suffix: values for suffix, given in log_probabilities.items() for name, values in sample_scores(labels, given).items()}
    sums = sparse.vstack([_indicators(predicted, classes), _indicators(np.where(predicted == labels, labels, -1), classes)]).tocsr()
    sampled = np.array(list(scores.values()))
    ranked = np.flatnonzero(support if classes * len(labels) <= MOST_RANKED else np.zeros(classes))
    rankings = [_Ranking(labels == index, log_probabilities[""][:, index]) for index in ranked]

    drawn: dict[str, list[Floats]] = {}
    for counts in _resampled_counts(labels, resamples, np.random.default_rng(seed)):
        found = (sums @ counts).astype(np.float64)
        metrics = counted_metrics(found[classes:].T, found[:classes].T, support, groups)
        metrics |= dict(zip(scores, sampled @ counts / len(labels), strict=True))
        if rankings:
            by_class = np.array([ranking(counts) for ranking in rankings])
            metrics |= {"macro_average_precision": by_class[:, 0].mean(axis=0), "macro_auroc": by_class[:, 1].mean(axis=0)}
        for name, values in metrics.items():
            drawn.setdefault(name, []).append(values)
    ends = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
    low_high = {name: np.quantile(np.concatenate(values), ends) for name, values in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in low_high.items() if not np.isnan(low)}


def _resampled_counts(labels: Integers, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Blocks of shape (n, resamples in the block): how often each sample was drawn within its class, float32 where that is exact."""
    count = len(labels)
    members = [np.flatnonzero(labels == index) for index in np.unique(labels)]
    block = max(1, CELLS_AT_ONCE // count)
    for start in range(0, resamples, block):
        width = min(block, resamples - start)
        counts = np.empty((count, width), np.float32 if count <= MOST_EXACT else np.float64)
        for rows in members:  # one at a time: what is counted of a class stays in the processor's cache
            cells = generator.integers(0, len(rows), (len(rows), width)) * width + np.arange(width)
            counts[rows] = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        yield counts


def _indicators(indices: Integers, classes: int) -> sparse.csr_array:
    """(classes, n): 1 where the sample's index is that class; -1 is no class."""
    columns = np.flatnonzero(indices >= 0)
    return sparse.csr_array((np.ones(len(columns), np.float32), (indices[columns], columns)), shape=(classes, len(indices)))


class _Ranking:
    """One class against the rest, sorted once: AP and AUROC under any counts of the samples.

    Only the places where a positive stands matter. Downwards from the highest score, each is a tie of equal
    scores with a positive in it, and is described by three sums of counts: the negatives since the tie
    before, and the positives and the negatives of the tie itself.
    """

    def __init__(self, positive: Booleans, score: Floats) -> None:
        order = np.argsort(-score, kind="stable")
        tie = np.cumsum(np.diff(score[order], prepend=score[order[:1]]) != 0)
        truth: Booleans = positive[order]
        has_positive = np.bincount(tie, truth) > 0
        place: Integers = np.cumsum(has_positive) - has_positive  # of the next tie with a positive, at or after each tie
        kind = np.where(has_positive[tie], np.where(truth, 1, 2), 0)
        self.places = int(has_positive.sum())
        kept = place[tie] < self.places  # below the last positive nothing matters
        rows = kind * self.places + place[tie]
        shape = (3 * self.places, len(score))
        self.sums = sparse.csr_array((np.ones(kept.sum(), np.float32), (rows[kept], order[kept])), shape=shape)
        self.positives, self.negatives = int(truth.sum()), int(np.sum(~truth))

    def __call__(self, counts: Floats) -> Floats:
        """AP and AUROC, float64 (2, resamples), of counts (n, resamples) that keep the number of each class."""
        before, hits, beside = (self.sums @ counts).reshape(3, self.places, -1)
        above = np.cumsum(before + beside, axis=0)  # negatives at this score or higher
        found = np.cumsum(hits, axis=0)
        precision = np.divide(found, np.maximum(found + above, 1), dtype=np.float64)
        average_precision = np.einsum("pr,pr->r", hits, precision) / self.positives
        if self.negatives == 0:
            return np.array([average_precision, np.full_like(average_precision, np.nan)])
        outranked = self.negatives - above + beside / 2
        auroc = np.einsum("pr,pr->r", hits, outranked, dtype=np.float64) / (self.positives * self.negatives)
        return np.array([average_precision, auroc])
