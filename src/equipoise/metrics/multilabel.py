"""Metrics and thresholds of samples with any number of labels. NumPy and scikit-learn, no TensorFlow.

Each label is decided by itself: it is predicted if its logit exceeds a threshold, which is 0 (a probability of one
half) or tuned on the validation split.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.core.errors import listing
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.classification import Evaluation, best_nearest, class_metrics, cuts, frequency_groups
from equipoise.metrics.counts import Counts, f1_score, mean_of_defined

# The metrics that a threshold can be tuned for, from (hits, predicted, positives, samples), each of any shape.
SCORES: Mapping[str, Callable[[Any, Any, Any, int], Floats]] = {
    "macro_f1": lambda hits, predicted, positives, samples: f1_score(hits, predicted, positives),
    "balanced_accuracy": lambda hits, predicted, positives, samples: (
        (
            hits / np.maximum(positives, 1)
            + (samples - positives - predicted + hits) / np.maximum(samples - positives, 1)
        )
        / 2
    ),
    "accuracy": lambda hits, predicted, positives, samples: (samples - positives - predicted + 2 * hits) / samples,
}


def epoch_metrics(labels: Integers, logits: Floats) -> dict[str, float]:
    """Return the few metrics that are watched while training; accuracy and log loss are over all single labels."""
    counted = decision_metrics(labels, logits > 0)
    scores = sample_scores(labels, logits > 0, logits)
    return {name: counted[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")} | {
        "log_loss": float(scores["log_loss"].mean())
    }


def best_thresholds(labels: Integers, logits: Floats, metric: str) -> Floats:
    """Return the logit above which each label is predicted, best for the metric on these samples, float64 (labels,).

    Parameters
    ----------
    labels, logits : of the validation split, (n, labels)
    metric : one of `SCORES`
    """
    return np.array([_best_threshold(metric, labels[:, index], logits[:, index]) for index in range(labels.shape[1])])


def evaluate(
    labels: Integers, logits: Floats, predicted: Integers, names: Sequence[str], training_counts: Integers
) -> Evaluation:
    """Return every metric of one set of predictions.

    Parameters
    ----------
    labels, predicted : 0 and 1 of shape (n, labels)
    logits : float64 (n, labels)
    names : of the labels
    training_counts : int64 (labels,), positives in the training split
    """
    from scipy import sparse
    from sklearn.metrics import average_precision_score, roc_auc_score

    counts = Counts((labels * predicted).sum(axis=0), predicted.sum(axis=0), labels.sum(axis=0))
    hits, predictions, positives = counts.hits, counts.predictions, counts.support
    average_precision, auroc = np.full((2, len(names)), np.nan)
    for index in np.flatnonzero(positives):
        average_precision[index] = average_precision_score(labels[:, index], logits[:, index])
        if positives[index] < len(labels):
            auroc[index] = roc_auc_score(labels[:, index], logits[:, index])
    summary = {
        **decision_metrics(labels, predicted),
        **{name: float(values.mean()) for name, values in sample_scores(labels, predicted, logits).items()},
        "macro_average_precision": float(np.nanmean(average_precision)),
        "macro_auroc": float(np.nanmean(auroc)),
        "worst_class_recall": float(np.nanmin(counts.recall)),
    }
    wrong, missed = predictions.sum() - hits.sum(), positives.sum() - hits.sum()
    confusion = sparse.csr_array([[labels.size - positives.sum() - wrong, wrong], [missed, hits.sum()]])
    return Evaluation(
        summary,
        class_metrics(counts, len(labels), average_precision, auroc),
        confusion,
        frequency_groups(training_counts, "terciles"),
        _notes(positives, predictions, names),
    )


def decision_metrics(labels: Integers, predicted: Integers | Booleans) -> dict[str, float]:
    """Return the metrics that depend on the predicted labels alone, NaN where not defined.

    Accuracy and Hamming loss are over all single labels.
    """
    hits, predictions, positives = (labels * predicted).sum(axis=0), np.sum(predicted, axis=0), labels.sum(axis=0)
    counted = counted_metrics(hits, predictions, positives, len(labels))
    subset_accuracy = float((labels == predicted).all(axis=1).mean())
    return {**{name: float(value) for name, value in counted.items()}, "subset_accuracy": subset_accuracy}


def counted_metrics(hits: Any, predictions: Any, positives: Any, samples: int) -> dict[str, Floats]:
    """Return metrics of shape (…,) from counts of shape (…, labels); means are over the labels that have positives."""
    of_each = {name: score(hits, predictions, positives, samples) for name, score in SCORES.items()}
    present = positives > 0
    accuracy = of_each["accuracy"].mean(axis=-1)
    return {
        "accuracy": accuracy,
        "hamming_loss": 1 - accuracy,
        **{
            name: mean_of_defined(np.where(present, of_each[name], np.nan))
            for name in ("balanced_accuracy", "macro_f1")
        },
        "micro_f1": f1_score(hits.sum(axis=-1), predictions.sum(axis=-1), positives.sum(axis=-1)),
    }


def sample_scores(labels: Integers, predicted: Integers | Booleans, logits: Floats) -> dict[str, Floats]:
    """Return the score of each sample, float64 (n,), for the metrics that are means over samples."""
    return {
        "subset_accuracy": (labels == predicted).all(axis=1).astype(np.float64),
        "log_loss": np.logaddexp(0, np.where(labels == 1, -logits, logits)).mean(axis=1),
        "brier": ((1 / (1 + np.exp(-np.clip(logits, -700, 700))) - labels) ** 2).mean(axis=1),
    }


def _best_threshold(metric: str, labels: Integers, logits: Floats) -> float:
    """Return the threshold with the best score, half-way between two logits; of equally good ones the nearest to 0."""
    candidates = cuts(logits)
    everything, positive = np.sort(logits), np.sort(logits[labels == 1])
    predictions, hits = (len(values) - np.searchsorted(values, candidates) for values in (everything, positive))
    scores = SCORES[metric](hits, predictions, np.full(len(candidates), len(positive)), len(labels))
    return best_nearest(candidates, scores, to=0.0)


def _notes(positives: Integers, predictions: Integers, names: Sequence[str]) -> tuple[str, ...]:
    absent = [name for name, count in zip(names, positives, strict=True) if count == 0]
    each = zip(names, predictions, positives, strict=True)
    never = [name for name, predicted, there in each if there and predicted == 0]
    notes = (
        [f"no test sample has the label {listing(absent)}: its metrics are omitted, and averages are over the others"]
        if absent
        else []
    )
    return (*notes, *([f"never predicted: label {listing(never)}; its precision counts as 0"] if never else []))
