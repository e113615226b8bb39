"""What the weights did: each class's part of the loss and of the gradient that reaches the logits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from equipoise.core.clock import clock
from equipoise.core.schema import Floats, Integers
from equipoise.data.feed import encode
from equipoise.data.types import LabelForm, Samples
from equipoise.methods.implementations import PerSample

# Shares are estimated on this many training samples at most.
MOST_SAMPLES = 20_000
MOST_CELLS = 20_000_000  # logits at a time


@dataclass(frozen=True)
class Shares:
    """Each class's part, float64 (classes,), summing to 1."""

    loss: Floats  # of the sum over samples of the weighted loss
    gradient: Floats  # of the sum over samples of the norm of d loss / d logits


@clock.part("evaluate")
def audit(
    predict: Callable[[Any], Floats],
    function: PerSample,
    samples: Samples,
    weights: Floats,
    form: LabelForm,
) -> Shares:
    """The classes' shares on the training samples, with the model as it is now.

    Parameters
    ----------
    predict : features to logits, float32 (n, logits)
    weights : float64 (classes,)
    """
    chosen = np.sort(np.random.default_rng(0).permutation(len(samples.labels))[:MOST_SAMPLES])
    labels = np.asarray(samples.labels)[chosen]
    own = 1.0 if samples.weights is None else np.asarray(samples.weights)[chosen]
    losses, norms = np.empty((2, len(labels)), np.float32)
    for block in _blocks(len(labels), len(weights)):
        logits = tf.constant(predict(samples.features[chosen[block]]))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            weighted = _weighted(function, labels[block], logits, weights, form)
        losses[block], norms[block] = weighted, tf.norm(tape.gradient(weighted, logits), axis=-1)
    losses, norms = losses * own, norms * own
    return Shares(_share(labels, losses, len(weights)), _share(labels, norms, len(weights)))


def weighted_losses(function: PerSample, labels: Integers, logits: Floats, weights: Floats, form: LabelForm) -> Floats:
    """w_y times the loss of each sample, float32 (n,)."""
    losses = np.empty(len(labels), np.float32)
    for rows in _blocks(len(labels), len(weights)):
        losses[rows] = _weighted(function, labels[rows], tf.constant(logits[rows]), weights, form)
    return losses


def _blocks(samples: int, classes: int) -> Iterator[slice]:
    """So many samples at a time that a loss and its gradient need a few hundred MB at most."""
    step = max(1, MOST_CELLS // classes)
    return (slice(start, start + step) for start in range(0, samples, step))


def _weighted(function: PerSample, labels: Integers, logits: tf.Tensor, weights: Floats, form: LabelForm) -> tf.Tensor:
    # Rows of several labels have no one class to be weighed by.
    factors = np.ones(len(labels)) if labels.ndim == 2 else weights[labels]
    return function(encode(tf.constant(labels), len(weights), form), logits) * tf.constant(factors, tf.float32)


def _share(labels: Integers, values: Floats, classes: int) -> Floats:
    sums = np.bincount(labels, np.asarray(values, dtype=np.float64), classes)
    total = sums.sum()
    share: Floats = sums / total if total > 0 else np.full(classes, np.nan)
    return share
