"""Keras losses of logits: those of `loss=…`, for any Keras model that ends in logits.

Each takes labels as class indices (n,) or (n, 1), or as one-hot rows (n, classes), and logits (n, classes); a single
logit z, of shape (n, 1), stands for the two logits (0, z). The values are those of a run, to the bit, one a sample,
which Keras reduces. Options have the defaults of their YAML. Losses are saved with a model: to load it, import this
module first (`from equipoise import losses`).

Class weights go in through `fit(class_weight=…)`, `fit(sample_weight=…)` or, the same to the bit, `class_weights=…`.
Losses of a whole batch take none of them: no sample has a loss alone.
"""

import functools
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from equipoise.config.choice import choice
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, arguments
from equipoise.data.feed import class_indices
from equipoise.methods.costs import costs_as_matrix
from equipoise.methods.losses import LOSSES, Known, normalised_classifier, raised_by_features

_registered = keras.saving.register_keras_serializable("equipoise")


class Common(TypedDict, total=False):
    """What every loss takes by name.

    Attributes
    ----------
    class_weights : (classes,), by which the loss multiplies each sample's value, such as `w.weights`
    name : that Keras shows
    reduction : Keras's: `sum_over_batch_size`, `sum`, `mean_with_sample_weight` or None for one value a sample
    """

    class_weights: npt.ArrayLike | None
    name: str
    reduction: str | None


class Asymmetric(Common, total=False):
    """What `Sigmoid` takes by name beside it.

    Attributes
    ----------
    gamma_pos, gamma_neg : at least 0; 0 is binary cross-entropy
    clip : at least 0, and below 1
    """

    gamma_pos: float
    gamma_neg: float
    clip: float


class Rebalancing(Common, total=False):
    """What `DistributionBalanced` takes by name beside it.

    Attributes
    ----------
    gamma : of the focal factor; 0 leaves it out
    alpha, beta, mu : weights are alpha + sigmoid(beta (r - mu)), r the rarity among the labels of the sample
    neg_scale : slope of negatives, whose weight is divided by it
    init_bias : of the log odds of each label, added to its logit
    """

    gamma: float
    alpha: float
    beta: float
    mu: float
    neg_scale: float
    init_bias: float


