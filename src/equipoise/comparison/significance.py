"""Is a difference real? Tests over seeds, splits and data sets. Pure NumPy and SciPy.

`differences` are paired differences, float64 (pairs,): a configuration minus its reference at the same seed or split.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers

ALPHA = 0.05
EXACT = 16  # pairs; up to so many, all 2^n signs are tried
DRAWS = 20_000

Interval = tuple[float, float]


def permutation_p(differences: Floats) -> float:
    """Return the two-sided p of the mean difference under all flips of sign (Fisher 1935).

    Of more than EXACT pairs, DRAWS flips are drawn.
    """
    sums = np.abs(_signs(len(differences)) @ differences)
    # Flips that give the same sum by other roundings are as extreme, not less.
    extreme = int((sums >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()).sum())
    if len(differences) <= EXACT:
        return extreme / len(sums)
    return (extreme + 1) / (len(sums) + 1)  # the observed signs are one of the flips


@functools.lru_cache(maxsize=2)
def _signs(count: int) -> Integers:
    """Return flips as 1 and -1, int8 (flips, count): all of them, or those drawn."""
    if count <= EXACT:
        bits = (np.arange(2**count)[:, np.newaxis] >> np.arange(count)) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (DRAWS, count))
    return (1 - 2 * bits).astype(np.int8)


def pairs_needed(comparisons: int, alpha: float = ALPHA) -> int:
    """Return the fewest pairs whose smallest possible p, 2 / 2^n, can pass the first step of Holm's correction."""
    return math.ceil(math.log2(2 * comparisons / alpha))


def ranks(values: Floats) -> Floats:
    """Return ranks along the last axis, 1 for the smallest; equal values share their mean rank.

    SciPy's `rankdata` does the same, but its module takes a second to import.
    """
    others = values[..., np.newaxis, :]
    own = values[..., np.newaxis]
    found: Floats = np.sum(others < own, axis=-1) + (np.sum(others == own, axis=-1) + 1) / 2
    return found


def rank_biserial(differences: Floats) -> float:
    """Return the effect size from -1, every pair lower, to 1, every pair higher (Kerby 2014).

    Pairs without a difference are omitted; without any other pair it is 0.
    """
    moved = differences[differences != 0]
    if not len(moved):
        return 0.0
    ranked = ranks(np.abs(moved))
    return float((ranked * np.sign(moved)).sum() / ranked.sum())


def mean_interval(values: Floats) -> Interval:
    """Return the 95 % interval of the mean by Student's t; NaN for a single value."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return math.nan, math.nan
    reach = float(stdtrit(len(values) - 1, 1 - ALPHA / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return float(values.mean()) - reach, float(values.mean()) + reach


def nadeau_bengio(differences: Floats, test_over_train: float) -> tuple[float, Interval]:
    """Return the two-sided p and the 95 % interval of the mean by the corrected resampled t test.

    It is for splits or folds, which share rows:

    t = mean / sqrt((1 / J + n_test / n_train) s^2) with J - 1 degrees of freedom (Nadeau & Bengio 2003, section 4).

    Parameters
    ----------
    differences : one per split or fold, its seeds averaged; at least two
    test_over_train : test samples over training samples of a split, such as 0.2 / 0.7; NaN, for not known, gives NaN
    """
    from scipy.special import stdtr, stdtrit

    count, mean, error = len(differences), float(differences.mean()), _corrected_error(differences, test_over_train)
    if error == 0:
        return (1.0 if mean == 0 else 0.0), (mean, mean)
    reach = float(stdtrit(count - 1, 1 - ALPHA / 2)) * error
    return float(2 * stdtr(count - 1, -abs(mean) / error)), (mean - reach, mean + reach)


def _corrected_error(differences: Floats, test_over_train: float) -> float:
    """Return the standard error of the mean over splits that share rows."""
    return math.sqrt((1 / len(differences) + test_over_train) * float(differences.var(ddof=1)))


def wilcoxon_p(differences: Floats) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test over data sets (Demsar 2006); 1 if no data set differs."""
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0


