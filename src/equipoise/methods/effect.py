"""What weights can and cannot change, before anything is trained. Pure NumPy."""

import numpy as np

from equipoise.core.schema import Floats, listing
from equipoise.methods.weighting import ClassWeights

# Their step divides by the gradient's own scale, so that a common factor on the loss cancels but for epsilon.
SCALE_INVARIANT = ("adam", "adamw", "rmsprop")
# Weights closer together than this do nothing that the noise of training would not hide.
NEARLY_EQUAL = 0.01


def learning_rate_factor(weights: ClassWeights, optimizer: str) -> float:
    """What the weights' scale multiplies the learning rate by: Keras divides by the batch size and not by the weights."""
    return 1.0 if optimizer in SCALE_INVARIANT else weights.sample_mean


def total_variation(first: Floats, second: Floats) -> float:
    """Half the sum of |p_c - q_c|: the share of samples that would have to change class to turn one distribution into the other."""
    return float(np.abs(first - second).sum() / 2)


def warnings(strategy: str, weights: ClassWeights, optimizer: str) -> list[str]:
    """Why weights that were asked for cannot have the effect that was meant, a sentence each."""
    found = []
    values = weights.weights
    factor = learning_rate_factor(weights, optimizer)
    if strategy != "none" and np.ptp(values) <= NEARLY_EQUAL * values.max():
        scale = (
            "which cancels" if optimizer in SCALE_INVARIANT else f"which multiplies the learning rate by {factor:.4g}"
        )
        equal = "the same weight" if np.ptp(values) == 0 else "nearly the same weight"
        found.append(
            f"weighting={strategy} gives every class {equal}, {values.max():.4g}: the balance between classes is that of weighting=none; "
            f"under {optimizer} all that is left is a common factor, {scale}"
        )
    elif not 0.5 <= factor <= 2:
        found.append(
            f"weighting={strategy}: the mean weight of a sample is {factor:.4g}, and under {optimizer} that multiplies the learning rate too; "
            "weighting.normalize=sample_mean changes the balance alone"
        )
    learned = [name for name, weight in zip(weights.classes, values, strict=True) if weight > 0]
    void = [name for name, weight in zip(weights.classes, values, strict=True) if weight == 0]
    if len(learned) == 1:
        found.append(
            f"only class {learned[0]} has a weight: the model learns to say {learned[0]} always, and how large the weight is does not matter"
        )
    elif void:
        found.append(f"weight 0: class {listing(void)} is not learned at all")
    return found
