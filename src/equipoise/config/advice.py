"""What in a config corrects the class balance, and what a user should hear of it before training. Pure NumPy."""

import numpy as np

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError, Floats
from equipoise.methods.priors import effective_prior, favour_factors, prior_factors
from equipoise.methods.weighting import ClassWeights


def notes(config: Config, weights: ClassWeights) -> list[str]:
    """One sentence each: weights without effect, two corrections at once, an adjustment that adjusts nothing.

    Raises
    ------
    ConfigError
        If the decision rule needs a prior that these weights do not leave.
    """
    name = config.weighting.name
    found: list[str] = []
    if name != "none" and config.dataset.sampling != "none":
        found.append(
            f"dataset.sampling={config.dataset.sampling} and weighting={name} correct the imbalance twice: "
            "what counts is their product, logged as effective_weight/<class>"
        )
    void = [label for label, weight in zip(weights.classes, weights.weights, strict=True) if weight == 0]
    if void and config.decision.name == "logit_adjusted":
        raise ConfigError(
            f"decision=logit_adjusted: class {', '.join(void)} has the weight 0 and so no prior to adjust by; use decision=tuned"
        )
    if void:
        found.append(f"weight 0: class {', '.join(void)} is not learned at all")
    factors = loss_correction(config, weights)
    if factors is not None and np.ptp(weights.weights) > 0:
        product = weights.weights * factors
        found.append(
            f"weighting={name} and loss={config.loss.name} both correct the class balance: together by up to {product.max() / product.min():.4g} "
            f"between two classes (weights {weights.weights.max() / _smallest(weights.weights):.4g}, loss {factors.max() / factors.min():.4g}); "
            "logged as correction/<class>; use weighting=none if one is enough"
        )
    effective = effective_prior(weights, config.loss, config.trainer.second_stage)
    if effective is None and weights.weights.all():
        found.append(f"{uncorrected(config, weights)}, so no probability is corrected for it")
    if (
        effective is not None
        and config.decision.name == "logit_adjusted"
        and np.allclose(effective, 1 / len(effective))
    ):
        found.append(
            "decision=logit_adjusted: the model learns under equal class frequencies already, so that it decides as argmax does"
        )
    return found


def uncorrected(config: Config, weights: ClassWeights) -> str:
    """Why probabilities cannot be moved to another prior, where `effective_prior` is None."""
    stage = config.trainer.second_stage
    if stage == "tau_norm":
        what = f"trainer.second_stage={stage}"
    elif not weights.weights.all():
        what = "weight 0"
    elif prior_factors(config.loss, weights) is None:
        what = f"loss={config.loss.name}"
    else:
        what = f"dataset.sampling={config.dataset.sampling}"
    return f"{what}: the prior that the model learns under has no analytic form"


def loss_correction(config: Config, weights: ClassWeights) -> Floats | None:
    """The factor a class, of shape (classes,), by which the loss itself favours rare classes; None if it does not."""
    factors = favour_factors(config.loss, weights)
    return None if factors is None or np.ptp(factors) == 0 else factors


def told(config: Config, shown: ClassWeights) -> str:
    """Return the positive class of weights as tables show them, and why it is that one."""
    index = shown.classes.index(str(shown.positive))
    why = (
        "dataset.positive"
        if config.dataset.positive is not None
        else "the rarer one in training; dataset.positive names another"
    )
    return f"{shown.positive} ({why}), {shown.counts[index]} of {shown.counts.sum()} training samples"


def _smallest(values: Floats) -> float:
    return float(values[values > 0].min())
