"""Fit a Keras model with the weights put in as configured, and say after each epoch how it went.

Knows nothing of MLflow, of the terminal or of the test split.
"""

import hashlib
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise import multilabel
from equipoise.audit import weighted_losses
from equipoise.config import Config
from equipoise.costs import cost_matrix
from equipoise.data.feed import class_logits, feature_batches, training_batches
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import sampling
from equipoise.implementations import IMPLEMENTATIONS, Parts, PerSample, PerSampleLoss, check_labels
from equipoise.losses import LOSSES, positive_weights
from equipoise.metrics import epoch_metrics
from equipoise.models import MODELS, normalise_classifier
from equipoise.options import ConfigError, Floats, arguments
from equipoise.precision import loss_scaled
from equipoise.schedules import share_at, stretches, weights_at
from equipoise.weighting import ClassWeights

# Steps that one call of the compiled training function takes: fewer returns to Python, the same weights.
STEPS_PER_CALL = 50
LOWER_IS_BETTER = {"val/log_loss"}

OnEpoch = Callable[[int, dict[str, float]], None]


class Predictor:
    """A model's logits for any number of samples, compiled once."""

    def __init__(self, model: keras.Model) -> None:
        shape = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)
        # A part of a model may end in half precision.
        self._logits = tf.function(lambda batch: tf.cast(model(batch, training=False), tf.float32), input_signature=[shape])

    def __call__(self, features: Any) -> Floats:
        """float32 (n, logits) for features of shape (n, *shape), or images still to be decoded."""
        return np.concatenate([self._logits(batch).numpy() for batch in feature_batches(features)])


def build(config: Config, data: Prepared) -> keras.Model:
    """The configured model with freshly drawn weights, which depend on the seed alone."""
    keras.backend.clear_session()
    keras.config.set_dtype_policy(config.trainer.precision)
    keras.utils.set_random_seed(config.seed)
    function = MODELS[config.model.name].build
    logits = 1 if config.dataset.labels == "binary" else len(data.classes)
    model = function(data.shape, logits, **arguments(config.model, function))
    if config.loss.name == "ldam":
        model = normalise_classifier(model, arguments(config.loss, LOSSES["ldam"])["scale"])
    return model


def loss_function(config: Config, data: Prepared) -> PerSample:
    """The configured loss of (labels, logits), one value a sample, without weights."""
    function = LOSSES[config.loss.name]
    options = arguments(config.loss, function, data.classes)
    counts = data.counts.astype(np.float64)
    at_hand: dict[str, Callable[[], Floats]] = {
        "counts": lambda: counts,
        "costs": lambda: cost_matrix(config.cost or {}, data.classes),
        # Of a single logit, class 1 is the positive one.
        "balance": lambda: positive_weights(*((counts, len(data.split("train").labels)) if data.several_labels else (counts[1:], int(counts.sum())))),
    }
    if data.several_labels and config.weighting.name == "balanced":
        options["pos_weight"] = "auto"  # what weights balanced are where a sample has no one class
    asked = [name for name in list(inspect.signature(function).parameters)[2:] if name in at_hand]
    given: dict[str, Floats] = {name: at_hand[name]() for name in asked}
    return lambda labels, logits: function(labels, logits, **given, **options)


def fit(model: keras.Model, predictor: Predictor, config: Config, data: Prepared, weights: ClassWeights, on_epoch: OnEpoch) -> None:
    """Train the model in place.

    Parameters
    ----------
    on_epoch : called with the epoch, from 0, and its metrics: `train/loss`, `val/…`, and `weight_schedule` if there is one

    Raises
    ------
    ConfigError
        If the labels do not fit the weights, or the loss is no longer finite.
    """
    epoch = tf.Variable(0, dtype=tf.int64)
    train = data.split("train")
    if data.several_labels:
        weights = replace(weights, weights=np.ones(len(data.classes)))  # they are in the loss, label by label
    check_labels(train.labels, weights.weights, len(data.classes))
    function = loss_function(config, data)
    batches = training_batches(
        train,
        classes=len(data.classes),
        labels=config.dataset.labels,
        batch_size=config.trainer.batch_size,
        seed=config.seed,
        epoch=epoch,
        sampling=sampling(config.dataset.sampling, train.labels, data.counts, config.trainer.epochs),
    )
    bare = Parts(batches, PerSampleLoss(function, config.loss.function))
    put_in = IMPLEMENTATIONS[config.loss.implementation]
    table = tf.Variable(weights.weights, trainable=False, dtype=tf.float32)
    described = {"class_name": config.trainer.optimizer, "config": {"learning_rate": config.trainer.learning_rate}}
    optimizer = loss_scaled(keras.optimizers.get(described), config.trainer.precision, weights.weights)
    steps = batches.cardinality().numpy()
    loss = put_in(bare, table).loss
    model.compile(optimizer, loss, jit_compile=config.trainer.jit, steps_per_execution=min(STEPS_PER_CALL, steps))
    watch = _Watch(predictor, config, data, weights.weights, function, epoch, on_epoch)
    for first, end, share in stretches(config.weighting, config.trainer.epochs):
        table.assign(weights_at(weights.weights, share))
        parts = put_in(bare, table)
        model.fit(parts.batches, initial_epoch=first, epochs=end, verbose=0, shuffle=False, callbacks=[watch], **parts.fit)
        if model.stop_training:
            break
    watch.restore_best()


def weights_sha256(model: keras.Model) -> str:
    """Digest of all the model's weights, in order, with their shapes."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.dtype} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class _Watch(keras.callbacks.Callback):
    """Sets the epoch that orders the samples, validates, reports, and stops early if so configured."""

    def __init__(
        self, predictor: Predictor, config: Config, data: Prepared, weights: Floats, function: PerSample, epoch: tf.Variable, on_epoch: OnEpoch
    ) -> None:
        super().__init__()
        self.predictor, self.config, self.weights, self.function = predictor, config, weights, function
        self.epoch, self.on_epoch = epoch, on_epoch
        self.validation = data.split("validation")
        self.epoch_metrics = multilabel.epoch_metrics if data.several_labels else epoch_metrics
        self.best, self.best_weights, self.waited = -math.inf, None, 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.epoch.assign(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])
        labels = np.asarray(self.validation.labels)
        raw = self.predictor(self.validation.features)
        # The loss is from before the last steps, the predictions are from after them.
        if not (math.isfinite(loss) and np.isfinite(raw).all()):
            wider = "; or trainer.precision=mixed_bfloat16, which counts as far as float32" if self.config.trainer.precision == "mixed_float16" else ""
            raise ConfigError(
                f"training diverged in epoch {epoch + 1} (loss {loss:.4g}): lower trainer.learning_rate={self.config.trainer.learning_rate}, "
                f"or keep the loss's scale with weighting.normalize=sample_mean{wider}"
            )
        share = share_at(self.config.weighting, epoch, self.config.trainer.epochs)
        in_force = weights_at(self.weights, share)
        metrics = {"train/loss": loss, "val/loss": float(weighted_losses(self.function, labels, raw, in_force, self.config.dataset.labels).mean())}
        if self.config.weighting.schedule != "constant":
            metrics["weight_schedule"] = share
        metrics |= {f"val/{name}": value for name, value in self.epoch_metrics(labels, class_logits(raw)).items()}
        self.on_epoch(epoch, metrics)
        self._stop_early(metrics)

    def _stop_early(self, metrics: dict[str, float]) -> None:
        trainer = self.config.trainer
        if trainer.early_stopping is None:
            return
        value = metrics[trainer.monitor] * (-1 if trainer.monitor in LOWER_IS_BETTER else 1)
        if value > self.best:
            self.best, self.best_weights, self.waited = value, self.model.get_weights(), 0
        else:
            self.waited += 1
            self.model.stop_training = self.waited >= trainer.early_stopping

    def restore_best(self) -> None:
        """Go back to the best weights, if early stopping kept them. Not at the end of `fit`, which a schedule enters again."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
