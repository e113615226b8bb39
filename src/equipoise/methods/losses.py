"""Loss functions of logits, one value a sample, each with a record of what else training needs to know of it.

A loss function takes labels in the form that the dataset gives them (class indices of shape (n,), rows of class
shares (n, classes), or 0/1 of shape (n, 1) beside a single logit), logits, and its tables by name. It returns
float32 (n,). A single logit z stands for the two logits (0, z). What a loss needs of the data stands in its tables:
training holds each of them in a variable, so that runs with other values share one compiled graph. Class weights
are no business of a loss; `implementations` puts them in.

TensorFlow is imported when a loss is called, not before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.core.schema import Floats, Fraction, Integers, KeyOf, PerClass, Positive, Section, arguments, keywords
from equipoise.methods.batch_losses import auc_margin, lade, recall, sigmoid_f1, soft_f1
from equipoise.methods.label_forms import (
    TINY,
    cross_entropy,
    index_form,
    of_true,
    power,
    row_form,
    rows_of,
    softmax_form,
)
from equipoise.methods.weighting import effective_number

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

NotNegative = Annotated[float, Field(ge=0, le=1e9)]
PositiveWeight: TypeAlias = Literal["auto"] | Positive | PerClass | None


@dataclass(frozen=True)
class Known:
    """What a loss may know of the training split.

    Attributes
    ----------
    counts : float64 (classes,), the samples of each class; of several labels a sample, those that have the label
    samples : how many there are in all; of rows that are counted by their weights, the sum of these
    costs : float64 (true class, predicted class), or None
    several_labels : whether a sample may have several labels
    """

    counts: Floats
    samples: float
    costs: Floats | None = None
    several_labels: bool = False

    @classmethod
    def of_classes(cls, counts: Integers | Floats, costs: Floats | None = None) -> "Known":
        """Where each sample has one class."""
        return cls(counts.astype(np.float64), counts.sum().item(), costs)

    @property
    def prior(self) -> Floats:
        """The share of each class, float64 (classes,)."""
        shares: Floats = self.counts / self.samples
        return shares

    @property
    def positives(self) -> Floats:
        """The samples that each yes-or-no logit is to say yes to, float64 (logits,): class 1, or each label."""
        return self.counts if self.several_labels else self.counts[1:]


# From `Known` and options to what a loss looks up, by the name of the function's parameter.
Tables: TypeAlias = Callable[..., Mapping[str, Floats]]
# From `Known` and options to a factor a class, float64 (classes,); None if there is no such factor.
Factors: TypeAlias = Callable[..., Floats | None]


@dataclass(frozen=True)
class Loss:
    """A loss function and all that is known of it. The keyword-only parameters of its parts are its options.

    Attributes
    ----------
    function : from labels, logits and the tables by name to float32 (n,)
    tables : what the function looks up; None: nothing
    prior : the factor a class by which the loss moves the prior that the raw logits answer for; None: not known
    favours : the factor a class by which the loss favours rare classes, if it is not `prior`
    positives : the factor of each yes-or-no logit's positives, float64 (logits,) or ()
    head : makes the last layer of a model anew, with a vector for each class
    begins : the share of the epochs from which its table `begun` is 1, and before which it is 0; None: it has none
    implementation : the only way to put weights in, where the loss is named after it
    yes_or_no : whether it is for a single logit or several labels a sample, each of which is true or not
    needs_costs : whether it needs the costs of confusions
    constant_tables : hold the tables as constants of the graph, not in variables
    of_batches : whether the value of a sample depends on the batch that it is in; their mean is the batch's loss
    bits_known : whether every engine was seen to leave the bits of Keras's `fit`, on a CPU and on a GPU
    own : whether it is the user's own, which takes class indices and a logit a class in every form of labels; if it is
        `yes_or_no`, 0 and 1 beside each logit
    """

    function: Callable[..., "tf.Tensor"]
    tables: Tables | None = None
    prior: Factors | None = None
    favours: Factors | None = None
    positives: Callable[..., Floats] | None = None
    head: Callable[..., "keras.Model"] | None = None
    begins: Callable[..., float] | None = None
    implementation: str | None = None
    yes_or_no: bool = False
    needs_costs: bool = False
    constant_tables: bool = False
    of_batches: bool = False
    bits_known: bool = False
    own: bool = False

    def __call__(self, labels: "tf.Tensor", logits: "tf.Tensor", **given: Any) -> "tf.Tensor":
        """Return the loss of each sample, float32 (n,); `given` are its tables and options."""
        if self.own:
            labels, logits = (row_form if self.yes_or_no else index_form)(labels, logits)
        return self.function(labels, logits, **given)

    @property
    def parts(self) -> tuple[Callable[..., Any], ...]:
        """All functions of the record."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if callable(value))

    def tables_of(self, known: Known, options: "LossOptions", classes: Sequence[str]) -> Mapping[str, Floats]:
        """Return what the function looks up, by the name of its parameter, as these options have it.

        Raises
        ------
        ConfigError
            If an option does not go with what is known.
        """
        return {} if self.tables is None else self.tables(known, **arguments(options, self.tables, classes))

    @property
    def in_variables(self) -> list[str]:
        """The options that are in the variables of the tables and nowhere else: one graph serves all their values."""
        if self.tables is None or self.constant_tables:
            return []
        elsewhere = [*keywords(self.function), *(keywords(self.head) if self.head else [])]
        return [option for option in keywords(self.tables) if option not in elsewhere]


