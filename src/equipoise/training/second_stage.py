"""Decoupled training (Kang et al. 2020): the features stay as they are learned, the classifier is made anew.

A stage changes the model's last layer in place, and returns what it says of itself as metrics.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError, Floats, Integers
from equipoise.data.feed import encode
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import PerSampleLoss
from equipoise.methods.losses import cross_entropy
from equipoise.metrics.classification import class_logits, epoch_metrics
from equipoise.training.engines.choose import lets_xla_in
from equipoise.training.fit import spoiled
from equipoise.training.predictor import Predictor
from equipoise.training.runtime import device_taken

TAUS = np.linspace(0, 1, 11)

# One metric name to its values, the first at step 0.
Curves = dict[str, list[float]]


def crt(model: keras.Model, config: Config, data: Prepared) -> Curves:
    """Classifier re-training: the last layer drawn anew and trained by cross-entropy on class-balanced samples.

    For as many epochs, of as many samples each, as the first stage; class weights take no part in it.
    """
    head, features = _head(model), Predictor(_backbone(model))
    trainer, train = config.trainer, data.split("train")
    inputs, labels = tf.constant(features(train.features)), np.asarray(train.labels)
    steps = -(-len(labels) // trainer.batch_size)
    rows = _class_balanced(labels, len(data.classes), trainer.epochs * steps * trainer.batch_size, config.seed)
    indices = tf.constant(labels)

    def fetch(
        chosen: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:  # pragma: no cover - runs as AutoGraph has rewritten it
        return tf.gather(inputs, chosen), encode(tf.gather(indices, chosen), len(data.classes), config.dataset.labels)

    batches = tf.data.Dataset.from_tensor_slices(rows).batch(trainer.batch_size).map(fetch).prefetch(tf.data.AUTOTUNE)
    keras.utils.set_random_seed(config.seed)
    classifier = keras.Sequential([keras.Input(inputs.shape[1:]), keras.layers.Dense(head.units, dtype="float32")])
    optimizer = {"class_name": trainer.optimizer, "config": {"learning_rate": trainer.learning_rate}}
    jit = trainer.jit is True and lets_xla_in(config, device_taken())
    classifier.compile(keras.optimizers.get(optimizer), PerSampleLoss(cross_entropy, "cross_entropy"), jit_compile=jit)
    history = classifier.fit(batches, epochs=trainer.epochs, steps_per_epoch=steps, shuffle=False, verbose=0)
    head.set_weights(classifier.get_weights())
    return {"train/loss": history.history["loss"]}


def tau_norm(model: keras.Model, config: Config, data: Prepared) -> Curves:
    """Tau-normalisation: w_c / |w_c|^tau without bias, tau the best of 0 to 1 on the validation split.

    By balanced accuracy; of several equal taus the smallest.
    """
    head = _head(model)
    kernel, bias = head.get_weights()
    validation = data.split("validation")
    features, labels = Predictor(_backbone(model))(validation.features), np.asarray(validation.labels)
    scores = [
        epoch_metrics(labels, class_logits(features @ _normalised(kernel, tau)))["balanced_accuracy"] for tau in TAUS
    ]
    tau = float(TAUS[int(np.argmax(scores))])
    head.set_weights([_normalised(kernel, tau), np.zeros_like(bias)])
    return {"tau": [tau]}


SECOND_STAGES: Mapping[str, Callable[[keras.Model, Config, Prepared], Curves]] = {"crt": crt, "tau_norm": tau_norm}


def run_second_stage(
    model: keras.Model, predictor: Predictor, config: Config, data: Prepared
) -> dict[str, list[float]]:
    """The configured stage, and the validation metrics before (step 0) and after it (step 1).

    Raises
    ------
    ConfigError
        If it leaves weights that are no numbers.
    """
    validation = data.split("validation")
    labels = np.asarray(validation.labels)

    def validate() -> dict[str, float]:
        return epoch_metrics(labels, class_logits(predictor(validation.features)))

    before = validate()
    curves = SECOND_STAGES[config.trainer.second_stage](model, config, data)
    weights = spoiled(model)
    if weights:
        raise ConfigError(
            f"trainer.second_stage={config.trainer.second_stage} diverged: {weights} holds NaN or infinity. "
            f"Lower trainer.learning_rate={config.trainer.learning_rate}, or use trainer.second_stage=none"
        )
    after = validate()
    return {**curves, **{f"val/{name}": [value, after[name]] for name, value in before.items()}}


def _head(model: keras.Model) -> keras.layers.Dense:
    return model.layers[-1]


def _backbone(model: keras.Model) -> keras.Model:
    """Everything below the last layer."""
    return keras.Model(model.input, _head(model).input)


def _class_balanced(labels: Integers, classes: int, size: int, seed: int) -> Integers:
    """Rows, int64 (size,): each draws a class evenly, then one of its samples."""
    generator = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels, minlength=classes)
    first = np.cumsum(counts) - counts
    chosen = generator.integers(classes, size=size)
    rows: Integers = order[first[chosen] + generator.integers(counts[chosen])]
    return rows


def _normalised(kernel: Floats, tau: float) -> Floats:
    normalised: Floats = kernel / np.linalg.norm(kernel, axis=0) ** tau
    return normalised
