"""Prepared arrays as tf.data batches whose order depends on the seed and the epoch alone.

Knows nothing of weights.
"""

from typing import Literal

import numpy as np
import tensorflow as tf

from equipoise.data.sources import Samples
from equipoise.options import Floats

LabelForm = Literal["sparse", "one_hot", "binary"]


def training_batches(samples: Samples, *, classes: int, labels: LabelForm, batch_size: int, seed: int, epoch: tf.Variable) -> tf.data.Dataset:
    """One epoch of (features, labels), in an order drawn afresh from (seed, epoch) whenever it is iterated.

    Parameters
    ----------
    epoch : int64 variable
        Read at the start of every iteration: no state of the shuffling is left to save or to restore.
    """
    features = tf.constant(np.asarray(samples.features))
    indices = tf.constant(np.asarray(samples.labels))
    count = len(samples.labels)

    def order(_: tf.Tensor) -> tf.data.Dataset:
        key = tf.stack([tf.constant(seed, tf.int64), epoch.read_value()])
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), key)
        return tf.data.Dataset.from_tensor_slices(shuffled).batch(batch_size)

    def fetch(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(features, rows), encode(tf.gather(indices, rows), classes, labels)

    batches = tf.data.Dataset.range(1).flat_map(order).map(fetch)
    cardinality = tf.data.experimental.assert_cardinality(-(-count // batch_size))
    return batches.apply(cardinality).prefetch(tf.data.AUTOTUNE)


def encode(indices: tf.Tensor, classes: int, labels: LabelForm) -> tf.Tensor:
    """Class indices (n,) as int64 (n,), one-hot float32 (n, classes), or binary float32 (n, 1)."""
    if labels == "one_hot":
        return tf.one_hot(indices, classes)
    if labels == "binary":
        return tf.cast(indices, tf.float32)[:, tf.newaxis]
    return indices


def class_indices(labels: tf.Tensor) -> tf.Tensor:
    """Class indices (n,) of a batch of labels in any of the three forms."""
    if labels.shape.rank == 2 and labels.shape[-1] > 1:
        return tf.argmax(labels, axis=-1)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)


def class_logits(logits: Floats) -> Floats:
    """A model's logits as float64 (n, classes); a single logit z stands for (0, z)."""
    logits = np.asarray(logits, dtype=np.float64)
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits
