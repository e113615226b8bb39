"""Which metrics are better when they are lower."""

import pytest

from equipoise.comparison.compare import PANEL
from equipoise.metrics.counts import COUNTED
from equipoise.metrics.orientation import orientation

LOWER = ["log_loss", "val/log_loss", "test/ece_corrected", "brier", "expected_cost", "test/log_loss_high"]
LOWER_OF_A_CLASS = ["error_decided/fraud", "val/decision/abstain/error_decided/0", "error_decided/recall"]


@pytest.mark.parametrize("metric", [*LOWER, *LOWER_OF_A_CLASS])
def test_lower_is_better(metric: str) -> None:
    assert orientation(metric) == -1


@pytest.mark.parametrize("metric", [*COUNTED, "val/macro_f1", "macro_auroc", "subset_accuracy", "test/recall/brier"])
def test_higher_is_better(metric: str) -> None:
    assert orientation(metric) == 1


def test_the_log_loss_alone_of_a_comparisons_metrics_is_better_when_lower() -> None:
    assert [metric for metric in PANEL if orientation(metric) < 0] == ["log_loss"]