def _unmoved(known: Known) -> Floats:
    return np.ones_like(known.prior)


def focal(
    labels: "tf.Tensor", logits: "tf.Tensor", alpha: "tf.Tensor | None" = None, *, gamma: NotNegative
) -> "tf.Tensor":
    """alpha_y (1 - p_y)^gamma CE: samples that are right already count less (Lin et al. 2017).

    Of soft labels the sum over classes, each by its share.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    log_p = tf.nn.log_softmax(logits)
    values = -log_p * power(-tf.math.expm1(log_p), gamma)
    if alpha is not None:
        values *= alpha
    return of_true(values, labels)


def _alpha_table(known: Known, *, alpha: PerClass | None) -> dict[str, Floats]:
    return {} if alpha is None else {"alpha": alpha}


def _alpha(known: Known, *, alpha: PerClass | None) -> Floats | None:
    return alpha


def class_balanced_focal(
    labels: "tf.Tensor", logits: "tf.Tensor", alpha: "tf.Tensor", *, gamma: NotNegative
) -> "tf.Tensor":
    """alpha_y (1 - p_y)^gamma CE, alpha_c prop. to (1 - beta) / (1 - beta^n_c), of mean 1 (Cui et al. 2019).

    One word for loss=focal with weighting=effective_number, to the same bits; of softmax probabilities, as loss=focal,
    where the authors' is a sum over one sigmoid a class.
    """
    return focal(labels, logits, alpha, gamma=gamma)


def _effective_table(known: Known, *, beta: Literal["auto"] | Fraction) -> dict[str, Floats]:
    weights = effective_number(known.counts, beta=beta)
    return {"alpha": weights / weights.mean()}


def _effective_factors(known: Known, *, beta: Literal["auto"] | Fraction) -> Floats:
    return _effective_table(known, beta=beta)["alpha"]


def balanced_softmax(labels: "tf.Tensor", logits: "tf.Tensor", offsets: "tf.Tensor") -> "tf.Tensor":
    """CE(z + log n_c): the logits alone answer for equally frequent classes (Ren et al. 2020)."""
    return logit_adjusted(labels, logits, offsets)


def _log_prior(known: Known) -> dict[str, Floats]:
    return _scaled_log_prior(known, tau=1.0)


def _inverse_prior(known: Known) -> Floats:
    factors: Floats = 1 / known.prior
    return factors


def _density(known: Known) -> dict[str, Floats]:
    return {"prior": known.prior, "offsets": np.log(known.prior)}


def logit_adjusted(labels: "tf.Tensor", logits: "tf.Tensor", offsets: "tf.Tensor") -> "tf.Tensor":
    """CE(z + tau log p_c): the prior is put into the loss and so left out of the logits (Menon et al. 2021)."""
    labels, logits = softmax_form(labels, logits)
    return cross_entropy(labels, logits + offsets)


def _scaled_log_prior(known: Known, *, tau: NotNegative) -> dict[str, Floats]:
    return {"offsets": tau * np.log(known.prior)}


def _inverse_power_of_prior(known: Known, *, tau: NotNegative) -> Floats:
    factors: Floats = known.prior**-tau
    return factors


def ldam(labels: "tf.Tensor", logits: "tf.Tensor", margins: "tf.Tensor") -> "tf.Tensor":
    """CE(z - s m_y): the true class must win by a margin m_c proportional to n_c^(-1/4) (Cao et al. 2019).

    The model's last layer gives z = s cos(features, class vector); see `normalised_classifier`.
    """
    labels, logits = softmax_form(labels, logits)
    return cross_entropy(labels, logits - rows_of(labels, logits) * margins)


def _margins(known: Known, *, max_margin: NotNegative, scale: Positive) -> dict[str, Floats]:
    margins = known.counts**-0.25
    return {"margins": scale * max_margin * margins / margins.max()}


def normalised_classifier(model: "keras.Model", *, scale: Positive) -> "keras.Model":
    """Return the model with its last layer replaced by scale x cosine(features, class vector), as LDAM needs it.

    Of stock layers alone, so that it loads without this project's code: the class vectors are brought back to
    unit length after every step, where the authors divide by their length in every step.

    Raises
    ------
    ConfigError
        If the last layer is not Dense.
    """
    from keras import Model, constraints, layers

    head = model.layers[-1]
    if not isinstance(head, layers.Dense):
        raise ConfigError(
            "loss=ldam makes the last layer of a model anew, which must be Dense; "
            f"this one ends in {type(head).__name__}: use another loss"
        )
    unit_length = constraints.UnitNorm(axis=0)
    cosines = layers.Dense(head.units, use_bias=False, kernel_constraint=unit_length, dtype="float32", name="cosines")
    features = layers.UnitNormalization(dtype="float32")(head.input)
    normalised = Model(model.input, layers.Rescaling(scale, dtype="float32", name="logits")(cosines(features)))
    cosines.kernel.assign(unit_length(cosines.kernel))
    return normalised


def influence_balanced(
    labels: "tf.Tensor",
    logits: "tf.Tensor",
    factors: "tf.Tensor",
    begun: "tf.Tensor",
    *,
    alpha: Positive,
    epsilon: Positive,
) -> "tf.Tensor":
    """CE, and from a share `start` of the epochs on f_y CE alpha / (||p - y||_1 ||h||_1 + epsilon) (Park et al. 2021).

    h are the features that the last layer sees; the divisor is the influence of a sample on that layer, and has a
    gradient, as in the authors' code. f_c is 1 / n_c over its mean. The mean of the logits of a sample is ||h||_1, see
    `raised_by_features`, which changes no probability.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    norms = tf.nn.relu(tf.reduce_mean(logits, axis=-1))
    errors = tf.reduce_sum(tf.abs(tf.nn.softmax(logits) - rows_of(labels, logits)), axis=-1)
    balanced = of_true(factors, labels) * alpha / (errors * norms + epsilon)
    return cross_entropy(labels, logits) * tf.where(begun > 0, balanced, 1.0)


