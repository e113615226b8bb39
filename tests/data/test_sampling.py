"""Sampling by class: shares by hand, and rows drawn with them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.sampling import SHIPPED, ByClass, sampling


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=8), st.floats(0, 1))
def test_shares_of_a_rule_sum_to_one(counts: list[int], progress: float) -> None:
    for rule in SHIPPED.values():
        share = rule(np.array(counts), progress)
        assert share.sum() == pytest.approx(1)
        assert (share > 0).all()


def test_every_rule_is_tested() -> None:
    for name in SHIPPED:
        assert f"test_{name}_by_hand" in globals(), f"dataset.sampling={name} has no test_{name}_by_hand here"


def test_class_balanced_by_hand() -> None:
    assert SHIPPED["class_balanced"](np.array([90, 10]), 0.3).tolist() == [0.5, 0.5]


def test_square_root_by_hand() -> None:
    assert SHIPPED["square_root"](np.array([90, 10]), 0.3) == pytest.approx(np.array([3, 1]) / 4)


def test_progressive_by_hand() -> None:
    counts = np.array([90, 10])
    assert SHIPPED["progressive"](counts, 0.0) == pytest.approx([0.9, 0.1])
    assert SHIPPED["progressive"](counts, 0.5) == pytest.approx([0.7, 0.3])
    assert SHIPPED["progressive"](counts, 1.0) == pytest.approx([0.5, 0.5])


@pytest.mark.usefixtures("tensorflow")
def test_rows_are_drawn_with_those_shares() -> None:
    import tensorflow as tf

    from equipoise.data.sampling import drawn_rows

    drawn = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [9000, 900, 100]))
    chosen = sampling("progressive", drawn, np.array([9000, 900, 100]), epochs=3)
    assert chosen is not None
    assert not chosen.steady
    for epoch in range(3):
        rows = drawn_rows(chosen, tf.constant(epoch, tf.int64), tf.constant([7, epoch], tf.int64)).numpy()
        expected = chosen.shares[epoch]
        np.testing.assert_allclose(np.bincount(drawn[rows]) / 10_000, expected, atol=4 * np.sqrt(0.25 / 10_000))
        again = drawn_rows(chosen, tf.constant(epoch, tf.int64), tf.constant([7, epoch], tf.int64)).numpy()
        np.testing.assert_array_equal(rows, again)
    rare = rows[drawn[rows] == 2]
    assert len(np.unique(rare)) == 100, "within a class every sample is drawn"
    assert sampling("none", drawn, np.array([9000, 900, 100]), 3) is None


def test_balanced_rows_are_drawn_class_by_class_evenly() -> None:
    labels = np.array([2, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    rows = ByClass.of(labels, 3).balanced(30_000, seed=0)
    assert np.bincount(labels[rows]) / 30_000 == pytest.approx([1 / 3] * 3, abs=0.01)
    of_first = np.bincount(rows[labels[rows] == 0], minlength=10)[labels == 0] / 10_000
    assert of_first == pytest.approx([1 / 8] * 8, abs=0.01), "within a class each of its 8 samples"


def test_sampling_moves_the_effective_prior() -> None:
    from equipoise.methods.priors import effective_prior
    from equipoise.methods.weighting import ClassWeights

    counts = np.array([90, 10])
    weights = ClassWeights(("a", "b"), counts, np.array([1.0, 2.0]))
    rows = np.repeat([0, 1], counts)
    plain: Any = SimpleNamespace(name="class_weight")
    assert effective_prior(weights, plain, "none", sampling("class_balanced", rows, counts, 5)) == pytest.approx(
        [1 / 3, 2 / 3]
    )
    assert effective_prior(weights, plain, "none", sampling("progressive", rows, counts, 5)) is None
