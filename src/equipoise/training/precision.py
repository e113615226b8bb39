"""How many bits training computes with: layers in 16; their weights, the last layer, the loss and class weights in 32.

Half precision (float16) counts no further than 65,504 and no finer than 6e-8, so the loss is scaled up before its
gradient is taken, and the gradient down again; bfloat16 has the range of float32 with 8 bits of digits.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from equipoise.core.schema import Floats
from equipoise.data.types import Samples

if TYPE_CHECKING:
    import keras

LARGEST_SCALE = 2.0**15  # what Keras begins with


def loss_scaled(
    optimizer: "keras.optimizers.Optimizer", precision: str, weights: Floats
) -> "keras.optimizers.Optimizer":
    """Return the optimiser as the precision needs it: for float16 it scales the loss, and skips steps that overflow.

    Parameters
    ----------
    precision : `float32`, `mixed_float16` or `mixed_bfloat16`
    weights : float64 (classes,), the class weights
    """
    import keras

    if precision != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=initial_scale(weights))


def with_rows(weights: Floats, samples: Samples) -> Floats:
    """Return class weights, float64 (classes,), times the largest weight that a row has of its own."""
    return weights if samples.weights is None else weights * float(np.max(samples.weights))


def initial_scale(weights: Floats) -> float:
    """Return the first factor of the loss under class weights, float64 (classes,).

    A scale that is too large is halved at the cost of a step each time, so a class weight of 1e5 would cost the first
    17 steps: the scale begins that much lower.
    """
    return float(LARGEST_SCALE / 2.0 ** math.ceil(math.log2(max(1.0, weights.max()))))
