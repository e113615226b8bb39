"""Rules that reject: Chow's by an independent formula, costs by brute force, and bounds as often as is said."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import equipoise as eq
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.methods.deciders import Rejecting, as_json, from_json
from equipoise.methods.decisions import DECISIONS, Known
from equipoise.methods.rejection import SHARES, limit_for_coverage, limit_for_error
from equipoise.metrics.counts import NO_CLASS
from equipoise.runs.estimate_prior import is_moved
from helpers import composed

SHIFTED = {"effective": np.array([0.6, 0.3, 0.1]), "target": np.array([0.2, 0.3, 0.5])}
OPTIONS: dict[str, Any] = {"reject_cost": None, "error": None, "coverage": None, "confidence": 0.95}


def rule(labels: Any, logits: Floats, /, known: Any = None, **options: Any) -> Rejecting:
    classes = logits.shape[1]
    base: dict[str, Any] = {"effective": None, "target": np.full(classes, 1 / classes), "costs": None}
    found = DECISIONS["abstain"](Known(np.array(labels), logits, **(base | (known or {}))), **(OPTIONS | options))
    assert isinstance(found, Rejecting)
    return found


def drawn(seed: int, n: int) -> tuple[Integers, Floats]:
    """Labels of three classes, and logits whose softmax is their probability."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, 3)) * 2
    uniform = generator.uniform(size=(n, 1))
    return (special.softmax(logits, axis=1).cumsum(axis=1) < uniform).sum(axis=1), logits


@pytest.mark.parametrize("known", [{}, SHIFTED])
@pytest.mark.parametrize("cost", [0.05, 0.3, 0.5])
def test_a_row_is_rejected_where_its_highest_probability_is_below_one_minus_the_cost(known: Any, cost: float) -> None:
    """Chow 1970: under the target prior."""
    labels, logits = drawn(0, 400)
    p = special.softmax(logits, axis=1)
    if known:
        p = p * known["target"] / known["effective"]
        p /= p.sum(axis=1, keepdims=True)
    expected = np.where(p.max(axis=1) < 1 - cost, NO_CLASS, p.argmax(axis=1))
    found = rule(labels, logits, known, reject_cost=cost)
    np.testing.assert_array_equal(found(logits), expected)
    assert (expected == NO_CLASS).any()
    assert (expected != NO_CLASS).any()
    share, wrong = (expected != NO_CLASS).mean(), (expected != labels)[expected != NO_CLASS].mean()
    assert f"of 400 validation rows {share:.1%} are decided, {wrong:.1%} of these wrongly" in found.note
    assert ("prior that the model learned under is not known" in found.note) == (not known)
    again = from_json(json.loads(json.dumps(as_json(found))))
    np.testing.assert_array_equal(again(logits), expected)


def test_costs_of_confusions_and_of_rejecting_each_class_by_brute_force() -> None:
    labels, logits = drawn(1, 200)
    costs, rejecting = np.array([[0, 1, 2.0], [4, 0, 1], [9, 3, 0]]), np.array([0.3, 0.8, 2.5])
    found = rule(labels, logits, {"costs": costs}, reject_cost=rejecting)(logits)
    for row, p in enumerate(special.softmax(logits, axis=1)):
        of_classes = [sum(p[true] * costs[true, taken] for true in range(3)) for taken in range(3)]
        given_up = sum(p[true] * rejecting[true] for true in range(3))
        assert found[row] == (NO_CLASS if min(of_classes) > given_up else int(np.argmin(of_classes)))
    assert 0 < (found == NO_CLASS).mean() < 1


