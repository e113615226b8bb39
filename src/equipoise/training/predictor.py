"""A model's logits, by one compiled graph: while it is trained, when it is judged again, and when it is served."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.core.schema import Floats
from equipoise.data.feed import feature_batches
from equipoise.methods.models import takes_texts


class Predictor:
    """A model's logits for any number of samples, compiled once."""

    def __init__(self, model: keras.Model) -> None:
        dtype = tf.string if takes_texts(model) else tf.float32
        shape = tf.TensorSpec([None, *model.input_shape[1:]], dtype)
        # A part of a model may end in half precision.
        self._logits = tf.function(
            lambda batch: tf.cast(model(batch, training=False), tf.float32), input_signature=[shape]
        )

    def __call__(self, features: Any) -> Floats:
        """float32 (n, logits) for features of shape (n, *shape), bytes of texts, or images still to be decoded."""
        return np.concatenate([self._logits(batch).numpy() for batch in feature_batches(features)])
