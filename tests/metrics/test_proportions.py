"""Score intervals against SciPy, a published table, a constrained optimum, and what they must hold in simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from equipoise.metrics.proportions import least_interval, score_interval, wilson

counts = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).filter(any), min_size=1, max_size=6)


def test_wilson_by_hand() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148 and 0 of 20 and 1 of 29.
    low, high = wilson(np.array([81, 15, 0, 1, 0]), np.array([263, 148, 20, 29, 0]))
    assert low[:4].round(4).tolist() == [0.2553, 0.0624, 0, 0.0061]
    assert high[:4].round(4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]
    assert np.isnan([low[4], high[4]]).all()
    low, high = wilson(np.array([0, 50]), np.array([50, 50]))
    assert (low[0], high[1]) == (0, 1)
    assert 0 < high[0] == pytest.approx(1 - low[1])


@given(st.integers(1, 5000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_the_interval_of_one_proportion_is_wilsons(drawn: tuple[int, int]) -> None:
    hits, trials = (np.array([value]) for value in drawn)
    expected = stats.binomtest(*drawn).proportion_ci(method="wilson")
    for found in (score_interval(hits, trials), least_interval(hits, trials), np.ravel(wilson(hits, trials))):
        assert tuple(found) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_ends_are_where_a_constrained_optimum_is_just_not_rejected() -> None:
    """By another way: the likelihood is maximised by SciPy under the hypothesis that the weighted sum is the end."""
    hits, trials, weights = np.array([45, 9, 3]), np.array([50, 12, 7]), np.array([0.5, 0.3, 0.2])

    def statistic(hypothesis: float) -> float:
        def loss(share: np.ndarray) -> float:
            return float(-(hits * np.log(share) + (trials - hits) * np.log(1 - share)).sum())

        constraint = {"type": "eq", "fun": lambda share: share @ weights - hypothesis}
        found = optimize.minimize(
            loss, np.full(3, hypothesis), bounds=[(1e-9, 1 - 1e-9)] * 3, constraints=constraint, options={"ftol": 1e-14}
        ).x
        naive = weights**2 * found * (1 - found) / trials
        variance = (naive * trials / (trials - 1 + naive / naive.sum())).sum()
        return float((weights @ (hits / trials) - hypothesis) ** 2 / variance)

    for end in score_interval(hits, trials, weights):
        assert statistic(end) == pytest.approx(stats.norm.ppf(0.975) ** 2, rel=1e-4)


@given(counts)
@settings(deadline=None)
def test_an_interval_holds_its_estimate_and_mirrors_its_opposite(drawn: list[tuple[int, int]]) -> None:
    hits, misses = np.array(drawn).T
    low, high = score_interval(hits, hits + misses)
    assert -1e-12 <= low <= (hits / (hits + misses)).mean() + 1e-12
    assert (hits / (hits + misses)).mean() - 1e-12 <= high <= 1 + 1e-12
    mirrored = score_interval(misses, hits + misses)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    least = least_interval(hits, hits + misses)
    assert least[0] <= (hits / (hits + misses)).min() <= least[1]


def test_intervals_of_classes_always_or_never_right_have_a_width() -> None:
    low, high = score_interval(np.array([829, 0]), np.array([829, 7]))
    assert 0.495 < low < 0.5
    assert high == pytest.approx(0.5 + 0.354 / 2, abs=0.015), "Wilson's upper end of 0 of 7, and half of it"
    assert score_interval(np.array([20, 20]), np.array([20, 20]))[1] == 1
    assert score_interval(np.array([20, 20]), np.array([20, 20]))[0] < 0.95
    assert score_interval(np.array([0, 0]), np.array([5, 9]))[0] == 0


RARE, MANY = [983, 66, 6, 17, 22], [40] * 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trials", "low", "high"),
    [
        pytest.param(RARE, 0.5, 0.9, id="as of Shuttle"),
        pytest.param([829, 7], 0.3, 0.8, id="7 of the rare class"),
        pytest.param([829, 7], 0.0, 0.1, id="the rare class nearly always missed"),
        pytest.param(MANY, 0.9, 1.0, id="many classes, nearly always right"),
        pytest.param([5] * 10, 0.6, 1.0, id="5 of each"),
    ],
)
def test_a_mean_of_recalls_is_held_in_93_to_97_percent_of_test_splits(
    trials: list[int], low: float, high: float
) -> None:
    """Each of 1,500 splits draws new recalls, so that no lattice of counts decides; the seed is fixed.

    A coverage of 0.95 has a standard error of 0.0056 here.
    """
    generator, size = np.random.default_rng(0), np.array(trials)
    truth = generator.uniform(low, high, (1500, len(size)))
    if len(set(trials)) > 1:
        truth[:, 0] = generator.uniform(0.9, 1, 1500)
    ends = np.array([score_interval(hits, size) for hits in generator.binomial(size, truth)])
    held = np.mean((ends[:, 0] <= truth.mean(axis=1)) & (truth.mean(axis=1) <= ends[:, 1]))
    assert 0.93 <= held <= 0.97


def test_the_least_of_equal_proportions_is_held_at_least_as_often() -> None:
    generator, size = np.random.default_rng(0), np.array([40] * 10)
    ends = np.array([least_interval(hits, size) for hits in generator.binomial(size, 0.9, (1000, 10))])
    assert np.mean((ends[:, 0] <= 0.9) & (ends[:, 1] >= 0.9)) >= 0.93
