"""Logits from probabilities of any library, and what is refused as logits."""

from typing import Any

import numpy as np
import pytest
from scipy.special import logit, softmax

import equipoise as eq
from equipoise.api.logits import checked_logits


def test_a_softmax_of_the_logits_is_the_probabilities() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    np.testing.assert_allclose(softmax(eq.logits(probabilities), axis=1), probabilities, rtol=1e-12)


def test_one_probability_is_that_of_the_second_class() -> None:
    p = np.array([0.1, 0.5, 0.99])
    np.testing.assert_allclose(eq.logits(p), logit(p)[:, np.newaxis])
    np.testing.assert_allclose(softmax(checked_logits(eq.logits(p), 2, "it"), axis=1)[:, 1], p)
    assert eq.logits(p[:, np.newaxis]).tolist() == eq.logits(p).tolist()


def test_certainty_is_finite() -> None:
    found = eq.logits([[1, 0], [0, 1]])
    assert np.isfinite(found).all()
    assert found[0, 1] == np.log(np.finfo(float).eps)
    assert np.isfinite(eq.logits([0.0, 1.0])).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.5, 0.6]], "a row does not sum to 1"),
        ([1.5], "numbers between 0 and 1"),
        ([[0.5, np.nan]], "numbers between 0 and 1"),
        (0.5, "numbers between 0 and 1"),
    ],
)
def test_what_are_no_probabilities(values: Any, message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.logits(values)


@pytest.mark.parametrize(
    ("values", "classes", "message"),
    [
        (np.zeros((3, 2)), 3, r"it has the shape \(3, 2\); needed is one number a class, \(n, 3\)"),
        (np.zeros((3, 1)), 3, r"it has the shape \(3, 1\)"),
        (np.zeros(3), 3, r"it has the shape \(3,\)"),
        (np.zeros((3, 2, 2)), 2, r"it has the shape \(3, 2, 2\)"),
        ([["a", "b"]], 2, "it has the shape"),
        ([[0.0, -np.inf]], 2, r"NaN or infinity; of probabilities of 0: eq.logits"),
        ([[0.25, 0.75], [1, 0]], 2, r"rows that sum to 1, which are probabilities: eq.logits"),
    ],
)
def test_what_are_no_logits(values: Any, classes: int, message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        checked_logits(values, classes, "it")


def test_single_numbers_that_may_be_probabilities_are_told() -> None:
    with pytest.warns(UserWarning, match="it lies between 0 and 1"):
        assert checked_logits([0.25, 1], 2, "it").tolist() == [[0, 0.25], [0, 1]]
    assert checked_logits([0.25, 2], 2, "it").shape == (2, 2)
