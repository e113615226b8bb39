"""From predictions of one class per sample to metrics. NumPy and SciPy; the tests compare with scikit-learn.

Arrays of (samples, classes) are read one block at a time, so that ten thousand classes need no second copy of them.
A metric that is not defined for a class, such as the recall of a class without test samples, is NaN in the arrays
here and omitted wherever it is logged; averages over classes are over those that have test samples.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from equipoise.core.errors import listing
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.counts import COUNTED, NO_CLASS, Counts, counted_metrics
from equipoise.metrics.proportions import effective_trials, wilson

if TYPE_CHECKING:
    from scipy import sparse

BINS = 15
WATCHED = ("accuracy", "balanced_accuracy", "macro_f1")  # of what is counted, while a model is trained
# Cells of (samples, classes); larger arrays are kept in float32, and computed with in float64.
MOST_DOUBLE = 20_000_000
TIE = 1e-12  # scores that are no further apart are equal
NEAR = 1e-6  # logits, which are float32, are equal if they are no further apart relative to 1 + their size
BLOCK_CELLS = 2_000_000  # 16 MB
# Kinds of probabilities: the model's own, and those under the target prior, calibrated if that was asked.
OWN, CORRECTED = "as predicted", "corrected"
# The metrics by which decision rules are compared.
BY_RULE = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall")


WEIGHTED = (
    "metrics count test samples by their row weights (evaluation.weighted=true); the confusion matrix, curves, slices, "
    "calibration and the tuning of decision rules count every row alike"
)


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one set of predictions.

    Attributes
    ----------
    summary : metric name to value, without those that are not defined
    per_class : metric name to float64 (classes,), NaN where not defined
    confusion : int64 (true class, predicted class), sparse, since of 10,000 classes nearly all cells are empty; with a
        last column for samples that are given no class, if there are any
    groups : `many`, `medium` and `few` to the indices of their classes
    notes : what a reader must know, one sentence each
    probabilities : OWN and CORRECTED, as far as they are known, to measures of how good these probabilities are
    """

    summary: dict[str, float]
    per_class: dict[str, Floats]
    confusion: "sparse.csr_array"
    groups: Mapping[str, Integers]
    notes: tuple[str, ...]
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictions:
    """What a model and its decision rule say of samples with one class each.

    Attributes
    ----------
    labels : int64 (n,), true class indices
    logits : float64 (n, classes)
    predicted : int64 (n,), the class indices that the decision rule gives, or NO_CLASS
    weights : float64 (n,), above 0, by which samples count; None: all alike
    """

    labels: Integers
    logits: Floats
    predicted: Integers
    weights: Floats | None = None

    @cached_property
    def log_probabilities(self) -> Floats:
        """The model's own, of the shape of the logits."""
        return log_softmax(self.logits)


def class_logits(logits: Floats) -> Floats:
    """Return a model's logits of shape (n, classes); a single logit z stands for (0, z).

    They are float64, or float32 above MOST_DOUBLE cells.
    """
    logits = np.asarray(logits, dtype=_kept(logits))
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


def log_softmax(logits: Floats) -> Floats:
    """Return log p of the shape of the logits, (n, classes), float64, or float32 above MOST_DOUBLE cells."""
    return by_rows(_log_softmax, logits)