def test_a_coverage_is_the_share_of_new_rows_and_ties_are_decided_alike() -> None:
    """Uniform costs: the share of new rows that is decided is the limit, of the law Beta(n + 1 - k, k)."""
    generator = np.random.default_rng(0)
    shares = [limit_for_coverage(generator.uniform(size=29), 0.9).limit for _ in range(2000)]
    assert stats.kstest(shares, stats.beta(27, 3).cdf).pvalue > 0.01
    assert limit_for_coverage(generator.uniform(size=8), 0.9).limit == math.inf  # of 9 rows none can be spared
    equal = np.repeat([0.1, 0.4], [30, 70])
    assert limit_for_coverage(equal, 0.8).limit == 0.4
    labels, logits = drawn(2, 300)
    found = rule(labels, logits, coverage=0.7)
    assert (found(logits) != NO_CLASS).sum() == 300 - math.floor(0.3 * 301) + 1
    assert "at least 0.7 are decided, on average" in found.note
    told = rule(labels, logits, {"used": ("fitted the calibration",)}, coverage=0.7).note
    assert "but about, and not exactly: these rows have fitted the calibration, too" in told
    everything = rule(labels, logits, coverage=0.999)
    assert (everything(logits * 0) != NO_CLASS).all()
    json.loads(json.dumps(as_json(everything)), parse_constant=pytest.fail)


@pytest.mark.parametrize("option", [{"error": 0.25}, {"coverage": 0.7}])
@pytest.mark.parametrize("classes", [3, 10])
def test_equal_rows_are_decided_alike_one_by_one_and_in_any_block(classes: int, option: Any) -> None:
    """Trees give few different probabilities, and the limit is one of them."""
    rejected = 0
    for seed in range(10):
        generator = np.random.default_rng(seed)
        atoms = np.log(generator.dirichlet(np.full(classes, 0.3), size=12) + 1e-6)
        logits = atoms[generator.integers(12, size=240)]
        uniform = generator.uniform(size=(240, 1))
        labels = (special.softmax(logits, axis=1).cumsum(axis=1) < uniform).sum(axis=1)
        costs = generator.uniform(size=(classes, classes)) * (1 - np.eye(classes))
        found = rule(np.minimum(labels, classes - 1), logits, {"costs": costs}, **option)
        together = found(logits)
        rejected += 0 < (together == NO_CLASS).mean() < 1
        singly = np.concatenate([found(row[None]) for row in logits])
        np.testing.assert_array_equal(singly, together)
        np.testing.assert_array_equal(found(np.asfortranarray(logits)), together)
    assert rejected >= 4


def test_an_error_is_kept_as_often_as_is_said() -> None:
    """Costs are uniform, and a row is wrong with that probability: below a limit t the error is t / 2."""
    wrongly, limits = 0, []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        expected = generator.uniform(size=300)
        found = limit_for_error(expected, generator.uniform(size=300) < expected, 0.25, 0.8)
        if found.bound <= 0.25:
            limits.append(min(found.limit, 1.0))
            wrongly += limits[-1] / 2 > 0.25
    # At most 80 of 400 may fail, by Bonferroni far fewer; a caution that shows nothing would be of no use.
    assert wrongly <= 20
    assert len(limits) > 320
    assert np.mean(limits) > 0.25


@pytest.mark.parametrize("option", [{"error": 0.5}, {"coverage": 0.7}])
def test_a_limit_goes_by_the_frequencies_of_the_validation_rows_whatever_the_target(option: Any) -> None:
    """What is kept is for rows like these; so the model's prior is moved to their frequencies, by hand."""
    labels, logits = drawn(5, 400)
    labels[:150] = 0
    found, other = (
        rule(labels, logits, {**SHIFTED, "target": np.array(target)}, **option)
        for target in ([0.2, 0.3, 0.5], [0.9, 0.05, 0.05])
    )
    p = special.softmax(logits, axis=1) * np.bincount(labels) / 400 / SHIFTED["effective"]
    decided = found(logits) != NO_CLASS
    assert 0 < decided.mean() < 1
    np.testing.assert_array_equal(found(logits)[decided], p.argmax(axis=1)[decided])
    np.testing.assert_array_equal(other(logits), found(logits))
    assert "class frequencies included" in found.note
    assert not is_moved(found), "what evaluate.py and predict.py tell of the target prior, and go by"


def test_the_bound_is_the_exact_upper_end_of_what_is_decided() -> None:
    labels, logits = drawn(3, 400)
    found = rule(labels, logits, error=0.15)
    p = special.softmax(logits, axis=1)
    least, wrong = 1 - p.max(axis=1), p.argmax(axis=1) != labels
    order, passed = np.sort(least), []
    for rank in range(20, 401, 20):
        decided = least < order[rank] if rank < 400 else np.ones(400, bool)
        tested = stats.binomtest(int(wrong[decided].sum()), int(decided.sum()), alternative="less")
        bound = tested.proportion_ci(1 - 0.05 / SHARES, "exact").high
        passed += [(rank, bound)] if bound <= 0.15 else []
    rank, bound = passed[-1]
    np.testing.assert_array_equal(found(logits) != NO_CLASS, least < order[rank])
    assert f"at most {bound:.1%} of new rows" in found.note


