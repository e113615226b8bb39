"""The class frequencies that a model learned under, and those of where it will be used. Pure NumPy."""

from collections.abc import Sequence

import numpy as np

from equipoise.core.schema import NONE, Floats, arguments
from equipoise.data.labels import in_order
from equipoise.data.sampling import Resampling, Sampling
from equipoise.data.types import ESTIMATE, ClassCounts, Dataset
from equipoise.methods.losses import LOSSES, Factors, Known, LossOptions
from equipoise.methods.second_stages import SECOND_STAGES
from equipoise.methods.weighting import ClassWeights


def effective_prior(
    weights: ClassWeights, loss: LossOptions, second_stage: str = NONE, sampling: Sampling | Resampling | None = None
) -> Floats | None:
    """Return q_c, (classes,), proportional to p_c w_c, the sampling ratio and the loss's factor; None if not known.

    With row weights p_c is their share of class c, whatever `dataset.count` says: so the loss sees the classes. A model
    trained with weights w on frequencies p has learned the posterior under q; under a logit-adjusted loss the
    part p^tau is in the loss and not in the logits. A schedule counts by the weights that it ends with. Sampling whose
    shares change during training has no such form. After a second stage only the stage's own prior counts.
    """
    if second_stage != NONE:
        prior_of = SECOND_STAGES[second_stage].prior
        return None if prior_of is None else prior_of(len(weights.counts))
    if not weights.share.all() or (sampling is not None and not sampling.steady):
        return None
    factors = prior_factors(loss, weights)
    if factors is None:
        return None
    mass = weights.share * factors * (1 if sampling is None else sampling.ratio)
    prior: Floats = mass / mass.sum()
    return prior


def label_odds(weights: ClassWeights, loss: LossOptions) -> Floats | None:
    """Return what the loss multiplies the odds of each of several labels by, (labels,); None if that is not known."""
    known = Known(weights.counted.astype(np.float64), weights.counted.sum(), several_labels=True)
    return None if _factors(LOSSES[loss.name].prior, known, loss, weights.classes) is None else weights.weights


def prior_factors(loss: LossOptions, weights: ClassWeights) -> Floats | None:
    """Return the factor a class, (classes,), by which the loss moves the prior of the raw logits; None if not known."""
    return _factors(LOSSES[loss.name].prior, Known.of_classes(weights.counted), loss, weights.classes)


def favour_factors(loss: LossOptions, weights: ClassWeights) -> Floats | None:
    """Return the factor a class, (classes,), by which the loss itself favours rare classes; None if not known."""
    record = LOSSES[loss.name]
    return _factors(record.favours or record.prior, Known.of_classes(weights.counted), loss, weights.classes)


def target_prior(dataset: Dataset, data: ClassCounts) -> Floats:
    """Return pi_c, (classes,), as `dataset.target_prior` says."""
    if dataset.target_prior == "training":
        return data.prior
    if dataset.target_prior == "uniform":
        return np.full(len(data.classes), 1 / len(data.classes))
    assert dataset.target_prior != ESTIMATE, "it is estimated before, and numbers take its place"
    order = _order(dataset, data.classes)
    prior = np.array([dataset.target_prior[order.index(name)] for name in data.classes], dtype=np.float64)
    normalised: Floats = prior / prior.sum()
    return normalised


def as_typed(dataset: Dataset, classes: Sequence[str], prior: Floats) -> tuple[float, ...]:
    """Return shares of the classes, (classes,), in the order in which `dataset.target_prior` is typed."""
    return tuple(float(prior[classes.index(name)]) for name in _order(dataset, classes))


def _order(dataset: Dataset, classes: Sequence[str]) -> Sequence[str]:
    """Return the order of classes that all data have; a single logit may have turned the two of them."""
    return in_order(classes) if dataset.labels == "binary" else classes


def _factors(factors: Factors | None, known: Known, loss: LossOptions, classes: Sequence[str]) -> Floats | None:
    return None if factors is None else factors(known, **arguments(loss, factors, classes))