def move_prior(log_probabilities: Floats, effective: Floats, target: Floats) -> Floats:
    """Move log probabilities from the prior q that the model learned under to the target prior pi.

    That is the log of p_c pi_c / q_c, renormalised (Saerens, Latinne & Decaestecker 2002, eq. 2.4).
    """
    return by_rows(lambda rows: _log_softmax(rows + np.log(target) - np.log(effective)), log_probabilities)


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of an array of this shape in blocks of at most BLOCK_CELLS cells."""
    step = max(1, BLOCK_CELLS // max(1, shape[1]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def by_rows(function: Callable[[Floats], Floats], values: Floats) -> Floats:
    """Apply a function to the rows in float64, one block at a time; it returns as many values a row."""
    found: Floats = np.empty(values.shape, _kept(values))
    for rows in row_blocks(values.shape):
        found[rows] = function(np.asarray(values[rows], np.float64))
    return found


def _kept(cells: Floats) -> type[np.float64 | np.float32]:
    return np.float64 if cells.size <= MOST_DOUBLE else np.float32


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probabilities


def epoch_metrics(labels: Integers, logits: Floats) -> dict[str, float]:
    """Return the few metrics that are watched while training, unweighted."""
    counts = Counts.of(labels, np.argmax(logits, axis=1), logits.shape[1])
    watched = {name: float(COUNTED[name](counts)) for name in WATCHED}
    return watched | {"log_loss": float(sample_scores(labels, log_softmax(logits))["log_loss"].mean())}


def epoch_metrics_of_each(labels: Integers, logits: Floats) -> list[dict[str, float]]:
    """Return `epoch_metrics` of each of several models, with the same bits.

    Parameters
    ----------
    logits : float32 (models, n, classes), or (models, n, 1) as `class_logits` takes them
    """
    models, samples, width = logits.shape
    if logits.size > MOST_DOUBLE // 2:  # a model by itself may be kept in double precision
        return [epoch_metrics(labels, class_logits(each)) for each in logits]
    flat = class_logits(logits.reshape(-1, width))
    classes = flat.shape[1]
    counts = Counts.of_each(labels, np.argmax(flat, axis=1).reshape(models, samples), classes)
    losses = -log_softmax(flat)[np.arange(len(flat)), np.tile(labels, models)]
    found = {name: COUNTED[name](counts) for name in WATCHED}
    found["log_loss"] = losses.reshape(models, samples).mean(axis=1)
    return [{name: float(values[place]) for name, values in found.items()} for place in range(models)]


def evaluate(
    predictions: Predictions,
    classes: Sequence[str],
    groups: Mapping[str, Integers],
    corrected: Floats | None = None,
    costs: Floats | None = None,
) -> Evaluation:
    """Return every metric of one set of predictions.

    Parameters
    ----------
    classes : names, in the order of the indices
    groups : what `frequency_groups` returns for the training counts
    corrected : log probabilities (n, classes) under the prior where the model will be used; None if they are not known
    costs : float64 (true class, predicted class), if confusions have costs; a last column is for no class
    """
    labels, predicted, log_probabilities = predictions.labels, predictions.predicted, predictions.log_probabilities
    own = predictions.weights
    counts = Counts.of(labels, predicted, len(classes), own)
    average_precision, auroc = _ranking(labels, log_probabilities, counts.support > 0, own)

    summary = {name: float(value) for name, value in counted_metrics(counts, groups).items() if not np.isnan(value)}
    kinds = {OWN: log_probabilities} | ({} if corrected is None else {CORRECTED: corrected})
    probabilities = {kind: _probability_metrics(labels, values, own) for kind, values in kinds.items()}
    summary |= probabilities[OWN]
    if costs is not None:
        summary["expected_cost"] = float(np.average(costs[labels, predicted], weights=own))
    for name, values in (("macro_average_precision", average_precision), ("macro_auroc", auroc)):
        if not np.isnan(values).all():
            summary[name] = float(np.nanmean(values))
    if corrected is not None:
        summary |= {f"{name}_corrected": probabilities[CORRECTED][name] for name in ("log_loss", "ece")}
    return Evaluation(
        summary,
        class_metrics(counts, float(counts.total), average_precision, auroc, trials_of(predictions)),
        confusion_matrix(labels, predicted, len(classes)),
        groups,
        (*_notes(counts, classes, is_corrected=corrected is not None), *([] if own is None else [WEIGHTED])),
        probabilities,
    )


def trials_of(predictions: Predictions) -> tuple[Any, Any]:
    """Return hits and samples of each class, (classes,), as an interval takes them."""
    labels, classes, weights = predictions.labels, predictions.logits.shape[1], predictions.weights
    if weights is not None:
        return effective_trials(predictions.predicted == labels, labels, classes, weights)
    counts = Counts.of(labels, predictions.predicted, classes)
    return counts.hits, counts.support


def class_metrics(
    counts: Counts, samples: float, average_precision: Floats, auroc: Floats, trials: tuple[Any, Any] | None = None
) -> dict[str, Floats]:
    """Return the metrics of each class, float64 (classes,), in the order in which they are logged.

    Parameters
    ----------
    samples : how many there are in all, or what their weights add up to
    trials : hits and samples of each class, (classes,), for the interval of recall; None: as counted
    """
    recall_low, recall_high = wilson(*(trials or (counts.hits, counts.support)))
    return {
        "recall": counts.recall,
        "precision": counts.precision,
        "f1": counts.f1,
        "average_precision": average_precision,
        "auroc": auroc,
        "predicted_share": counts.predictions / samples,
        "prevalence": counts.support / samples,  # the average precision of guessing
        "recall_low": recall_low,
        "recall_high": recall_high,
    }


def frequency_groups(counts: Integers, thresholds: Literal["terciles"] | tuple[int, int]) -> dict[str, Integers]:
    """Return class indices grouped by training count, head first: `many`, `medium` and `few`.

    Parameters
    ----------
    counts : int64 (classes,)
    thresholds : terciles of the classes (no groups for fewer than three classes), or (low, high): a class belongs
        to the few below `low` samples and to the many above `high` (Liu et al. 2019: 20 and 100)
    """
    order = np.argsort(-counts, kind="stable")
    names = ("many", "medium", "few")
    if thresholds == "terciles":
        return dict(zip(names, np.array_split(order, 3), strict=True)) if len(counts) >= 3 else {}
    low, high = thresholds
    rank = np.where(counts[order] > high, 0, np.where(counts[order] < low, 2, 1))
    found = {name: order[rank == index] for index, name in enumerate(names)}
    return {name: members for name, members in found.items() if len(members)}


def sample_scores(labels: Integers, log_probabilities: Floats) -> dict[str, Floats]:
    """Return the score of each sample, float64 (n,), for the metrics that are means over samples."""
    brier, everyone = np.empty(len(labels)), np.arange(len(labels))
    for rows in row_blocks(log_probabilities.shape):
        errors = np.exp(np.asarray(log_probabilities[rows], np.float64))
        errors[np.arange(len(errors)), labels[rows]] -= 1
        brier[rows] = (errors**2).sum(axis=1)  # Brier 1950: 0 to 2
    return {"log_loss": -log_probabilities[everyone, labels].astype(np.float64), "brier": brier}


def decision_metrics(
    labels: Integers, predicted: Integers, classes: int, costs: Floats | None, weights: Floats | None = None
) -> dict[str, float]:
    """Return the metrics by which decision rules are compared; they depend on the predicted classes alone.

    Parameters
    ----------
    costs : float64 (true class, predicted class), with a last column for no class where that is predicted
    """
    counts = Counts.of(labels, predicted, classes, weights)
    found = {name: float(COUNTED[name](counts)) for name in BY_RULE}
    if costs is None:
        return found
    return {**found, "expected_cost": float(np.average(costs[labels, predicted], weights=weights))}


def total_variation(first: Floats, second: Floats) -> float:
    """Return half the sum of |p_c - q_c|, the share of samples by whose class two distributions differ."""
    return float(np.abs(first - second).sum() / 2)


def confusion_matrix(labels: Integers, predicted: Integers, classes: int) -> "sparse.csr_array":
    """Return counts, int64 (true class, predicted class), over all classes, whether they occur or not.

    If samples are given no class there is a last column for them.
    """
    from scipy import sparse

    rejected = predicted == NO_CLASS
    columns = np.where(rejected, classes, predicted)
    shape = (classes, classes + bool(rejected.any()))
    return sparse.csr_array((np.ones(len(labels), np.int64), (labels, columns)), shape=shape)


def mistakes(confusion: "sparse.csr_array", most: int) -> list[tuple[int, int, int, int]]:
    """Return the most frequent mistakes: true class, predicted class, how often, and the samples of the true class.

    Of equally frequent ones, the larger share of the true class comes first.
    """
    cells, support = confusion.tocoo(), confusion.sum(axis=1)
    wrong = np.flatnonzero((cells.row != cells.col) & (cells.data > 0) & (cells.col < len(support)))
    worst = wrong[np.lexsort((-cells.data[wrong] / support[cells.row[wrong]], -cells.data[wrong]))][:most]
    return [
        (int(cells.row[cell]), int(cells.col[cell]), int(cells.data[cell]), int(support[cells.row[cell]]))
        for cell in worst
    ]


def confusion_of_groups(confusion: "sparse.csr_array", groups: Sequence[Integers]) -> Integers:
    """Return the confusion matrix of groups of classes, int64 (true group, predicted group)."""
    from scipy import sparse

    rows, columns = np.repeat(np.arange(len(groups)), [len(found) for found in groups]), np.concatenate(groups)
    shape = (len(groups), confusion.shape[0])
    belongs = sparse.csr_array((np.ones(len(columns), np.int64), (rows, columns)), shape=shape)
    blocks: Integers = (belongs @ confusion[:, : shape[1]] @ belongs.T).toarray()
    return blocks


def reliability(labels: Integers, log_probabilities: Floats, bins: int = BINS) -> tuple[Floats, Floats, Integers]:
    """Return mean confidence, accuracy and size of each equal-width bin of the top class's probability."""
    confidence, hit = _top(labels, log_probabilities)
    return _binned(confidence, hit, bins)


def most_probable(log_probabilities: Floats, most: int) -> list[tuple[Integers, Floats]]:
    """Return the most probable classes, int64 (n,), and their probabilities, float64 (n,), the most probable first."""
    classes: Integers = np.empty((len(log_probabilities), most), np.int64)
    for rows in row_blocks(log_probabilities.shape):
        block = log_probabilities[rows]
        chosen = np.argpartition(block, -most, axis=1)[:, -most:]
        order = np.argsort(-np.take_along_axis(block, chosen, axis=1), axis=1, kind="stable")
        classes[rows] = np.take_along_axis(chosen, order, axis=1)
    probabilities = np.exp(np.take_along_axis(log_probabilities, classes, axis=1).astype(np.float64))
    return list(zip(classes.T, probabilities.T, strict=True))


def _top(labels: Integers, log_probabilities: Floats) -> tuple[Floats, Booleans]:
    """Return the top class's probability, and whether it is the true class, each of shape (n,)."""
    confidence, hit = np.empty(len(labels)), np.empty(len(labels), bool)
    for rows in row_blocks(log_probabilities.shape):
        probabilities = np.exp(np.asarray(log_probabilities[rows], np.float64))
        top = probabilities.argmax(axis=1)
        confidence[rows], hit[rows] = probabilities[np.arange(len(top)), top], top == labels[rows]
    return confidence, hit


def best_nearest(candidates: Floats, scores: Floats, to: float) -> float:
    """Return the candidate nearest to a value among those with the best score; of two as near, the first.

    Scores and candidates are sums and differences of floats, so those that differ only by rounding count as equal.
    """
    best = candidates[scores >= scores.max() - TIE]
    away = np.abs(best - to)
    return float(best[np.argmax(away <= away.min() + NEAR * (1 + abs(to)))])


def cuts(values: Floats) -> Floats:
    """Return ascending thresholds, one for each way to divide the values in two.

    They lie half-way between neighbours, and 1 beyond either end. Neighbours that may differ only by the rounding of
    float32 are not divided.
    """
    ascending = np.unique(values)
    below, above = ascending[:-1], ascending[1:]
    apart = above - below > NEAR * (1 + np.abs(above))
    return np.concatenate([[ascending[0] - 1], (below + above)[apart] / 2, [ascending[-1] + 1]])


def class_probabilities(log_probabilities: Floats) -> Iterator[Floats]:
    """Yield each class's probabilities, float64 (n,), in the order of the classes."""
    for columns in row_blocks(log_probabilities.shape[::-1]):
        yield from np.exp(np.asarray(log_probabilities[:, columns].T, np.float64, order="C"))


def _ranking(
    labels: Integers, log_probabilities: Floats, present: Booleans, weights: Floats | None
) -> tuple[Floats, Floats]:
    """Return average precision and AUROC of each class against the rest, NaN for a class without samples."""
    average_precision, auroc = np.full((2, len(present)), np.nan)
    for index, scores in enumerate(class_probabilities(log_probabilities)):
        if present[index]:
            average_precision[index], auroc[index] = against_the_rest(labels == index, scores, weights)
    return average_precision, auroc


