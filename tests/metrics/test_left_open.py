"""What rules leave open: by hand, against SciPy's exact intervals, and metrics of rows without a class."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from equipoise.metrics.classification import confusion_matrix, decision_metrics, mistakes
from equipoise.metrics.counts import NO_CLASS, Counts, counted_metrics
from equipoise.metrics.left_open import rejections, sets_of_classes, sets_of_labels

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 1, NO_CLASS, 1, NO_CLASS, NO_CLASS])


def test_rejections_by_hand() -> None:
    found = rejections(LABELS, PREDICTED, 3)
    assert found.summary == pytest.approx({"coverage": 0.5, "error_decided": 1 / 3})
    np.testing.assert_allclose(found.per_class["coverage"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(found.per_class["error_decided"], [1 / 2, 0, np.nan])
    heavy = rejections(LABELS, PREDICTED, 3, np.array([2.0, 1, 1, 1, 1, 2]))
    assert heavy.summary == pytest.approx({"coverage": 4 / 8, "error_decided": 1 / 4})
    assert rejections(LABELS, np.full(6, NO_CLASS), 3).summary == {"coverage": 0.0}, "no row is decided"


def test_rows_without_a_class_are_those_of_a_class_that_no_row_has() -> None:
    """scikit-learn is asked with a fourth class."""
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(3, size=200), generator.integers(-1, 3, size=200)
    found = {name: float(value) for name, value in counted_metrics(Counts.of(labels, predicted, 3), {}).items()}
    fourth, three = np.where(predicted == NO_CLASS, 3, predicted), [0, 1, 2]
    f1 = oracle.f1_score(labels, fourth, labels=three, average=None)
    assert found["accuracy"] == oracle.accuracy_score(labels, fourth)
    assert found["balanced_accuracy"] == pytest.approx(
        oracle.recall_score(labels, fourth, labels=three, average="macro")
    )
    assert found["macro_f1"] == pytest.approx(f1.mean())
    assert found["mcc"] == pytest.approx(oracle.matthews_corrcoef(labels, fourth))
    assert found["cohen_kappa"] == pytest.approx(oracle.cohen_kappa_score(labels, fourth))
    matrix = confusion_matrix(labels, predicted, 3)
    np.testing.assert_array_equal(matrix.toarray(), oracle.confusion_matrix(labels, fourth)[:3])
    assert {cell[1] for cell in mistakes(matrix, 99)} <= {0, 1, 2}, "no class is no confusion"
    costs = np.column_stack([1 - np.eye(3), [0.1, 0.2, 0.3]])
    by_hand = [costs[true, given] for true, given in zip(labels, fourth, strict=True)]
    assert decision_metrics(labels, predicted, 3, costs)["expected_cost"] == pytest.approx(np.mean(by_hand))


def test_sets_of_classes_by_hand_and_with_exact_intervals() -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1], [0, 0, 1]], bool)
    found = sets_of_classes(LABELS, sets)
    sixths = {"set_size": 8, "singletons": 3, "empty_sets": 1, "full_sets": 1, "set_coverage": 4}
    assert found.summary == pytest.approx(
        {name: of / 6 for name, of in sixths.items()} | {"worst_class_set_coverage": 0.5}
    )
    for index, (hits, rows) in enumerate([(2, 3), (1, 2), (1, 1)]):
        exact = stats.binomtest(hits, rows).proportion_ci(0.95, "exact")
        ends = [found.per_class[f"set_coverage{end}"][index] for end in ("", "_low", "_high")]
        assert ends == pytest.approx([hits / rows, exact.low, exact.high])
    np.testing.assert_allclose(found.per_class["set_share"], [3 / 6, 2 / 6, 3 / 6])
    absent = sets_of_classes(LABELS[:5], sets[:5])
    assert np.isnan(absent.per_class["set_coverage_low"][2])
    assert absent.summary["worst_class_set_coverage"] == 0.5


def test_sets_of_labels_by_hand() -> None:
    labels, sets = np.array([[1, 1], [1, 0], [0, 0]]), np.array([[1, 0], [1, 1], [0, 0]], bool)
    found = sets_of_labels(labels, sets)
    assert found.summary["set_coverage"] == pytest.approx(2 / 3)
    assert found.summary["worst_class_set_coverage"] == 0
    np.testing.assert_allclose(found.per_class["set_coverage"], [1, 0])
    assert "set_coverage" not in sets_of_labels(labels * 0, sets).summary
