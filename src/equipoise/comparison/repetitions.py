"""Means and paired differences over repetitions: the same configuration on several splits with several seeds.

Runs on one split, or fold, are a *unit*. Its seeds differ only by training noise, so they are averaged. The units of
one data set share rows, so their mean varies more than their number suggests, which the corrected resampled t test
allows for. With one unit, its seeds are the repetitions, and they show only the training noise on this split.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from equipoise.comparison import significance
from equipoise.core.schema import Floats
from equipoise.metrics.multiplicity import holm

Place = tuple[str, ...]  # split seed, fold and seed, which two runs must share to be a pair
CORRECTED, PERMUTATION, WILCOXON = "nadeau_bengio", "permutation", "wilcoxon"
ROUNDING = 1e-12  # differences that are closer than this are equal


@dataclass(frozen=True)
class Spread:
    """A metric over the repetitions of a configuration; NaN where it is not defined.

    Attributes
    ----------
    mean : of the units' means
    deviation : standard deviation of all runs
    low, high : 95 % interval of the mean, over the units or, if there is only one, over its seeds
    units : splits or folds
    between_splits : standard deviation of the units' means
    between_seeds : standard deviation of the seeds within a unit, pooled over the units
    """

    mean: float
    deviation: float
    low: float
    high: float
    runs: int
    units: int
    between_splits: float
    between_seeds: float


@dataclass(frozen=True)
class Difference:
    """A configuration minus its reference, as paired differences.

    Attributes
    ----------
    pairs : units, or seeds if there is only one unit, or data sets
    better : pairs in which the configuration is the better one
    test : nadeau_bengio of several units, permutation of one, wilcoxon over data sets
    p : two-sided, after Holm's correction; None if the test is not defined or has too few pairs for significance
    needed : the pairs that could reach significance; 0 for the t test, which has no such bound
    comparisons : in Holm's family, which are those with the same reference on the same data
    effect : rank-biserial correlation, from -1 to 1
    between_splits, between_seeds : standard deviations of the paired differences, as of a `Spread`
    posterior : None unless a region of practical equivalence was given
    """

    reference: str
    mean: float
    low: float
    high: float
    pairs: int
    better: int
    test: str
    p: float | None
    needed: int
    comparisons: int
    effect: float
    between_splits: float
    between_seeds: float
    posterior: significance.Posterior | None

    @property
    def is_shown(self) -> bool:
        """Whether the test shows that the two differ."""
        return self.p is not None and self.p <= significance.ALPHA


def by_unit(values: Mapping[Place, float]) -> list[Floats]:
    """Return the values of each unit, one per seed."""
    found: dict[Place, list[float]] = {}
    for place in sorted(values):
        found.setdefault(place[:-1], []).append(values[place])
    return [np.array(of_seeds) for of_seeds in found.values()]


def repeated(values: Mapping[Place, float]) -> Floats:
    """Return one value per repetition: the units' means, or the seeds of the only unit."""
    units = by_unit(values)
    return units[0] if len(units) == 1 else np.array([unit.mean() for unit in units])


def spread(values: Mapping[Place, float], test_over_train: float) -> Spread:
    """Summarise a metric of one run or more.

    Parameters
    ----------
    test_over_train : test samples over training samples of a unit; NaN if that is not known
    """
    units, runs = by_unit(values), np.array(list(values.values()))
    low, high = _interval(values, test_over_train)
    return Spread(
        float(repeated(values).mean()), _deviation(runs), low, high, len(runs), len(units), *_deviations(units)
    )


def difference(
    reference: str, values: Mapping[Place, float], test_over_train: float, sign: int, rope: float | None
) -> Difference:
    """Summarise the paired differences to a reference; p is not yet corrected for other comparisons.

    Parameters
    ----------
    sign : 1 if higher is better, -1 if lower is
    rope : half width of the region of practical equivalence
    """
    units, pairs = by_unit(values), repeated(values)
    p = _p(values, test_over_train)
    low, high = (math.nan, math.nan) if math.isnan(p) else _interval(values, test_over_train)
    between_splits, between_seeds = _deviations(units)
    return Difference(
        reference=reference,
        mean=float(pairs.mean()),
        low=low,
        high=high,
        pairs=len(pairs),
        better=int((sign * pairs > 0).sum()),
        test=PERMUTATION if len(units) == 1 else CORRECTED,
        p=None if math.isnan(p) else p,
        needed=0,
        comparisons=1,
        effect=significance.rank_biserial(pairs),
        between_splits=between_splits,
        between_seeds=between_seeds,
        posterior=None if rope is None else _posterior(values, test_over_train, rope),
    )


def over_datasets(reference: str, differences: Floats, sign: int) -> Difference:
    """Summarise one paired difference per data set, which share no rows; p is not yet corrected."""
    low, high = significance.mean_interval(differences) if np.ptp(differences) > ROUNDING else (math.nan, math.nan)
    return Difference(
        reference=reference,
        mean=float(differences.mean()),
        low=low,
        high=high,
        pairs=len(differences),
        better=int((sign * differences > 0).sum()),
        test=WILCOXON,
        p=significance.wilcoxon_p(differences),
        needed=0,
        comparisons=1,
        effect=significance.rank_biserial(differences),
        between_splits=math.nan,
        between_seeds=math.nan,
        posterior=None,
    )


def corrected(differences: Mapping[int, Difference]) -> dict[int, Difference]:
    """Apply Holm's correction within each family, which is one reference; omit p if it could not be significant."""
    found = {}
    for reference in {one.reference for one in differences.values()}:
        family = {key: one for key, one in differences.items() if one.reference == reference}
        adjusted = holm([1.0 if one.p is None else one.p for one in family.values()])
        needed = significance.pairs_needed(len(family))
        for (key, one), p in zip(family.items(), adjusted, strict=True):
            least = 0 if one.test == CORRECTED else needed
            found[key] = replace(
                one, p=None if one.p is None or one.pairs < least else p, needed=least, comparisons=len(family)
            )
    return found


def _p(values: Mapping[Place, float], test_over_train: float) -> float:
    """Return p for a mean of 0; NaN if the units do not vary, or if the correction of their variance is not known."""
    pairs = repeated(values)
    if len(by_unit(values)) == 1:
        return significance.permutation_p(pairs)
    if np.ptp(pairs) <= ROUNDING and pairs.any():
        return math.nan
    return significance.nadeau_bengio(pairs, test_over_train)[0]


def _interval(values: Mapping[Place, float], test_over_train: float) -> significance.Interval:
    """Return the interval of the mean; NaN if nothing varies, since equal repetitions do not make the mean certain."""
    pairs = repeated(values)
    if np.ptp(pairs) <= ROUNDING:
        return math.nan, math.nan
    if len(by_unit(values)) == 1:
        return significance.mean_interval(pairs)
    return significance.nadeau_bengio(pairs, test_over_train)[1]


def _posterior(values: Mapping[Place, float], test_over_train: float, rope: float) -> significance.Posterior:
    pairs = repeated(values)
    if len(by_unit(values)) == 1:
        return significance.bayesian_signed_rank(pairs, rope)
    return significance.bayesian_correlated_t(pairs, test_over_train, rope)


def _deviations(units: list[Floats]) -> tuple[float, float]:
    """Return standard deviations of the units' means, and of the seeds within a unit, pooled over the units."""
    freedom = sum(len(unit) - 1 for unit in units)
    within = sum(float(((unit - unit.mean()) ** 2).sum()) for unit in units)
    return _deviation(np.array([unit.mean() for unit in units])), math.sqrt(within / freedom) if freedom else math.nan


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan
