"""Several labels a sample: metrics, thresholds, weights and refusals."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from equipoise.core.errors import ConfigError
from equipoise.metrics.multilabel import SCORES, best_thresholds, decision_metrics, epoch_metrics, evaluate
from helpers import composed


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """0/1 rows in which every label occurs and is missing once, and logits."""
    labels, extra = draw(st.integers(2, 5)), draw(st.integers(0, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = np.concatenate(
        [np.ones((1, labels)), np.zeros((1, labels)), generator.integers(0, 2, (extra, labels))]
    ).astype(np.int64)
    return rows, generator.normal(size=rows.shape) * 3


@pytest.mark.slow
@given(predictions())
def test_equal_to_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = drawn
    predicted, probabilities = (logits > 0).astype(np.int64), 1 / (1 + np.exp(-logits))
    names = [f"l{index}" for index in range(labels.shape[1])]
    found = evaluate(labels, logits, predicted, names, labels.sum(axis=0))
    each = range(len(names))
    expected = {
        "hamming_loss": oracle.hamming_loss(labels, predicted),
        "subset_accuracy": oracle.accuracy_score(labels, predicted),
        "macro_f1": oracle.f1_score(labels, predicted, average="macro", zero_division=0),
        "micro_f1": oracle.f1_score(labels, predicted, average="micro", zero_division=0),
        "balanced_accuracy": np.mean(
            [oracle.balanced_accuracy_score(labels[:, index], predicted[:, index]) for index in each]
        ),
        "macro_average_precision": oracle.average_precision_score(labels, logits, average="macro"),
        "macro_auroc": oracle.roc_auc_score(labels, logits, average="macro"),
        "log_loss": np.mean(
            [oracle.log_loss(labels[:, index], probabilities[:, index], labels=[0, 1]) for index in each]
        ),
        "brier": np.mean([oracle.brier_score_loss(labels[:, index], probabilities[:, index]) for index in each]),
    }
    for name, value in expected.items():
        assert found.summary[name] == pytest.approx(value, abs=1e-9), name
    np.testing.assert_allclose(
        found.per_class["recall"], oracle.recall_score(labels, predicted, average=None), atol=1e-12
    )
    np.testing.assert_allclose(
        found.per_class["precision"],
        oracle.precision_score(labels, predicted, average=None, zero_division=0),
        atol=1e-12,
    )
    watched = epoch_metrics(labels, logits)
    assert all(found.summary[name] == pytest.approx(value) for name, value in watched.items())


@given(predictions(), st.sampled_from(sorted(SCORES)))
def test_no_threshold_is_better_than_the_tuned_one(drawn: tuple[np.ndarray, np.ndarray], metric: str) -> None:
    labels, logits = drawn
    tuned = decision_metrics(labels, logits > best_thresholds(labels, logits, metric))[metric]
    generator = np.random.default_rng(0)
    for other in generator.normal(size=(30, labels.shape[1])) * 3:
        assert tuned >= decision_metrics(labels, logits > other)[metric] - 1e-9


def test_thresholds_by_hand() -> None:
    labels, logits = np.array([[1], [1], [0], [0]]), np.array([[3.0], [1.0], [2.0], [-1.0]])
    # Above 0: two of three right, F1 0.8; above 2.5: one of one, F1 2/3.
    assert best_thresholds(labels, logits, "macro_f1").tolist() == [0]
    assert best_thresholds(labels, logits, "accuracy").tolist() == [0], "of equal ones that nearest to 0"


def test_a_label_without_test_samples_is_undefined_and_noted() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]])
    found = evaluate(labels, labels - 0.5, labels, ["a", "b"], np.array([2, 1]))
    assert np.isnan(found.per_class["recall"]).tolist() == [False, True]
    assert found.summary["macro_f1"] == 1
    assert found.notes == ("no test sample has the label b: its metrics are omitted, and averages are over the others",)


@pytest.fixture
def overrides(tmp_path: Path) -> list[str]:
    """A table of 90 samples, 30 of them with rain and 9 with wind."""
    rows = "".join(f"{i % 7},{int(i % 3 == 0)},{int(i % 10 == 0)}\n" for i in range(90))
    (tmp_path / "m.csv").write_text("x,rain,wind\n" + rows)
    return ["dataset=multilabel", f"dataset.path='{tmp_path}/m.csv'", "dataset.targets=[rain,wind]", "model=linear"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["loss=custom"], "loss=custom is for one class a sample; dataset=multilabel takes loss=sigmoid"),
        (["loss=sigmoid", "weighting=inverse"], "dataset=multilabel takes weighting=none or balanced"),
        (["loss=sigmoid", "weighting=balanced", "loss.pos_weight=auto"], "type one of the two"),
        (["loss=sigmoid", "loss.implementation=class_weight"], "takes loss.implementation=custom"),
        (["loss=sigmoid", "dataset.sampling=class_balanced"], "takes dataset.sampling=none"),
        (["loss=sigmoid", "dataset.labels=one_hot"], "takes dataset.labels=sparse"),
        (["loss=sigmoid", "decision=tuned", "decision.metric=mcc"], "decision.metric=mcc is not for several labels"),
        (["loss=sigmoid", "loss.pos_weight={rain:2}"], "loss.pos_weight has no number for wind"),
    ],
)
def test_options_for_one_class_a_sample_are_refused(overrides: list[str], typed: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(*overrides, *typed)
    assert message in str(caught.value)


@pytest.mark.usefixtures("tensorflow")
def test_balanced_is_the_factor_of_the_positives(overrides: list[str], tmp_path: Path) -> None:
    import tensorflow as tf

    from equipoise.data.prepare import prepare
    from equipoise.training.loss import loss_function

    losses = {}
    for name, typed in {"balanced": ["weighting=balanced"], "auto": ["loss.pos_weight=auto"], "none": []}.items():
        config = composed(*overrides, "loss=sigmoid", *typed)
        data = prepare(config.dataset, tmp_path / "cache")
        truth = tf.constant([[1.0, 0.0], [1.0, 1.0]])
        losses[name] = loss_function(config, data)(truth, tf.zeros((2, 2))).numpy()
    rows = len(data.split("train").labels)
    rain, wind = ((rows - count) / count for count in data.counts)
    assert losses["balanced"] == pytest.approx(np.log(2) * np.array([(rain + 1) / 2, (rain + wind) / 2]), rel=1e-5)
    np.testing.assert_array_equal(losses["balanced"], losses["auto"])
    assert losses["none"] == pytest.approx(np.log(2) * np.ones(2), rel=1e-6)
