"""Metrics of weighted samples: scikit-learn's `sample_weight`, samples repeated, and intervals that cover the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from equipoise.metrics import intervals
from equipoise.metrics.classification import (
    WEIGHTED,
    Evaluation,
    Predictions,
    decision_metrics,
    evaluate,
    frequency_groups,
    log_softmax,
    move_prior,
)
from equipoise.metrics.proportions import effective_trials

COSTS = np.array([[0, 1, 4], [2, 0, 1], [9, 3, 0.0]])


def drawn(seed: int, samples: int = 60) -> Predictions:
    """Three classes, some predicted wrongly, some scores tied, and weights from 0.1 to 7."""
    generator = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 2], generator.integers(3, size=samples - 3)])
    logits = (generator.normal(size=(samples, 3)) + np.eye(3)[labels]).round(1)
    return Predictions(labels, logits, logits.argmax(axis=1), generator.uniform(0.1, 7, samples))


def of(predictions: Predictions) -> Evaluation:
    groups, even = frequency_groups(np.array([9, 5, 1]), "terciles"), np.full(3, 1 / 3)
    moved = move_prior(log_softmax(predictions.logits), np.array([0.5, 0.3, 0.2]), even)
    return evaluate(predictions, ("a", "b", "c"), groups, moved, COSTS)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equal_to_scikit_learn_s_sample_weight(seed: int) -> None:
    predictions = drawn(seed)
    labels, predicted, weights = predictions.labels, predictions.predicted, predictions.weights
    probabilities, classes = np.exp(log_softmax(predictions.logits)), range(3)
    found, how = of(predictions), {"sample_weight": weights}
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0, **how
    )
    for name, values in (("precision", precision), ("recall", recall), ("f1", f1)):
        np.testing.assert_allclose(found.per_class[name], values, atol=1e-12)
    by_class = {
        "auroc": [oracle.roc_auc_score(labels == c, probabilities[:, c], **how) for c in classes],
        "average_precision": [oracle.average_precision_score(labels == c, probabilities[:, c], **how) for c in classes],
    }
    for name, values in by_class.items():
        np.testing.assert_allclose(found.per_class[name], values, atol=1e-9)
    expected = {
        "accuracy": oracle.accuracy_score(labels, predicted, **how),
        "balanced_accuracy": oracle.balanced_accuracy_score(labels, predicted, **how),
        "macro_f1": f1.mean(),
        "weighted_f1": oracle.f1_score(labels, predicted, average="weighted", zero_division=0, **how),
        "mcc": oracle.matthews_corrcoef(labels, predicted, **how),
        "cohen_kappa": oracle.cohen_kappa_score(labels, predicted, **how),
        "log_loss": oracle.log_loss(labels, probabilities, **how),
        "brier": oracle.brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False, **how),
        "macro_auroc": np.mean(by_class["auroc"]),
        "macro_average_precision": np.mean(by_class["average_precision"]),
        "worst_class_recall": recall.min(),
        "expected_cost": np.average(COSTS[labels, predicted], weights=weights),
    }
    for name, value in expected.items():
        assert found.summary[name] == pytest.approx(value, abs=1e-9), name
    for name, value in decision_metrics(labels, predicted, 3, COSTS, weights).items():
        assert found.summary[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", range(3))
def test_a_weight_of_k_is_the_sample_k_times_and_scale_does_not_matter(seed: int) -> None:
    predictions = drawn(seed)
    times = np.random.default_rng(seed).integers(1, 4, len(predictions.labels))
    rows = np.repeat(np.arange(len(times)), times)
    longer = Predictions(predictions.labels[rows], predictions.logits[rows], predictions.predicted[rows])
    found, scaled, repeated = (
        of(each) for each in (replace(predictions, weights=times), replace(predictions, weights=times / 1e4), longer)
    )
    assert found.summary.keys() == repeated.summary.keys() == scaled.summary.keys()
    for name, value in repeated.summary.items():
        assert found.summary[name] == pytest.approx(value, abs=1e-12), name
        assert scaled.summary[name] == pytest.approx(value, abs=1e-9), name
    for name in ("predicted_share", "prevalence"):
        np.testing.assert_allclose(found.per_class[name], repeated.per_class[name])
    assert WEIGHTED in found.notes
    assert WEIGHTED not in repeated.notes


def test_one_class_alone_is_no_noise() -> None:
    labels = np.zeros(7, np.int64)
    weights = np.random.default_rng(0).random(7) + 0.1
    found = decision_metrics(labels, labels, 2, None, weights)
    assert found["mcc"] == 0


def test_equal_weights_have_the_intervals_of_samples() -> None:
    predictions = replace(drawn(0), weights=None)
    for fixed in (True, False):
        known, same = (
            intervals.class_intervals(
                replace(predictions, weights=weights), {"few": np.array([1])}, fixed=fixed, resamples=60
            )
            for weights in (None, np.full(60, 3.7))
        )
        assert known.keys() == same.keys()
        for name, interval in known.items():
            assert (same[name].low, same[name].high) == pytest.approx((interval.low, interval.high), abs=1e-5), name
            assert (same[name].rough, same[name].wide) == (interval.rough, interval.wide)


def test_resampled_metrics_are_those_of_scikit_learn_on_the_drawn_samples() -> None:
    predictions = drawn(2)
    weights = predictions.weights
    found = intervals.class_intervals(predictions, {}, fixed=False, resamples=40, seed=3)
    counts = np.hstack(list(intervals.resampled_counts(np.zeros(60, np.int64), 40, np.random.default_rng(3))))
    drawn_again = [np.arange(60), *(np.repeat(np.arange(60), column.astype(int)) for column in counts.T)]
    probabilities = np.exp(log_softmax(predictions.logits))
    for name, metric in {
        "macro_f1": lambda d: oracle.f1_score(
            predictions.labels[d], predictions.predicted[d], average="macro", sample_weight=weights[d]
        ),
        "macro_auroc": lambda d: np.mean(
            [oracle.roc_auc_score(predictions.labels[d] == c, probabilities[d, c], sample_weight=weights[d])
             for c in range(3)]
        ),
    }.items():  # fmt: skip
        value, *resampled = [metric(d) for d in drawn_again]
        reach = 1.959964 * np.std(resampled) * np.sqrt(60 / 59) / (value * (1 - value))
        odds = np.log(value / (1 - value))
        low, high = 1 / (1 + np.exp(-(odds - reach))), 1 / (1 + np.exp(-(odds + reach)))
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=1e-6)


def test_effective_trials_by_hand() -> None:
    # Kish: 6^2 / 14 of class 0, whose hits are all; class 1: p = 3/4, linearised 3/16 * 16 / (9/16 + 9/16).
    hits, trials = effective_trials(
        np.array([True, True, True, True, False]), np.array([0, 0, 0, 1, 1]), 3, np.array([1.0, 2, 3, 3, 1])
    )
    np.testing.assert_allclose(trials, [36 / 14, min(16 / 10, 3 / 16 * 16 / (9 / 16 + 9 / 16)), 0])
    np.testing.assert_allclose(hits, [36 / 14, 0.75 * trials[1], 0])


@pytest.mark.parametrize("right", [(0.8, 0.8), (0.9, 0.5), (0.5, 0.9)])
def test_weighted_intervals_cover_the_truth(right: tuple[float, float]) -> None:
    """A tenth of the rows weigh ten times as much as the others, and may be right more, or less, often."""
    generator, covered = np.random.default_rng(0), 0
    truth = (0.1 * 10 * right[1] + 0.9 * right[0]) / 1.9
    for _ in range(300):
        heavy = generator.random(300) < 0.1
        hit = generator.random(300) < np.where(heavy, right[1], right[0])
        labels = generator.integers(2, size=300)
        predicted = np.where(hit, labels, 1 - labels)
        predictions = Predictions(labels, np.eye(2)[predicted], predicted, np.where(heavy, 10.0, 1.0))
        found = intervals.class_intervals(predictions, {}, fixed=False, resamples=0)
        covered += found["accuracy"].low <= truth <= found["accuracy"].high
    assert 0.92 <= covered / 300 <= 0.99