def test_an_error_that_is_not_shown_is_told_with_the_least_that_is() -> None:
    labels, logits = drawn(4, 60)
    found = rule(labels, logits, error=0.001)
    wrong = (special.softmax(logits, axis=1).argmax(axis=1) != labels).astype(bool)
    best = limit_for_error(1 - special.softmax(logits, axis=1).max(axis=1), wrong, 0.001, 0.95)
    assert best.bound > 0.001
    assert f"the least that any part of them shows is {best.bound:.3f}" in found.note
    assert "With confidence 0.95 at most" not in found.note


@pytest.mark.parametrize(("options", "given"), [({}, 0), ({"error": 0.1, "coverage": 0.9}, 2)])
def test_one_limit_is_wanted(options: Any, given: int) -> None:
    labels, logits = drawn(0, 20)
    with pytest.raises(ConfigError, match=f"goes by one limit, not {given}: type decision.reject_cost=0.2"):
        eq.evaluate(labels, logits, decision="abstain", decision_options=options, validation=(labels, logits))


def test_a_confidence_in_what_is_not_tested_is_refused() -> None:
    words = ["dataset=synthetic", "model=linear", "decision=abstain", "decision.confidence=0.9"]
    with pytest.raises(ConfigError, match=r"decision\.confidence=0\.9 has no effect: it is how sure decision\.error"):
        composed(*words, "decision.reject_cost=0.2")
    composed(*words, "decision.error=0.2")
    labels, logits = drawn(2, 400)
    plain, typed = (rule(labels, logits, error=0.2, confidence=each) for each in (None, 0.95))
    assert plain.limit == typed.limit
    assert plain.limit != rule(labels, logits, error=0.2, confidence=0.9999).limit


def test_a_row_without_a_class_is_found_by_none_and_rules_are_compared_by_the_same_costs() -> None:
    """Three cats, of which one is rejected, and one dog, taken for a cat."""
    labels, logits = ["cat", "cat", "cat", "dog"], np.log([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.7, 0.3]])
    found = eq.evaluate(
        labels, logits, ["cat", "dog"], decision="abstain", decision_options={"reject_cost": 0.4}, resamples=0
    )
    assert found.frame["predicted"].tolist() == ["cat", "cat", None, "cat"]
    metrics = found.metrics
    assert metrics["coverage"] == 0.75
    assert metrics["error_decided"] == pytest.approx(1 / 3)
    assert metrics["accuracy"] == 0.5  # of all rows
    assert metrics["expected_cost"] == pytest.approx((1 + 0.4) / 4)
    assert found.per_class["recall"].tolist() == pytest.approx([2 / 3, 0])
    assert found.per_class["precision"].tolist() == pytest.approx([2 / 3, 0])
    assert found.per_class["coverage"].tolist() == pytest.approx([2 / 3, 1])
    assert found.rules.loc["argmax", ["expected_cost", "coverage", "error_decided"]].tolist() == [0.25, 1.0, 0.25]
    assert found.rules.loc["abstain", "expected_cost"] == pytest.approx(0.35)
    without = eq.evaluate(
        labels,
        logits,
        ["cat", "dog"],
        validation=(labels, logits),
        decision="abstain",
        decision_options={"coverage": 0.5},
        costs=[[0, 1], [2, 0]],
        resamples=0,
    )
    assert "expected_cost" not in without.metrics, "a rejection has no cost"
    assert without.rules.loc["argmax", "expected_cost"] == 0.5
    for options, lacks in (({"coverage": 0.5}, True), ({"reject_cost": 0.1}, False)):
        if lacks:
            with pytest.raises(ConfigError, match="decision=abstain needs validation="):
                eq.evaluate(labels, logits, ["cat", "dog"], decision="abstain", decision_options=options)
