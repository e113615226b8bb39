"""The hierarchical model of effects over families: dᵢ ~ N(μ, τ² + vᵢ), μ flat, τ half-normal. By a grid over τ.

Given τ, μ is normal (Gelman et al., Bayesian Data Analysis, 3rd edition, section 5.4), so the posterior of μ is a
mixture of normals, and of a new family's effect, too.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import t as student

from equipoise.core.schema import Floats

PRIOR = 0.05  # the half-normal's scale
POINTS, REACH = 600, 6  # of the grid, which ends at so many scales
LEVEL = 0.95


@dataclass(frozen=True)
class Posterior:
    """The posterior of the mean over families and of their spread.

    Attributes
    ----------
    weights, taus, centres, errors : float64 (points,), each point's probability, τ, and the mean and the standard
        deviation of μ given that τ
    families : how many effects there are
    """

    weights: Floats
    taus: Floats
    centres: Floats
    errors: Floats
    families: int

    def probability(self, low: float, high: float) -> float:
        """Return P(low < μ < high)."""
        return self._between(low, high, self.errors)

    def of_new_family(self, low: float, high: float) -> float:
        """Return P(low < the effect on a new family < high)."""
        return self._between(low, high, np.hypot(self.errors, self.taus))

    def _between(self, low: float, high: float, errors: Floats) -> float:
        ends = (ndtr((end - self.centres) / errors) for end in (low, high))
        below, not_above = ends
        return float(self.weights @ (not_above - below))

    @cached_property
    def mean(self) -> float:
        return float(self.weights @ self.centres)

    @cached_property
    def tau(self) -> float:
        """The mean of τ."""
        return float(self.weights @ self.taus)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The central 95 % interval of μ."""
        reach = 12 * float((np.abs(self.centres - self.mean) + self.errors).max())
        low, high = (
            brentq(
                lambda end, share=share: self.probability(-np.inf, end) - share, self.mean - reach, self.mean + reach
            )
            for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
        )
        return float(low), float(high)


def infer(effects: Floats, variances: Floats, prior: float = PRIOR) -> Posterior:
    """Return the posterior.

    Parameters
    ----------
    effects, variances : float64 (families,); each variance is above 0
    prior : the scale of τ's half-normal prior
    """
    steps = np.linspace(0, 1, POINTS + 1) ** 2 * REACH * prior  # finer where τ is small
    taus, widths = (steps[1:] + steps[:-1]) / 2, np.diff(steps)
    precisions = 1 / (taus[:, np.newaxis] ** 2 + variances)
    total = precisions.sum(axis=1)
    centres = precisions @ effects / total
    misfit = (precisions * (effects - centres[:, np.newaxis]) ** 2).sum(axis=1)
    log_density = 0.5 * (np.log(precisions).sum(axis=1) - np.log(total) - misfit - (taus / prior) ** 2)
    weights = np.exp(log_density - log_density.max()) * widths
    return Posterior(weights / weights.sum(), taus, centres, np.sqrt(1 / total), len(effects))


@dataclass(frozen=True)
class Alike:
    """The mean over families that count alike, however well each is measured; its error is that of their spread.

    With flat priors of μ and of the logarithm of the spread, μ has Student's t distribution (Gelman et al., section
    3.2), and its central interval is the usual one.
    """

    mean: float
    error: float
    families: int

    def probability(self, low: float, high: float) -> float:
        """Return P(low < μ < high)."""
        below, not_above = student.cdf((np.array([low, high]) - self.mean) / self.error, self.families - 1)
        return float(not_above - below)

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 % interval of μ."""
        reach = float(student.ppf((1 + LEVEL) / 2, self.families - 1)) * self.error
        return self.mean - reach, self.mean + reach


def alike(effects: Floats) -> Alike:
    """Return the mean of two families or more, float64 (families,)."""
    error = float(effects.std(ddof=1) / np.sqrt(len(effects)))
    return Alike(float(effects.mean()), max(error, np.finfo(float).tiny), len(effects))
