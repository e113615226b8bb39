"""What weights can and cannot change, by hand."""

import numpy as np
import pytest

from equipoise.methods.effect import learning_rate_factor, total_variation, warnings
from equipoise.methods.weighting import ClassWeights


def weights(*values: float) -> ClassWeights:
    names = ("cat", "dog", "fox")[: len(values)]
    return ClassWeights(names, np.array([6, 3, 1])[: len(values)], np.array(values))


def test_the_scale_moves_the_learning_rate_of_sgd_alone() -> None:
    assert learning_rate_factor(weights(1, 2, 10), "sgd") == pytest.approx((6 + 6 + 10) / 10)
    assert learning_rate_factor(weights(1, 2, 10), "adam") == 1


def test_total_variation_by_hand() -> None:
    assert total_variation(np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])) == pytest.approx(0.3)
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1


@pytest.mark.parametrize(
    ("values", "optimizer", "said"),
    [
        ((3, 3, 3), "adam", "a common factor, which cancels"),
        ((3, 3, 3), "sgd", "multiplies the learning rate by 3"),
        ((1, 1.005, 1), "adam", "nearly the same weight"),
        ((1, 2, 10), "sgd", "the mean weight of a sample is 2.2"),
        ((0, 0, 5), "adam", "only class fox has a weight"),
        ((0, 1, 5), "adam", "weight 0: class cat is not learned"),
    ],
)
def test_weights_without_the_effect_that_was_meant(values: tuple[float, ...], optimizer: str, said: str) -> None:
    (found,) = warnings("manual", weights(*values), optimizer)
    assert said in found


def test_nothing_is_said_of_weights_that_work() -> None:
    assert warnings("balanced", weights(10 / 18, 10 / 9, 10 / 3), "sgd") == []
    assert warnings("none", weights(1, 1, 1), "sgd") == []
    assert warnings("manual", weights(1, 2, 10), "adam") == []
