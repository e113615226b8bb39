"""How cheap a decision must be for a row to be given a class, found on validation rows. NumPy and SciPy.

A row is decided if the class of least expected cost is expected to cost no more than a limit. Limits are found here
for a wanted share of rows that are decided, or for a wanted error among these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.methods.reservation import reservation
from equipoise.metrics.classification import TIE
from equipoise.metrics.counts import NO_CLASS
from equipoise.metrics.proportions import least_shown

ALIKE = "like these, class frequencies included (whatever dataset.target_prior says),"
SHARES = 20  # of validation rows, from 1 / SHARES to all: what is tried as the part that is decided


@dataclass(frozen=True)
class Limit:
    """A limit, and what it makes of the validation rows.

    Attributes
    ----------
    limit : rows that are expected to cost more are rejected; infinite: none is
    bound : the share of decided rows that are wrong is shown to be at most this; 1 if nothing is shown
    """

    limit: float
    bound: float = 1.0


def limit_for_coverage(expected: Floats, coverage: float) -> Limit:
    """Return the limit above which a new row lies with a probability of at most 1 - coverage.

    Of n + 1 rows that come alike each is as likely as any other to be among the k of the highest cost. So the limit is
    the k-th highest of n, k = floor((1 - coverage) (n + 1)), whatever the distribution; equal costs are decided alike.

    Parameters
    ----------
    expected : float64 (n,), the least expected cost of each validation row
    """
    rejected = math.floor((1 - coverage) * (len(expected) + 1) + TIE)
    return Limit(float(np.sort(expected)[-rejected]) if rejected else math.inf)


def limit_for_error(expected: Floats, wrong: Booleans, error: float, confidence: float) -> Limit:
    """Return the highest limit whose error among the decided rows is shown to be at most `error`.

    As Geifman & El-Yaniv (2017, algorithm 1), by the exact upper end of the error of what is decided. They halve the
    rows again and again; here the shares that are tried are fixed beforehand, and each has its part of what is left to
    chance (Bonferroni), so the bound holds for whichever is taken (Angelopoulos et al. 2021). What is decided lies
    below the next row's cost: given that cost, these rows come as new ones do that lie below it.

    If none is shown, that with the least upper end is returned.

    Parameters
    ----------
    wrong : bool (n,), whether the class of least expected cost is another than the row's
    """
    ascending, rows = np.sort(expected), len(expected)
    ranks = np.unique(np.ceil(np.arange(1, SHARES + 1) * rows / SHARES).astype(int))
    limits = [np.nextafter(ascending[rank], -math.inf) if rank < rows else math.inf for rank in ranks]
    decided = np.array([(expected <= limit).sum() for limit in limits])
    right = np.array([(~wrong & (expected <= limit)).sum() for limit in limits])
    bounds = 1 - least_shown(right, decided, 1 - (1 - confidence) / len(ranks))
    shown = np.flatnonzero(bounds <= error)
    taken = int(shown[-1]) if len(shown) else int(np.argmin(bounds))
    return Limit(float(limits[taken]), float(bounds[taken]))


def told(labels: Integers, predicted: Integers, worth: str) -> str:
    """Return what a rule that rejects makes of the validation rows, and what that is worth, in a few sentences."""
    if not len(labels):
        return f"decision=abstain: {worth}."
    decided = predicted != NO_CLASS
    wrong = f", {(predicted != labels)[decided].mean():.1%} of these wrongly" if decided.any() else ""
    return f"decision=abstain: of {len(labels)} validation rows {decided.mean():.1%} are decided{wrong}. {worth}."


def worth_of_cost(*, knows_prior: bool) -> str:
    """Return what a limit is worth that is a cost."""
    why = "" if knows_prior else "; the prior that the model learned under is not known, so they are as predicted"
    return f"That costs least as far as probabilities hold, which calibration=… is for, and no bound is stated{why}"


def worth_of_coverage(coverage: float, used: Sequence[str]) -> str:
    """Return what a limit for a share of decided rows is worth."""
    return (
        f"Of new rows {ALIKE} at least {coverage:g} are decided, on average over such splits, whatever the "
        f"distribution, {reservation(used)}"
    )


def worth_of_error(found: Limit, error: float, confidence: float, used: Sequence[str]) -> str:
    """Return what a limit for an error is worth."""
    if found.bound > error:
        return (
            f"They do not show an error of at most {error:g} with confidence {confidence:g}: the least that any part "
            f"of them shows is {found.bound:.3f}, and that part is decided"
        )
    return (
        f"With confidence {confidence:g} at most {found.bound:.1%} of new rows {ALIKE} that are decided are wrong, "
        f"whatever the distribution, {reservation(used)}"
    )
