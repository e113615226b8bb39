"""Decision rules by hand, against scikit-learn and exhaustive search, and what they may never do."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from equipoise.core.paths import config_folder
from equipoise.core.schema import keywords
from equipoise.methods.biases import Leaders
from equipoise.methods.deciders import Above, Biased, LeastCost, as_json, from_json
from equipoise.methods.decisions import DECISIONS, Known, applicable, label_rules
from equipoise.metrics.classification import decision_metrics

EVEN = np.array([0.5, 0.5])
TESTS = ("decisions", "constraints", "rejection", "prediction_sets")
TUNED_FOR = get_args(keywords(DECISIONS["tuned"].function)["metric"])


def known(labels: Any = (0,), logits: Any = ((0.0, 0.0),), **given: Any) -> Known:
    logits = np.array(logits, dtype=float)
    even = np.full(logits.shape[1], 1 / logits.shape[1])
    return Known(np.array(labels), logits, **{"effective": even, "target": even, "costs": None, **given})


@st.composite
def problems(draw: st.DrawFn) -> Known:
    classes, size = draw(st.integers(2, 5)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = generator.integers(classes, size=size)
    return known(labels, generator.normal(size=(size, classes)) + np.eye(classes)[labels] * draw(st.floats(0, 3)))


def test_prior_adjusted_predicts_the_class_with_the_highest_moved_probability() -> None:
    rule = known(effective=np.array([0.8, 0.2]), target=np.array([0.3, 0.7]))
    # Odds of the second class 1/2 become 1/2 * (0.7 / 0.3) * (0.8 / 0.2) = 14/3, and 1/20 becomes 7/15.
    logits = np.log([[2, 1], [20, 1]])
    assert DECISIONS["prior_adjusted"](rule)(logits).tolist() == [1, 0]
    assert DECISIONS["argmax"](rule)(logits).tolist() == [0, 0]


def test_a_rule_that_was_written_decides_as_the_rule() -> None:
    rule = known(effective=np.array([0.8, 0.2]), costs=np.array([[0, 1], [9, 0]]))
    logits = np.random.default_rng(0).normal(size=(99, 2))
    for decide in (
        DECISIONS["logit_adjusted"].function(rule, tau=1.0),
        DECISIONS["cost"].function(rule),
        DECISIONS["prior_adjusted"].function(rule),
        LeastCost(np.eye(2), None, EVEN),
        Above(np.array([0.3, -0.2])),
    ):
        again = from_json(json.loads(json.dumps(as_json(decide))))
        assert type(again) is type(decide)
        np.testing.assert_array_equal(again(logits), decide(logits))


def test_the_adjustment_by_hand() -> None:
    # Learned under 0.8 and 0.2: the logit of class 1 needs log 4 less than it seems.
    rule = known(effective=np.array([0.8, 0.2]))
    logits = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    assert DECISIONS["argmax"].function(rule)(logits).tolist() == [0, 0, 0]
    assert DECISIONS["logit_adjusted"].function(rule, tau=1.0)(logits).tolist() == [1, 0, 1], "log 4 = 1.39"
    assert DECISIONS["logit_adjusted"].function(rule, tau=2.0)(logits).tolist() == [1, 1, 1]
    assert DECISIONS["logit_adjusted"].function(rule, tau=0.0)(logits).tolist() == [0, 0, 0]


def test_an_automatic_tau_is_the_best_on_validation_and_nearest_to_one() -> None:
    skewed = np.array([0.8, 0.2])
    # Class 1 is right where z_0 - z_1 < 2.5: tau log 4 must lie between 2.4 and 2.6.
    rule = DECISIONS["logit_adjusted"].function(known([0, 1], [[2.6, 0.0], [2.4, 0.0]], effective=skewed), tau="auto")
    assert rule(np.array([[2.59, 0.0], [2.41, 0.0]])).tolist() == [0, 1]
    anything_does = DECISIONS["logit_adjusted"].function(
        known([0, 1], [[9.0, 0.0], [0.0, 9.0]], effective=skewed), tau="auto"
    )
    assert anything_does(np.array([[1.38, 0.0], [1.39, 0.0]])).tolist() == [1, 0], "as with tau = 1"


def test_least_expected_cost_by_hand() -> None:
    # p = (0.6, 0.4) costs 0.4 x 1 if 0 is said and 0.6 x 1 if 1 is; with 1 mistaken for 0 costing 5: 2.0 against 0.6.
    logits = np.log([[0.6, 0.4]])
    assert DECISIONS["cost"].function(known(costs=1 - np.eye(2)))(logits).tolist() == [0]
    assert DECISIONS["cost"].function(known(costs=np.array([[0, 1], [5, 0]])))(logits).tolist() == [1]
    # From an effective prior of (0.9, 0.1) to an even one the same logits become odds of 0.6 / 0.9 to 0.4 / 0.1.
    assert DECISIONS["cost"].function(known(costs=1 - np.eye(2), effective=np.array([0.9, 0.1])))(logits).tolist() == [
        1
    ]
    assert DECISIONS["cost"].function(known(costs=1 - np.eye(2), effective=None))(logits).tolist() == [0]


@given(problem=problems())
@settings(max_examples=40, deadline=None)
def test_equal_costs_and_even_priors_are_argmax(problem: Known) -> None:
    with_costs = known(problem.labels, problem.logits, costs=1 - np.eye(problem.logits.shape[1]))
    expected = DECISIONS["argmax"].function(problem)(problem.logits).tolist()
    assert DECISIONS["cost"].function(with_costs)(problem.logits).tolist() == expected
    assert DECISIONS["logit_adjusted"].function(problem, tau=1.0)(problem.logits).tolist() == expected


ORACLES = {
    "accuracy": oracle.accuracy_score,
    "balanced_accuracy": oracle.balanced_accuracy_score,
    "macro_f1": lambda labels, predicted: oracle.f1_score(labels, predicted, average="macro", labels=np.unique(labels)),
    "mcc": oracle.matthews_corrcoef,
    "worst_class_recall": lambda labels, predicted: oracle.recall_score(
        labels, predicted, average=None, labels=np.unique(labels)
    ).min(),
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@pytest.mark.parametrize("metric", TUNED_FOR)
@given(problem=problems())
@settings(max_examples=25, deadline=None)
def test_tuning_never_does_worse_on_validation_than_argmax(metric: str, problem: Known) -> None:
    score = ORACLES[metric]
    before = score(problem.labels, DECISIONS["argmax"].function(problem)(problem.logits))
    assert score(problem.labels, DECISIONS["tuned"].function(problem, metric=metric)(problem.logits)) >= before - 1e-12


@pytest.mark.parametrize("metric", TUNED_FOR)
def test_of_two_classes_tuning_finds_the_best_of_all_thresholds(metric: str) -> None:
    generator = np.random.default_rng(3)
    labels = (generator.random(80) < 0.15).astype(int)
    margins = generator.normal(size=80) + 1.2 * labels - 2
    problem = known(labels, np.stack([0 * margins, margins], axis=1))
    found = DECISIONS["tuned"].function(problem, metric=metric)(problem.logits)
    every = [ORACLES[metric](labels, (margins > threshold).astype(int)) for threshold in [-np.inf, *margins]]
    assert ORACLES[metric](labels, found) == pytest.approx(max(every))


# Class 1 above a margin of -0.35, or of 2.5: either way 3 of 4 are right, and every metric is the same.
TIED_LABELS, TIED_MARGINS = np.array([0, 1, 0, 1]), np.array([-1.0, 0.3, 2.0, 3.0])


@pytest.mark.parametrize("metric", TUNED_FOR)
def test_of_equally_good_biases_the_one_nearest_to_zero_is_taken(metric: str) -> None:
    logits = np.stack([0 * TIED_MARGINS, TIED_MARGINS], axis=1)
    assert DECISIONS["tuned"].function(known(TIED_LABELS, logits), metric=metric).bias.tolist() == [0, 0]  # type: ignore[union-attr]
    moved = DECISIONS["tuned"].function(known(TIED_LABELS, logits - [0, 4.5]), metric=metric)
    assert isinstance(moved, Biased)
    assert moved.bias == pytest.approx([-2.0, 0]), (
        "thresholds of 2.5 and -0.35 are as good: 2.5 - 4.5 is nearer to 0 than -0.35 - 4.5"
    )


@pytest.mark.parametrize("metric", TUNED_FOR)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_rounding_and_the_order_of_the_samples_do_not_change_a_bias(
    metric: str, order: list[int], seed: int, copied: bool
) -> None:
    labels, logits = TIED_LABELS[order], np.stack([0 * TIED_MARGINS, TIED_MARGINS - 4.5], axis=1)[order]
    if copied:  # the same logits twice, set apart by rounding alone
        labels, logits = np.tile(labels, 2), np.tile(logits, (2, 1))
    noise = 1 + 1e-7 * np.random.default_rng(seed).uniform(-1, 1, logits.shape)
    found = DECISIONS["tuned"].function(known(labels, logits * noise), metric=metric)
    assert isinstance(found, Biased)
    assert found.bias == pytest.approx([-2.0, 0], abs=1e-5)


def test_many_samples_are_tuned_on_a_grid_of_candidates() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=5000)
    logits = generator.normal(size=(5000, 3)) + 2 * np.eye(3)[labels] + [3, 0, 0]
    found = DECISIONS["tuned"].function(known(labels, logits), metric="balanced_accuracy")(logits)
    unshifted = np.argmax(logits - [3, 0, 0], axis=1)
    assert oracle.balanced_accuracy_score(labels, found) >= oracle.balanced_accuracy_score(labels, unshifted) - 0.002


def test_what_is_applicable_depends_on_what_is_known() -> None:
    every = {"argmax", "logit_adjusted", "tuned", "cost"}
    assert every - {*applicable(known(), "argmax")} == {"cost"}
    assert every - {*applicable(known(costs=np.ones((2, 2)), effective=None), "argmax")} == {"logit_adjusted"}
    many = applicable(known(logits=np.zeros((1, 300))), "argmax")
    assert every - {*many} == {"tuned", "cost"}, "tuning so many classes takes minutes"


def test_every_rule_is_tested() -> None:
    """By a test that calls it by its name."""
    text = "".join(Path(__file__).with_name(f"test_{name}.py").read_text() for name in TESTS)
    for name in DECISIONS:
        assert f'DECISIONS["{name}"]' in text or f'"{name}"' in text, f"decision={name} has no test"


def test_beside_the_configured_rule_each_stands_with_the_options_of_its_yaml() -> None:
    for name, rule in DECISIONS.items():
        typed = yaml.safe_load((config_folder() / "decision" / f"{name}.yaml").read_text())
        assert rule.asked or typed == {"name": name, **rule.beside}


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_leaders_are_those_that_are_found_afresh(kind: Any) -> None:
    """Under biases that change one at a time, with many ties: logits and most biases are whole numbers."""
    generator = np.random.default_rng(0)
    logits, bias = generator.integers(-2, 3, (50, 4)).astype(kind), np.zeros(4)
    leaders = Leaders(logits)
    for step in range(200):
        index = int(generator.integers(4))
        bias[index] = generator.integers(-3, 4) if step % 5 else generator.normal()
        leaders.set_bias(index, bias[index])
        for of in range(4):
            others = logits + bias
            others[:, of] = -np.inf
            rival, score = leaders.rivals(of)
            np.testing.assert_array_equal(rival, others.argmax(axis=1))
            np.testing.assert_array_equal(score, others.max(axis=1))
        np.testing.assert_array_equal(leaders.first, (logits + bias).argmax(axis=1))


def test_several_labels_have_every_rule_that_is_for_them() -> None:
    labels, logits = np.array([[1], [1], [0], [0]]), np.array([[3.0], [1.0], [2.0], [0.5]])
    configured: Any = SimpleNamespace(name="tuned", metric="accuracy")
    found = {name: rule(labels, logits) for name, rule in label_rules(configured, ["a"], has_validation=True).items()}
    assert found["argmax"](logits).ravel().tolist() == [1, 1, 1, 1]
    # Above 0.75 three of four are right; above 0 two are.
    assert found["tuned"](logits).ravel().tolist() == [1, 1, 1, 0]
    assert {"logit_adjusted", "cost"}.isdisjoint(found)
    assert set(label_rules(configured, ["a"], has_validation=False)) == {"argmax"}


def test_decision_metrics_equal_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(4, size=(2, 50))
    found = decision_metrics(labels, predicted, 4, 1 - np.eye(4))
    for name, score in ORACLES.items():
        assert found[name] == pytest.approx(score(labels, predicted)), name
    assert found["expected_cost"] == pytest.approx(1 - found["accuracy"])
    assert "expected_cost" not in decision_metrics(labels, predicted, 4, None)
