"""Metrics of pooled predictions: the confusion matrices of five folds together."""

import numpy as np

from equipoise.core.schema import Floats
from equipoise.metrics.counts import COUNTED, Counts

PRIMARY = "balanced_accuracy"
METRICS = (PRIMARY, "macro_f1", "mcc", "worst_class_recall")
LOG_LOSS = "log_loss"


def measure(metric: str, confusion: Floats, natural: Floats | None = None) -> Floats:
    """Return the metric of confusion matrices.

    Parameters
    ----------
    confusion : (…, classes, classes), true by predicted
    natural : float64 (classes,), rows of each class; if given, test rows are weighted to that prior

    Returns
    -------
    float64 (…,)
    """
    weighted = np.asarray(confusion, dtype=np.float64)
    if natural is not None:
        support = weighted.sum(axis=-1, keepdims=True)
        weighted = weighted * (natural / natural.sum())[:, np.newaxis] / np.where(support > 0, support, 1)
    counts = Counts(np.diagonal(weighted, axis1=-2, axis2=-1), weighted.sum(axis=-2), weighted.sum(axis=-1))
    found: Floats = COUNTED[metric](counts)
    return found


def leave_one_out(confusion: Floats) -> Floats:
    """Return the sums over all folds but one, (folds, …, classes, classes), of (…, folds, classes, classes)."""
    whole = confusion.sum(axis=-3, keepdims=True)
    return np.moveaxis(whole - confusion, -3, 0)
