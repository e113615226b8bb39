"""What a run learns, one label a sample or several: weights, factors and metrics by hand."""

import numpy as np
import pandas as pd
import pytest

from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.tasks.one_label import OneLabel
from equipoise.methods.tasks.several_labels import SeveralLabels
from helpers import composed

LABELS = ["dataset=multilabel", "dataset.targets=[a,b]", "model=linear", "loss=sigmoid"]


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Prepared]:
    """A table of two labels: 10 of 100 rows have the first, 40 the second."""
    folder = tmp_path_factory.mktemp("labels")
    x = np.arange(100)
    frame = pd.DataFrame({"x": x % 7, "a": (x % 10 == 0).astype(int), "b": (x % 5 < 2).astype(int)})
    frame.to_csv(folder / "table.csv", index=False)
    words = [*LABELS, f"dataset.path='{folder / 'table.csv'}'"]
    return words, prepare(composed(*words).dataset, folder / "cache")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(
        composed("dataset=synthetic", "dataset.class_counts=[60,20]", "model=linear").dataset,
        tmp_path_factory.mktemp("cache"),
    )


def test_the_data_set_the_task(one: Prepared, several: tuple[list[str], Prepared]) -> None:
    assert isinstance(task_of(one), OneLabel)
    assert isinstance(task_of(several[1]), SeveralLabels)


def test_weights_of_one_label_multiply_the_loss_of_a_class(one: Prepared) -> None:
    config = composed("dataset=synthetic", "dataset.class_counts=[60,20]", "model=linear", "weighting=balanced")
    weights = task_of(one).weigh(config.weighting, config.loss, one)
    np.testing.assert_allclose(weights.weights, [80 / (2 * 60), 80 / (2 * 20)])
    np.testing.assert_array_equal(task_of(one).factors(weights), weights.weights)


@pytest.mark.parametrize("typed", [["weighting=balanced"], ["loss.pos_weight=auto"]])
def test_weights_of_several_labels_are_in_the_loss(typed: list[str], several: tuple[list[str], Prepared]) -> None:
    """Negatives over positives of each label; a sample's whole loss is multiplied by 1."""
    words, data = several
    config, task = composed(*words, *typed), task_of(data)
    weights = task.weigh(config.weighting, config.loss, data)
    rows = len(data.split("train").labels)
    np.testing.assert_allclose(weights.weights, [(rows - count) / count for count in data.counts])
    np.testing.assert_array_equal(task.factors(weights), [1, 1])


def test_examples_hold_every_class(one: Prepared, several: tuple[list[str], Prepared]) -> None:
    assert np.bincount(task_of(one).example_labels(3, 6)).tolist() == [2, 2, 2]
    labels = task_of(several[1]).example_labels(3, 7)
    assert labels.shape == (7, 3)
    assert set(labels.ravel().tolist()) == {0, 1}


def test_metrics_of_an_epoch_by_hand(one: Prepared, several: tuple[list[str], Prepared]) -> None:
    logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    found = task_of(one).epoch_metrics(np.array([0, 1, 1]), logits)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["log_loss"] == pytest.approx((2 * np.log1p(np.exp(-2)) + np.log1p(np.exp(2))) / 3)
    of_labels = task_of(several[1]).epoch_metrics(np.array([[1, 0], [0, 1], [0, 1]]), logits - 1)
    # Yes is said to the first label in rows 0 and 2, to the second in row 1: row 2 is wrong twice.
    assert of_labels["accuracy"] == pytest.approx(4 / 6)
