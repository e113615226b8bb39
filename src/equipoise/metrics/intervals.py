"""95 % intervals: how far a metric would move with another test sample of the same size. No TensorFlow.

Proportions and means of recalls have the score intervals of `proportions`, since a rare class has too few samples to
be resampled. Other metrics have an interval from the standard deviation of a bootstrap, which draws from the whole test
split, or within each class if a design fixed the counts. The deviation is taken to a scale without bounds, since near a
bound the metric cannot move equally far to both sides. All metrics see the same resamples, given as counts of how often
each sample was drawn.

benchmarks/coverage.py measures how often each interval covers the truth, and how many samples it takes for 93 to 97 %
of test splits. With fewer an interval is rough, and is called so wherever it is shown.

Samples that have weights are resampled with them. Score intervals then take the samples of equal weight that are as
uncertain (`proportions.effective_trials`), which is an approximation, as every survey's is.

Calibration errors have no interval: they are means of absolute differences, which resampling can only increase.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from equipoise.core.errors import listing
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics import multilabel
from equipoise.metrics.classification import Predictions, sample_scores, trials_of
from equipoise.metrics.counts import Counts, counted_metrics, mean_of_defined
from equipoise.metrics.proportions import LEVEL, Numbers, effective_trials, least_interval, score_interval, wilson

if TYPE_CHECKING:
    from scipy import sparse

CELLS_AT_ONCE = 4_000_000  # numbers of one block of resamples: 16 MB, 32 above MOST_EXACT samples
MOST_EXACT = 2**22  # samples whose counts, and halves of them, are exact in float32: half the memory to walk through
# Classes x samples; above this, ranking every class against the rest would take minutes.
MOST_RANKED = 20_000_000
# Test samples of each class that an interval needs: for means of recalls, for resampled metrics, and for some of these.
FEWEST, FEW = 5, 10
MORE = {"g_mean": 30, "macro_average_precision": 30, "macro_auroc": 50}
ROUNDING = 1e-6
FEW_ERRORS = 20  # with fewer wrong samples, log loss and Brier score depend on a few samples

# The way to a scale without bounds, the way back, and the slope of the way there; most metrics lie between 0 and 1.
Scale = tuple[Callable[[float], float], Callable[[float], float], Callable[[float], float]]


def _logit(share: float) -> float:
    from scipy.special import logit

    return float(logit(share))


def _expit(value: float) -> float:
    from scipy.special import expit

    return float(expit(value))


SHARE: Scale = (_logit, _expit, lambda value: 1 / (value * (1 - value)))
CORRELATION: Scale = (np.arctanh, np.tanh, lambda value: 1 / (1 - value**2))
COST: Scale = (np.log, np.exp, lambda value: 1 / value)
SCALES = {
    "mcc": CORRELATION,
    "cohen_kappa": CORRELATION,
    "log_loss": COST,
    "log_loss_corrected": COST,
    "brier": COST,
    "brier_corrected": COST,
}


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    Attributes
    ----------
    rough : whether it may cover the truth less often than in 95 % of test splits
    wide : whether it may cover the truth more often
    """

    low: float
    high: float
    rough: bool = False
    wide: bool = False

    @property
    def remark(self) -> str:
        """The words that follow its ends wherever it is shown."""
        return ", rough" if self.rough else ", wide" if self.wide else ""

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}{self.remark}"


