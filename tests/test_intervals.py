"""Intervals against tabulated values, scikit-learn on drawn samples, and their coverage in simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from equipoise import intervals
from equipoise.metrics import frequency_groups, log_softmax


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_ranking_under_counts_is_that_of_the_drawn_samples(seed: int, tied: bool) -> None:
    generator = np.random.default_rng(seed)
    truth = np.concatenate([[True, False], generator.random(30) < 0.3])
    score = generator.normal(size=32) + truth
    score = score.round(0 if tied else 6)
    counts = next(intervals._resampled_counts(truth.astype(int), 4, generator))
    assert counts[truth].sum(axis=0).tolist() == [truth.sum()] * 4, "every class keeps its size"
    found = intervals._Ranking(truth, score)(counts)
    for column in range(4):
        drawn = np.repeat(np.arange(32), counts[:, column].astype(int))
        assert found[0, column] == pytest.approx(oracle.average_precision_score(truth[drawn], score[drawn]))
        assert found[1, column] == pytest.approx(oracle.roc_auc_score(truth[drawn], score[drawn]))


def test_every_interval_is_that_of_a_loop_over_drawn_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    logits = generator.normal(size=(70, 3)) + 1.5 * np.eye(3)[labels]
    predicted, log_probabilities = logits.argmax(axis=1), log_softmax(logits)
    groups = frequency_groups(np.array([4, 2, 1]), "terciles")
    found = intervals.bootstrap(labels, predicted, {"": log_probabilities}, groups, resamples=60, seed=3)
    counts = np.hstack(list(intervals._resampled_counts(labels, 60, np.random.default_rng(3)))).astype(int)
    drawn = [np.repeat(np.arange(70), column) for column in counts.T]
    values = {
        "balanced_accuracy": [oracle.balanced_accuracy_score(labels[d], predicted[d]) for d in drawn],
        "macro_f1": [oracle.f1_score(labels[d], predicted[d], average="macro") for d in drawn],
        "mcc": [oracle.matthews_corrcoef(labels[d], predicted[d]) for d in drawn],
        "cohen_kappa": [oracle.cohen_kappa_score(labels[d], predicted[d]) for d in drawn],
        "log_loss": [oracle.log_loss(labels[d], np.exp(log_probabilities[d])) for d in drawn],
        "recall_few": [oracle.recall_score(labels[d], predicted[d], average=None)[2] for d in drawn],
        "macro_auroc": [np.mean([oracle.roc_auc_score(labels[d] == c, log_probabilities[d, c]) for c in range(3)]) for d in drawn],
    }
    for name, sample in values.items():
        assert found[name] == pytest.approx(np.quantile(sample, [0.025, 0.975])), name
    again = intervals.bootstrap(labels, predicted, {"": log_probabilities}, groups, resamples=60, seed=3)
    assert again == found, "seeded"
    monkeypatch.setattr(intervals, "MOST_EXACT", 0)
    in_double = intervals.bootstrap(labels, predicted, {"": log_probabilities}, groups, resamples=60, seed=3)
    assert in_double.keys() == found.keys()
    for name, ends in in_double.items():
        assert ends == pytest.approx(found[name], rel=1e-13), name
    assert "ece" not in found


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 100)
    blocks = list(intervals._resampled_counts(np.array([0] * 20 + [1] * 10), 10, np.random.default_rng(0)))
    assert [block.shape for block in blocks] == [(30, 3), (30, 3), (30, 3), (30, 1)]


def test_a_class_without_test_samples_and_one_class_alone() -> None:
    logits = np.array([[2.0, 0, 0], [0, 0, 3.0], [0, 2.0, 0]])
    found = intervals.bootstrap(np.array([0, 0, 1]), logits.argmax(axis=1), {"": log_softmax(logits)}, {"few": np.array([2])}, resamples=20)
    assert "recall_few" not in found
    low, high = found["balanced_accuracy"]
    assert 0.5 <= low <= high <= 1
    alone = intervals.bootstrap(np.array([0, 0]), np.array([0, 0]), {"": log_softmax(logits[:2])}, {}, resamples=20)
    assert "macro_auroc" not in alone
    assert alone["accuracy"] == (1, 1)


def test_coverage_is_near_its_level() -> None:
    """Of 200 test splits, about 95 % have the true balanced accuracy in their interval."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [120, 60, 40])
    truth = np.array([0.9, 0.7, 0.5])
    covered = 0
    for _ in range(200):
        right = generator.random(len(labels)) < truth[labels]
        predicted = np.where(right, labels, (labels + 1) % 3)
        low, high = intervals.bootstrap(labels, predicted, {"": log_softmax(np.eye(3)[predicted])}, {}, resamples=200)["balanced_accuracy"]
        covered += low <= truth.mean() <= high
    assert 180 <= covered <= 198
