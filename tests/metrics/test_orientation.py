"""Which metrics are better when they are lower."""

import pytest

from equipoise.comparison.compare import PANEL
from equipoise.metrics.counts import COUNTED
from equipoise.metrics.orientation import orientation


@pytest.mark.parametrize("metric", ["log_loss", "val/log_loss", "test/ece_corrected", "brier", "expected_cost"])
def test_lower_is_better(metric: str) -> None:
    assert orientation(metric) == -1


@pytest.mark.parametrize("metric", [*COUNTED, "val/macro_f1", "macro_auroc", "subset_accuracy"])
def test_higher_is_better(metric: str) -> None:
    assert orientation(metric) == 1


def test_the_log_loss_alone_of_a_comparisons_metrics_is_better_when_lower() -> None:
    assert [metric for metric in PANEL if orientation(metric) < 0] == ["log_loss"]
