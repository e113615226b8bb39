"""Intervals for proportions, and for means of independent proportions such as balanced accuracy. NumPy and SciPy.

Wilson's interval for one proportion holds the values that its score test does not reject. The interval for a mean of
several does the same: the proportions are estimated by maximum likelihood under the hypothesis about their mean. So a
class whose samples are all right, or all wrong, still counts as uncertain, which resampling its samples cannot show.
"""

from typing import Any

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers

LEVEL = 0.95  # of every interval
Numbers = Integers | Floats  # counts, or those of effective trials


def wilson(hits: Numbers, trials: Numbers, beyond: float = (1 - LEVEL) / 2) -> tuple[Floats, Floats]:
    """Return low and high ends for each proportion hits / trials (Wilson 1927), NaN without trials.

    Parameters
    ----------
    beyond : the probability that the truth lies beyond one given end
    """
    z, count = _normal_quantile(1 - beyond), np.where(trials > 0, trials, np.nan)
    share = hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    # There the formula gives 0 and 1, apart from rounding.
    return np.where(share == 0, 0.0, middle - reach), np.where(share == 1, 1.0, middle + reach)


def effective_trials(right: Booleans, index: Integers, classes: int, weights: Floats) -> tuple[Floats, Floats]:
    """Return hits and trials, float64 (classes,), of samples of equal weight that are as uncertain as these.

    The trials are p (1 - p) over the variance of the weighted share p as linearised (Korn & Graubard 1998), which sees
    whether heavy samples are right as often as others, or, if these are fewer or p is 0 or 1, (sum w)^2 / sum w^2
    (Kish 1965).

    Parameters
    ----------
    right : (n,), whether the sample is a hit
    index : int64 (n,), the class that it counts for
    weights : float64 (n,), above 0
    """
    squares = weights**2
    whole, hit, whole_squares, hit_squares = (
        np.bincount(index, values, classes) for values in (weights, weights * right, squares, squares * right)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(whole > 0, hit / whole, 0.0)
        kish = np.where(whole > 0, whole**2 / whole_squares, 0.0)
        varied = hit_squares * (1 - share) ** 2 + (whole_squares - hit_squares) * share**2
        linearised = np.where((share > 0) & (share < 1), share * (1 - share) * whole**2 / varied, np.inf)
    trials: Floats = np.minimum(kish, linearised)
    return share * trials, trials


def least_interval(hits: Numbers, trials: Numbers) -> tuple[float, float]:
    """Return the ends of an interval for the least of the proportions: the least of Wilson's lower and upper ends.

    Every proportion needs a trial. The least lower end fails only if the least proportion lies below its own lower end.
    The least upper end can fail if any proportion lies above its own, so these are corrected for all proportions
    (Bonferroni): the interval covers the truth in about 95 % of samples, or more.
    """
    beyond = (1 - LEVEL) / 2
    return float(wilson(hits, trials, beyond)[0].min()), float(wilson(hits, trials, beyond / len(trials))[1].min())


def score_interval(hits: Numbers, trials: Numbers, weights: Floats | None = None) -> tuple[float, float]:
    """Return the ends of the score interval for sum w_c p_c, p_c the probability of a hit in each of trials_c trials.

    For one proportion it is Wilson's. For a difference (weights that sum to 0) it would be Mee's (1984). Each variance
    is that under the hypothesis, p_c (1 - p_c) / (n_c - 1 + s_c), with s_c its share of the whole variance: each
    estimate takes one degree of freedom, as in any variance around an estimated mean, and the hypothesis gives one
    back, which the classes share in proportion to their variances.

    Parameters
    ----------
    hits, trials : int64 (classes,), every class with a trial
    weights : float64 (classes,), positive; None: equal weights, for the mean

    References
    ----------
    Miettinen & Nurminen 1985; Martín Andrés, Álvarez Hernández & Herranz Tejedor 2011, for linear combinations
    """
    weights = np.full(len(trials), 1 / len(trials)) if weights is None else weights
    return _lower_end(hits, trials, weights), float(weights.sum()) - _lower_end(trials - hits, trials, weights)


def _lower_end(hits: Numbers, trials: Numbers, weights: Floats) -> float:
    """Return the l below the estimate L at which the score statistic (L - l)^2 / Var reaches z^2.

    With a multiplier m for the constraint sum w_c p_c = l, the likelihood is greatest where each estimate is less than
    the observed share by m w_c p_c (1 - p_c) / n_c, a quadratic in p_c. L - l is the weighted sum of these terms, so
    the statistic is a function of m alone.
    """
    from scipy.optimize import brentq

    if not hits.any():
        return 0.0
    shares, z = hits / trials, _normal_quantile(0.5 + LEVEL / 2)

    def estimates(multiplier: float) -> Floats:
        steep = multiplier * weights / trials
        found: Floats = 2 * shares / (1 + steep + np.sqrt(np.maximum((1 + steep) ** 2 - 4 * steep * shares, 0)))
        return found

    def statistic(log_multiplier: float) -> float:
        multiplier = float(np.exp(log_multiplier))
        probability = estimates(multiplier)
        spread = weights**2 * probability * (1 - probability) / trials
        varies = spread > 0
        if not varies.any():
            return -(z**2)
        degrees = trials - 1 + spread / spread.sum()
        variance = (spread * trials)[varies] / degrees[varies]
        return float((multiplier * spread.sum()) ** 2 / variance.sum() - z**2)

    root: Any = brentq(statistic, -10, 40, xtol=1e-12)
    return float(weights @ estimates(float(np.exp(root))))


def _normal_quantile(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))


def least_shown(hits: Numbers, trials: Numbers, confidence: float) -> Floats:
    """Return the lower end of the one-sided exact interval of each proportion (Clopper & Pearson 1934); 0 without hits.

    It is at most the true proportion with at least this confidence, whatever that proportion is.
    """
    from scipy.special import betaincinv

    hits, trials = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(trials, np.float64))
    some = hits > 0
    found: Floats = np.zeros(hits.shape)
    found[some] = betaincinv(hits[some], trials[some] - hits[some] + 1, 1 - confidence)
    return found
