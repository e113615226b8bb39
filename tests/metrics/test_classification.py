"""Metrics against scikit-learn and against numbers worked by hand."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from equipoise.metrics.classification import (
    BINS,
    Evaluation,
    Predictions,
    against_the_rest,
    class_logits,
    epoch_metrics,
    epoch_metrics_of_each,
    evaluate,
    frequency_groups,
    log_softmax,
    most_probable,
    move_prior,
    precision_recall,
    reliability,
    total_variation,
)


def of(labels: np.ndarray, logits: np.ndarray, prior: np.ndarray | None = None) -> Evaluation:
    classes = logits.shape[1]
    names = [f"c{index}" for index in range(classes)]
    uniform = np.full(classes, 1 / classes)
    groups = frequency_groups(np.arange(classes, 0, -1), "terciles")
    predictions = Predictions(labels, logits, logits.argmax(axis=1))
    moved = move_prior(log_softmax(logits), uniform if prior is None else prior, uniform)
    return evaluate(predictions, names, groups, moved)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels in which every class occurs, and logits."""
    classes, extra = draw(st.integers(2, 7)), draw(st.integers(0, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, extra)])
    return labels, generator.normal(size=(len(labels), classes)) * draw(st.floats(0.1, 5))


@given(predictions())
def test_equal_to_scikit_learn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, logits = drawn
    classes = range(logits.shape[1])
    predicted, probabilities = logits.argmax(axis=1), np.exp(log_softmax(logits))
    found = of(labels, logits)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0
    )
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose(found.per_class[name], values, atol=1e-12)
    expected = {
        "accuracy": oracle.accuracy_score(labels, predicted),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, predicted),
        "macro_f1": f1.mean(),
        "weighted_f1": oracle.f1_score(labels, predicted, average="weighted", labels=classes, zero_division=0),
        "mcc": oracle.matthews_corrcoef(labels, predicted),
        "cohen_kappa": oracle.cohen_kappa_score(labels, predicted, labels=classes),
        "log_loss": oracle.log_loss(labels, probabilities, labels=classes),
        "brier": oracle.brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False),
        "macro_auroc": np.mean([oracle.roc_auc_score(labels == c, probabilities[:, c]) for c in classes]),
        "macro_average_precision": np.mean(
            [oracle.average_precision_score(labels == c, probabilities[:, c]) for c in classes]
        ),
        "worst_class_recall": recall.min(),
    }
    for name, value in expected.items():
        assert found.summary[name] == pytest.approx(value, abs=1e-9), name
    for name, value in epoch_metrics(labels, logits).items():
        assert found.summary[name] == pytest.approx(value, abs=1e-12), name


@given(
    models=st.integers(1, 12),
    samples=st.integers(1, 300),
    classes=st.integers(1, 12),
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
@example(models=1, samples=1, classes=2, scale=30.0, seed=3)  # a probability of 1, whose loss is no -0
def test_what_is_watched_of_several_models_has_the_bits_of_each(
    models: int, samples: int, classes: int, scale: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, max(2, classes), samples)
    logits = (scale * generator.normal(size=(models, samples, classes))).astype(np.float32)
    found = epoch_metrics_of_each(labels, logits)
    assert list(map(repr, found)) == [repr(epoch_metrics(labels, class_logits(each))) for each in logits]


def test_by_hand() -> None:
    # Three classes of 2, 1 and 1 samples; one sample of class 0 is taken for class 1.
    labels = np.array([0, 0, 1, 2])
    logits = np.log([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.9, 1e-9], [0.2, 0.2, 0.6]])
    found = of(labels, logits)
    assert found.confusion.toarray().tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.per_class["recall"].tolist() == [0.5, 1, 1]
    assert found.per_class["precision"].tolist() == [1, 0.5, 1]
    assert found.per_class["predicted_share"].tolist() == [0.25, 0.5, 0.25]
    assert found.summary["balanced_accuracy"] == pytest.approx(2.5 / 3)
    assert found.summary["g_mean"] == pytest.approx(0.5 ** (1 / 3))
    assert (found.summary["recall_many"], found.summary["recall_medium"], found.summary["recall_few"]) == (0.5, 1, 1)
    assert found.notes == ()


def test_calibration_error_by_hand() -> None:
    # Confidences .6, .6, .9, .9 with hits 1, 0, 1, 1: bins (.533, .6] and (.867, .933] hold two samples each.
    labels = np.array([0, 1, 0, 0])
    logits = np.log([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])
    found = of(labels, logits)
    assert found.summary["ece"] == pytest.approx((abs(0.5 - 0.6) * 2 + abs(1 - 0.9) * 2) / 4)
    # Of two classes, each one's bins mirror the other's.
    assert found.summary["ece_classwise"] == pytest.approx(found.summary["ece"])
    confidence, accuracy, sizes = reliability(labels, log_softmax(logits))
    assert len(sizes) == BINS
    assert sizes.sum() == 4
    assert accuracy[np.flatnonzero(sizes)].tolist() == [0.5, 1]
    assert confidence[np.flatnonzero(sizes)].tolist() == pytest.approx([0.6, 0.9])


