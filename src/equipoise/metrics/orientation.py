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


def orientation(metric: str) -> int:
    """Return 1 if higher is better, else -1; the name may have its split before it, as in `val/log_loss`."""
    return -1 if metric.rpartition("/")[2] in LOWER_IS_BETTER else 1
