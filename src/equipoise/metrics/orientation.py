"""Whether a metric is better when it is higher."""

LOWER_IS_BETTER = frozenset(
    {
        "log_loss",
        "log_loss_corrected",
        "brier",
        "ece",
        "ece_classwise",
        "ece_corrected",
        "expected_cost",
        "hamming_loss",
        "error_decided",
        "set_size",
        "empty_sets",
        "full_sets",
    }
)

# Metrics with a value for each class: the class, which comes after, may be called as a metric is.
OF_CLASSES = frozenset({"recall", "precision", "f1", "average_precision", "coverage", "set_coverage"})


def orientation(metric: str) -> int:
    """Return 1 if higher is better, else -1, of a metric or an end of its interval.

    The name may have its split and decision rule before it, as `val/log_loss` has, and a class after it, as
    `error_decided/fraud` has.
    """
    for part in metric.split("/"):
        name = part.removesuffix("_low").removesuffix("_high")
        if name in LOWER_IS_BETTER:
            return -1
        if name in OF_CLASSES:
            return 1
    return 1
