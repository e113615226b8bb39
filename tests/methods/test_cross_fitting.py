"""What is tuned on the validation split is judged there by folds that did not tune it: by hand, and by scikit-learn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn import metrics as oracle
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from equipoise.config.choice import choice
from equipoise.core.schema import Floats, Integers
from equipoise.data.types import ClassCounts
from equipoise.methods import decisions
from equipoise.methods.calibration import calibrated
from equipoise.methods.cross_fitting import cross_fitted, decided_apart
from equipoise.methods.deciders import Above, Biased
from equipoise.methods.decisions import Known, Rule
from equipoise.methods.folds import FOLDS, folds
from equipoise.methods.tasks.judge_classes import Answers, Learned, judge_answers
from equipoise.methods.tasks.judge_labels import Labelled, judge_labelled
from equipoise.methods.tasks.task import Judging, Verdict
from equipoise.metrics.multilabel import best_thresholds
from equipoise.metrics.probabilities import OfLabels

OURS = {"argmax", "logit_adjusted", "tuned", "cost"}  # rules beside which others may be added


def judging(decision: str, costs: Floats | None = None, **options: Any) -> Judging:
    uniform = np.full(3, 1 / 3)
    return Judging(choice("decision", decision, options), costs, uniform, "terciles", 0, lambda: "", False)


def verdict(validation: Answers, how: Judging, prior: Floats | None = None) -> Verdict:
    test = Answers(np.array([0, 1, 2]), np.eye(3))
    return judge_answers(("a", "b", "c"), test, validation, Learned(prior, {}), how)


@pytest.fixture
def noise() -> Answers:
    """40 samples of three classes whose logits say nothing of the class."""
    generator = np.random.default_rng(0)
    return Answers(generator.permutation(np.repeat([0, 1, 2], [25, 10, 5])), generator.normal(size=(40, 3)))


class Tuned(ClassifierMixin, BaseEstimator):
    """The rule as scikit-learn takes a classifier."""

    def fit(self, logits: Floats, labels: Integers) -> "Tuned":
        self.classes_ = np.arange(3)
        known = Known(labels, logits, None, np.full(3, 1 / 3), None)
        self.decide_ = decisions.tuned(known, metric="macro_f1")
        return self

    def predict(self, logits: Floats) -> Integers:
        return self.decide_(logits)


def test_folds_are_dealt_class_by_class() -> None:
    labels = np.array([1, 0, 0, 1, 0, 0, 2, 0, 0, 0])
    # Of class 0 the rows 1, 2, 4, 5, 7, 8, 9, then of class 1 the rows 0 and 3, then of class 2 the row 6.
    assert folds(labels).tolist() == [2, 0, 1, 3, 2, 3, 4, 4, 0, 1]
    assert FOLDS == 5


def test_a_tuned_rule_is_judged_as_scikit_learn_cross_validates_it(noise: Answers) -> None:
    found = verdict(noise, judging("tuned", metric="macro_f1"))
    predicted = cross_val_predict(Tuned(), noise.logits, noise.labels, cv=PredefinedSplit(folds(noise.labels)))
    scores = found.validation_rules["tuned"]
    assert scores == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(noise.labels, predicted),
            "balanced_accuracy": oracle.balanced_accuracy_score(noise.labels, predicted),
            "macro_f1": oracle.f1_score(noise.labels, predicted, average="macro"),
            "mcc": oracle.matthews_corrcoef(noise.labels, predicted),
            "worst_class_recall": oracle.recall_score(noise.labels, predicted, average=None).min(),
        }
    )
    of_its_own_tuning = oracle.f1_score(noise.labels, found.decide(noise.logits), average="macro")
    assert scores["macro_f1"] < of_its_own_tuning - 0.1  # of logits that say nothing


def test_intervals_on_validation_are_of_what_was_cross_fitted(noise: Answers) -> None:
    """Without resamples there are those that need none: accuracy's is Wilson's."""
    found = verdict(noise, judging("tuned", metric="macro_f1"))
    hits = round(found.validation_rules["tuned"]["accuracy"] * 40)
    expected = binomtest(hits, 40).proportion_ci(method="wilson")
    interval = found.validation_intervals["accuracy"]
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    resampled = verdict(noise, replace(judging("tuned", metric="macro_f1"), resamples=1000)).validation_intervals
    of_f1, value = resampled["macro_f1"], found.validation_rules["tuned"]["macro_f1"]
    assert of_f1.low < value < of_f1.high
    assert "macro_auroc" not in resampled


def test_a_rule_that_tunes_nothing_is_judged_on_all_samples(noise: Answers) -> None:
    prior, costs = np.array([0.7, 0.2, 0.1]), np.array([[0, 1, 1], [2, 0, 1], [9, 1, 0]])
    found = verdict(noise, judging("argmax", costs=costs), prior).validation_rules
    adjusted = np.argmax(noise.logits - np.log(prior), axis=1)
    for rule, predicted in (("argmax", noise.logits.argmax(axis=1)), ("logit_adjusted", adjusted)):
        assert found[rule]["mcc"] == pytest.approx(oracle.matthews_corrcoef(noise.labels, predicted))
        assert found[rule]["expected_cost"] == pytest.approx(costs[noise.labels, predicted].mean())
    assert set(found) >= OURS


def test_an_automatic_tau_is_cross_fitted(noise: Answers) -> None:
    prior = np.array([0.7, 0.2, 0.1])
    found = verdict(noise, judging("logit_adjusted", tau="auto"), prior)
    fold, predicted = folds(noise.labels), np.empty(40, np.int64)
    for each in range(FOLDS):
        rest, held_out = fold != each, fold == each
        known = Known(noise.labels[rest], noise.logits[rest], prior, np.full(3, 1 / 3), None)
        predicted[held_out] = decisions.logit_adjusted(known, tau="auto")(noise.logits[held_out])
    expected = oracle.balanced_accuracy_score(noise.labels, predicted)
    assert found.validation_rules["logit_adjusted"]["balanced_accuracy"] == pytest.approx(expected)
    itself = oracle.balanced_accuracy_score(noise.labels, found.decide(noise.logits))
    assert itself != pytest.approx(expected)


@pytest.mark.parametrize("decision", ["argmax", "tuned"])
def test_a_calibration_is_fitted_to_the_other_folds_and_again_within_them(noise: Answers, decision: str) -> None:
    how = replace(judging(decision), calibration="vector")
    found = verdict(noise, how, np.array([0.7, 0.2, 0.1]))
    fold, predicted = folds(noise.labels), np.empty(40, np.int64)
    for each in range(FOLDS):
        rest, held_out = fold != each, fold == each
        part = Known(noise.labels[rest], noise.logits[rest], np.array([0.7, 0.2, 0.1]), np.full(3, 1 / 3), None)
        calibrate, known = calibrated("vector", part)
        rule = decisions.argmax(known) if decision == "argmax" else decisions.tuned(known, metric="balanced_accuracy")
        predicted[held_out] = rule(calibrate(noise.logits[held_out]))
    expected = oracle.balanced_accuracy_score(noise.labels, predicted)
    assert found.validation_rules[decision]["balanced_accuracy"] == pytest.approx(expected)
    calibrate, known = calibrated("vector", Known(noise.labels, noise.logits, None, np.full(3, 1 / 3), None))
    whole = softmax(found.probabilities.calibrated(noise.logits), axis=1)  # a shift of all logits means nothing
    assert whole == pytest.approx(softmax(calibrate(noise.logits), axis=1), abs=1e-4)


def test_the_only_sample_of_a_class_is_decided_without_it() -> None:
    """Seven samples of class 0 and one of class 1, which is in the fold of 0's third sample: dealt 0 1 2 3 4 0 1, 2."""
    seen = []

    def tune(samples: Any) -> Biased:
        seen.append(np.flatnonzero(~samples).tolist())
        return Biased(np.array([0.0, 10.0 * (labels[samples] == 1).any()]))

    labels, logits = np.array([0, 0, 0, 0, 0, 0, 0, 1]), np.zeros((8, 2))
    assert decided_apart(labels, logits, tune).tolist() == [1, 1, 0, 1, 1, 1, 1, 0]
    assert seen == [[0, 5], [1, 6], [2, 7], [3], [4]]