@_registered
class Loss(keras.losses.Loss):
    """Any loss by the name of its option, one that you have added included.

    Parameters
    ----------
    loss : an option of `loss=` (docs/methods.md)
    counts : (classes,), training samples of each class, or of each label, if the loss needs them
    costs : (true class, predicted class), if the loss needs them
    samples : how many there are in all, where a sample may have several labels
    more : options of the loss, in class order where one is a number a class; and what every loss takes

    Raises
    ------
    ConfigError
        If there is no such loss or option, a value is wrong, or counts are missing.

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.Loss("poly", epsilon=0.0)
    >>> round(float(loss([0], [[0.0, 0.0]])), 4)
    0.6931
    """

    def __init__(
        self,
        loss: str,
        counts: npt.ArrayLike | None = None,
        *,
        costs: npt.ArrayLike | None = None,
        samples: int | None = None,
        **more: Any,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ConfigError(f"these losses need Keras's TensorFlow backend; this is {keras.backend.backend()}")
        weights, reduction = more.pop("class_weights", None), more.pop("reduction", "sum_over_batch_size")
        super().__init__(name=more.pop("name", loss), reduction=reduction)
        self._given = {"counts": counts, "costs": costs, "samples": samples, "class_weights": weights} | more
        by_class = {key: _by_index(value) for key, value in more.items() if np.ndim(value) == 1}
        self.options = choice("loss", loss, more | by_class, without=("implementation",))
        record, indices = LOSSES[loss], [*next(iter(by_class.values()), ())]
        if record.needs_costs and costs is None:
            raise ConfigError(f"costs are missing: loss={loss} needs the matrix (true class, predicted class)")
        if record.of_batches and weights is not None:
            raise ConfigError(f"class_weights: {loss} is the loss of a whole batch, and no sample has a loss alone")
        known = _known(counts, costs, samples, several_labels=samples is not None or "pos_weight" in by_class)
        self._logits = _logits(known, by_class) if record.yes_or_no else None
        tables = record.tables_of(known, self.options, indices)
        self._function = functools.partial(record.function, **arguments(self.options, record.function, indices))
        self._tables = {name: np.asarray(values, np.float32) for name, values in tables.items()}
        self._weights = None if weights is None else _checked(weights, "class_weights").astype(np.float32)

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
        """Return the reduced values; Keras hands over weights only where `fit` was given some."""
        if sample_weight is not None and LOSSES[self.options.name].of_batches:
            raise ConfigError(
                f"class_weight, sample_weight: {self.options.name} is the loss of a whole batch, and no sample has a "
                "loss alone: leave them out"
            )
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return one value a sample, float32 (n,)."""
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        self._check_classes(y_pred.shape[-1])
        values = self._function(y_true, y_pred, **{name: tf.constant(table) for name, table in self._tables.items()})
        if self._weights is None:
            return values
        return values * tf.gather(tf.constant(self._weights), class_indices(y_true))

    def _check_classes(self, logits: int) -> None:
        """Refuse numbers for fewer classes or more: on a GPU a class without a weight would weigh 0 in silence."""
        if self._logits not in (None, logits):
            raise ConfigError(
                f"{self.name} was made for {self._logits} logits, one for each label, and the model ends in {logits}; "
                "counts of the two classes of a single logit go without samples=, those of several labels with it"
            )
        classes = 2 if logits == 1 else logits
        tables = {} if LOSSES[self.options.name].yes_or_no else self._tables
        for found in (
            *(table for table in tables.values() if table.ndim),
            *([] if self._weights is None else [self._weights]),
        ):
            if len(found) != classes:
                raise ConfigError(
                    f"{self.name} was made for {len(found)} classes, and the model ends in {logits} logits"
                )

    def get_config(self) -> dict[str, Any]:
        """Return what makes the loss again, as numbers, texts and lists."""
        own = {"loss": self.options.name} if type(self) is Loss else {}
        given = {key: np.asarray(value).tolist() for key, value in self._given.items() if value is not None}
        return {**super().get_config(), **own, **given}


@_registered
class CrossEntropy(Loss):
    """-log p of the true class; with `class_weights`, what `loss=custom` trains with.

    Examples
    --------
    >>> import equipoise as eq
    >>> w = eq.class_weights({"cat": 90, "dog": 10}, "balanced")
    >>> loss = eq.losses.CrossEntropy(class_weights=w.weights, reduction=None)
    >>> loss([0, 1], [[0.0, 0.0], [0.0, 0.0]]).numpy().round(4)
    array([0.3851, 3.4657], dtype=float32)
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("custom", **_named("cross_entropy", common))


@_registered
class Focal(Loss):
    """alpha_y (1 - p_y)^gamma CE: samples that are right already count less (Lin et al. 2017).

    Parameters
    ----------
    gamma : at least 0; 0 is cross-entropy
    alpha : (classes,), a factor for each class beside the class weights; None: none

    Examples
    --------
    >>> import equipoise as eq
    >>> eq.losses.Focal(gamma=2.0, reduction=None)([1], [[0.0, 0.0]]).numpy().round(4)
    array([0.1733], dtype=float32)
    """

    def __init__(self, *, gamma: float = 2.0, alpha: npt.ArrayLike | None = None, **common: Unpack[Common]) -> None:
        super().__init__("focal", gamma=gamma, alpha=alpha, **common)


@_registered
class BalancedSoftmax(Loss):
    """CE(z + log n_c): the logits alone answer for equally frequent classes (Ren et al. 2020).

    Parameters
    ----------
    counts : (classes,), training samples of each class, such as `w.counts`

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.BalancedSoftmax([3, 1])
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # -log(1 / (3 + 1))
    1.3863
    """

    def __init__(self, counts: npt.ArrayLike, **common: Unpack[Common]) -> None:
        super().__init__("balanced_softmax", counts, **common)


@_registered
class LogitAdjusted(Loss):
    """CE(z + tau log p_c): the prior is put into the loss and so left out of the logits (Menon et al. 2021).

    Parameters
    ----------
    counts : (classes,), training samples of each class
    tau : at least 0; 0 is cross-entropy, 1 balanced softmax

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.LogitAdjusted([3, 1], tau=2.0)
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # -log(1 / (9 + 1))
    2.3026
    """

    def __init__(self, counts: npt.ArrayLike, *, tau: float = 1.0, **common: Unpack[Common]) -> None:
        super().__init__("logit_adjusted", counts, tau=tau, **common)


@_registered
class LDAM(Loss):
    """CE(z - s m_y): the true class must win by a margin m_c proportional to n_c^(-1/4) (Cao et al. 2019).

    The logits must be z = s cos(features, class vector): `model = loss.with_cosines(model)`.

    Parameters
    ----------
    counts : (classes,), training samples of each class
    max_margin : of the rarest class
    scale : s

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.LDAM([16, 1], max_margin=0.5, scale=2.0)
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # log(1 + e^(2 x 0.5))
    1.3133
    """

    def __init__(
        self, counts: npt.ArrayLike, *, max_margin: float = 0.5, scale: float = 30.0, **common: Unpack[Common]
    ) -> None:
        super().__init__("ldam", counts, max_margin=max_margin, scale=scale, **common)

    def with_cosines(self, model: keras.Model) -> keras.Model:
        """Return the model with its last layer, which must be Dense, made anew: it gives scale x cosine."""
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        return normalised_classifier(keras.Model(inputs, model.outputs[0]), scale=self.options.scale)


@_registered
class InfluenceBalanced(Loss):
    """f_y CE alpha / (||p - y||_1 ||h||_1 + epsilon): by influence on the last layer (Park et al. 2021).

    The mean of a sample's logits must be ||h||_1: `model = loss.with_features(model)`. The authors train with
    cross-entropy first, for half of the epochs. f_c is 1 / n_c over its mean.

    Parameters
    ----------
    counts : (classes,), training samples of each class
    alpha : a factor on all
    epsilon : added to the influence

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.InfluenceBalanced([1, 1], alpha=1.0, epsilon=1.0)
    >>> round(float(loss([1], [[2.0, 2.0]])), 4)  # log 2 / (1 x 2 + 1)
    0.231
    """

    def __init__(
        self, counts: npt.ArrayLike, *, alpha: float = 1000.0, epsilon: float = 0.001, **common: Unpack[Common]
    ) -> None:
        super().__init__("influence_balanced", counts, alpha=alpha, epsilon=epsilon, **common)

    def with_features(self, model: keras.Model) -> keras.Model:
        """Return the model with logits raised by the norm of the features that its last layer, Dense, sees."""
        inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        return raised_by_features(keras.Model(inputs, model.outputs[0]))


@_registered
class VS(Loss):
    """CE((n_c / n_max)^gamma z_c + tau log p_c): vector scaling, multiplicative and additive (Kini et al. 2021).

    Parameters
    ----------
    counts : (classes,), training samples of each class
    gamma : multiplicative, at least 0; 0 is `LogitAdjusted`
    tau : additive, at least 0

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.VS([3, 1], gamma=0.3, tau=1.0)
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)
    1.3863
    """

    def __init__(
        self, counts: npt.ArrayLike, *, gamma: float = 0.3, tau: float = 1.0, **common: Unpack[Common]
    ) -> None:
        super().__init__("vs", counts, gamma=gamma, tau=tau, **common)


@_registered
class Poly(Loss):
    """CE + epsilon (1 - p_y): the first term of the cross-entropy's expansion has another weight (Leng et al. 2022).

    Parameters
    ----------
    epsilon : at least -1; 0 is cross-entropy

    Examples
    --------
    >>> import equipoise as eq
    >>> round(float(eq.losses.Poly(epsilon=2.0)([1], [[0.0, 0.0]])), 4)  # log 2 + 2 / 2
    1.6931
    """

    def __init__(self, *, epsilon: float = 1.0, **common: Unpack[Common]) -> None:
        super().__init__("poly", epsilon=epsilon, **common)


@_registered
class LabelSmoothing(Loss):
    """(1 - e_y) CE + e_y mean over classes of -log p_c, e_y from `head` (largest class) to `tail` (smallest class).

    Equal: constant smoothing (Szegedy et al. 2016). Different: label-aware (Zhong et al. 2021, the concave form).

    Parameters
    ----------
    counts : (classes,), training samples of each class
    head, tail : at least 0, and below 1

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.LabelSmoothing([100, 1], head=0.3, tail=0.0)
    >>> round(float(loss([1], [[0.0, 2.0]])), 4)  # the rarest class is not smoothed: log(1 + e^-2)
    0.1269
    """

    def __init__(
        self, counts: npt.ArrayLike, *, head: float = 0.1, tail: float = 0.1, **common: Unpack[Common]
    ) -> None:
        super().__init__("label_smoothing", counts, head=head, tail=tail, **common)


@_registered
class CostMatrix(Loss):
    """CE + strength x expected cost, the sum over j of M[y, j] p_j (Galdran et al. 2020).

    Parameters
    ----------
    costs : M, (true class, predicted class), 0 on the diagonal
    strength : at least 0; 0 is cross-entropy

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.CostMatrix([[0, 1], [5, 0]])
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # log 2 + 5 / 2
    3.1931
    """

    def __init__(self, costs: npt.ArrayLike, *, strength: float = 1.0, **common: Unpack[Common]) -> None:
        super().__init__("cost_matrix", costs=costs, strength=strength, **common)


@_registered
class PredictedClass(Loss):
    """CE times the weight of the class that is predicted now: a large weight punishes false alarms of that class.

    Parameters
    ----------
    weights : (classes,)

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.PredictedClass([1, 7])
    >>> round(float(loss([0], [[0.0, 0.1]])), 4)  # 7 log(1 + e^0.1)
    5.2108
    """

    def __init__(self, weights: npt.ArrayLike, **common: Unpack[Common]) -> None:
        super().__init__("predicted_class", weights=weights, **common)


@_registered
class Sigmoid(Loss):
    """Binary cross-entropy of each label, the mean over labels; several of them may be true at once.

    With `gamma_pos`, `gamma_neg` and `clip` it is the asymmetric loss (Ridnik et al. 2021).

    Parameters
    ----------
    pos_weight : the factor of the positives: one number, one for each label, or `auto`: negatives over positives
    counts : for `auto`: samples of the two classes of a single logit, or samples that have each label
    samples : for `auto` and several labels a sample: how many samples there are in all
    gamma_pos, gamma_neg, clip : of the asymmetric loss

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.Sigmoid(pos_weight="auto", counts=[90, 10])
    >>> round(float(loss([[1.0]], [[0.0]])), 4)  # 9 log 2
    6.2383
    """

    def __init__(
        self,
        pos_weight: npt.ArrayLike | None = None,
        *,
        counts: npt.ArrayLike | None = None,
        samples: int | None = None,
        **more: Unpack[Asymmetric],
    ) -> None:
        own = {"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0} | more
        super().__init__("sigmoid", counts, samples=samples, pos_weight=pos_weight, **own)


@_registered
class ClassBalancedFocal(Loss):
    """alpha_y (1 - p_y)^gamma CE, alpha_c prop. to (1 - beta) / (1 - beta^n_c), of mean 1 (Cui et al. 2019).

    Parameters
    ----------
    counts : (classes,), training samples of each class
    gamma : at least 0; 0 is cross-entropy with the weights
    beta : at least 0, and below 1; 0 is `Focal`; or `auto`: 1 - C / N

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.ClassBalancedFocal([3, 1], gamma=0.0, beta=0.5)  # alpha = 1 / 1.75 and 1, over their mean
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # 14 / 11 log 2
    0.8822
    """

    def __init__(
        self, counts: npt.ArrayLike, *, gamma: float = 2.0, beta: float | str = 0.9999, **common: Unpack[Common]
    ) -> None:
        super().__init__("class_balanced_focal", counts, gamma=gamma, beta=beta, **common)


@_registered
class LADE(Loss):
    """Balanced softmax with a regulariser that makes logits density ratios (Hong et al. 2021), of a whole batch.

    Parameters
    ----------
    counts : (classes,), training samples of each class
    strength : of the regulariser; 0 is `BalancedSoftmax`
    penalty : of the squared estimate

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.LADE([3, 1], strength=0.5, penalty=0.0)
    >>> round(float(loss([1], [[0.0, 0.0]])), 4)  # log 4 - (3/4 log 1.5 - 1/4 log 2) / 2
    1.3209
    """

    def __init__(
        self, counts: npt.ArrayLike, *, strength: float = 0.1, penalty: float = 0.01, **common: Unpack[Common]
    ) -> None:
        super().__init__("lade", counts, strength=strength, penalty=penalty, **common)


@_registered
class Recall(Loss):
    """CE times the share of the batch's samples of class y that are predicted wrongly now (Tian et al. 2022).

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.Recall(reduction=None)  # of the two samples of class 0 one is wrong
    >>> loss([0, 0], [[0.0, 0.0], [0.0, 0.1]]).numpy().round(4)
    array([0.3466, 0.3722], dtype=float32)
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("recall", **common)


@_registered
class SoftF1(Loss):
    """1 - the macro F1 of the batch, counted by softmax probabilities (Benedict et al. 2022).

    Examples
    --------
    >>> import equipoise as eq
    >>> round(float(eq.losses.SoftF1()([0, 1], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.5
    """

    def __init__(self, **common: Unpack[Common]) -> None:
        super().__init__("soft_f1", **common)


@_registered
class SigmoidF1(Loss):
    """1 - the macro F1 of the batch over labels, counted by sigmoid(slope (z + shift)) (Benedict et al. 2022).

    For several labels a sample, or a single logit.

    Parameters
    ----------
    slope : above 0; the steeper, the nearer to F1
    shift : of the logits

    Examples
    --------
    >>> import equipoise as eq
    >>> round(float(eq.losses.SigmoidF1()([[1, 0], [0, 1]], [[0.0, 0.0], [0.0, 0.0]])), 4)
    0.5
    """

    def __init__(self, *, slope: float = 1.0, shift: float = 0.0, **common: Unpack[Common]) -> None:
        super().__init__("sigmoid_f1", slope=slope, shift=shift, **common)


@_registered
class AUCMargin(Loss):
    """The AUC margin loss of each class against the rest, from the pairs in a batch (Yuan et al. 2021).

    Parameters
    ----------
    margin : above 0, between the mean scores of the two sides

    Examples
    --------
    >>> import equipoise as eq
    >>> round(float(eq.losses.AUCMargin()([0, 1], [[0.0, 0.0], [0.0, 0.0]])), 4)  # no spread, all of the margin missing
    1.0
    """

    def __init__(self, *, margin: float = 1.0, **common: Unpack[Common]) -> None:
        super().__init__("auc_margin", margin=margin, **common)


@_registered
class DistributionBalanced(Loss):
    """Focal loss of several labels with re-balanced weights and tolerant negatives (Wu et al. 2020).

    Parameters
    ----------
    counts : (labels,), training samples that have each label; or of the two classes of a single logit
    samples : how many there are in all, where a sample may have several labels
    more : its options, and what every loss takes

    Examples
    --------
    >>> import equipoise as eq
    >>> loss = eq.losses.DistributionBalanced([5, 5], samples=10)
    >>> round(float(loss([[1, 1]], [[0.0, 0.0]])), 4)  # 2 / 4 (0.1 + sigmoid(10 (1/2 - 0.2))) log 2
    0.3648
    """

    def __init__(self, counts: npt.ArrayLike, *, samples: int | None = None, **more: Unpack[Rebalancing]) -> None:
        own = {"gamma": 2.0, "alpha": 0.1, "beta": 10.0, "mu": 0.2, "neg_scale": 2.0, "init_bias": 0.05} | more
        super().__init__("distribution_balanced", counts, samples=samples, **own)


def _logits(known: Any, by_class: Mapping[str, Any]) -> int | None:
    """Return how many yes-or-no logits a loss was made for; None if it is for any number of them."""
    if "pos_weight" in by_class:
        return len(by_class["pos_weight"])
    if isinstance(known, _Uncounted):
        return None
    if not known.several_labels and len(known.counts) != 2:
        raise ConfigError(
            f"counts={known.counts.tolist()} without samples are those of the two classes of a single logit: where a "
            "sample may have several labels, give samples=, how many there are in all"
        )
    return len(known.positives)


class _Uncounted:
    """Stands for what is known of the training split where no counts are given: a loss that asks for them is told."""

    def __init__(self, costs: Floats | None, *, several_labels: bool) -> None:
        self.costs, self.several_labels = costs, several_labels

    def __getattr__(self, name: str) -> Any:
        raise ConfigError("counts are missing: give the training samples of each class, as w.counts or np.bincount(y)")


def _known(counts: Any, costs: Any, samples: int | None, *, several_labels: bool) -> Any:
    """Return what the loss may know of the training split."""
    matrix = None if costs is None else costs_as_matrix(costs)
    if counts is None:
        return _Uncounted(matrix, several_labels=several_labels)
    found = _checked(counts, "counts")
    if (found < 1).any():
        raise ConfigError(f"counts={found.tolist()}: every class needs a training sample")
    return Known(found, int(found.sum()) if samples is None else samples, matrix, several_labels)


def _checked(values: Any, name: str) -> Floats:
    """Return one number a class, float64 (classes,)."""
    found: Floats = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise ConfigError(
            f"{name}={found.tolist()}: give one number a class, in class order, not below 0, and not all 0"
        )
    return found


def _by_index(values: Any) -> dict[str, Any]:
    """Return numbers in class order as a mapping from the class's index, which stands for its name."""
    return {str(index): value for index, value in enumerate(np.asarray(values).tolist())}


def _named(name: str, common: Common) -> Common:
    return {"name": name, **common}
