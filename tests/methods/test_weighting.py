"""Class weights: the golden table, scikit-learn as oracle, and properties that hold for any counts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.class_weight import compute_class_weight

from equipoise.config.choice import defaults
from equipoise.core.errors import ConfigError
from equipoise.core.schema import keywords
from equipoise.methods.weighting import NORMALIZERS, STRATEGIES, ClassWeights, class_weights, learning_rate_factor
from options import needed

GOLDEN_COUNTS = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
# name, options, normalize, first, last, sum of p_c w_c
GOLDEN = [
    ("balanced", {}, "none", 0.2481, 24.812, 1.0),
    ("inverse", {}, "none", 2.481, 248.12, 10.0),
    ("max_ratio", {}, "none", 1, 100, 4.0303),
    ("power", {"alpha": 0.5}, "none", 0.4981, 4.9812, 0.8203),
    ("effective_number", {"beta": 0.9999}, "class_mean", 0.0506, 3.9927, 0.1710),
    ("log_smoothed", {"c": 1.02}, "none", 2.8346, 42.112, 6.6402),
    ("log_damped", {"mu": 0.15}, "none", 1, 3.6168, 1.0837),
    ("median_frequency", {}, "none", 0.1032, 10.32, 0.4159),
]
# What weighs by counts alone, with the options of its YAML.
COUNT_BASED = {
    name: {key: defaults("weighting", name)[key] for key in keywords(function)}
    for name, function in STRATEGIES.items()
    if not needed(f"weighting={name}")
}
any_counts = arrays(np.int64, st.integers(2, 50), elements=st.integers(1, 10**6))


def weigh(
    name: str, counts: Any, normalize: str = "none", classes: list[str] | None = None, **options: Any
) -> np.ndarray:
    section: Any = SimpleNamespace(name=name, normalize=normalize, **options)
    return class_weights(section, np.asarray(counts), classes or [str(i) for i in range(len(counts))]).weights


@pytest.mark.parametrize(
    ("name", "options", "normalize", "first", "last", "sample_mean"), GOLDEN, ids=[row[0] for row in GOLDEN]
)
def test_golden_values(
    name: str, options: dict[str, float], normalize: str, first: float, last: float, sample_mean: float
) -> None:
    weights = weigh(name, GOLDEN_COUNTS, normalize, **options)
    assert weights[0] == pytest.approx(first, rel=1e-3)
    assert weights[-1] == pytest.approx(last, rel=1e-4)
    assert GOLDEN_COUNTS @ weights / GOLDEN_COUNTS.sum() == pytest.approx(sample_mean, abs=6e-5)


def test_every_strategy_is_tested() -> None:
    """By a line of the golden table, or by a test of its name."""
    tests = [name for name in globals() if name.startswith("test_")]
    for name in {*STRATEGIES} - {row[0] for row in GOLDEN}:
        assert any(test.startswith(f"test_{name}_") for test in tests), f"weighting={name} has no test_{name}_… here"


def test_none_weighs_every_sample_the_same() -> None:
    assert weigh("none", [80, 20]).tolist() == [1, 1]


@given(any_counts)
def test_balanced_equals_scikit_learn_to_the_last_bit(counts: np.ndarray) -> None:
    counts = np.minimum(counts, 200)
    labels = np.repeat(np.arange(len(counts)), counts)
    oracle = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    assert weigh("balanced", counts).tobytes() == oracle.tobytes()


@pytest.mark.parametrize("name", COUNT_BASED)
@given(counts=any_counts, data=st.data())
def test_positive_monotone_and_indifferent_to_class_order(name: str, counts: np.ndarray, data: st.DataObject) -> None:
    weights = weigh(name, counts, **COUNT_BASED[name])
    assert (weights > 0).all()
    assert np.isfinite(weights).all()
    by_count = weights[np.argsort(counts)]
    assert (np.diff(by_count) <= 1e-12 * by_count[:-1]).all(), "a rarer class never weighs less"
    order = np.array(data.draw(st.permutations(range(len(counts)))))
    np.testing.assert_allclose(weigh(name, counts[order], **COUNT_BASED[name]), weights[order], rtol=1e-12)


@pytest.mark.parametrize("name", COUNT_BASED)
@pytest.mark.parametrize("normalize", NORMALIZERS)
@given(counts=any_counts)
@settings(max_examples=20)  # of each of all pairs
def test_normalised_statistic_is_one_and_ratios_stay(name: str, normalize: str, counts: np.ndarray) -> None:
    raw, weights = weigh(name, counts, **COUNT_BASED[name]), weigh(name, counts, normalize, **COUNT_BASED[name])
    np.testing.assert_allclose(weights / weights[0], raw / raw[0], rtol=1e-9)
    if normalize != "none":
        statistic = {
            "sample_mean": (counts * weights).sum() / counts.sum(),
            "class_mean": weights.mean(),
            "sum": weights.sum(),
            "max": weights.max(),
            "min": weights.min(),
        }[normalize]
        assert statistic == pytest.approx(1, rel=1e-9)


@given(any_counts)
def test_effective_number_goes_from_none_to_inverse(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(weigh("effective_number", counts, beta=0.0), np.ones(len(counts)))
    few = np.minimum(counts, 1000)
    nearly_inverse = weigh("effective_number", few, "sum", beta=1 - 1e-12)
    np.testing.assert_allclose(nearly_inverse, weigh("inverse", few, "sum"), rtol=1e-6)


@given(any_counts)
def test_power_goes_from_none_to_balanced(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(weigh("power", counts, alpha=0.0), np.ones(len(counts)))
    np.testing.assert_array_equal(weigh("power", counts, alpha=1.0), weigh("balanced", counts))


def test_an_automatic_beta_is_one_minus_classes_over_samples() -> None:
    # Four classes of 8 samples in all: beta = 1/2, and 1 / (1 + 1/2 + ... ) = (1/2) / (1 - 2^-n).
    assert weigh("effective_number", [5, 1, 1, 1], beta="auto").tolist() == pytest.approx([0.5 / (1 - 2**-5), 1, 1, 1])
    assert weigh("effective_number", [1, 1], beta="auto").tolist() == [1, 1]


def test_logarithms_bound_the_weights() -> None:
    assert weigh("log_smoothed", [10**9, 1], c=1.02)[1] == pytest.approx(1 / np.log(1.02), rel=1e-6)
    assert weigh("log_damped", [80, 20], mu=1.0).tolist() == pytest.approx([1, np.log(5)]), "ln(100 / 80) is below 1"


def test_manual_takes_the_weights_by_name_in_any_order() -> None:
    weights = weigh("manual", [10, 20], classes=["cat", "dog"], weights={"dog": 5.0, "cat": 1.0})
    assert weights.tolist() == [1.0, 5.0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"cat": 1.0}, "no number for dog"),
        ({"cat": 1.0, "dog": 2.0, "cow": 3.0}, "names the class 'cow'"),
        ({"cat": 1.0, "dgo": 2.0}, "did you mean 'dog'"),
        ({"cat": 0.0, "dog": 0.0}, "every weight is 0"),
    ],
)
def test_manual_refuses_what_does_not_fit_the_classes(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        weigh("manual", [10, 20], classes=["cat", "dog"], weights=weights)


def test_a_zero_weight_cannot_be_the_unit() -> None:
    with pytest.raises(ConfigError, match=r"normalize=min.*is 0"):
        weigh("manual", [10, 20], "min", ["cat", "dog"], weights={"cat": 0.0, "dog": 1.0})


def test_a_class_without_samples_is_named() -> None:
    with pytest.raises(ConfigError, match="no training sample of class dog"):
        weigh("balanced", [10, 0, 5], classes=["cat", "dog", "cow"])


def test_weights_that_overflow_are_refused() -> None:
    with pytest.raises(ConfigError, match="too large"):
        weigh("manual", [1, 1], classes=["a", "b"], weights={"a": 1.0, "b": 1e39})


def test_what_follows_from_the_weights() -> None:
    section: Any = SimpleNamespace(name="balanced", normalize="none")
    found = class_weights(section, np.array([30, 10]), ("a", "b"))
    # w = 40 / (2 * 30), 40 / (2 * 10): each class holds half of all weight.
    assert found.weights.tolist() == pytest.approx([2 / 3, 2])
    assert found.share.tolist() == pytest.approx([0.5, 0.5])
    assert found.sample_mean == pytest.approx(1)
    assert found.effective_sample_size == pytest.approx(40**2 / (30 * 4 / 9 + 10 * 4))


def test_the_scale_moves_the_learning_rate_of_sgd_alone() -> None:
    weights = ClassWeights(("cat", "dog", "fox"), np.array([6, 3, 1]), np.array([1.0, 2.0, 10.0]))
    assert learning_rate_factor(weights, "sgd") == pytest.approx((6 + 6 + 10) / 10)
    assert learning_rate_factor(weights, "adam") == 1
