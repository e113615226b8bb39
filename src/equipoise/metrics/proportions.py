"""Intervals for proportions, and for means of independent ones such as balanced accuracy. NumPy and SciPy.

Wilson's interval for one proportion holds what its score test does not reject. For a mean of several it is the same test:
the proportions are estimated by maximum likelihood under the hypothesis that their mean is this. So a class that was
always right, or never, still counts as one that could have been otherwise, which no resampling of its samples says.
"""

from typing import Any

import numpy as np

from equipoise.core.schema import Floats, Integers

LEVEL = 0.95  # of every interval


def wilson(hits: Integers, trials: Integers, beyond: float = (1 - LEVEL) / 2) -> tuple[Floats, Floats]:
    """Low and high ends for each proportion hits / trials (Wilson 1927), NaN without trials.

    Parameters
    ----------
    beyond : the probability that the truth is beyond one of the ends
    """
    z, count = _normal_quantile(1 - beyond), np.where(trials > 0, trials, np.nan)
    share = hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    # At its ends the formula gives 0 and 1 but for rounding.
    return np.where(share == 0, 0.0, middle - reach), np.where(share == 1, 1.0, middle + reach)


def least_interval(hits: Integers, trials: Integers) -> tuple[float, float]:
    """Ends for the least of the proportions, every one with a trial: the least of Wilson's ends.

    The truth is above all lower ends only if it is above its own. It may be above any of the upper ends, so that each of
    these is to hold for all of them together (Bonferroni): the interval holds the truth in about 95 % of samples, or more.
    """
    beyond = (1 - LEVEL) / 2
    return float(wilson(hits, trials, beyond)[0].min()), float(wilson(hits, trials, beyond / len(trials))[1].min())


def score_interval(hits: Integers, trials: Integers, weights: Floats | None = None) -> tuple[float, float]:
    """Ends of the score interval for sum w_c p_c, p_c the probability of a hit in each of trials_c independent trials.

    Of one proportion it is Wilson's. Of a difference (weights that sum to 0) it would be Mee's 1984. The variance of each is
    that under the hypothesis, p_c (1 - p_c) / (n_c - 1 + s_c), s_c its share of all variance: an estimate takes a degree of freedom,
    as in any variance around an estimated mean, but the hypothesis gives one back, which the classes share by what they vary.

    Parameters
    ----------
    hits, trials : int64 (classes,), every class with a trial
    weights : float64 (classes,), positive; None: equal, for the mean

    References
    ----------
    Miettinen & Nurminen 1985; Martín Andrés, Álvarez Hernández & Herranz Tejedor 2011, for linear combinations
    """
    weights = np.full(len(trials), 1 / len(trials)) if weights is None else weights
    return _lower_end(hits, trials, weights), float(weights.sum()) - _lower_end(trials - hits, trials, weights)


def _lower_end(hits: Integers, trials: Integers, weights: Floats) -> float:
    """Where the score statistic (L - l)^2 / Var reaches z^2, below the estimate L.

    With a multiplier m for the constraint sum w_c p_c = l, the likelihood is greatest where the estimates fall short of the shares
    by m w_c p_c (1 - p_c) / n_c, a quadratic in each p_c. L - l is the sum of that, so the statistic is a function of m alone.
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