@dataclass(frozen=True)
class Ranking:
    """Configurations ranked over data sets.

    Attributes
    ----------
    ranks : float64 (configurations,), mean ranks, 1 for the best
    chi_square, p : of Friedman's test, corrected for ties; NaN where it is not defined
    critical_difference : mean ranks that are further apart are shown to differ (Nemenyi 1963, Demsar 2006)
    cliques : index ranges, in the order of the ranks, within which nothing is shown to differ
    """

    ranks: Floats
    chi_square: float
    p: float
    critical_difference: float
    cliques: tuple[tuple[int, int], ...]


def friedman(scores: Floats) -> Ranking:
    """Rank configurations over data sets.

    Parameters
    ----------
    scores : float64 (data sets, configurations), higher is better; at least two data sets and three configurations
    """
    from scipy.stats import friedmanchisquare, studentized_range

    datasets, count = scores.shape
    mean_ranks = ranks(-scores).mean(axis=0)
    equal = bool((scores == scores[:, :1]).all())  # SciPy divides by zero
    chi_square, p = (0.0, 1.0) if equal else friedmanchisquare(*scores.T)
    quantile = studentized_range.ppf(1 - ALPHA, count, np.inf) / math.sqrt(2)
    critical = float(quantile * math.sqrt(count * (count + 1) / (6 * datasets)))
    return Ranking(mean_ranks, float(chi_square), float(p), critical, cliques(np.sort(mean_ranks), critical))


def cliques(ordered: Floats, critical: float) -> tuple[tuple[int, int], ...]:
    """Return the longest ranges of ordered mean ranks whose ends differ by no more than the critical difference."""
    ends = [int(np.searchsorted(ordered, rank + critical, side="right")) - 1 for rank in ordered]
    return tuple(
        (start, end) for start, end in enumerate(ends) if end > start and (start == 0 or end > ends[start - 1])
    )


@dataclass(frozen=True)
class Posterior:
    """Probabilities that the difference is below, within and above the region of practical equivalence."""

    below: float
    within: float
    above: float


def bayesian_signed_rank(differences: Floats, rope: float, draws: int = 50_000) -> Posterior:
    """Return the posterior of the Bayesian signed-rank test (Benavoli et al. 2017).

    It is the Bayesian counterpart of Wilcoxon's test; its prior is a Dirichlet process of strength 0.5 at 0.

    Parameters
    ----------
    rope : differences from -rope to rope count as equal
    """
    values = np.append(0.0, differences)
    means = (values[:, np.newaxis] + values) / 2
    weights = np.random.default_rng(0).dirichlet(np.append(0.5, np.ones(len(differences))), draws)

    def mass(where: Booleans) -> Floats:
        found: Floats = ((weights @ where) * weights).sum(axis=1)
        return found

    regions = np.stack([mass(means < -rope), mass(np.abs(means) <= rope), mass(means > rope)])
    below, within, above = np.bincount(regions.argmax(axis=0), minlength=3) / draws
    return Posterior(float(below), float(within), float(above))


def bayesian_correlated_t(differences: Floats, test_over_train: float, rope: float) -> Posterior:
    """Return the posterior of the Bayesian correlated t test (Corani & Benavoli 2015).

    It is the Bayesian counterpart of the corrected resampled t test.

    Parameters
    ----------
    differences, test_over_train : as for `nadeau_bengio`
    rope : differences from -rope to rope count as equal
    """
    from scipy.special import stdtr

    mean, error = float(differences.mean()), _corrected_error(differences, test_over_train)
    if error == 0:
        return Posterior(float(mean < -rope), float(abs(mean) <= rope), float(mean > rope))
    below, not_above = (float(stdtr(len(differences) - 1, (end - mean) / error)) for end in (-rope, rope))
    return Posterior(below, not_above - below, 1 - not_above)


def pareto_front(scores: Floats) -> Booleans:
    """Return for each configuration whether no other is as good in every metric and better in one.

    Parameters
    ----------
    scores : float64 (configurations, metrics), higher is better
    """
    no_worse: Booleans = np.all(scores[np.newaxis] >= scores[:, np.newaxis], axis=2)
    better: Booleans = np.any(scores[np.newaxis] > scores[:, np.newaxis], axis=2)
    front: Booleans = ~np.any(no_worse & better, axis=1)
    return front