def _rarity(known: Known) -> Floats:
    rarity = 1 / known.counts
    factors: Floats = rarity / rarity.mean()
    return factors


def _influence(known: Known) -> dict[str, Floats]:
    return {"factors": _rarity(known), "begun": np.array(1.0)}


def _start(*, start: Fraction) -> float:
    return start


def raised_by_features(model: "keras.Model") -> "keras.Model":
    """Return the model with logits whose mean is the sum of the absolute features that its last layer sees.

    A number that is added to all logits of a sample changes no probability. Of stock layers and operations alone.

    Raises
    ------
    ConfigError
        If the last layer is not Dense, or has a single unit.
    """
    from keras import Model, layers, ops

    head = model.layers[-1]
    if not isinstance(head, layers.Dense):
        raise ConfigError(
            "loss=influence_balanced needs the features that a last layer sees, which must be Dense; "
            f"this one ends in {type(head).__name__}: use another loss"
        )
    if head.units < 2:
        raise ConfigError(
            "loss=influence_balanced needs a logit for each class: less their mean, a single one is 0 and learns "
            "nothing; end in two units, or use another loss"
        )
    logits = ops.cast(head.output, "float32")
    centred = ops.subtract(logits, ops.mean(logits, axis=-1, keepdims=True))
    norms = ops.sum(ops.absolute(ops.cast(head.input, "float32")), axis=-1, keepdims=True)
    return Model(model.input, layers.Add(dtype="float32", name="raised")([centred, norms]))


