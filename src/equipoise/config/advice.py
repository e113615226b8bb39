"""Tell what in a config corrects the class balance, and what a user should know of it before training. Pure NumPy."""

import math
from collections.abc import Iterator

import numpy as np

from equipoise.config.estimators import moves_prior
from equipoise.config.model import Config
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, Floats, Integers
from equipoise.data.sampling import Resampling, resampler
from equipoise.methods.calibration import leaves_prior_known
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import estimator
from equipoise.methods.priors import effective_prior, favour_factors, prior_factors
from equipoise.methods.weighting import SCALE_INVARIANT, ClassWeights, learning_rate_factor

# Weights closer together than this do nothing that the noise of training would not hide.
NEARLY_EQUAL = 0.01
MOST_FACTOR = 2  # on the learning rate, up or down, of which nothing need be said


def notes(config: Config, weights: ClassWeights) -> list[str]:
    """Return a sentence on each thing in the config that has no effect, or another one than was meant.

    Raises
    ------
    ConfigError
        If the decision rule needs a prior that these weights do not leave.
    """
    name, optimizer = config.weighting.name, config.trainer.optimizer
    has_steps = estimator(config.model.name) is None
    of_scale = _equal(name, weights, optimizer) or learning_rate_note(name, weights, optimizer) if has_steps else None
    found = [of_scale, _unlearned(config, weights), _sampled_too(config, weights), _corrected_twice(config, weights)]
    found.append(_not_even(config, weights))
    return [note for note in [*found, *_of_prior(config, weights)] if note is not None]


def learning_rate_note(weighting: str, weights: ClassWeights, optimizer: str) -> str | None:
    """Return what is to be said if the weights change the step as well as the balance.

    Parameters
    ----------
    weighting : its name, and options if there is more than one of that name
    """
    factor = learning_rate_factor(weights, optimizer)
    if 1 / MOST_FACTOR <= factor <= MOST_FACTOR:
        return None
    return (
        f"weighting={weighting}: the mean weight of a sample is {factor:.4g}, and under trainer.optimizer={optimizer} "
        "that multiplies the learning rate too; weighting.normalize=sample_mean changes the balance alone"
    )


def _equal(weighting: str, weights: ClassWeights, optimizer: str) -> str | None:
    values = weights.weights
    if weighting == NONE or np.ptp(values) > NEARLY_EQUAL * values.max():
        return None
    factor = learning_rate_factor(weights, optimizer)
    scale = "which cancels" if optimizer in SCALE_INVARIANT else f"which multiplies the learning rate by {factor:.4g}"
    return (
        f"weighting={weighting} gives every class {'the' if np.ptp(values) == 0 else 'nearly the'} same weight, "
        f"{values.max():.4g}: the balance between classes is that of weighting={NONE}; "
        f"under trainer.optimizer={optimizer} all that is left is a common factor, {scale}"
    )


def _unlearned(config: Config, weights: ClassWeights) -> str | None:
    """Return what is to be said of classes of weight 0."""
    named = list(zip(weights.classes, weights.weights, strict=True))
    learned, void = [name for name, weight in named if weight > 0], [name for name, weight in named if weight == 0]
    rule = DECISIONS[config.decision.name]
    if void and rule.needs_prior:
        raise ConfigError(
            f"decision={config.decision.name}: class {listing(void)} has the weight 0 and so no prior to adjust by; "
            f"use decision={rule.instead}"
        )
    if len(learned) == 1:
        return (
            f"only class {learned[0]} has a weight: the model learns to say {learned[0]} always, "
            "and how large the weight is does not matter"
        )
    return f"weight 0: class {listing(void)} is not learned at all" if void else None


def _sampled_too(config: Config, weights: ClassWeights) -> str | None:
    sampling, weighting = config.dataset.sampling, config.weighting.name
    made, model = resampler(sampling), estimator(config.model.name)
    if sampling == NONE or (made is not None and not made.makes):
        return None
    if weighting != NONE:
        return (
            f"dataset.sampling={sampling} and weighting={weighting} correct the imbalance twice: "
            "what counts is their product, `effective_weight` in evaluation/per_class.json"
        )
    if model is not None and model.balances:
        return f"dataset.sampling={sampling}: model={config.model.name} makes classes even itself, of whatever rows"
    if loss_correction(config, weights) is not None:
        return f"dataset.sampling={sampling} and loss={config.loss.name} both favour rare classes: one may be enough"
    return None


