"""Losses of a whole batch, each as one value a sample: what a sample is worth depends on those that it stands with.

The mean of the values is the loss of the batch, so that Keras adds up what the paper means. Each class, or label, has
its own part of that mean; one without a sample in the batch has a part without a gradient, and none is a division by
zero. TensorFlow is imported when a loss is called, not before.
"""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from equipoise.core.schema import Positive
from equipoise.methods.label_forms import cross_entropy, of_true, row_form, rows_of, softmax_form

if TYPE_CHECKING:
    import tensorflow as tf

# The denominator of a class that has no sample in the batch and is predicted of none is this, as in the authors' code.
EMPTY = 1e-16


def lade(
    labels: "tf.Tensor",
    logits: "tf.Tensor",
    prior: "tf.Tensor",
    offsets: "tf.Tensor",
    *,
    strength: Annotated[float, Field(ge=0, le=1e9)],
    penalty: Annotated[float, Field(ge=0, le=1e9)],
) -> "tf.Tensor":
    """Balanced softmax - strength x sum over c of p_c (m_c - e_c - penalty e_c^2) (Hong et al. 2021, LADE).

    m_c is the mean of z_c over the batch's samples of class c (0 if there are none), and e_c the logarithm of the mean
    over all of them of exp(z_c) / (C p_c): the term makes z_c the log ratio of class c's density to that of equally
    frequent classes. It is one number for the batch.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    rows = rows_of(labels, logits)
    means = tf.math.divide_no_nan(tf.reduce_sum(rows * logits, axis=0), tf.reduce_sum(rows, axis=0))
    expected = tf.reduce_logsumexp(logits - offsets, axis=0) - tf.math.log(tf.cast(tf.size(logits), tf.float32))
    bounds = means - expected - penalty * tf.square(expected)
    return cross_entropy(labels, logits + offsets) - strength * tf.reduce_sum(prior * bounds)


def recall(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """CE times the share of the batch's samples of class y that are predicted wrongly now (Tian et al. 2022).

    The share, 1 - recall, has no gradient. Where none is wrong one counts as wrong, as in the authors' code.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    rows = rows_of(labels, logits)
    wrong = rows * (1 - tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1]))
    missed = tf.maximum(tf.reduce_sum(wrong, axis=0), 1.0)
    return cross_entropy(labels, logits) * of_true(missed / tf.maximum(tf.reduce_sum(rows, axis=0), 1.0), labels)


def soft_f1(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """1 - the mean over classes of 2 TP / (2 TP + FP + FN), counted by probabilities instead of decisions.

    The macro soft F1 of Benedict et al. (2022), of softmax probabilities. A class without a sample in the batch has an
    F1 of 0 and no gradient.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    return _without_f1(rows_of(labels, logits), tf.nn.softmax(logits))


def sigmoid_f1(labels: "tf.Tensor", logits: "tf.Tensor", slopes: "tf.Tensor", offsets: "tf.Tensor") -> "tf.Tensor":
    """1 - the mean over labels of 2 TP / (2 TP + FP + FN), counted by sigmoid(slope (z + shift)).

    sigmoidF1 (Benedict et al. 2022), for several labels a sample or a single logit: the steeper, the nearer to F1.

    Parameters
    ----------
    labels : (n, labels) of 0 and 1; or (n,) or (n, 1) beside a single logit
    """
    import tensorflow as tf

    labels, logits = row_form(labels, logits)
    return _without_f1(labels, tf.sigmoid(slopes * logits + offsets))


def auc_margin(labels: "tf.Tensor", logits: "tf.Tensor", *, margin: Positive) -> "tf.Tensor":
    """Mean over c of var+ p_c + var- p_c + max(0, margin - mean+ p_c + mean- p_c)^2 (Yuan et al. 2021, AUC margin).

    + are the batch's samples of class c, - all others: each class is ranked against the rest. A class without a sample
    on either side has no pair in the batch and no part. The authors step a, b and alpha of their min-max form beside
    the weights; here each is at its optimum for the batch, where the gradient is that of the formula.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    scores, rows = tf.nn.softmax(logits), rows_of(labels, logits)
    own, others = tf.reduce_sum(rows, axis=0), tf.reduce_sum(1 - rows, axis=0)
    has_pairs = tf.cast(own * others > 0, tf.float32)
    # The weight of each sample in the mean of its side; 0 where the other side is empty.
    above = tf.math.divide_no_nan(has_pairs * rows, own)
    below = tf.math.divide_no_nan(has_pairs * (1 - rows), others)
    a = tf.stop_gradient(tf.reduce_sum(above * scores, axis=0))
    b = tf.stop_gradient(tf.reduce_sum(below * scores, axis=0))
    alpha = has_pairs * tf.maximum(margin + b - a, 0.0)
    parts = above * tf.square(scores - a) + below * tf.square(scores - b) + 2 * alpha * (below - above) * scores
    samples = tf.cast(tf.shape(logits)[0], tf.float32)
    return tf.reduce_mean(samples * parts + 2 * alpha * margin - tf.square(alpha), axis=-1)


def _without_f1(rows: "tf.Tensor", shares: "tf.Tensor") -> "tf.Tensor":
    """1 - F1 = (FP + FN) / (2 TP + FP + FN) is a sum over samples, of which each has the part that it is wrong by."""
    import tensorflow as tf

    both = rows + shares
    parts = (both - 2 * rows * shares) / (tf.reduce_sum(both, axis=0) + EMPTY)
    return tf.cast(tf.shape(rows)[0], tf.float32) * tf.reduce_mean(parts, axis=-1)
