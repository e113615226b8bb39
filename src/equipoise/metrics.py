"""Predictions to numbers: scikit-learn where it has them, NumPy where it has not. No TensorFlow.

A metric that is not defined for a class, such as the recall of a class without test samples, is NaN in the
arrays here and absent wherever it is logged; averages over classes are over those that have test samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.options import Booleans, Floats, Integers, listing

BINS = 15


@dataclass(frozen=True)
class Evaluation:
    """What is known of one set of predictions.

    Attributes
    ----------
    summary : metric name to value; what is not defined is absent
    per_class : metric name to float64 (classes,), NaN where not defined
    confusion : int64 (true class, predicted class)
    notes : what a reader must be told, one sentence each
    """

    summary: dict[str, float]
    per_class: dict[str, Floats]
    confusion: Integers
    notes: tuple[str, ...]


def log_softmax(logits: Floats) -> Floats:
    """log p, float64 (n, classes), from logits of that shape."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    log_probabilities: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return log_probabilities


def move_prior(log_probabilities: Floats, effective: Floats, target: Floats) -> Floats:
    """log of p_c pi_c / q_c, renormalised: from the prior q that the model learned under to the prior pi of its use.

    Saerens, Latinne & Decaestecker 2002, eq. 2.4.
    """
    return log_softmax(log_probabilities + np.log(target) - np.log(effective))


def epoch_metrics(labels: Integers, logits: Floats) -> dict[str, float]:
    """The few metrics that are watched while training, unweighted."""
    classes = logits.shape[1]
    predicted = np.argmax(logits, axis=1)
    recall, _, f1, support = _recall_precision_f1(confusion_matrix(labels, predicted, classes))
    present = support > 0
    return {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "log_loss": _log_loss(labels, log_softmax(logits)),
    }


def evaluate(
    labels: Integers,
    logits: Floats,
    predicted: Integers,
    classes: Sequence[str],
    head_to_tail: Integers,
    effective_prior: Floats | None,
    target_prior: Floats,
    costs: Floats | None = None,
) -> Evaluation:
    """Every metric of one set of predictions.

    Parameters
    ----------
    labels : int64 (n,), true class indices
    logits : float64 (n, classes)
    predicted : int64 (n,), by whatever decision rule
    classes : names, in the order of the indices
    head_to_tail : class indices from the most to the least frequent in training
    effective_prior : float64 (classes,), the prior the model learned under, or None if it has no analytic form
    target_prior : float64 (classes,), the prior where the model will be used
    costs : float64 (true class, predicted class), if confusions have costs
    """
    from sklearn.metrics import cohen_kappa_score

    confusion = confusion_matrix(labels, predicted, len(classes))
    recall, precision, f1, support = _recall_precision_f1(confusion)
    present = support > 0
    log_probabilities = log_softmax(logits)
    average_precision, auroc = _ranking(labels, np.exp(log_probabilities), present)

    summary = {
        **decision_metrics(labels, predicted, len(classes), costs),
        "weighted_f1": float(f1[present] @ support[present] / support.sum()),
        "g_mean": _geometric_mean(recall[present]),
        "cohen_kappa": float(cohen_kappa_score(labels, predicted, labels=range(len(classes)))),
        **_by_frequency(recall, head_to_tail),
        **_probability_metrics(labels, log_probabilities),
    }
    for name, values in (("macro_average_precision", average_precision), ("macro_auroc", auroc)):
        if not np.isnan(values).all():
            summary[name] = float(np.nanmean(values))
    if effective_prior is not None:
        moved = _probability_metrics(labels, move_prior(log_probabilities, effective_prior, target_prior))
        summary |= {"log_loss_corrected": moved["log_loss"], "ece_corrected": moved["ece"]}
    per_class = {
        "recall": recall,
        "precision": precision,
        "f1": f1,
        "average_precision": average_precision,
        "auroc": auroc,
        "predicted_share": confusion.sum(axis=0) / len(labels),
    }
    return Evaluation(summary, per_class, confusion, _notes(confusion, classes, effective_prior))


def decision_metrics(labels: Integers, predicted: Integers, classes: int, costs: Floats | None) -> dict[str, float]:
    """The metrics by which decision rules are compared: of predicted classes alone, whatever the probabilities."""
    from sklearn.metrics import matthews_corrcoef

    confusion = confusion_matrix(labels, predicted, classes)
    recall, _, f1, support = _recall_precision_f1(confusion)
    present = support > 0
    found = {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "macro_f1": float(f1[present].mean()),
        "mcc": float(matthews_corrcoef(labels, predicted)),
        "worst_class_recall": float(recall[present].min()),
    }
    return found if costs is None else {**found, "expected_cost": float((confusion * costs).sum() / len(labels))}


