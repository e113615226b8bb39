"""Tests of significance against published tables, other libraries, and their false positives in simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise.comparison import significance
from equipoise.metrics.multiplicity import holm

# Fisher 1935, section 17: Darwin's fifteen pairs of maize, crossed minus self-fertilised, in eighths of an inch.
MAIZE = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
# Hollander & Wolfe 1973, p. 140: 22 players, three ways of rounding first base, in seconds.
ROUNDING = np.fromstring(
    """5.40 5.50 5.55  5.85 5.70 5.75  5.20 5.60 5.50  5.55 5.50 5.40  5.90 5.85 5.70  5.45 5.55 5.60  5.40 5.40 5.35
    5.45 5.50 5.35  5.25 5.15 5.00  5.85 5.80 5.70  5.25 5.20 5.10  5.65 5.55 5.45  5.60 5.35 5.45  5.05 5.00 4.95
    5.50 5.50 5.40  5.45 5.55 5.50  5.55 5.55 5.35  5.45 5.50 5.55  5.50 5.45 5.25  5.65 5.60 5.40  5.70 5.65 5.55
    6.30 6.30 6.25""",
    sep=" ",
).reshape(22, 3)
# Demsar 2006, table 6: AUC of C4.5 with m tuned minus plain C4.5 on 14 data sets.
C45 = np.array([0.005, -0.008, 0.017, 0.033, 0.006, -0.005, 0.007, 0, 0.063, 0, 0.022, 0.047, 0.009, 0.021])


def test_permutation_gives_fishers_count() -> None:
    assert significance.permutation_p(MAIZE) == 1726 / 2**15


def test_permutation_of_many_pairs_is_near_the_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, 40)
    assert significance.permutation_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.004)


@pytest.mark.parametrize("count", [1, 3, 6, 16])
def test_the_smallest_p_of_so_many_pairs(count: int) -> None:
    assert significance.permutation_p(np.full(count, 0.1)) == 2 / 2**count
    assert significance.permutation_p(np.zeros(count)) == 1


def test_pairs_needed() -> None:
    assert significance.pairs_needed(1) == 6
    assert significance.pairs_needed(3) == 7
    for comparisons in range(1, 40):
        needed = significance.pairs_needed(comparisons)
        assert 2 / 2**needed <= 0.05 / comparisons < 2 / 2 ** (needed - 1)


@given(st.integers(0, 2**32 - 1))
def test_rank_biserial_is_wilcoxons_statistic_rescaled(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-5, 6, 12).astype(float)
    if not differences.any():
        return
    moved = differences[differences != 0]
    lower = stats.wilcoxon(moved, method="asymptotic").statistic
    total = len(moved) * (len(moved) + 1) / 2
    assert abs(significance.rank_biserial(differences)) == pytest.approx((total - 2 * lower) / total)


def test_ranks_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).integers(0, 4, (20, 7)).astype(float)
    np.testing.assert_array_equal(significance.ranks(values), stats.rankdata(values, axis=1))


def test_rank_biserial_by_hand() -> None:
    assert significance.rank_biserial(np.array([3.0, 2, 1, -1])) == pytest.approx((4 + 3 + 1.5 - 1.5) / 10)
    assert significance.rank_biserial(np.zeros(3)) == 0


def test_students_interval_is_that_of_scipy() -> None:
    low, high = significance.mean_interval(MAIZE[:8])
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 7, MAIZE[:8].mean(), stats.sem(MAIZE[:8])))
    assert np.isnan(significance.mean_interval(MAIZE[:1])).all()
    assert significance.mean_interval(MAIZE) == pytest.approx(
        stats.t.interval(0.95, 14, MAIZE.mean(), stats.sem(MAIZE))
    ), "15 values as well"


def test_nadeau_bengio_by_hand() -> None:
    # Five folds: mean .03, variance .00025, standard error sqrt((1/5 + 1/4) * .00025) = .0106066, t = 2.8284.
    differences = np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    p, (low, high) = significance.nadeau_bengio(differences, 1 / 4)
    assert p == pytest.approx(2 * stats.t.sf(2.8284271, 4), abs=1e-7)
    assert (low, high) == pytest.approx((0.03 - 2.7764451 * 0.0106066, 0.03 + 2.7764451 * 0.0106066), abs=1e-6)
    plain, _ = significance.nadeau_bengio(differences, 0)
    assert plain == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert significance.nadeau_bengio(np.full(5, 0.25), 1 / 4)[0] == 0
    assert significance.nadeau_bengio(np.zeros(5), 1 / 4)[0] == 1


def test_an_unknown_ratio_gives_neither_p_nor_interval() -> None:
    p, ends = significance.nadeau_bengio(np.array([0.01, 0.02, 0.04]), np.nan)
    assert np.isnan([p, *ends]).all()


def test_wilcoxon_of_data_sets() -> None:
    assert significance.wilcoxon_p(np.arange(1.0, 13)) == 2 / 2**12
    assert significance.wilcoxon_p(np.zeros(12)) == 1
    # Fisher's maize has two pairs of equal size; without the tie the exact p is Wilcoxon's, of all signs of the ranks.
    untied = MAIZE + np.linspace(0, 0.1, 15)
    signed = np.sign(untied) * significance.ranks(np.abs(untied))
    assert significance.wilcoxon_p(untied) == pytest.approx(significance.permutation_p(signed))
    assert significance.wilcoxon_p(C45) == pytest.approx(stats.wilcoxon(C45).pvalue), "two zeros"


def test_the_correlated_t_posterior_is_that_of_its_paper() -> None:
    differences = np.array([0.01, 0.02, 0.03, 0.04, 0.05])
    # Corani & Benavoli 2015, equation 9: location .03, scale sqrt((1/5 + .2/.7) * .00025) = .0110195, df 4.
    found, law = significance.bayesian_correlated_t(differences, 0.2 / 0.7, 0.01), stats.t(4, 0.03, 0.0110195)
    assert (found.below, found.within, found.above) == pytest.approx(
        (law.cdf(-0.01), law.cdf(0.01) - law.cdf(-0.01), law.sf(0.01)), abs=1e-6
    )
    assert significance.bayesian_correlated_t(np.full(3, 0.2), 0.5, 0.01).above == 1


def test_friedman_reproduces_a_published_table() -> None:
    found = significance.friedman(-ROUNDING)
    assert found.chi_square == pytest.approx(11.143, abs=5e-4)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    np.testing.assert_allclose(found.ranks, stats.rankdata(ROUNDING, axis=1).mean(axis=0))


@pytest.mark.parametrize(
    ("count", "quantile"),
    [(3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (9, 3.102), (10, 3.164)],
)
def test_critical_differences_are_those_of_demsars_table_5(count: int, quantile: float) -> None:
    scores = np.random.default_rng(0).normal(size=(14, count))
    critical = significance.friedman(scores).critical_difference
    # The published quantiles are cut and not rounded in places.
    assert critical / np.sqrt(count * (count + 1) / (6 * 14)) == pytest.approx(quantile, abs=1.1e-3)


def test_cliques_by_hand() -> None:
    assert significance.cliques(np.array([1.0, 1.5, 2.2, 4.0]), 1.0) == ((0, 1), (1, 2))
    assert significance.cliques(np.array([1.0, 1.5, 1.9]), 1.0) == ((0, 2),)
    assert significance.cliques(np.array([1.0, 3.0]), 1.0) == ()


def test_equal_scores_have_equal_ranks() -> None:
    found = significance.friedman(np.ones((4, 3)))
    assert (found.ranks.tolist(), found.p) == ([2, 2, 2], 1)


def test_bayesian_signed_rank_agrees_with_baycomp() -> None:
    # baycomp 1.0.3, SignedRankTest.probs on the same columns, 200,000 draws: .99917 and .00083;
    # with rope .01: .671, .329, 0.
    found = significance.bayesian_signed_rank(C45, 0)
    assert (found.above, found.below) == pytest.approx((0.9992, 0.0008), abs=1e-3)
    found = significance.bayesian_signed_rank(C45, 0.01)
    assert (found.above, found.within, found.below) == pytest.approx((0.671, 0.329, 0), abs=0.01)
    assert found.above + found.within + found.below == pytest.approx(1)


def test_pareto_front_by_hand() -> None:
    scores = np.array([[1, 5], [2, 4], [1, 4], [2, 4], [0, 0]])
    assert significance.pareto_front(scores).tolist() == [True, True, False, True, False]


def test_false_positives_are_held() -> None:
    """Under the null a family of three comparisons is wrong in 5 % of 1,000 trials at most, but for chance."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(1000):
        baseline = generator.normal(size=8)
        p = [significance.permutation_p(generator.normal(size=8) - baseline) for _ in range(3)]
        wrong += min(holm(p)) <= significance.ALPHA
    assert wrong <= 68, "0.05 and 2.6 standard deviations"


def test_overlapping_training_sets_need_the_correction() -> None:
    """Differences over five folds that share a component: the plain t test is fooled, the corrected one is not."""
    generator = np.random.default_rng(0)
    # Nadeau and Bengio's model: correlation between folds of n_test / (n_test + n_train) = 1/5.
    samples = np.sqrt(0.2) * generator.normal(size=(1500, 1)) + np.sqrt(0.8) * generator.normal(size=(1500, 5))
    corrected = np.mean([significance.nadeau_bengio(sample, 1 / 4)[0] <= 0.05 for sample in samples])
    plain = np.mean([significance.nadeau_bengio(sample, 0)[0] <= 0.05 for sample in samples])
    assert corrected < 0.065 < plain