def test_a_class_without_test_samples_is_undefined_and_noted() -> None:
    labels = np.array([0, 0, 1])
    logits = np.array([[2.0, 0, 0], [0, 0, 3.0], [0, 2.0, 0]])
    found = of(labels, logits)
    for name in ("recall", "precision", "f1", "average_precision", "auroc"):
        assert np.isnan(found.per_class[name]).tolist() == [False, False, True], name
    assert found.summary["balanced_accuracy"] == pytest.approx(0.75), "the mean over the classes that are there"
    assert "recall_few" not in found.summary
    assert any("no test samples of class c2: its metrics are omitted" in note for note in found.notes)


def test_a_class_that_is_never_predicted_is_noted() -> None:
    found = of(np.array([0, 1]), np.array([[1.0, 0], [1.0, 0]]))
    assert found.per_class["precision"].tolist() == [0.5, 0]
    assert found.notes == ("never predicted: class c1; its precision counts as 0",)


def test_no_frequency_groups_below_three_classes() -> None:
    assert not [name for name in of(np.array([0, 1]), np.eye(2)).summary if name.startswith("recall_")]


@given(predictions())
def test_moving_the_prior(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    _, logits = drawn
    classes = logits.shape[1]
    log_probabilities = log_softmax(logits)
    q, pi = np.arange(1, classes + 1) / np.arange(1, classes + 1).sum(), np.full(classes, 1 / classes)
    moved = np.exp(move_prior(log_probabilities, q, pi))
    by_hand = np.exp(log_probabilities) * pi / q
    np.testing.assert_allclose(moved, by_hand / by_hand.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(move_prior(log_probabilities, q, q), log_probabilities, atol=1e-9)
    np.testing.assert_allclose(move_prior(np.log(moved), pi, q), log_probabilities, atol=1e-9)


def test_probabilities_of_extreme_logits_are_finite() -> None:
    found = of(np.array([0, 1]), np.array([[1e4, -1e4], [1e4, -1e4]]))
    assert found.summary["log_loss"] == pytest.approx(1e4)


def test_the_geometric_mean_of_many_recalls_does_not_underflow() -> None:
    classes = 1000
    labels = np.repeat(np.arange(classes), 2)
    logits = np.zeros((len(labels), classes))
    logits[np.arange(len(labels)), labels] = 1
    logits[1::2] = np.roll(logits[1::2], 1, axis=1)
    assert of(labels, logits).summary["g_mean"] == pytest.approx(0.5)


def test_a_prior_without_closed_form_is_not_corrected_and_noted() -> None:
    found = evaluate(Predictions(np.array([0, 1]), np.eye(2), np.array([0, 1])), ["a", "b"], {})
    assert "log_loss_corrected" not in found.summary
    assert any("log_loss_corrected and ece_corrected are omitted" in note for note in found.notes)


def test_groups_by_terciles_and_by_thresholds() -> None:
    counts = np.array([5, 300, 20, 100, 101])
    assert {name: members.tolist() for name, members in frequency_groups(counts, "terciles").items()} == {
        "many": [1, 4],
        "medium": [3, 2],
        "few": [0],
    }
    assert {name: members.tolist() for name, members in frequency_groups(counts, (20, 100)).items()} == {
        "many": [1, 4],
        "medium": [3, 2],
        "few": [0],
    }
    assert list(frequency_groups(counts, (1, 4))) == ["many"], "a group without a class is absent"
    assert frequency_groups(np.array([2, 1]), "terciles") == {}
    assert list(frequency_groups(np.array([200, 1]), (20, 100))) == ["many", "few"]


@pytest.mark.parametrize("classes", [3, 40])
def test_large_arrays_are_kept_in_single_and_computed_with_in_double_precision(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.metrics import classification

    generator = np.random.default_rng(0)
    labels, logits = np.arange(400) % classes, generator.normal(0, 3, (400, classes)).astype(np.float32)
    whole = of(labels, logits)
    monkeypatch.setattr(classification, "MOST_DOUBLE", 100)
    monkeypatch.setattr(classification, "BLOCK_CELLS", 7 * classes)
    assert log_softmax(logits).dtype == np.float32
    blocks = of(labels, logits)
    assert blocks.summary == pytest.approx(whole.summary, rel=1e-5)
    for name, values in whole.per_class.items():
        np.testing.assert_allclose(blocks.per_class[name], values, rtol=1e-5, err_msg=name)
    assert (blocks.confusion != whole.confusion).nnz == 0


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40).filter(
        lambda rows: any(positive for positive, _ in rows)
    )
)
def test_one_class_against_the_rest_is_ranked_as_scikit_learn_ranks_it(rows: list[tuple[bool, int]]) -> None:
    positive, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows]) / 7
    average_precision, auroc = against_the_rest(positive, scores)
    assert average_precision == pytest.approx(oracle.average_precision_score(positive, scores))
    if not positive.all():
        assert auroc == pytest.approx(oracle.roc_auc_score(positive, scores))
    precision, recall, _ = oracle.precision_recall_curve(positive, scores)  # from the lowest score up
    np.testing.assert_allclose(precision_recall(positive, scores), (precision[::-1], recall[::-1]))


def test_the_most_probable_classes_in_their_order() -> None:
    found = most_probable(np.log(np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])), 2)
    assert [classes.tolist() for classes, _ in found] == [[2, 0], [1, 1]]
    assert [values.tolist() for _, values in found] == [pytest.approx([0.7, 0.5]), pytest.approx([0.2, 0.3])]


def test_total_variation_by_hand() -> None:
    assert total_variation(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])) == pytest.approx(0.3)
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1
