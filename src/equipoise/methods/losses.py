"""Loss functions of logits, one value a sample. TensorFlow is imported when a loss is called, not before.

A loss function takes labels in the form that the dataset gives them (class indices of shape (n,), rows of
class shares (n, classes), or 0/1 of shape (n, 1) beside a single logit) and logits, and returns float32 (n,).
A single logit z stands for the two logits (0, z). What else a loss needs of the data it asks for by the name
of a positional parameter:

counts : float64 (classes,), the training samples of each class
costs : float64 (true class, predicted class), the cost matrix
balance : float64 (labels,), negatives over positives of each label

It knows nothing of class weights: how they are put in is the matter of `implementations`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.schema import Floats, Fraction, PerClass, Positive, Section

if TYPE_CHECKING:
    import tensorflow as tf

NotNegative = Annotated[float, Field(ge=0, le=1e9)]
# Below this a base is taken as this before it is raised to a power: 0^(gamma - 1) has no finite gradient.
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


def focal(labels: "tf.Tensor", logits: "tf.Tensor", *, gamma: NotNegative, alpha: PerClass | None) -> "tf.Tensor":
    """alpha_y (1 - p_y)^gamma CE: samples that are right already count less (Lin et al. 2017).

    Of soft labels the sum over classes, each by its share.
    """
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    log_p = tf.nn.log_softmax(logits)
    values = -log_p * _power(-tf.math.expm1(log_p), gamma)
    if alpha is not None:
        values *= table(alpha)
    return _of_true(values, labels)


def balanced_softmax(labels: "tf.Tensor", logits: "tf.Tensor", counts: Floats) -> "tf.Tensor":
    """CE(z + log n_c): the logits alone answer for equally frequent classes (Ren et al. 2020)."""
    return logit_adjusted(labels, logits, counts, tau=1.0)


def logit_adjusted(labels: "tf.Tensor", logits: "tf.Tensor", counts: Floats, *, tau: NotNegative) -> "tf.Tensor":
    """CE(z + tau log p_c): the prior is put into the loss and so left out of the logits (Menon et al. 2021)."""

    labels, logits = _softmax_form(labels, logits)
    return cross_entropy(labels, logits + table(tau * np.log(counts / counts.sum())))


def ldam(
    labels: "tf.Tensor", logits: "tf.Tensor", counts: Floats, *, max_margin: NotNegative, scale: Positive
) -> "tf.Tensor":
    """CE(z - s m_y): the true class must win by a margin m_c proportional to n_c^(-1/4) (Cao et al. 2019).

    The model's last layer gives z = s cos(features, class vector); see `models.normalise_classifier`.
    """

    margins = counts**-0.25
    margins = table(scale * max_margin * margins / margins.max())
    labels, logits = _softmax_form(labels, logits)
    return cross_entropy(labels, logits - _rows(labels, logits) * margins)


def vs(
    labels: "tf.Tensor", logits: "tf.Tensor", counts: Floats, *, gamma: NotNegative, tau: NotNegative
) -> "tf.Tensor":
    """CE((n_c / n_max)^gamma z_c + tau log p_c): vector scaling, multiplicative and additive (Kini et al. 2021)."""
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    # No tables: TensorFlow's optimiser leaves other last bits of these in one graph than in another.
    factors, offsets = (
        tf.constant(values, tf.float32)
        for values in ((counts / counts.max()) ** gamma, tau * np.log(counts / counts.sum()))
    )
    return cross_entropy(labels, logits * factors + offsets)


def poly(labels: "tf.Tensor", logits: "tf.Tensor", *, epsilon: Annotated[float, Field(ge=-1, le=1e9)]) -> "tf.Tensor":
    """CE + epsilon (1 - p_y): the first term of the cross-entropy's expansion weighed anew (Leng et al. 2022, Poly-1)."""
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    return cross_entropy(labels, logits) + epsilon * (1 - _of_true(tf.nn.softmax(logits), labels))


def label_smoothing(
    labels: "tf.Tensor", logits: "tf.Tensor", counts: Floats, *, head: Fraction, tail: Fraction
) -> "tf.Tensor":
    """(1 - e_y) CE + e_y mean over classes of -log p_c, with e_y from `head` for the largest class to `tail` for the smallest.

    Equal: constant smoothing (Szegedy et al. 2016). Different: label-aware, e_y = tail + (head - tail)
    sin(pi/2 (n_y - n_min) / (n_max - n_min)) (Zhong et al. 2021, the concave form).
    """
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    rank = (counts - counts.min()) / max(1, np.ptp(counts))
    smoothing = _of_true(table(tail + (head - tail) * np.sin(np.pi / 2 * rank)), labels)
    # The mean of -log p_c is CE + z_y - mean z: one softmax is enough.
    return cross_entropy(labels, logits) + smoothing * (_of_true(logits, labels) - tf.reduce_mean(logits, axis=-1))


def cost_matrix(labels: "tf.Tensor", logits: "tf.Tensor", costs: Floats, *, strength: NotNegative) -> "tf.Tensor":
    """CE + strength x expected cost, the sum over j of M[y, j] p_j (Galdran et al. 2020)."""
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    rows = table(costs)
    of_sample = tf.gather(rows, labels) if labels.dtype.is_integer else tf.matmul(labels, rows)
    return cross_entropy(labels, logits) + strength * tf.reduce_sum(of_sample * tf.nn.softmax(logits), axis=-1)


