"""Decoupled training (Kang et al. 2020): the features stay as they were learned, the classifier is made anew.

TensorFlow is imported when a stage is run, not before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.data.sampling import ByClass
from equipoise.data.types import LabelForm
from equipoise.methods.label_forms import cross_entropy
from equipoise.metrics.classification import class_logits, epoch_metrics

TAUS = np.linspace(0, 1, 11)

# One metric name to its values, the first at step 0.
Curves: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True)
class Learned:
    """What the first stage has left, and how the second one is to train.

    Attributes
    ----------
    kernel, bias : of the last layer, float32 (features, logits) and (logits,)
    features : from a split's name to what reaches the last layer, float32 (n, features)
    labels : from a split's name to class indices, int64 (n,)
    rows : the training samples' own weights, float64 (n,); None: they have none
    classes : how many there are
    form : of the labels that a loss takes
    optimizer : Keras's description of it
    jit : whether XLA compiles the steps
    """

    kernel: Floats
    bias: Floats
    features: Callable[[str], Floats]
    labels: Callable[[str], Integers]
    classes: int
    form: LabelForm
    seed: int
    epochs: int
    batch_size: int
    optimizer: Mapping[str, Any]
    jit: bool
    rows: Floats | None = None


# A new kernel and bias, and what the stage says of itself.
Stage: TypeAlias = Callable[[Learned], tuple[Floats, Floats, Curves]]


@dataclass(frozen=True)
class SecondStage:
    """A second stage and all that is known of it.

    Attributes
    ----------
    prior : from the number of classes to the prior that the model has learned under, whatever came before,
        float64 (classes,); None: not known
    needs_vectors : whether it compares the classes' vectors, of which a single logit has one
    """

    function: Stage
    prior: Callable[[int], Floats] | None = None
    needs_vectors: bool = False


def crt(learned: Learned) -> tuple[Floats, Floats, Curves]:
    """Classifier re-training: the last layer drawn anew and trained by cross-entropy on class-balanced samples.

    For as many epochs, of as many samples each, as the first stage; class weights take no part in it. Row weights do
    within each class, where their mean is made 1, so that the classes stay even.
    """
    import keras
    import tensorflow as tf

    from equipoise.data.feed import encode
    from equipoise.methods.implementations import PerSampleLoss

    labels, batch_size = learned.labels("train"), learned.batch_size
    inputs, indices = tf.constant(learned.features("train")), tf.constant(labels)
    steps = -(-len(labels) // batch_size)
    rows = ByClass.of(labels, learned.classes).balanced(learned.epochs * steps * batch_size, learned.seed)

    beside = () if learned.rows is None else (tf.constant(within_classes(learned.rows, labels)),)

    def fetch(
        chosen: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:  # pragma: no cover - runs as AutoGraph has rewritten it
        encoded = encode(tf.gather(indices, chosen), learned.classes, learned.form)
        return (tf.gather(inputs, chosen), encoded, *(tf.gather(values, chosen) for values in beside))

    batches = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).map(fetch).prefetch(tf.data.AUTOTUNE)
    keras.utils.set_random_seed(learned.seed)
    classifier = keras.Sequential(
        [keras.Input(inputs.shape[1:]), keras.layers.Dense(len(learned.bias), dtype="float32")]
    )
    optimizer, loss = keras.optimizers.get(learned.optimizer), PerSampleLoss(cross_entropy, "cross_entropy")
    classifier.compile(optimizer, loss, jit_compile=learned.jit)
    history = classifier.fit(batches, epochs=learned.epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    kernel, bias = classifier.get_weights()
    return kernel, bias, {"train/loss": history.history["loss"]}


def within_classes(rows: Floats, labels: Integers) -> Floats:
    """Return row weights over the mean of their class, float32 (n,)."""
    means = np.bincount(labels, rows) / np.bincount(labels)
    return (np.asarray(rows) / means[labels]).astype(np.float32)


def _uniform(classes: int) -> Floats:
    return np.full(classes, 1 / classes)


def tau_norm(learned: Learned) -> tuple[Floats, Floats, Curves]:
    """Tau-normalisation: w_c / |w_c|^tau without bias, tau the best of 0 to 1 on the validation split.

    By balanced accuracy; of several equal taus the smallest.
    """
    features, labels = learned.features("validation"), learned.labels("validation")

    def score(tau: float) -> float:
        return epoch_metrics(labels, class_logits(features @ _normalised(learned.kernel, tau)))["balanced_accuracy"]

    tau = float(TAUS[int(np.argmax([score(tau) for tau in TAUS]))])
    return _normalised(learned.kernel, tau), np.zeros_like(learned.bias), {"tau": [tau]}


SECOND_STAGES: Mapping[str, SecondStage] = {
    "crt": SecondStage(crt, prior=_uniform),
    "tau_norm": SecondStage(tau_norm, needs_vectors=True),
}


def _normalised(kernel: Floats, tau: float) -> Floats:
    normalised: Floats = kernel / np.linalg.norm(kernel, axis=0) ** tau
    return normalised
