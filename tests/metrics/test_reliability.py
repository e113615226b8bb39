"""Slope, intercepts and the parts of the Brier score, by hand and by independent libraries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from equipoise.core.schema import Floats, Integers
from equipoise.metrics.reliability import brier_parts, intercepts, slope


def drawn(seed: int, samples: int = 300, sure: float = 1.0) -> tuple[Integers, Floats]:
    """Labels of three classes, and log probabilities that are honest if `sure` is 1."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(samples, 3)) * 1.5
    labels = (softmax(logits, axis=1).cumsum(axis=1) < generator.uniform(size=(samples, 1))).sum(axis=1)
    labels[:3] = 0, 1, 2
    return labels, log_softmax(sure * logits, axis=1)


def test_the_slope_of_two_classes_is_that_of_a_logistic_regression_without_intercept() -> None:
    generator = np.random.default_rng(0)
    odds = generator.normal(size=500) * 3
    labels = (generator.uniform(size=500) < expit(0.4 * odds)).astype(np.int64)
    log_p = np.column_stack([-np.logaddexp(0, odds), -np.logaddexp(0, -odds)])
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds[:, np.newaxis], labels)
    assert slope(labels, log_p) == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
    doubled = np.repeat([1.0, 2.0], 250)
    weighed = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(
        odds[:, np.newaxis], labels, sample_weight=doubled
    )
    assert slope(labels, log_p, doubled) == pytest.approx(weighed.coef_[0, 0], rel=1e-4)


def test_the_slope_tells_too_sure_from_honest() -> None:
    assert slope(*drawn(0, 20_000)) == pytest.approx(1, abs=0.05)
    assert slope(*drawn(0, 20_000, sure=4)) == pytest.approx(0.25, abs=0.02)
    apart = np.log(np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert slope(np.array([0, 1]), apart) == 100  # told apart: no finite one
    assert slope(np.array([1, 0]), apart) == 0


def test_intercepts_make_the_probabilities_sum_to_the_samples() -> None:
    labels, log_p = drawn(1)
    tilted = log_softmax(log_p + np.log([3.0, 1.0, 0.2]), axis=1)
    found = intercepts(labels, tilted)
    p = np.exp(tilted)
    for index in range(3):
        moved = expit(np.log(p[:, index] / (1 - p[:, index])) + found[index])
        assert moved.sum() == pytest.approx((labels == index).sum(), abs=1e-3)
    assert found[0] < 0 < found[2]
    absent = intercepts(np.zeros(4, np.int64), np.log(np.full((4, 2), 0.5)))
    assert np.isnan(absent).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 4))
def test_the_parts_add_up_to_the_brier_score(seed: int, sure: float) -> None:
    labels, log_p = drawn(seed, 60, sure)
    log_p = np.log(np.exp(log_p).round(1) + 1e-3)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))  # with ties
    parts = brier_parts(labels, log_p)
    score = ((np.exp(log_p) - np.eye(3)[labels]) ** 2).sum(axis=1).mean()
    total = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
    assert total == pytest.approx(score)
    assert parts["miscalibration"] >= -1e-12
    assert parts["discrimination"] >= -1e-12
    share = np.bincount(labels, minlength=3) / 60
    assert parts["uncertainty"] == pytest.approx((share * (1 - share)).sum())


def test_the_parts_are_those_of_scikit_learn_s_isotonic_regression() -> None:
    labels, log_p = drawn(2)
    weights = np.random.default_rng(3).uniform(0.5, 3, 300)
    expected = 0.0
    for index in range(3):
        p, there = np.exp(log_p[:, index]), labels == index
        again = IsotonicRegression().fit(p, there, sample_weight=weights).predict(p)
        expected += brier_score_loss(there, p, sample_weight=weights)
        expected -= brier_score_loss(there, np.clip(again, 0, 1), sample_weight=weights)
    assert brier_parts(labels, log_p, weights)["miscalibration"] == pytest.approx(expected)
    assert brier_parts(labels, np.zeros((300, 101))) == {}
