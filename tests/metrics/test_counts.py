"""Metrics from counts, by hand and for several confusion matrices at once."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from equipoise.metrics.counts import COUNTED, Counts, counted_metrics, mean_of_defined


def test_counts_of_labels_and_predictions() -> None:
    counts = Counts.of(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]), 4)
    assert counts.hits.tolist() == [1, 1, 0, 0]
    assert counts.predictions.tolist() == [1, 3, 0, 0]
    assert counts.support.tolist() == [2, 1, 1, 0]


def test_undefined_metrics_of_a_class_are_nan_and_no_prediction_has_a_precision_of_0() -> None:
    counts = Counts(np.array([1, 0, 0]), np.array([2, 0, 1]), np.array([1, 2, 0]))
    np.testing.assert_array_equal(counts.recall, [1, 0, np.nan])
    np.testing.assert_array_equal(counts.precision, [0.5, 0, np.nan])
    np.testing.assert_allclose(counts.f1, [2 / 3, 0, np.nan])


def test_several_confusion_matrices_at_once_are_each_by_itself() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([[0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0]])
    each = [Counts.of(labels, one, 3) for one in predicted]
    stacked = Counts(np.array([one.hits for one in each]), np.array([one.predictions for one in each]), each[0].support)
    together = counted_metrics(stacked, {"few": np.array([1, 2])})
    assert set(together) == {*COUNTED, "recall_few"}
    for index, one in enumerate(each):
        alone = counted_metrics(one, {"few": np.array([1, 2])})
        for name, values in together.items():
            assert values[index] == pytest.approx(float(alone[name])), name
    np.testing.assert_allclose(together["recall_few"], [1, 0.75, 0])
    np.testing.assert_allclose(together["worst_class_recall"], [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(together["g_mean"], [(2 / 3) ** (1 / 3), (1 / 6) ** (1 / 3), 0])
    np.testing.assert_allclose(together["mcc"], [oracle.matthews_corrcoef(labels, one) for one in predicted])
    np.testing.assert_allclose(together["cohen_kappa"], [oracle.cohen_kappa_score(labels, one) for one in predicted])


def test_a_group_without_samples_has_no_metric() -> None:
    counts = Counts(np.array([1, 0]), np.array([1, 0]), np.array([1, 0]))
    assert "recall_few" not in counted_metrics(counts, {"few": np.array([1])})


def test_the_mean_is_over_what_is_defined() -> None:
    np.testing.assert_array_equal(mean_of_defined(np.array([[1, np.nan, 3], [np.nan] * 3])), [2, np.nan])