def vs(labels: "tf.Tensor", logits: "tf.Tensor", factors: "tf.Tensor", offsets: "tf.Tensor") -> "tf.Tensor":
    """CE((n_c / n_max)^gamma z_c + tau log p_c): vector scaling, multiplicative and additive (Kini et al. 2021)."""
    labels, logits = softmax_form(labels, logits)
    return cross_entropy(labels, logits * factors + offsets)


def _scaling(known: Known, *, gamma: NotNegative, tau: NotNegative) -> dict[str, Floats]:
    return {"factors": (known.counts / known.counts.max()) ** gamma, "offsets": tau * np.log(known.prior)}


def poly(labels: "tf.Tensor", logits: "tf.Tensor", *, epsilon: Annotated[float, Field(ge=-1, le=1e9)]) -> "tf.Tensor":
    """CE + epsilon (1 - p_y): the first term of the cross-entropy's expansion has another weight (Leng et al. 2022)."""
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    return cross_entropy(labels, logits) + epsilon * (1 - of_true(tf.nn.softmax(logits), labels))


def label_smoothing(labels: "tf.Tensor", logits: "tf.Tensor", smoothing: "tf.Tensor") -> "tf.Tensor":
    """(1 - e_y) CE + e_y mean over classes of -log p_c, e_y from `head` (largest class) to `tail` (smallest class).

    Equal: constant smoothing (Szegedy et al. 2016). Different: label-aware, e_y = tail + (head - tail)
    sin(pi/2 (n_y - n_min) / (n_max - n_min)) (Zhong et al. 2021, the concave form).
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    of_sample = of_true(smoothing, labels)
    # The mean of -log p_c is CE + z_y - mean z: one softmax is enough.
    return cross_entropy(labels, logits) + of_sample * (of_true(logits, labels) - tf.reduce_mean(logits, axis=-1))


def _smoothing(known: Known, *, head: Fraction, tail: Fraction) -> dict[str, Floats]:
    rank = (known.counts - known.counts.min()) / max(1, np.ptp(known.counts))
    return {"smoothing": tail + (head - tail) * np.sin(np.pi / 2 * rank)}


def cost_matrix(labels: "tf.Tensor", logits: "tf.Tensor", costs: "tf.Tensor", *, strength: NotNegative) -> "tf.Tensor":
    """CE + strength x expected cost, the sum over j of M[y, j] p_j (Galdran et al. 2020)."""
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    of_sample = tf.gather(costs, labels) if labels.dtype.is_integer else tf.matmul(labels, costs)
    return cross_entropy(labels, logits) + strength * tf.reduce_sum(of_sample * tf.nn.softmax(logits), axis=-1)


def _costs(known: Known) -> dict[str, Floats]:
    assert known.costs is not None, "the record says that it needs them"
    return {"costs": known.costs}


def predicted_class(labels: "tf.Tensor", logits: "tf.Tensor", weights: "tf.Tensor") -> "tf.Tensor":
    """CE times the weight of the class that is predicted now: a large weight punishes false alarms of that class.

    Correct predictions of it weigh as much; the weight itself has no gradient.
    """
    import tensorflow as tf

    labels, logits = softmax_form(labels, logits)
    return cross_entropy(labels, logits) * tf.gather(weights, tf.argmax(logits, axis=-1))


def _typed_weights(known: Known, *, weights: PerClass) -> dict[str, Floats]:
    return {"weights": weights}


def sigmoid(
    labels: "tf.Tensor",
    logits: "tf.Tensor",
    factors: "tf.Tensor | None" = None,
    *,
    gamma_pos: NotNegative,
    gamma_neg: NotNegative,
    clip: Fraction,
) -> "tf.Tensor":
    """Binary cross-entropy of each label, the mean over labels; several of them may be true at once.

    -(v_l y (1 - p)^gamma_pos log p + (1 - y) q^gamma_neg log(1 - q)) with q = max(p - clip, 0): the asymmetric
    loss (Ridnik et al. 2021), and plain binary cross-entropy where gamma_pos, gamma_neg and clip are 0.
    `pos_weight` is the factor v_l of the positives; `auto` is negatives over positives, (N - n_l) / n_l.

    Parameters
    ----------
    labels : (n, labels) of 0 and 1; or (n,) or (n, 1) beside a single logit
    """
    import tensorflow as tf

    truth, logits = row_form(labels, logits)
    log_p, log_not_p = tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
    positive, negative = -log_p * tf.exp(gamma_pos * log_not_p), -log_not_p
    if clip:
        shifted = tf.nn.relu(tf.sigmoid(logits) - clip)
        negative = -tf.math.log1p(-shifted) * power(shifted, gamma_neg)
    elif gamma_neg:
        negative *= tf.exp(gamma_neg * log_p)
    if factors is not None:
        positive *= factors
    return tf.reduce_mean(truth * positive + (1 - truth) * negative, axis=-1)


def positive_factors(known: Known, *, pos_weight: PositiveWeight) -> Floats:
    """Return the factor of each logit's positives, float64 (logits,), or () for one number; `auto`: (N - n_l) / n_l.

    Raises
    ------
    ConfigError
        If a single logit has factors by name.
    """
    if isinstance(pos_weight, str):
        balance: Floats = (known.samples - known.positives) / known.positives
        return balance
    if isinstance(pos_weight, np.ndarray) and not known.several_labels:
        raise ConfigError(
            "pos_weight by name is for several labels; with dataset.labels=binary it is one number, or auto"
        )
    return np.asarray(1.0 if pos_weight is None else pos_weight, np.float64)


def _positive_table(known: Known, *, pos_weight: PositiveWeight) -> dict[str, Floats]:
    return {} if pos_weight is None else {"factors": positive_factors(known, pos_weight=pos_weight)}


def _sigmoid_prior(
    known: Known, *, pos_weight: PositiveWeight, gamma_pos: NotNegative, gamma_neg: NotNegative, clip: Fraction
) -> Floats | None:
    """Of a single logit: weighing the positives by v multiplies their frequency by v. Of several labels v itself."""
    if gamma_pos or gamma_neg or clip:
        return None
    if known.several_labels:
        return positive_factors(known, pos_weight=pos_weight)
    first, second = known.prior
    return np.array([1.0, first / second if isinstance(pos_weight, str) else pos_weight or 1.0])


def distribution_balanced(
    labels: "tf.Tensor",
    logits: "tf.Tensor",
    rarity: "tf.Tensor",
    bias: "tf.Tensor",
    mapping: "tf.Tensor",
    *,
    gamma: NotNegative,
) -> "tf.Tensor":
    """Binary focal loss of each label with re-balanced weights and tolerant negatives (Wu et al. 2020).

    2 w_l (1 - q)^gamma -log q, the mean over labels; q = sigmoid(z + v_l) of a label that is true, and w_l is divided
    by neg_scale and q = sigmoid(-neg_scale (z + v_l)) where it is not. w_l = alpha + sigmoid(beta (r_l - mu)), with
    r_l = 1 / n_l over the sum of it over the sample's labels: a rare label that comes with frequent ones weighs less
    than one alone. v_l = -init_bias log(N / n_l - 1) / neg_scale. As in the authors' code, whose defaults are for COCO.

    Parameters
    ----------
    labels : (n, labels) of 0 and 1; or (n,) or (n, 1) beside a single logit
    rarity, bias : float32 (labels,), 1 / n_l and v_l
    mapping : float32 (4,), alpha, beta, mu and neg_scale
    """
    import tensorflow as tf

    truth, logits = row_form(labels, logits)
    alpha, beta, mu, scale = tf.unstack(mapping)
    # A sample without labels is as rare as can be: its ratios are without bound.
    ratios = rarity / tf.maximum(tf.reduce_sum(truth * rarity, axis=-1, keepdims=True), TINY)
    weights = alpha + tf.sigmoid(beta * (ratios - mu))
    # TensorFlow would put the bias and that of a last layer together, and leave other last bits in other graphs.
    margins = tf.where(truth > 0, logits, -scale * logits) + tf.where(truth > 0, bias, -scale * bias)
    losses = power(tf.sigmoid(-margins), gamma) * -tf.math.log_sigmoid(margins)
    return 2 * tf.reduce_mean(tf.where(truth > 0, weights, weights / scale) * losses, axis=-1)


def _balancing(
    known: Known,
    *,
    alpha: NotNegative,
    beta: NotNegative,
    mu: NotNegative,
    neg_scale: Positive,
    init_bias: NotNegative,
) -> dict[str, Floats]:
    # A label that every sample has would have a bias without bound.
    negatives = np.maximum(known.samples - known.positives, 1)
    bias = -init_bias * np.log(negatives / known.positives) / neg_scale
    return {"rarity": 1 / known.positives, "bias": bias, "mapping": np.array([alpha, beta, mu, neg_scale])}


def _lines(known: Known, *, slope: Positive, shift: Annotated[float, Field(ge=-1e9, le=1e9)]) -> dict[str, Floats]:
    return {"slopes": np.array(slope), "offsets": np.array(slope * shift)}


# The first three are one function put in three ways; the others may be put in any way.
SHIPPED: Mapping[str, Loss] = {
    "class_weight": Loss(cross_entropy, prior=_unmoved, implementation="class_weight", bits_known=True),
    "sample_weight": Loss(cross_entropy, prior=_unmoved, implementation="sample_weight", bits_known=True),
    "custom": Loss(cross_entropy, prior=_unmoved, implementation="custom", bits_known=True),
    "focal": Loss(focal, _alpha_table, favours=_alpha),
    "class_balanced_focal": Loss(class_balanced_focal, _effective_table, favours=_effective_factors),
    "balanced_softmax": Loss(balanced_softmax, _log_prior, _inverse_prior, bits_known=True),
    "logit_adjusted": Loss(logit_adjusted, _scaled_log_prior, _inverse_power_of_prior, bits_known=True),
    "ldam": Loss(ldam, _margins, head=normalised_classifier),
    "influence_balanced": Loss(influence_balanced, _influence, favours=_rarity, head=raised_by_features, begins=_start),
    # TensorFlow's optimiser leaves other last bits of variables in one engine's graph than in another's.
    "vs": Loss(vs, _scaling, favours=_inverse_power_of_prior, constant_tables=True),
    "poly": Loss(poly),
    "label_smoothing": Loss(label_smoothing, _smoothing),
    "cost_matrix": Loss(cost_matrix, _costs, needs_costs=True),
    "predicted_class": Loss(predicted_class, _typed_weights),
    "sigmoid": Loss(sigmoid, _positive_table, _sigmoid_prior, positives=positive_factors, yes_or_no=True),
    "distribution_balanced": Loss(distribution_balanced, _balancing, yes_or_no=True, constant_tables=True),
    "lade": Loss(lade, _density, _inverse_prior, of_batches=True),
    "recall": Loss(recall, of_batches=True),
    "soft_f1": Loss(soft_f1, of_batches=True),
    "sigmoid_f1": Loss(sigmoid_f1, _lines, yes_or_no=True, of_batches=True),
    "auc_margin": Loss(auc_margin, of_batches=True),
}


# The ways to put class weights in, by the losses that are named after them.
IMPLEMENTED: Mapping[str, Loss] = {name: loss for name, loss in SHIPPED.items() if loss.implementation == name}


@dataclass(frozen=True)
class _Asked:
    """What the user's own loss asks for by the names of its parameters: of each class, or of each logit's positives."""

    names: tuple[str, ...]
    of_rows: bool

    def __call__(self, known: Known) -> dict[str, Floats]:
        of_logits = {"counts": known.positives, "prior": known.positives / known.samples} if self.of_rows else {}
        return {name: of_logits[name] if self.of_rows else getattr(known, name) for name in self.names}


def _of_own(function: Callable[..., "tf.Tensor"], own: Own) -> Loss:
    asked = own.handed[2:]
    tables = _Asked(asked, own.of_rows) if asked else None
    return Loss(function, tables, yes_or_no=own.of_rows, needs_costs="costs" in asked, own=True)


LOSSES: Registry[Loss] = Registry("loss", SHIPPED, _of_own, ("function", "implementation"))


def of_labels() -> list[str]:
    """Return the names of the losses that take several labels a sample; no file of the user's own is imported."""
    shipped = [name for name, loss in LOSSES.shipped.items() if loss.yes_or_no]
    return [*shipped, *(name for name, own in LOSSES.own().items() if own.of_rows)]


class LossOptions(Section):
    """The keys that every loss has."""

    name: str
    function: str
    implementation: Annotated[str, KeyOf(IMPLEMENTED)]
