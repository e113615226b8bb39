"""Class frequencies of rows without labels: EM against its steps by hand and a general optimiser, BBSE by hand."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from equipoise.core.schema import ConfigError
from equipoise.methods.label_shift import Source, bbse, estimate, most_likely, ratios

CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
LEARNED = np.array([0.7, 0.2, 0.1])
NAMES = ("a", "b", "c")


def rows(prior: Any, count: int, seed: int, *, moved: float = 0.0) -> tuple[Any, Any]:
    """Labels, and logits of the true posterior under LEARNED, twice too sure and tilted: no calibration but a fit."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, size=count, p=prior)
    features = CENTRES[labels] + generator.normal(size=(count, 2)) + moved
    logits = features @ CENTRES.T - (CENTRES**2).sum(1) / 2 + np.log(LEARNED)
    return labels, 2 * logits + [0.0, 1.0, -1.0]


def source(count: int = 900, calibration: str = "bias_corrected", seed: int = 0) -> Source:
    return Source(*rows(LEARNED, count, seed), None, calibration)


def drawn_ratios(size: int = 60) -> Any:
    return ratios(np.random.default_rng(3).normal(size=(size, 3)) * 2, LEARNED)


def test_em_is_the_fixed_point_of_its_steps_by_hand() -> None:
    found, prior = drawn_ratios(), np.full(3, 1 / 3)
    for _ in range(5000):  # Saerens et al. 2002, eq. 2.9
        posterior = prior * found / (prior * found).sum(axis=1, keepdims=True)
        prior = posterior.mean(axis=0)
    np.testing.assert_allclose(most_likely(found, np.ones(60)), prior, atol=1e-6)
    np.testing.assert_allclose(most_likely(found, np.ones(60), np.array([1.0, 0.0, 0.0])), prior, atol=1e-6)


def test_em_is_where_a_general_optimiser_finds_the_likelihood_highest() -> None:
    found, weights = drawn_ratios(), np.arange(60.0)
    best = minimize(
        lambda prior: -weights @ np.log(found @ prior),
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda prior: prior.sum() - 1},
        options={"ftol": 1e-12},
    ).x
    np.testing.assert_allclose(most_likely(found, weights), best, atol=1e-4)
    repeated = np.repeat(found, weights.astype(int), axis=0)
    np.testing.assert_allclose(most_likely(repeated, np.ones(len(repeated))), most_likely(found, weights), atol=1e-7)


def test_em_reaches_a_share_of_none() -> None:
    of_the_first = np.array([[1.0, 0.1, 0.2]] * 5 + [[0.3, 1.0, 0.1]] * 5)
    assert most_likely(of_the_first, np.ones(10))[2] < 1e-8


def test_bbse_by_hand() -> None:
    # 9 of 10 rows of the first class are told, 6 of 10 of the second; 0.6 = 0.9 p + 0.4 (1 - p), so p = 0.4.
    confusion = np.array([[0.9, 0.4], [0.1, 0.6]])
    found, condition = bbse(confusion, np.array([0.6, 0.4]))
    np.testing.assert_allclose(found, [0.4, 0.6])
    assert condition == pytest.approx(np.linalg.cond(confusion))
    # 0.95 is more than any p gives: 1.1 and -0.1, of which the negative one is 0.
    np.testing.assert_allclose(bbse(confusion, np.array([0.95, 0.05]))[0], [1.0, 0.0])


@pytest.mark.parametrize("confusion", [[[0.5, 0.5], [0.5, 0.5]], [[0.51, 0.49], [0.49, 0.51]]])
def test_bbse_gives_nothing_where_classes_are_not_told_apart(confusion: Any) -> None:
    assert np.isnan(bbse(np.array(confusion), np.array([0.6, 0.4]))[0]).all()


