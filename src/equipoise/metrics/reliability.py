"""How far probabilities hold: slope and intercepts of calibration, and parts of the Brier score. NumPy and SciPy."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.classification import (
    CORRECTED,
    MOST_DOUBLE,
    OWN,
    Evaluation,
    Predictions,
    class_probabilities,
    log_softmax,
)

MOST_CLASSES = 100  # with more, the parts of the Brier score take longer than all other metrics
MOST_SLOPE, MOST_INTERCEPT = 100.0, 50.0  # where samples are told apart, there is no finite one


def with_reliability(evaluation: Evaluation, predictions: Predictions, corrected: Floats | None) -> Evaluation:
    """Return the evaluation with slope, intercept and Brier parts of each kind of probability.

    The intercept is the mean over classes of its distance from 0. Each class has its own in `per_class`, that of the
    corrected probabilities where there are any.
    """
    kinds = {OWN: predictions.log_probabilities} | ({} if corrected is None else {CORRECTED: corrected})
    found: dict[str, dict[str, float]] = {}
    by_class: Floats = np.empty(0)
    for kind, log_probabilities in kinds.items():
        each = predictions.labels, log_probabilities, predictions.weights
        by_class = intercepts(*each)
        known = by_class[np.isfinite(by_class)]
        more = {"slope": slope(*each), "intercept": float(np.abs(known).mean()) if len(known) else np.nan}
        found[kind] = {**evaluation.probabilities[kind], **more, **brier_parts(*each)}
    per_class = {**evaluation.per_class, "calibration_intercept": by_class}
    return replace(evaluation, probabilities=found, per_class=per_class)


def slope(labels: Integers, log_probabilities: Floats, weights: Floats | None = None) -> float:
    """Return b for which softmax(b log p) makes the labels most likely: 1 if p is neither too sure nor too unsure.

    Below 1 it is too sure. For two classes it is Cox's slope (1958) without an intercept; 1/b is the temperature that
    these samples would choose.

    Parameters
    ----------
    labels : int64 (n,), class indices
    log_probabilities : (n, classes)
    weights : float64 (n,), by which samples count; None: all alike

    Returns
    -------
    At most MOST_SLOPE; NaN above MOST_DOUBLE cells, where it would take minutes.
    """
    if log_probabilities.size > MOST_DOUBLE:
        return np.nan
    from scipy.optimize import brentq

    own, log_p = np.arange(len(labels)), np.maximum(log_probabilities, -1e6)

    def gain(b: float) -> float:
        """Return the derivative of the mean log likelihood by b, which falls."""
        expected = (np.exp(log_softmax(b * log_p)) * log_p).sum(axis=1)
        return float(np.average(log_p[own, labels] - expected, weights=weights))

    if gain(0.0) <= 0:
        return 0.0
    return MOST_SLOPE if gain(MOST_SLOPE) > 0 else float(brentq(gain, 0.0, MOST_SLOPE, xtol=1e-6))


def intercepts(labels: Integers, log_probabilities: Floats, weights: Floats | None = None) -> Floats:
    """Return what each class's log odds lack on the whole, float64 (classes,): 0 if p sums to its samples.

    It is a for which the sum of sigmoid(logit p_c + a) is the number of samples of c: calibration in the large (Van
    Calster et al. 2019, section "Levels of calibration"). NaN for a class with no sample, or with all.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    found = np.full(log_probabilities.shape[1], np.nan)
    for index, (probability, there) in enumerate(_against_rest(labels, log_probabilities)):
        share = float(np.average(there, weights=weights))
        if not 0 < share < 1:
            continue
        with np.errstate(divide="ignore"):
            odds = np.clip(np.log(probability) - np.log1p(-probability), -1e6, 1e6)

        def lack(a: float, odds: Floats = odds, share: float = share) -> float:
            return float(np.average(expit(odds + a), weights=weights)) - share

        ends = lack(-MOST_INTERCEPT), lack(MOST_INTERCEPT)
        inside = ends[0] < 0 < ends[1]
        found[index] = brentq(lack, -MOST_INTERCEPT, MOST_INTERCEPT, xtol=1e-6) if inside else np.nan
    return found


def brier_parts(labels: Integers, log_probabilities: Floats, weights: Floats | None = None) -> dict[str, float]:
    """Return the Brier score's miscalibration, discrimination and uncertainty: their sum with signs +, - and + is it.

    Each class's probability against the rest is calibrated again by isotonic regression on these samples: what the
    score falls by is its miscalibration, and what is then left to the score of the class's share its discrimination
    (Dimitriadis, Gneiting & Jordan 2021, eq. 4). Nothing depends on bins. The parts of classes are added up. With few
    samples the regression fits noise, so that miscalibration and discrimination are both too high by about as much.
    Empty above MOST_CLASSES classes.
    """
    if log_probabilities.shape[1] > MOST_CLASSES:
        return {}
    found = dict.fromkeys(("miscalibration", "discrimination", "uncertainty"), 0.0)
    for probability, there in _against_rest(labels, log_probabilities):
        share = np.average(there, weights=weights)
        of_forecast, of_isotonic, of_share = (
            float(np.average((values - there) ** 2, weights=weights))
            for values in (probability, _recalibrated(probability, there, weights), share)
        )
        found["miscalibration"] += of_forecast - of_isotonic
        found["discrimination"] += of_share - of_isotonic
        found["uncertainty"] += of_share
    return found


def _against_rest(labels: Integers, log_probabilities: Floats) -> Iterator[tuple[Floats, Booleans]]:
    """Yield each class's probability, float64 (n,), and which samples are of it."""
    for index, probability in enumerate(class_probabilities(log_probabilities)):
        yield probability, labels == index


def _recalibrated(probability: Floats, there: Booleans, weights: Floats | None) -> Floats:
    """Return the isotonic regression of `there` on the probability, float64 (n,); equal ones have one value."""
    from scipy.optimize import isotonic_regression

    _, place = np.unique(probability, return_inverse=True)
    sums = np.bincount(place, weights)
    means = np.bincount(place, there if weights is None else there * weights) / sums
    found: Floats = isotonic_regression(means, weights=sums).x[place]
    return found