def of_batches(config: Config, counts: Integers, samples: int) -> str | None:
    """Return what a batch has of the rarest class, or label, where the loss is that of a batch.

    Parameters
    ----------
    counts : int64 (classes,), training samples of each class, or those that have each label
    samples : how many there are in all
    """
    size = min(config.trainer.batch_size, samples)
    if not LOSSES[config.loss.name].of_batches or config.dataset.sampling != NONE or samples < 2:
        return None
    what = "label" if LOSSES[config.loss.name].yes_or_no and config.dataset.labels != "binary" else "class"
    least = int(counts.min())
    mean, others = size * least / samples, samples - least
    pairs = size * (size - 1) * least * others / (samples * (samples - 1))
    # Of all ways to choose a batch, those that leave the class out.
    ways = [math.lgamma(of + 1) - math.lgamma(of - size + 1) for of in (others, samples) if of >= size]
    without = math.exp(ways[0] - ways[1]) if len(ways) == 2 else 0.0
    return (
        f"loss={config.loss.name} is that of a batch: one of trainer.batch_size={size} has {mean:.3g} samples of the "
        f"rarest {what} ({least} of {samples}) and {pairs:.3g} pairs of one with another, on average; "
        f"{without:.0%} of batches have none"
    )


def _not_even(config: Config, weights: ClassWeights) -> str | None:
    """Return what is to be said of classes that were to be made even by rows, and are not by their weights."""
    if weights.masses is None or weights.count == "weight" or config.weighting.name == NONE:
        return None
    means = weights.masses.sums / weights.counts
    ratio = means.max() / means.min()
    if ratio < MOST_FACTOR:
        return None
    heavy, light = (weights.classes[int(place)] for place in (means.argmax(), means.argmin()))
    return (
        f"weighting={config.weighting.name} counts rows, and a row of class {heavy} weighs {ratio:.3g} times one of "
        f"class {light} by dataset.weight: that comes on top; dataset.count=weight counts it in"
    )


def _corrected_twice(config: Config, weights: ClassWeights) -> str | None:
    factors, values = loss_correction(config, weights), weights.weights
    if factors is None or np.ptp(values) == 0:
        return None
    together, of_weights, of_loss = (
        found.max() / found[found > 0].min() for found in (values * factors, values, factors)
    )
    return (
        f"weighting={config.weighting.name} and loss={config.loss.name} both correct the class balance: "
        f"together by up to {together:.4g} between two classes (weights {of_weights:.4g}, loss {of_loss:.4g}); "
        f"logged as correction/<class>; use weighting={NONE} if one is enough"
    )


def _of_prior(config: Config, weights: ClassWeights) -> Iterator[str]:
    """Yield what is to be said of the prior that the model learns under; once it is calibrated it does not matter."""
    drawn = None if weights.resampled is None else Resampling(weights.counts, weights.resampled)
    effective = effective_prior(weights, config.loss, config.trainer.second_stage, drawn)
    effective = effective if moves_prior(config, weights.weights) else None
    calibrated = config.calibration.name
    if leaves_prior_known(calibrated) or (effective is not None and calibrated != NONE):
        rule = DECISIONS[config.decision.name]
        goes_by_more = rule.needs_prior or rule.needs_validation or rule.needs_costs or rule.own
        if np.ptp(weights.weights) > 0 and not goes_by_more:
            yield (
                f"calibration={calibrated} takes back what weighting={config.weighting.name} favours: "
                f"decision={config.decision.name} goes by the class frequencies of the validation split; "
                "decision=logit_adjusted favours rare classes again"
            )
        return
    if effective is None:
        if weights.weights.all():
            yield f"{uncorrected(config, weights)}, so no probability is corrected for it"
    elif DECISIONS[config.decision.name].needs_prior and np.allclose(effective, 1 / len(effective)):
        yield (
            f"decision={config.decision.name}: the model learns under equal class frequencies already, "
            "so that there is nothing to adjust"
        )


def uncorrected(config: Config, weights: ClassWeights) -> str:
    """Return why probabilities cannot be moved to another prior, where `effective_prior` is None."""
    stage = config.trainer.second_stage
    if stage != NONE:
        what = f"trainer.second_stage={stage}"
    elif not moves_prior(config, weights.weights):
        what = f"model={config.model.name}"
    elif not weights.weights.all():
        what = "weight 0"
    elif prior_factors(config.loss, weights) is None:
        what = f"loss={config.loss.name}"
    else:
        what = f"dataset.sampling={config.dataset.sampling}"
    return f"{what}: the prior that the model learns under has no analytic form"


def loss_correction(config: Config, weights: ClassWeights) -> Floats | None:
    """Return the factor a class, (classes,), by which the loss itself favours rare classes; None if it does not."""
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
