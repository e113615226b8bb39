"""Labels and logits in the forms that losses compute with, and the cross-entropy that most of them are made of.

TensorFlow is imported when a function is called, not before.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# `power` raises no base below this to a power: 0^(gamma - 1) has no finite gradient.
TINY = 1e-12


def cross_entropy(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """-log p of the true class, from logits: softmax, or sigmoid for a single logit."""
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    if logits.shape[-1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(tf.reshape(labels, tf.shape(logits)), logits)[:, 0]
    if labels.shape.rank == 2 and labels.shape[-1] == logits.shape[-1]:
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    # A shape of (n, 1) would broadcast against (n,) somewhere below and train something else.
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(tf.cast(labels, tf.int32), [-1]), logits)


def softmax_form(labels: "tf.Tensor", logits: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Labels as int32 (n,) or float32 rows (n, classes), and logits as float32 (n, classes), two for a single one."""
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    if labels.shape.rank == 2 and labels.shape[-1] == logits.shape[-1] > 1:
        return tf.cast(labels, tf.float32), logits
    if logits.shape[-1] == 1:
        logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)
    return tf.reshape(tf.cast(labels, tf.int32), [-1]), logits


def row_form(labels: "tf.Tensor", logits: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Labels as 0 and 1 beside each logit, and logits, both float32 (n, logits)."""
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    return tf.reshape(tf.cast(labels, tf.float32), tf.shape(logits)), logits


def index_form(labels: "tf.Tensor", logits: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Labels as int32 (n,), of rows the class with the largest share, and logits as float32 (n, classes)."""
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    return labels if labels.dtype.is_integer else tf.argmax(labels, axis=-1, output_type=tf.int32), logits


def of_true(values: "tf.Tensor", labels: "tf.Tensor") -> "tf.Tensor":
    """(n,): the true class's entry of values (n, classes) or (classes,); of rows, the mean by their shares."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        return tf.gather(values, labels, batch_dims=values.shape.rank - 1)
    return tf.reduce_sum(values * labels, axis=-1)


def rows_of(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """float32 (n, classes), one-hot if the labels are indices."""
    import tensorflow as tf

    return tf.one_hot(labels, logits.shape[-1]) if labels.dtype.is_integer else labels


def power(base: "tf.Tensor", exponent: float) -> "tf.Tensor":
    """base^exponent for a base in [0, 1], with a finite gradient everywhere; exactly 1 for an exponent of 0."""
    import tensorflow as tf

    return tf.pow(tf.maximum(base, TINY), exponent)