@pytest.mark.parametrize("calibration", ["bias_corrected", "vector"])
def test_shares_that_are_known_are_found(calibration: str) -> None:
    truth = np.array([0.1, 0.3, 0.6])
    _, logits = rows(truth, 4000, 1)
    found = estimate(source(3000, calibration), logits, NAMES, resamples=40)
    np.testing.assert_allclose(found.em, truth, atol=0.04)
    np.testing.assert_allclose(found.bbse, truth, atol=0.08)
    assert (found.low < found.em).all()
    assert (found.em < found.high).all()
    assert found.p > 0.05
    assert found.notes == ()


def test_the_known_prior_needs_no_calibration_but_is_told_to_have_none() -> None:
    labels, logits = rows(LEARNED, 500, 0)
    truth = np.array([0.2, 0.2, 0.6])
    _, new = rows(truth, 4000, 1)
    honest = (logits - [0.0, 1.0, -1.0]) / 2, (new - [0.0, 1.0, -1.0]) / 2
    found = estimate(Source(labels, honest[0], LEARNED), honest[1], NAMES, resamples=0)
    np.testing.assert_allclose(found.em, truth, atol=0.03)
    assert "not calibrated" in found.notes[0]
    assert np.isnan([found.low, found.high]).all()


def test_without_a_known_prior_bbse_stands_alone() -> None:
    found = estimate(source(calibration="temperature"), rows([0.1, 0.3, 0.6], 3000, 1)[1], NAMES)
    assert np.isnan(found.em).all()
    assert np.argmax(found.bbse) == 2
    assert "calibration=bias_corrected" in found.notes[0]


def test_rows_that_differ_themselves_are_told_loudly() -> None:
    found = estimate(source(), rows(LEARNED, 2000, 1, moved=1.5)[1], NAMES, resamples=60)
    assert found.p < 0.001
    assert "THE ASSUMPTION FAILS" in found.notes[-1]


def test_the_same_rows_give_the_same_bits() -> None:
    new = rows([0.3, 0.3, 0.4], 300, 1)[1]
    first, second = (estimate(source(300), new, NAMES, resamples=10) for _ in range(2))
    np.testing.assert_array_equal([first.em, first.low, first.high], [second.em, second.low, second.high])


def test_shares_are_used_with_six_digits_and_none_is_zero() -> None:
    labels, _ = rows([0.5, 0.5, 0.0], 2000, 1)
    apart = np.eye(3)[labels] * 40.0
    seen = np.arange(90) % 3
    found = estimate(Source(seen, np.eye(3)[seen] * 40.0, np.full(3, 1 / 3)), apart, NAMES, resamples=0)
    assert found.em[2] < 1e-8
    assert found.prior[2] == pytest.approx(0.5 / 2000, rel=1e-3)
    assert [float(f"{share:.6g}") for share in found.prior] == found.prior.tolist()


def test_few_validation_rows_are_told_and_none_of_a_class_is_refused() -> None:
    seen = source(40)
    assert "fewer than 10 validation rows" in " ".join(estimate(seen, seen.logits, NAMES, resamples=5).notes)
    kept = seen.labels != 2
    with pytest.raises(ConfigError, match="of c there are no validation rows"):
        estimate(Source(seen.labels[kept], seen.logits[kept], None, "bias_corrected"), seen.logits, NAMES)
    with pytest.raises(ConfigError, match="there are no rows to estimate it from"):
        estimate(seen, seen.logits[:0], NAMES)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    covered, alarms = [], []
    for seed in range(30):
        truth = np.random.default_rng(seed).dirichlet([2, 2, 2])
        found = estimate(source(400, seed=2 * seed), rows(truth, 800, 2 * seed + 1)[1], NAMES, resamples=60, seed=seed)
        covered.append((found.low <= truth) & (truth <= found.high))
        alarms.append(found.p < 0.001)
    assert np.mean(covered) >= 0.86  # of 90 shares, 95 % in the long run
    assert np.mean(alarms) <= 0.05
