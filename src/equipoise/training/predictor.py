"""A model's logits, by one compiled graph: while it is trained, when it is judged again, and when it is served."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.core.schema import Floats
from equipoise.data.feed import feature_batches
from equipoise.methods.models import takes_texts

BLOCK = 128  # samples: of fewer, little time is lost on those that are repeated; of more, none is gained


class Predictor:
    """A model's logits for any number of samples, compiled once.

    A sample's logits are the same bits whatever other samples there are. Kernels may sum in another order for another
    number of samples, so that all samples are computed in blocks of one size; the last block repeats its last sample.

    Parameters
    ----------
    in_blocks : whether to do so; otherwise a batch is computed as it comes, as Keras's own `predict` does
    """

    def __init__(self, model: keras.Model, *, in_blocks: bool = True) -> None:
        def logits(batch: tf.Tensor) -> tf.Tensor:  # pragma: no cover - runs as AutoGraph has rewritten it
            # A part of a model may end in half precision.
            return tf.cast(model(batch, training=False), tf.float32)

        def of_blocks(batch: tf.Tensor) -> tf.Tensor:  # pragma: no cover - as above
            count, sample = tf.shape(batch)[0], tf.shape(batch)[1:]
            rows = tf.minimum(tf.range(-(-count // BLOCK) * BLOCK), count - 1)
            blocks = tf.reshape(tf.gather(batch, rows), tf.concat([[-1, BLOCK], sample], 0))
            blocks = tf.ensure_shape(blocks, (None, BLOCK, *model.input_shape[1:]))
            found = tf.map_fn(logits, blocks, fn_output_signature=tf.float32)
            return tf.reshape(found, (-1, model.output_shape[-1]))[:count]

        shape = tf.TensorSpec([None, *model.input_shape[1:]], tf.string if takes_texts(model) else tf.float32)
        self._logits = tf.function(of_blocks if in_blocks else logits, input_signature=[shape])

    def __call__(self, features: Any) -> Floats:
        """float32 (n, logits) for features of shape (n, *shape), bytes of texts, or images still to be decoded."""
        return np.concatenate([self._logits(batch).numpy() for batch in feature_batches(features)])