def class_intervals(
    predictions: Predictions,
    groups: Mapping[str, Integers],
    corrected: Floats | None = None,
    *,
    fixed: bool,
    resamples: int,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the intervals of the summary metrics, where a sample has one class.

    Parameters
    ----------
    groups : as given to `classification.evaluate`
    corrected : float64 (n, classes), the log probabilities after the prior is moved, if it is
    fixed : whether a design fixed the number of test samples of each class
    resamples : of the bootstrap; 0: only the intervals that need none

    Returns
    -------
    Metric name to interval, without macro AP and AUROC if classes x samples exceed 20 million.
    """
    return _class_intervals(predictions, groups, corrected, _Drawing(fixed, resamples, seed))


def unranked_intervals(predictions: Predictions, *, fixed: bool, resamples: int) -> dict[str, Interval]:
    """Return the same without groups, and without macro AP and AUROC, which take most of the time."""
    return _class_intervals(predictions, {}, None, _Drawing(fixed, resamples, seed=0, ranked=False))


@dataclass(frozen=True)
class _Drawing:
    """How samples are drawn again, as `class_intervals` takes it."""

    fixed: bool
    resamples: int
    seed: int
    ranked: bool = True


def _class_intervals(
    predictions: Predictions, groups: Mapping[str, Integers], corrected: Floats | None, drawing: _Drawing
) -> dict[str, Interval]:
    labels, predicted, fixed = predictions.labels, predictions.predicted, drawing.fixed
    hits, support = trials_of(predictions)
    found = _of_recalls(predictions, (hits, support), groups, fixed)
    if drawing.resamples:
        strata = labels if fixed else np.zeros_like(labels)
        resampled = resampled_counts(strata, drawing.resamples, np.random.default_rng(drawing.seed))
        drawn = _bootstrap(predictions, corrected, resampled, ranked=drawing.ranked)
        # The variance of a mean is n / (n - 1) times that of its resamples; within strata it is n / (n - strata) times.
        factor = np.sqrt(len(labels) / max(1, len(labels) - len(np.unique(strata))))
        present, errors = support > 0, int(np.sum(labels != predicted))
        found = {**_by_deviation(drawn, factor, hits[present], support[present], errors), **found}
    return found


def label_intervals(
    labels: Integers, predicted: Integers, logits: Floats, *, resamples: int, ranked: bool = True, seed: int = 0
) -> dict[str, Interval]:
    """Return the intervals of the summary metrics, where a sample has any number of labels and is drawn with all.

    Parameters
    ----------
    labels, predicted : 0 and 1 of shape (n, labels)
    logits : float64 (n, labels)
    """
    hits, positives = (labels * predicted).sum(axis=0), labels.sum(axis=0)
    hits, positives = hits[positives > 0], positives[positives > 0]
    right = (labels == predicted).all(axis=1)
    low, high = wilson(np.sum(right), np.array(len(right)))
    found = {"subset_accuracy": Interval(float(low), float(high))}
    if len(positives):
        found["worst_class_recall"] = _least(hits, positives)
    if resamples:
        resampled = resampled_counts(np.zeros(len(labels), np.int64), resamples, np.random.default_rng(seed))
        drawn = _bootstrap_labels(labels, predicted, logits, resampled, ranked=ranked)
        factor = np.sqrt(len(labels) / max(1, len(labels) - 1))
        found = {**_by_deviation(drawn, factor, hits, positives, int(np.sum(~right))), **found}
    return found


def rough_note(intervals: Mapping[str, Interval], support: Integers, classes: Sequence[str]) -> str | None:
    """Return why intervals are rough, in a sentence; None if none is.

    Parameters
    ----------
    support : int64 (classes,), test samples of each class
    """
    rough = [name for name, interval in intervals.items() if interval.rough]
    if not rough:
        return None
    rising = np.argsort(support, kind="stable")
    few = [f"{classes[index]} ({support[index]})" for index in rising if 0 < support[index] < FEW]
    why = (
        f"few test samples of class {listing(few)}" if few else "a class with few samples, or with none right or wrong"
    )
    return f"rough 95 % intervals, which may cover the truth in less than 95 % of test splits: {why}"


def _of_recalls(
    predictions: Predictions, trials: tuple[Numbers, Numbers], groups: Mapping[str, Integers], fixed: bool
) -> dict[str, Interval]:
    """Return score intervals of accuracy and of means of recalls, and the interval of the least recall.

    Parameters
    ----------
    trials : hits and samples of each class, (classes,)
    """
    hits, support = trials
    present = np.flatnonzero(support)
    within = {
        "balanced_accuracy": present,
        **{f"recall_{name}": members[support[members] > 0] for name, members in groups.items()},
    }
    found = {
        name: Interval(*score_interval(hits[members], support[members]), rough=_has_few(support[members], FEWEST))
        for name, members in within.items()
        if len(members)
    }
    # If a design fixed the counts, accuracy is the mean of recalls weighted by their shares, otherwise one proportion.
    labels, weights = predictions.labels, predictions.weights
    masses = support if weights is None else np.bincount(labels, weights, len(support))
    if fixed:
        of_all = score_interval(hits[present], support[present], masses[present] / masses.sum())
    elif weights is None:
        of_all = score_interval(hits.sum(keepdims=True), support.sum(keepdims=True))
    else:
        of_all = score_interval(*effective_trials(predictions.predicted == labels, np.zeros_like(labels), 1, weights))
    least = _least(hits[present], support[present])
    return found | {"accuracy": Interval(*of_all), "worst_class_recall": least}


def _least(hits: Numbers, support: Numbers) -> Interval:
    return Interval(*least_interval(hits, support), rough=_has_few(support, FEWEST), wide=len(support) > 1)


def _bootstrap(
    predictions: Predictions, corrected: Floats | None, resampled: Iterable[Floats], *, ranked: bool
) -> dict[str, Floats]:
    """Return for each metric its value in the test split, and then in each resample; NaN where it is not defined."""
    from scipy import sparse

    labels, predicted, classes = predictions.labels, predictions.predicted, predictions.logits.shape[1]
    scores = sample_scores(labels, predictions.log_probabilities)
    if corrected is not None:
        scores |= {f"{name}_corrected": values for name, values in sample_scores(labels, corrected).items()}
    of_each = (labels, predicted, np.where(predicted == labels, labels, -1))
    own = np.ones(len(labels), np.float32) if predictions.weights is None else predictions.weights
    sums = sparse.vstack([_indicators(indices, classes, own) for indices in of_each]).tocsr()
    sampled = np.array(list(scores.values())) * own
    to_rank = np.unique(labels) if ranked and classes * len(labels) <= MOST_RANKED else ()
    rankings = [Ranking(labels == index, predictions.log_probabilities[:, index], own) for index in to_rank]
    drawn: dict[str, list[Floats]] = {}
    for counts in itertools.chain([np.ones((len(labels), 1), np.float32)], resampled):
        support, told, hits = (sums @ counts).astype(np.float64).reshape(3, classes, -1).swapaxes(1, 2)
        metrics = counted_metrics(Counts(hits, told, support), {})
        whole = len(labels) if predictions.weights is None else own @ counts
        metrics |= dict(zip(scores, sampled @ counts / whole, strict=True)) | _ranked(rankings, counts)
        for name, values in metrics.items():
            drawn.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in drawn.items()}


def _bootstrap_labels(
    labels: Integers, predicted: Integers, logits: Floats, resampled: Iterable[Floats], *, ranked: bool
) -> dict[str, Floats]:
    """Return the same where a sample has any number of labels."""
    from scipy import sparse

    scores = multilabel.sample_scores(labels, predicted, logits)
    sums = sparse.csr_array(np.hstack([labels * predicted, predicted, labels]).T.astype(np.float32))
    sampled = np.array(list(scores.values()))
    to_rank = np.flatnonzero(labels.any(axis=0)) if ranked else ()
    rankings = [Ranking(labels[:, index] == 1, logits[:, index]) for index in to_rank]
    drawn: dict[str, list[Floats]] = {}
    for counts in itertools.chain([np.ones((len(labels), 1), np.float32)], resampled):
        hits, told, positives = (sums @ counts).astype(np.float64).reshape(3, labels.shape[1], -1).swapaxes(1, 2)
        metrics = multilabel.counted_metrics(hits, told, positives, len(labels))
        metrics |= dict(zip(scores, sampled @ counts / len(labels), strict=True)) | _ranked(rankings, counts)
        for name, values in metrics.items():
            drawn.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in drawn.items()}


def _ranked(rankings: Sequence["Ranking"], counts: Floats) -> dict[str, Floats]:
    """Return means over the classes of AP and AUROC; none if the classes are too many to be ranked."""
    if not rankings:
        return {}
    by_class = np.array([ranking(counts) for ranking in rankings])
    return {
        "macro_average_precision": mean_of_defined(by_class[:, 0].T),
        "macro_auroc": mean_of_defined(by_class[:, 1].T),
    }


def _by_deviation(
    drawn: Mapping[str, Floats], factor: float, hits: Numbers, support: Numbers, errors: int
) -> dict[str, Interval]:
    """Return intervals that reach to both sides of the metric by standard deviations of its resamples, on its scale.

    Parameters
    ----------
    factor : of the deviation, since resampling underestimates it
    hits, support : of the classes that have samples
    errors : samples that are predicted wrongly
    """
    from scipy.special import ndtri

    found = {}
    for name, values in drawn.items():
        scale, value, resampled = SCALES.get(name, SHARE), float(values[0]), values[1:][~np.isnan(values[1:])]
        if np.isnan(value) or not len(resampled):
            continue
        rough = errors < FEW_ERRORS if scale is COST else _has_few(support, MORE.get(name, FEW)) or not hits.all()
        there, back, slope = scale
        deviation = factor * resampled.std()
        with np.errstate(divide="ignore"):
            place = there(value)
        if deviation < ROUNDING or np.isinf(place):  # such as when all samples are right, and so in every resample
            found[name] = Interval(value, value, rough=True)
            continue
        reach = ndtri(0.5 + LEVEL / 2) * deviation * slope(value)
        found[name] = Interval(float(back(place - reach)), float(back(place + reach)), rough)
    return found


def _has_few(support: Numbers, needed: int) -> bool:
    return bool((support < needed).any())


def resampled_counts(strata: Integers, resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """Yield how often each sample was drawn within its stratum, in blocks of shape (n, resamples in the block).

    They are float32 where that is exact.
    """
    count = len(strata)
    members = [np.flatnonzero(strata == index) for index in np.unique(strata)]
    block = max(1, CELLS_AT_ONCE // count)
    for start in range(0, resamples, block):
        width = min(block, resamples - start)
        counts = np.empty((count, width), np.float32 if count <= MOST_EXACT else np.float64)
        for rows in members:  # one stratum at a time, so that its counts stay in the processor's cache
            cells = generator.integers(0, len(rows), (len(rows), width)) * width + np.arange(width)
            counts[rows] = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        yield counts


def _indicators(indices: Integers, classes: int, weights: Floats) -> "sparse.csr_array":
    """Return (classes, n), the sample's weight where its index is that class; -1 is no class."""
    from scipy import sparse

    columns = np.flatnonzero(indices >= 0)
    return sparse.csr_array((weights[columns], (indices[columns], columns)), shape=(classes, len(indices)))


class Ranking:
    """One class against the rest, sorted once, for AP and AUROC under any counts of the samples.

    Only the places of the positives matter. Downwards from the highest score, each is a tie of equal scores with a
    positive in it, and three sums of counts describe it: the negatives since the tie before, and the positives and
    the negatives of the tie itself.
    """

    def __init__(self, positive: Booleans, score: Floats, weights: Floats | None = None) -> None:
        from scipy import sparse

        own = np.ones(len(score), np.float32) if weights is None else weights
        order = np.argsort(-score, kind="stable")
        tie = np.cumsum(np.diff(score[order], prepend=score[order[:1]]) != 0)
        truth: Booleans = positive[order]
        has_positive = np.bincount(tie, truth) > 0
        # The place of the next tie with a positive, at or after each tie.
        place: Integers = np.cumsum(has_positive) - has_positive
        kind = np.where(has_positive[tie], np.where(truth, 1, 2), 0)
        self.places = int(has_positive.sum())
        kept = place[tie] < self.places  # samples below the last positive do not matter
        rows = kind * self.places + place[tie]
        shape = (3 * self.places, len(score))
        self.sums = sparse.csr_array((own[order[kept]], (rows[kept], order[kept])), shape=shape)
        self.negative = own * ~positive

    def __call__(self, counts: Floats) -> Floats:
        """Return AP and AUROC, float64 (2, resamples), under counts (n, resamples).

        They are NaN where no positive, or no negative, was drawn.
        """
        before, hits, beside = (self.sums @ counts).reshape(3, self.places, -1)
        above = np.cumsum(before + beside, axis=0)  # negatives at this score or higher
        found = np.cumsum(hits, axis=0)
        every = found + above
        precision = np.divide(found, np.where(every > 0, every, 1), dtype=np.float64)
        positives = found[-1].astype(np.float64)
        negatives = (self.negative @ counts).astype(np.float64)
        with np.errstate(invalid="ignore"):
            average_precision = np.einsum("pr,pr->r", hits, precision) / positives
            outranked = negatives - above + beside / 2
            auroc = np.einsum("pr,pr->r", hits, outranked, dtype=np.float64) / (positives * negatives)
        return np.array([average_precision, auroc])
