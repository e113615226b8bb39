"""The three ways to put class weights into training. They are the same mathematics, bit for bit.

An implementation takes the parts of a training run and the table of class weights, a float32 variable of shape
(classes,), and returns the parts with the weights put in. Two of them read the variable at every step. The third,
Keras's `class_weight`, reads it once for each call of `fit`, so that a new table needs a new call, which compiles
nothing. In all three Keras divides the weighted sum of the losses by the batch size.

Where rows have weights of their own, each multiplies the weight of its row's class before the loss is multiplied, in
float32: so the bits are the same whichever way is taken. Keras refuses `class_weight` beside weights of samples; there
`sample_weight` stands in for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.data.feed import ResidentBatches, class_indices, encode
from equipoise.data.types import LabelForm

PerSample = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class PerSampleLoss(keras.losses.Loss):
    """A loss function in the form that Keras takes."""

    def __init__(self, function: PerSample, name: str) -> None:
        super().__init__(name=name, reduction="sum_over_batch_size")
        self.function = function

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return self.function(y_true, y_pred)

    def weighted(self, y_true: tf.Tensor, y_pred: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        """Return the value of each sample as `fit` adds it up, (n,), times its weight if it has one."""
        losses = self.call(y_true, y_pred)
        return losses * weights[0] if weights else losses


class ClassWeightedLoss(PerSampleLoss):
    """A loss times the weight of the true class, which a variable holds: other weights need no new compilation."""

    def __init__(self, function: PerSample, name: str, table: tf.Variable) -> None:
        super().__init__(function, name)
        self.table = table

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return super().call(y_true, y_pred) * tf.gather(self.table, class_indices(y_true))


class RowWeightedLoss(PerSampleLoss):
    """The same, times the row's own weight, handed over as the sample's: Keras would multiply by it later."""

    def __init__(self, function: PerSample, name: str, table: tf.Variable) -> None:
        super().__init__(function, name)
        self.table = table

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
        return super().__call__(y_true, y_pred, _weights(self.table, y_true, sample_weight))

    def weighted(self, y_true: tf.Tensor, y_pred: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        return super().weighted(y_true, y_pred, _weights(self.table, y_true, *weights))


class PairWeightedLoss(PerSampleLoss):
    """A loss of pairs of classes, each part of it times the weight of its class."""

    def __init__(self, function: PerSample, name: str, table: tf.Variable) -> None:
        super().__init__(function, name)
        self.table = table

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        labels, weights = _of_pairs(self.table, y_true)
        return super().call(labels, y_pred) * weights


def of_pairs(function: PerSample, classes: int, labels: LabelForm) -> PerSample:
    """Return the loss of pairs of classes: share x loss of the one + (1 - share) x loss of the other.

    Parameters
    ----------
    function : of labels in their usual form and logits
    """

    def call(pairs: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        one, other, share = tf.unstack(tf.cast(pairs, tf.float32), axis=1)
        first, second = (function(encode(tf.cast(index, tf.int64), classes, labels), logits) for index in (one, other))
        return share * first + (1 - share) * second

    return call


def _of_pairs(table: tf.Variable, pairs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return pairs and the weight of each sample, whose loss is share w_i l_i + (1 - share) w_j l_j.

    That is what the programs of mixup, CutMix and Remix do with a weighted loss. The weight is the mixture of the two
    classes' weights, and the share is the part of it that the one class has.
    """
    one, other, share = tf.unstack(tf.cast(pairs, tf.float32), axis=1)
    first = share * tf.gather(table, tf.cast(one, tf.int64))
    whole = first + (1 - share) * tf.gather(table, tf.cast(other, tf.int64))
    return tf.stack([one, other, tf.math.divide_no_nan(first, whole)], axis=1), whole


def _weights(table: tf.Variable, labels: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
    """Return the weight of each sample: its class's, times its row's own if it has one."""
    of_classes = tf.gather(table, class_indices(labels))
    return of_classes * rows[0] if rows else of_classes


def check_labels(labels: Integers | Floats, weights: Floats, classes: int) -> None:
    """Refuse labels that Keras would silently weigh in the wrong way.

    Parameters
    ----------
    labels : int (n,), class indices; or float (n, classes), one row a sample
    weights : float (classes,)

    Raises
    ------
    ConfigError
        If there is not one weight a class, a label is outside the classes, or weights meet rows that name
        several classes: Keras would take the weight of the largest entry, or of the first of equal ones.
    """
    if weights.shape != (classes,):
        raise ConfigError(f"{len(weights)} weights for {classes} classes: every class needs exactly one")
    if labels.ndim == 1:
        outside = labels[(labels < 0) | (labels >= classes)]
        if len(outside):
            raise ConfigError(
                f"the label {outside[0]} is outside the classes 0 to {classes - 1}: "
                "its samples would get the weight 1 or another class's"
            )
        return
    if labels.shape[1] != classes:
        raise ConfigError(f"label rows of {labels.shape[1]} numbers for {classes} classes")
    if np.ptp(weights) > 0 and not ((labels == 0) | (labels == 1)).all(axis=1).all():
        raise ConfigError(
            "soft labels with class weights: a mixture of classes has no one weight; "
            "use weighting=none, or mix after weighing"
        )
    if np.ptp(weights) > 0 and not (labels.sum(axis=1) == 1).all():
        raise ConfigError(
            "rows with several classes and class weights: Keras would take the weight of the first; "
            "use loss=sigmoid with loss.pos_weight"
        )


@dataclass(frozen=True)
class Parts:
    """What `compile` and `fit` are called with.

    Attributes
    ----------
    has_rows : whether the rows have weights of their own, the third element of the batches
    mixed : whether labels are pairs of classes, as `data.mixing` makes them
    """

    batches: tf.data.Dataset | ResidentBatches
    loss: PerSampleLoss
    fit: Mapping[str, Any] = field(default_factory=dict)
    has_rows: bool = False
    mixed: bool = False


def class_weight(parts: Parts, table: tf.Variable) -> Parts:
    """`model.fit(class_weight={class index: weight})`: Keras looks the weights up in the dataset.

    The keys are integers: Keras silently ignores text keys, which JSON would make of them.
    """
    return replace(parts, fit={"class_weight": {index: float(weight) for index, weight in enumerate(table.numpy())}})


def sample_weight(parts: Parts, table: tf.Variable) -> Parts:
    """The dataset's third element: (features, labels, weight of each sample)."""
    if parts.mixed:
        pairs = parts.batches.map(lambda features, labels: (features, *_of_pairs(table, labels)))
        return replace(parts, batches=pairs)
    weighted = parts.batches.map(lambda features, labels, *rows: (features, labels, _weights(table, labels, *rows)))
    return replace(parts, batches=weighted)


def custom(parts: Parts, table: tf.Variable) -> Parts:
    """The loss function itself multiplies each sample's loss by the weight of its true class."""
    loss, kind = parts.loss, RowWeightedLoss if parts.has_rows else ClassWeightedLoss
    kind = PairWeightedLoss if parts.mixed else kind
    return replace(parts, loss=kind(loss.function, loss.name, table))


@dataclass(frozen=True)
class Implementation:
    """A way to put class weights in, and the way that stands in for it.

    It does where Keras's `fit` takes no step, and where rows have weights of their own.
    """

    put_in: Callable[[Parts, tf.Variable], Parts]
    instead: str | None = None


IMPLEMENTATIONS: Mapping[str, Implementation] = {
    "class_weight": Implementation(class_weight, instead="sample_weight"),
    "sample_weight": Implementation(sample_weight),
    "custom": Implementation(custom),
}
