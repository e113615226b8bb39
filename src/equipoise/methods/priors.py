"""The class frequencies that a model learned under, and those of where it will be used. Pure NumPy."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.data.labels import in_order
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import Sampling
from equipoise.data.types import Dataset
from equipoise.methods.losses import LossOptions
from equipoise.methods.weighting import ClassWeights


def _cross_entropy(prior: Floats, _loss: Any) -> Floats:
    return np.ones_like(prior)


def _balanced_softmax(prior: Floats, _loss: Any) -> Floats:
    factors: Floats = 1 / prior
    return factors


def _logit_adjusted(prior: Floats, loss: Any) -> Floats:
    factors: Floats = prior**-loss.tau
    return factors


def _sigmoid(prior: Floats, loss: Any) -> Floats | None:
    """Of a single logit: weighing the positives by v multiplies their frequency by v."""
    if loss.gamma_pos or loss.gamma_neg or loss.clip:
        return None
    positive = prior[0] / prior[1] if loss.pos_weight == "auto" else loss.pos_weight or 1.0
    return np.array([1.0, positive])


# What a loss function does to the prior that the raw logits answer for, beside the weights: a factor a class,
# of shape (classes,). Losses that are not listed, such as focal and LDAM, have no such form.
FACTORS: Mapping[str, Callable[[Floats, Any], Floats | None]] = {
    "cross_entropy": _cross_entropy,
    "balanced_softmax": _balanced_softmax,
    "logit_adjusted": _logit_adjusted,
    "sigmoid": _sigmoid,
}


def effective_prior(
    weights: ClassWeights, loss: LossOptions, second_stage: str = "none", sampling: Sampling | None = None
) -> Floats | None:
    """q_c of shape (classes,): proportional to p_c w_c, the sampling ratio and the loss's factor; None without analytic form.

    A model trained with weights w on frequencies p has learned the posterior under q; under a logit-adjusted
    loss the part p^tau is in the loss and not in the logits. A schedule counts by the weights it ends with;
    sampling that changes while training has no such form. A classifier trained again on class-balanced samples
    has learned under a uniform prior, whatever came before.
    """
    classes = len(weights.counts)
    if second_stage == "crt":
        return np.full(classes, 1 / classes)
    if second_stage == "tau_norm" or not weights.share.all() or (sampling is not None and not sampling.steady):
        return None
    factors = loss_factors(loss, weights.counts / weights.counts.sum())
    if factors is None:
        return None
    mass = weights.share * factors * (1 if sampling is None else sampling.ratio)
    prior: Floats = mass / mass.sum()
    return prior


def label_odds(weights: ClassWeights, loss: LossOptions) -> Floats | None:
    """What the loss multiplies the odds of each of several labels by, (labels,); None if that has no analytic form."""
    return (
        None
        if getattr(loss, "gamma_pos", 0) or getattr(loss, "gamma_neg", 0) or getattr(loss, "clip", 0)
        else weights.weights
    )


def loss_factors(loss: LossOptions, prior: Floats) -> Floats | None:
    """The factor a class, of shape (classes,), by which the loss moves the prior of the raw logits; None if it has no such form."""
    return FACTORS[loss.function](prior, loss) if loss.function in FACTORS else None


def target_prior(dataset: Dataset, data: Prepared) -> Floats:
    """pi_c of shape (classes,), as `dataset.target_prior` says."""
    if dataset.target_prior == "training":
        return data.prior
    if dataset.target_prior == "uniform":
        return np.full(len(data.classes), 1 / len(data.classes))
    # Typed in the order of classes that all data have; a single logit may have turned the two of them.
    order = in_order(data.classes) if dataset.labels == "binary" else data.classes
    prior = np.array([dataset.target_prior[order.index(name)] for name in data.classes], dtype=np.float64)
    normalised: Floats = prior / prior.sum()
    return normalised
