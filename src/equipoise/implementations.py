"""The three ways to put class weights into training. They are the same mathematics, bit for bit.

An implementation takes the parts of a training run and the class weights, float32 (classes,), and returns
the parts with the weights put in. Keras divides the weighted sum of the losses by the batch size in all three.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.data.feed import class_indices
from equipoise.options import Floats

PerSample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class PerSampleLoss(keras.losses.Loss):
    """A loss function of the registry as Keras wants it."""

    def __init__(self, function: PerSample, name: str) -> None:
        super().__init__(name=name, reduction="sum_over_batch_size")
        self.function = function

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self.function(y_true, y_pred)


class ClassWeightedLoss(PerSampleLoss):
    """A loss that looks its weights up by the true class.

    The weights are a variable, so that changing them compiles nothing again.
    """

    def __init__(self, function: PerSample, name: str, weights: Floats) -> None:
        super().__init__(function, name)
        self.weights = tf.Variable(weights, trainable=False, dtype=tf.float32)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return super().call(y_true, y_pred) * tf.gather(self.weights, class_indices(y_true))


@dataclass(frozen=True)
class Parts:
    """What `compile` and `fit` are called with."""

    batches: tf.data.Dataset
    loss: PerSampleLoss
    fit: Mapping[str, Any] = field(default_factory=dict)


def class_weight(parts: Parts, weights: Floats) -> Parts:
    """`model.fit(class_weight={class index: weight})`: Keras looks the weights up in the dataset.

    The keys are integers: text keys, as a round trip through JSON makes them, are ignored by Keras in silence.
    """
    return replace(parts, fit={"class_weight": {index: float(weight) for index, weight in enumerate(weights)}})


def sample_weight(parts: Parts, weights: Floats) -> Parts:
    """The dataset's third element: (features, labels, weight of each sample)."""
    table = tf.constant(weights, tf.float32)
    weighted = parts.batches.map(lambda features, labels: (features, labels, tf.gather(table, class_indices(labels))))
    return replace(parts, batches=weighted)


def custom(parts: Parts, weights: Floats) -> Parts:
    """The loss itself multiplies each sample's loss by the weight of its true class."""
    loss = parts.loss
    return replace(parts, loss=ClassWeightedLoss(loss.function, loss.name, np.asarray(weights)))


IMPLEMENTATIONS: Mapping[str, Callable[[Parts, Floats], Parts]] = {
    "class_weight": class_weight,
    "sample_weight": sample_weight,
    "custom": custom,
}