def predicted_class(labels: "tf.Tensor", logits: "tf.Tensor", *, weights: PerClass) -> "tf.Tensor":
    """CE times the weight of the class that is predicted now: a large weight punishes false alarms of that class.

    Correct predictions of it weigh as much; the weight itself has no gradient.
    """
    import tensorflow as tf

    labels, logits = _softmax_form(labels, logits)
    return cross_entropy(labels, logits) * tf.gather(table(weights), tf.argmax(logits, axis=-1))


def sigmoid(
    labels: "tf.Tensor",
    logits: "tf.Tensor",
    balance: Floats,
    *,
    pos_weight: Literal["auto"] | Positive | PerClass | None,
    gamma_pos: NotNegative,
    gamma_neg: NotNegative,
    clip: Fraction,
) -> "tf.Tensor":
    """Binary cross-entropy of each label, the mean over labels; several of them may be true at once.

    -(v_l y (1 - p)^gamma_pos log p + (1 - y) q^gamma_neg log(1 - q)) with q = max(p - clip, 0): the asymmetric
    loss (Ridnik et al. 2021), and plain binary cross-entropy where gamma_pos, gamma_neg and clip are 0.

    Parameters
    ----------
    labels : (n, labels) of 0 and 1; or (n,) or (n, 1) beside a single logit
    pos_weight : the factor v_l of the positives; `auto` is `balance`, negatives over positives
    """
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    truth = tf.reshape(tf.cast(labels, tf.float32), tf.shape(logits))
    log_p, log_not_p = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    positive, negative = -log_p * tf.exp(gamma_pos * log_not_p), -log_not_p
    if clip:
        shifted = tf.nn.relu(tf.sigmoid(logits) - clip)
        negative = -tf.math.log1p(-shifted) * _power(shifted, gamma_neg)
    elif gamma_neg:
        negative *= tf.exp(gamma_neg * log_p)
    if pos_weight is not None:
        positive *= table(balance if isinstance(pos_weight, str) else pos_weight)
    return tf.reduce_mean(truth * positive + (1 - truth) * negative, axis=-1)


# The first three are one function put in three ways; the others may be put in any way.
LOSSES: Mapping[str, Callable[..., "tf.Tensor"]] = {
    "class_weight": cross_entropy,
    "sample_weight": cross_entropy,
    "custom": cross_entropy,
    "focal": focal,
    "balanced_softmax": balanced_softmax,
    "logit_adjusted": logit_adjusted,
    "ldam": ldam,
    "vs": vs,
    "poly": poly,
    "label_smoothing": label_smoothing,
    "cost_matrix": cost_matrix,
    "predicted_class": predicted_class,
    "sigmoid": sigmoid,
}


# Options of a loss that go into its tables and nowhere else, so that one graph serves all their values.
IN_TABLES: Mapping[str, Sequence[str]] = {
    "focal": ("alpha",),
    "logit_adjusted": ("tau",),
    "ldam": ("max_margin",),
    "label_smoothing": ("head", "tail"),
    "predicted_class": ("weights",),
    "sigmoid": ("pos_weight",),
}


class LossOptions(Section):
    """The keys that every loss has."""

    name: str
    function: str
    implementation: Literal["class_weight", "sample_weight", "custom"]


_hold: ContextVar[Callable[[Any], "tf.Tensor"] | None] = ContextVar("_hold", default=None)


def table(values: Any) -> "tf.Tensor":
    """Numbers that a loss looks things up in, float32: a constant, unless somebody holds its tables."""
    import tensorflow as tf

    hold = _hold.get()
    return tf.constant(values, tf.float32) if hold is None else hold(values)


@contextmanager
def tables_held(hold: Callable[[Any], "tf.Tensor"]) -> Iterator[None]:
    """Within it a loss takes each of its tables, in a fixed order, from who holds them."""
    token = _hold.set(hold)
    try:
        yield
    finally:
        _hold.reset(token)


def positive_weights(positives: Floats, samples: int) -> Floats:
    """(N - n_l) / n_l of each label, float64 (labels,): negatives over positives."""
    weights: Floats = (samples - positives) / positives
    return weights


def _softmax_form(labels: "tf.Tensor", logits: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """Labels as int32 (n,) or float32 rows (n, classes), and logits float32 (n, classes), two of them for a single one."""
    import tensorflow as tf

    logits = tf.cast(logits, tf.float32)
    if labels.shape.rank == 2 and labels.shape[-1] == logits.shape[-1] > 1:
        return tf.cast(labels, tf.float32), logits
    if logits.shape[-1] == 1:
        logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)
    return tf.reshape(tf.cast(labels, tf.int32), [-1]), logits


def _of_true(values: "tf.Tensor", labels: "tf.Tensor") -> "tf.Tensor":
    """(n,): the true class's entry of values (n, classes) or (classes,); of rows, the mean by their shares."""
    import tensorflow as tf

    if labels.dtype.is_integer:
        return tf.gather(values, labels, batch_dims=values.shape.rank - 1)
    return tf.reduce_sum(values * labels, axis=-1)


def _rows(labels: "tf.Tensor", logits: "tf.Tensor") -> "tf.Tensor":
    """float32 (n, classes), one-hot if the labels are indices."""
    import tensorflow as tf

    return tf.one_hot(labels, logits.shape[-1]) if labels.dtype.is_integer else labels


def _power(base: "tf.Tensor", exponent: float) -> "tf.Tensor":
    """base^exponent for a base in [0, 1], with a finite gradient everywhere; exactly 1 for an exponent of 0."""
    import tensorflow as tf

    return tf.pow(tf.maximum(base, TINY), exponent)