def against_the_rest(positive: Booleans, scores: Floats, weights: Floats | None = None) -> tuple[float, float]:
    """Return average precision and AUROC, NaN without negatives; equal scores share their rank.

    Only the positives matter: the precision at the score of each, and how many negatives score lower.
    """
    if weights is not None:
        return _weighed_ranking(positive, scores, weights)
    ascending, own = np.sort(scores), np.sort(scores[positive])
    below, up_to = (np.searchsorted(ascending, own, side) for side in ("left", "right"))
    own_below, own_up_to = (np.searchsorted(own, own, side) for side in ("left", "right"))
    average_precision = float(((len(own) - own_below) / (len(scores) - below)).mean())
    pairs = len(own) * (len(scores) - len(own))
    beaten = ((below - own_below) + (up_to - own_up_to)).sum() / 2
    return average_precision, float(beaten / pairs) if pairs else np.nan


def _weighed_ranking(positive: Booleans, scores: Floats, weights: Floats) -> tuple[float, float]:
    """Return the same where samples count by their weights: sums of weights in place of numbers of samples."""
    order = np.argsort(scores, kind="stable")
    ranked, weights, positive = scores[order], weights[order], positive[order]
    # What the positives and the negatives add up to before each place.
    positives, negatives = (np.append(0.0, np.cumsum(weights * kind)) for kind in (positive, ~positive))
    own, heavy = ranked[positive], weights[positive]
    below, up_to = (np.searchsorted(ranked, own, side) for side in ("left", "right"))
    found, others = positives[-1] - positives[below], negatives[-1] - negatives[below]
    average_precision = float(np.average(found / (found + others), weights=heavy))
    pairs = float(heavy.sum() * negatives[-1])
    beaten = float(heavy @ (negatives[below] + negatives[up_to])) / 2
    return average_precision, beaten / pairs if pairs > 0 else np.nan


def precision_recall(positive: Booleans, scores: Floats) -> tuple[Floats, Floats]:
    """Return precision and recall at each score as threshold, from the highest down.

    They are those of scikit-learn's `precision_recall_curve`, and begin with a precision of 1 at a recall of 0. There
    must be a positive.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(scores) - 1)  # of equal scores
    hits = np.cumsum(positive[order])[last]
    return np.append(1.0, hits / (last + 1)), np.append(0.0, hits / hits[-1])


def _probability_metrics(labels: Integers, log_probabilities: Floats, weights: Floats | None) -> dict[str, float]:
    columns, scores = enumerate(class_probabilities(log_probabilities)), sample_scores(labels, log_probabilities)
    by_class = [_calibration_error(column, labels == index, weights) for index, column in columns]
    return {
        **{name: float(np.average(values, weights=weights)) for name, values in scores.items()},
        "ece": _calibration_error(*_top(labels, log_probabilities), weights),
        "ece_classwise": float(np.mean(by_class)),
    }


def _calibration_error(confidence: Floats, hit: Booleans, weights: Floats | None) -> float:
    """Return the expected calibration error with equal-width bins (Guo et al. 2017; class-wise: Kull et al. 2019)."""
    mean_confidence, accuracy, sizes = _binned(confidence, hit, BINS, weights)
    return float((np.abs(accuracy - mean_confidence) * sizes).sum() / sizes.sum())


def _binned(
    confidence: Floats, hit: Booleans, bins: int, weights: Floats | None = None
) -> tuple[Floats, Floats, Integers]:
    # Bins are open below and closed above.
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    sizes = np.bincount(index, weights, bins)
    divisor = np.where(sizes > 0, sizes, 1)
    each = (confidence, hit) if weights is None else (confidence * weights, hit * weights)
    means = [np.bincount(index, values, bins) / divisor for values in each]
    return means[0], means[1], sizes


def _notes(counts: Counts, classes: Sequence[str], *, is_corrected: bool) -> tuple[str, ...]:
    notes = []
    if not is_corrected:
        notes.append(
            "the prior that the model learned under has no analytic form: "
            "log_loss_corrected and ece_corrected are omitted"
        )
    absent = [name for name, count in zip(classes, counts.support, strict=True) if count == 0]
    if absent:
        notes.append(
            f"no test samples of class {listing(absent)}: its metrics are omitted, "
            "and averages are over the other classes"
        )
    each = zip(classes, counts.predictions, counts.support, strict=True)
    never = [name for name, predicted, there in each if there and predicted == 0]
    if never:
        notes.append(f"never predicted: class {listing(never)}; its precision counts as 0")
    return tuple(notes)