@pytest.mark.parametrize(("samples", "rules"), [(0, set()), (1, {"argmax"}), (2, {"argmax", "tuned"})])
def test_too_few_samples_judge_no_rule_that_is_tuned(samples: int, rules: set[str]) -> None:
    validation = Answers(np.zeros(samples, np.int64), np.zeros((samples, 3)))
    assert OURS & set(verdict(validation, judging("argmax")).validation_rules) == rules


def test_each_label_has_folds_of_its_own() -> None:
    generator = np.random.default_rng(0)
    labels, logits = (generator.random((30, 2)) < (0.5, 0.1)).astype(np.int64), generator.normal(size=(30, 2))
    logits[:, 1] -= 2
    predicted = np.empty_like(labels)
    for column in (0, 1):
        fold = folds(labels[:, column])
        for each in range(FOLDS):
            rest = fold != each
            (threshold,) = best_thresholds(
                labels[rest, column : column + 1], logits[rest, column : column + 1], "macro_f1"
            )
            predicted[~rest, column] = logits[~rest, column] > threshold
    test = Labelled(np.eye(2, dtype=np.int64), np.eye(2))
    data = ClassCounts(("a", "b"), np.array([5, 5]))
    found = judge_labelled(data, test, Labelled(labels, logits), OfLabels(None, "unknown"), judging("argmax"))
    assert isinstance(found.decide, Above)
    scores = found.validation_rules
    assert scores["tuned"]["macro_f1"] == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))
    assert scores["tuned"]["subset_accuracy"] == oracle.accuracy_score(labels, predicted)
    assert scores["argmax"]["hamming_loss"] == pytest.approx(oracle.hamming_loss(labels, logits > 0))


def test_an_own_rule_that_fails_on_a_part_has_no_score_and_says_so(noise: Answers) -> None:
    def all_or_nothing(known: Known) -> Any:
        return np.zeros(3) if len(known.labels) == 40 else np.zeros(2)

    known = Known(noise.labels, noise.logits, None, np.full(3, 1 / 3), None)
    rules = {"own": (Rule(all_or_nothing, own=True), {}), "argmax": (Rule(decisions.argmax), {})}
    found, (note,) = cross_fitted(known, rules)
    assert set(found) == {"argmax"}
    assert found["argmax"].tolist() == noise.logits.argmax(axis=1).tolist()
    assert note.startswith("val/decision/own is omitted")
    assert "shape (2,)" in note