def confusion_matrix(labels: Integers, predicted: Integers, classes: int) -> Integers:
    """Counts, int64 (true class, predicted class), over all classes whether they occur or not."""
    counts: Integers = np.bincount(np.asarray(labels) * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return counts


def reliability(labels: Integers, log_probabilities: Floats, bins: int = BINS) -> tuple[Floats, Floats, Integers]:
    """Mean confidence, accuracy and size of each of the equal-width bins of the top class's probability."""
    probabilities = np.exp(log_probabilities)
    top = probabilities.argmax(axis=1)
    return _binned(probabilities[np.arange(len(labels)), top], top == labels, bins)


def _recall_precision_f1(confusion: Integers) -> tuple[Floats, Floats, Floats, Integers]:
    """Per class, NaN without test samples; the precision of a class that is never predicted is 0, as in scikit-learn."""
    hits, support, predictions = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    absent = support == 0
    recall = np.where(absent, np.nan, hits / np.maximum(support, 1))
    precision = np.where(absent, np.nan, hits / np.maximum(predictions, 1))
    f1 = np.where(absent, np.nan, 2 * hits / np.maximum(support + predictions, 1))
    return recall, precision, f1, support


def _ranking(labels: Integers, probabilities: Floats, present: Booleans) -> tuple[Floats, Floats]:
    """Average precision and AUROC of each class against the rest."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    average_precision, auroc = np.full((2, len(present)), np.nan)
    for index in np.flatnonzero(present):
        truth = labels == index
        average_precision[index] = average_precision_score(truth, probabilities[:, index])
        if not truth.all():
            auroc[index] = roc_auc_score(truth, probabilities[:, index])
    return average_precision, auroc


def _geometric_mean(values: Floats) -> float:
    """Through logarithms: the product of a thousand recalls underflows."""
    return float(np.exp(np.log(values).mean())) if values.all() else 0.0


def _by_frequency(recall: Floats, head_to_tail: Integers) -> dict[str, float]:
    """Mean recall of the terciles of classes, the most frequent first; nothing for fewer than three classes."""
    if len(recall) < 3:
        return {}
    groups = dict(zip(("many", "medium", "few"), np.array_split(head_to_tail, 3), strict=True))
    return {f"recall_{name}": float(np.nanmean(recall[group])) for name, group in groups.items() if not np.isnan(recall[group]).all()}


def _probability_metrics(labels: Integers, log_probabilities: Floats) -> dict[str, float]:
    probabilities = np.exp(log_probabilities)
    rows = np.arange(len(labels))
    errors = probabilities.copy()
    errors[rows, labels] -= 1
    top = probabilities.argmax(axis=1)
    by_class = [_calibration_error(column, labels == index) for index, column in enumerate(probabilities.T)]
    return {
        "log_loss": _log_loss(labels, log_probabilities),
        "brier": float((errors**2).sum(axis=1).mean()),  # Brier 1950: 0 to 2
        "ece": _calibration_error(probabilities[rows, top], top == labels),
        "ece_classwise": float(np.mean(by_class)),
    }


def _log_loss(labels: Integers, log_probabilities: Floats) -> float:
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def _calibration_error(confidence: Floats, hit: Booleans) -> float:
    """Expected calibration error with equal-width bins (Guo et al. 2017; class-wise: Kull et al. 2019)."""
    mean_confidence, accuracy, sizes = _binned(confidence, hit, BINS)
    return float((np.abs(accuracy - mean_confidence) * sizes).sum() / sizes.sum())


def _binned(confidence: Floats, hit: Booleans, bins: int) -> tuple[Floats, Floats, Integers]:
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins are open below, closed above
    sizes = np.bincount(index, minlength=bins)
    divisor = np.maximum(sizes, 1)
    return np.bincount(index, confidence, bins) / divisor, np.bincount(index, hit, bins) / divisor, sizes


def _notes(confusion: Integers, classes: Sequence[str], effective_prior: Floats | None) -> tuple[str, ...]:
    support, predictions = confusion.sum(axis=1), confusion.sum(axis=0)
    notes = []
    if effective_prior is None:
        notes.append("the prior that the model learned under has no closed form here: log_loss_corrected and ece_corrected are absent")
    absent = [name for name, count in zip(classes, support, strict=True) if count == 0]
    if absent:
        notes.append(f"no test sample of class {listing(absent)}: no metric of it is defined, and averages of those leave it out")
    never = [name for name, count, there in zip(classes, predictions, support, strict=True) if count == 0 and there]
    if never:
        notes.append(f"never predicted: class {listing(never)}; its precision counts as 0")
    return tuple(notes)
