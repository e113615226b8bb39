"""Beside the hierarchical model: the Bayesian signed-rank test, and Wilcoxon's test with Holm's correction."""

from collections.abc import Mapping

import numpy as np

from equipoise.comparison.significance import Posterior, bayesian_signed_rank, wilcoxon_p
from equipoise.core.schema import Floats
from equipoise.metrics.multiplicity import holm

SIGN_SHOWN = 0.95


def signed_rank(effects: Floats, region: float) -> Posterior:
    """Return the probabilities that the region below, within or above the one of equivalence is the most probable."""
    return bayesian_signed_rank(np.asarray(effects, dtype=np.float64), region)


def contradicts(above_zero: float, beside: Posterior) -> bool:
    """Whether the model's P(μ > 0) and the signed-rank test show opposite signs."""
    return (above_zero > SIGN_SHOWN and beside.below > SIGN_SHOWN) or (
        above_zero < 1 - SIGN_SHOWN and beside.above > SIGN_SHOWN
    )


def wilcoxon_list(effects: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    """Return for each name p and p after Holm's correction over the list."""
    raw = [wilcoxon_p(values) for values in effects.values()]
    return dict(zip(effects, zip(raw, holm(raw), strict=True), strict=True))
