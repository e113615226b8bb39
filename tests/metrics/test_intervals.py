"""Intervals against tabulated values, scikit-learn on drawn samples, and their coverage in simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics as oracle

from equipoise.metrics import intervals
from equipoise.metrics.classification import Predictions, log_softmax
from equipoise.metrics.counts import Counts, counted_metrics
from equipoise.metrics.proportions import score_interval


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_ranking_under_counts_is_that_of_the_drawn_samples(seed: int, tied: bool) -> None:
    generator = np.random.default_rng(seed)
    truth = np.concatenate([[True, False], generator.random(30) < 0.3])
    score = generator.normal(size=32) + truth
    score = score.round(0 if tied else 6)
    counts = next(intervals.resampled_counts(truth.astype(int), 4, generator))
    assert counts[truth].sum(axis=0).tolist() == [truth.sum()] * 4, "every class keeps its size"
    found = intervals.Ranking(truth, score)(counts)
    for column in range(4):
        drawn = np.repeat(np.arange(32), counts[:, column].astype(int))
        assert found[0, column] == pytest.approx(oracle.average_precision_score(truth[drawn], score[drawn]))
        assert found[1, column] == pytest.approx(oracle.roc_auc_score(truth[drawn], score[drawn]))


@pytest.mark.parametrize("fixed", [True, False])
def test_every_interval_is_that_of_a_loop_over_drawn_samples(fixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    logits = generator.normal(size=(70, 3)) + 1.5 * np.eye(3)[labels]
    predicted, log_probabilities = logits.argmax(axis=1), log_softmax(logits)

    def found_again() -> dict[str, intervals.Interval]:
        predictions = Predictions(labels, logits, predicted)
        return intervals.class_intervals(predictions, {}, fixed=fixed, resamples=60, seed=3)

    found = found_again()
    counts = np.hstack(
        list(intervals.resampled_counts(labels if fixed else 0 * labels, 60, np.random.default_rng(3)))
    ).astype(int)
    kept = [np.bincount(labels, weights=column).tolist() == [40, 20, 10] for column in counts.T]
    assert all(kept) is fixed, "the samples of each class vary but where a design fixed them"
    drawn = [np.arange(70), *(np.repeat(np.arange(70), column) for column in counts.T)]
    values = {
        "macro_f1": [oracle.f1_score(labels[d], predicted[d], average="macro") for d in drawn],
        "weighted_f1": [oracle.f1_score(labels[d], predicted[d], average="weighted") for d in drawn],
        "mcc": [oracle.matthews_corrcoef(labels[d], predicted[d]) for d in drawn],
        "cohen_kappa": [oracle.cohen_kappa_score(labels[d], predicted[d]) for d in drawn],
        "log_loss": [oracle.log_loss(labels[d], np.exp(log_probabilities[d])) for d in drawn],
        "macro_auroc": [
            np.mean([oracle.roc_auc_score(labels[d] == c, log_probabilities[d, c]) for c in range(3)]) for d in drawn
        ],
    }
    for name, (value, *resampled) in values.items():
        reach = stats.norm.ppf(0.975) * np.std(resampled) * np.sqrt(70 / (70 - (3 if fixed else 1)))
        if name in ("mcc", "cohen_kappa"):
            expected = np.tanh(np.arctanh(value) + np.array([-1, 1]) * reach / (1 - value**2))
        elif name == "log_loss":
            expected = value * np.exp(np.array([-1, 1]) * reach / value)
        else:
            expected = special.expit(special.logit(value) + np.array([-1, 1]) * reach / (value * (1 - value)))
        assert (found[name].low, found[name].high) == pytest.approx(expected.tolist()), name
    assert found_again() == found, "seeded"
    monkeypatch.setattr(intervals, "MOST_EXACT", 0)
    in_double = found_again()
    assert in_double.keys() == found.keys()
    for name, ends in in_double.items():
        assert (ends.low, ends.high) == pytest.approx((found[name].low, found[name].high), rel=1e-12), name
    assert "ece" not in found


def test_recalls_have_score_intervals_and_accuracy_the_one_of_its_design() -> None:
    labels, predicted = np.repeat([0, 1, 2], [30, 12, 6]), np.repeat([0, 1, 0, 2, 0], [25, 14, 3, 4, 2])
    hits, support = np.array([25, 9, 4]), np.array([30, 12, 6])
    groups = {"many": np.array([0]), "few": np.array([2, 1])}
    logits = np.eye(3)[predicted]
    by_design, found = (
        intervals.class_intervals(Predictions(labels, logits, predicted), groups, fixed=fixed, resamples=0)
        for fixed in (True, False)
    )
    for name, members in {"balanced_accuracy": [0, 1, 2], "recall_many": [0], "recall_few": [1, 2]}.items():
        ends = score_interval(hits[members], support[members])
        assert (found[name].low, found[name].high) == pytest.approx(ends), name
        assert by_design[name] == found[name]
    wilson = stats.binomtest(38, 48).proportion_ci(method="wilson")
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx((wilson.low, wilson.high))
    ends = score_interval(hits, support, support / 48)
    assert (by_design["accuracy"].low, by_design["accuracy"].high) == pytest.approx(ends)
    assert str(found["worst_class_recall"]).endswith(", wide")
    assert str(found["accuracy"]).endswith(f"{wilson.high:.3f}")
    assert set(found) == {"accuracy", "balanced_accuracy", "recall_many", "recall_few", "worst_class_recall"}, (
        "no resample, no more"
    )


def test_an_interval_of_few_samples_is_called_rough_with_the_reason() -> None:
    def found(counts: list[int], wrong: list[int]) -> tuple[set[str], str | None]:
        labels = np.repeat(np.arange(len(counts)), counts)
        predicted = np.concatenate(
            [
                np.where(np.arange(count) < missed, 0 if index else 1, index)
                for index, (count, missed) in enumerate(zip(counts, wrong, strict=True))
            ]
        )
        logits = np.eye(len(counts))[predicted] + np.random.default_rng(0).normal(size=(len(labels), len(counts)))
        known = intervals.class_intervals(
            Predictions(labels, logits, predicted), {"few": np.array([1])}, fixed=False, resamples=100
        )
        note = intervals.rough_note(known, np.bincount(labels), [f"class {index}" for index in range(len(counts))])
        return {name for name, interval in known.items() if interval.rough}, note

    assert found([900, 80], [20, 20]) == (set(), None)
    recalls = {"balanced_accuracy", "recall_few", "worst_class_recall"}
    resampled = {"macro_f1", "weighted_f1", "g_mean", "mcc", "cohen_kappa", "macro_average_precision", "macro_auroc"}
    rough, note = found([900, 4], [20, 1])
    assert rough == recalls | resampled
    assert note is not None
    assert "class 1 (4)" in note
    assert found([900, 7], [20, 2])[0] == resampled
    assert found([900, 12], [20, 2])[0] == {"g_mean", "macro_average_precision", "macro_auroc"}
    assert found([900, 80], [20, 80])[0] == resampled, "a class that is never found: no resample finds it"
    assert found([900, 80], [3, 5])[0] == {"log_loss", "brier"}, "what few errors cost"
    labels = np.repeat([0, 1], 60)
    right = intervals.class_intervals(Predictions(labels, 9 * np.eye(2)[labels], labels), {}, fixed=True, resamples=50)
    assert right["mcc"] == intervals.Interval(1, 1, rough=True), "all right: no resample is otherwise"
    assert str(right["mcc"]) == "1.000 to 1.000, rough"
    labels = np.repeat([0, 1], [60, 1])  # some resamples lack the other class, and have an MCC of 0
    alone = intervals.class_intervals(Predictions(labels, 9 * np.eye(2)[labels], labels), {}, fixed=False, resamples=50)
    assert alone["mcc"] == intervals.Interval(1, 1, rough=True)


def test_samples_of_several_labels_are_drawn_whole() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(60, 3))
    labels = (logits + generator.normal(size=(60, 3)) > 0).astype(int)
    predicted = (logits > 0).astype(int)
    found = intervals.label_intervals(labels, predicted, logits, resamples=40, seed=5)
    counts = np.hstack(list(intervals.resampled_counts(np.zeros(60, int), 40, np.random.default_rng(5)))).astype(int)
    drawn = [np.arange(60), *(np.repeat(np.arange(60), column) for column in counts.T)]
    values = {
        "hamming_loss": [oracle.hamming_loss(labels[d], predicted[d]) for d in drawn],
        "micro_f1": [oracle.f1_score(labels[d], predicted[d], average="micro") for d in drawn],
        "macro_f1": [oracle.f1_score(labels[d], predicted[d], average="macro") for d in drawn],
        "balanced_accuracy": [
            np.mean([oracle.balanced_accuracy_score(labels[d, i], predicted[d, i]) for i in range(3)]) for d in drawn
        ],
        "macro_average_precision": [oracle.average_precision_score(labels[d], logits[d]) for d in drawn],
    }
    for name, (value, *resampled) in values.items():
        reach = stats.norm.ppf(0.975) * np.std(resampled) * np.sqrt(60 / 59) / (value * (1 - value))
        assert (found[name].low, found[name].high) == pytest.approx(
            tuple(special.expit(special.logit(value) + np.array([-1, 1]) * reach))
        ), name
    right = int((labels == predicted).all(axis=1).sum())
    wilson = stats.binomtest(right, 60).proportion_ci(method="wilson")
    assert (found["subset_accuracy"].low, found["subset_accuracy"].high) == pytest.approx((wilson.low, wilson.high))
    assert found["worst_class_recall"].low < found["worst_class_recall"].high
    assert set(intervals.label_intervals(labels, predicted, logits, resamples=0)) == {
        "subset_accuracy",
        "worst_class_recall",
    }


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 100)
    blocks = list(intervals.resampled_counts(np.array([0] * 20 + [1] * 10), 10, np.random.default_rng(0)))
    assert [block.shape for block in blocks] == [(30, 3), (30, 3), (30, 3), (30, 1)]


def test_a_class_without_test_samples_and_one_class_alone() -> None:
    logits = np.array([[2.0, 0, 0], [0, 0, 3.0], [0, 2.0, 0]])
    few = {"few": np.array([2])}
    found = intervals.class_intervals(
        Predictions(np.array([0, 0, 1]), logits, logits.argmax(axis=1)), few, fixed=False, resamples=20
    )
    assert "recall_few" not in found
    assert found["balanced_accuracy"].low < 0.75 < found["balanced_accuracy"].high
    alone = intervals.class_intervals(
        Predictions(np.array([0, 0]), logits[:2], np.array([0, 0])), {}, fixed=False, resamples=20
    )
    assert "macro_auroc" not in alone
    assert alone["accuracy"].high == 1


@pytest.mark.slow
def test_resampled_intervals_hold_in_about_95_percent_of_test_splits() -> None:
    """Over 300 test splits with counts as found, 0.95 has a standard error of 0.013; 1.5 % more are let go."""
    generator = np.random.default_rng(0)
    prior, recall = np.array([0.6, 0.25, 0.15]), np.array([0.9, 0.7, 0.6])
    joint = np.array([[prior[c] * (recall[c] if c == p else (1 - recall[c]) / 2) for p in range(3)] for c in range(3)])
    truth = counted_metrics(Counts(*(1e6 * values for values in (np.diag(joint), joint.sum(axis=0), prior))), {})
    held = dict.fromkeys(["mcc", "macro_f1", "cohen_kappa", "accuracy", "balanced_accuracy"], 0)
    for seed in range(300):
        cells = np.repeat(np.arange(9), generator.multinomial(220, joint.ravel()))
        labels, predicted = cells // 3, cells % 3
        predictions = Predictions(labels, np.eye(3)[predicted], predicted)
        found = intervals.class_intervals(predictions, {}, fixed=False, resamples=150, seed=seed)
        for name in held:
            held[name] += found[name].low <= truth[name] <= found[name].high
    assert all(0.91 <= count / 300 <= 0.99 for count in held.values()), held
