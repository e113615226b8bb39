"""Loss functions of logits, one value a sample. TensorFlow is imported when a loss is called, not before.

A loss function takes labels in the form that the dataset gives them (class indices of shape (n,), one-hot
rows (n, classes), or 0/1 of shape (n, 1) beside a single logit) and logits, float32, and returns float32 (n,).
It knows nothing of weights: how they are put in is the matter of `implementations`.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from equipoise.options import Section

if TYPE_CHECKING:
    import tensorflow as tf


def cross_entropy(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """-log p of the true class, from logits: softmax, or sigmoid for a single logit."""
    import tensorflow as tf

    if logits.shape[-1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(tf.reshape(labels, tf.shape(logits)), logits)[:, 0]
    if labels.shape.rank == 2 and labels.shape[-1] == logits.shape[-1]:
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    # A shape of (n, 1) would broadcast against (n,) somewhere below and train something else.
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(tf.cast(labels, tf.int32), [-1]), logits)


# The first three are one function put in three ways; a later loss may be put in any way.
LOSSES: Mapping[str, Callable[..., "tf.Tensor"]] = {
    "class_weight": cross_entropy,
    "sample_weight": cross_entropy,
    "custom": cross_entropy,
}


class LossOptions(Section):
    """The keys that every loss has."""

    name: str
    function: str
    implementation: Literal["class_weight", "sample_weight", "custom"]
