"""One small batch before training: whether loss and model are what training takes them for. Nothing is trained.

Neither draws a random number: the bits of a training are those that it has without a trial.
"""

import inspect
import traceback
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError, Floats, listing
from equipoise.data.feed import class_indices, encode
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import PerSample
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.methods.tasks.choose import task_of
from equipoise.training.graph import Compiled
from equipoise.training.loss import logits_of, loss_function

MOST_SAMPLES = 64
ROWS = 32  # of the training split, for the model
NEAR = 1e-3  # to 1, of the sum of probabilities in half precision
# What makes probabilities of logits, as a layer, as its activation, or as an operation.
PROBABILITIES = ("sigmoid", "hardsigmoid", "hard_sigmoid", "softmax")


def check_loss(config: Config, data: Prepared) -> list[str]:
    """Try the loss on a batch in which every class occurs, or as many as fit; returns what is to be warned of.

    Raises
    ------
    ConfigError
        If it fails, does not return one finite number a sample, has no gradient, mixes the samples of a batch, or
        cannot be compiled.
    """
    function, labels, logits = loss_function(config, data), *_batch(config, data)
    who = _who(config.loss.name)
    samples = len(labels)
    values, gradient = _tried(function, labels, logits, config.loss.name)
    if values.shape != (samples,):
        raise ConfigError(
            f"{who} returns the shape {tuple(values.shape)} for {samples} samples; it must return one value a sample, ({samples},), which class weights "
            "multiply: leave out the mean or the sum over the batch"
        )
    if values.dtype != tf.float32:
        raise ConfigError(f"{who} returns {values.dtype.name}; it must return float32: tf.cast(…, tf.float32)")
    if not np.isfinite(values).all():
        raise ConfigError(
            f"{who} is not finite: it returns {_first_odd(values)} for logits between {logits.min():.2f} and {logits.max():.2f}"
        )
    if gradient is None:
        raise ConfigError(
            f"{who} has no gradient: it must be made of TensorFlow's operations on the logits, without tf.stop_gradient, argmax or rounding alone"
        )
    if not np.isfinite(gradient).all():
        raise ConfigError(f"{who} has a gradient that is not finite: {_first_odd(gradient)}")
    if not gradient.any():
        raise ConfigError(f"{who} has a gradient of 0 for every sample, so that nothing would be learned")
    half = samples // 2
    parts = [
        _tried(function, labels[part], logits[part], config.loss.name)[0] for part in (slice(half), slice(half, None))
    ]
    if not np.allclose(np.concatenate(parts), values, rtol=1e-3, atol=1e-5):
        raise ConfigError(
            f"{who} gives a sample another value if others are in its batch; it must depend on the sample alone: class weights multiply samples, "
            "and several devices divide a batch"
        )
    _compiled(function, labels, logits, config.loss.name)
    return _without_effect(config, data, labels, gradient)


def check_model(built: Compiled, config: Config, data: Prepared) -> None:
    """Try the model, with freshly drawn weights, on some training samples.

    Raises
    ------
    ConfigError
        If it does not end in finite logits, one a class (one in all for binary labels), or has nothing to train.
    """
    model, logits, who = (
        built.model,
        logits_of(config, data),
        f"model={config.model.name}: {MODELS[config.model.name].build.__name__}",
    )
    if model.output_shape != (None, logits):
        raise ConfigError(
            f"{who} ends in the shape {model.output_shape}; it must end in {(None, logits)}, {logits} logits a sample"
        )
    if not model.trainable_variables:
        raise ConfigError(f"{who} has no weights to train")
    last = _last_operation(model)
    if last in PROBABILITIES:
        raise ConfigError(
            f"{who} ends in {last}; it must end in logits, of which the loss makes probabilities itself: leave the activation of the last layer out"
        )
    train = data.split("train")
    found = built.predict(train.features[np.unique(np.linspace(0, len(train.labels) - 1, ROWS).astype(int))])
    if not np.isfinite(found).all():
        raise ConfigError(
            f"{who} gives {_first_odd(found)} for training samples, before anything is trained: its layers or its initial weights are too large"
        )
    if logits > 1 and (found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=NEAR):
        raise ConfigError(
            f"{who} gives rows that sum to 1, as a softmax does; it must end in logits, of which the loss makes probabilities itself"
        )
    if config.trainer.second_stage != "none" and not isinstance(model.layers[-1], keras.layers.Dense):
        raise ConfigError(
            f"trainer.second_stage={config.trainer.second_stage} makes the last layer anew, which must be Dense; {who} ends in {last}"
        )


def _batch(config: Config, data: Prepared) -> tuple[tf.Tensor, Floats]:
    """Return labels in the form that the loss takes, each class twice where they fit, and logits of both signs."""
    classes = len(data.classes)
    samples = min(2 * classes, MOST_SAMPLES)
    samples += samples == classes  # never as many as classes: axes must not be mistaken for each other
    labels = encode(tf.constant(task_of(data).example_labels(classes, samples)), classes, config.dataset.labels)
    logits = np.random.default_rng(0).normal(size=(samples, logits_of(config, data))).astype(np.float32)
    return labels, logits


def _who(loss: str) -> str:
    return f"loss={loss}: its function {LOSSES[loss].function.__name__}"


def _tried(function: PerSample, labels: tf.Tensor, logits: Floats, loss: str) -> tuple[tf.Tensor, Floats | None]:
    """The loss's values and their gradient in the logits, if they have one."""
    variable = tf.constant(logits)
    try:
        with tf.GradientTape() as tape:
            tape.watch(variable)
            values = function(labels, variable)
            if values is None:
                raise ConfigError(
                    f"{_who(loss)} returns None; it must return one value a sample: is its `return` missing? ({_place(loss)})"
                )
            values = tf.convert_to_tensor(values)
        gradient = tape.gradient(values, variable)
    except ConfigError:
        raise
    except Exception as error:  # whatever a loss that anybody has written may raise
        raise ConfigError(
            f"{_who(loss)} fails on labels {labels.dtype.name} {tuple(labels.shape)} and logits float32 {logits.shape}: {_said(error)} ({_place(loss, error)})"
        ) from None
    return values, None if gradient is None else tf.convert_to_tensor(gradient).numpy()


def _compiled(function: PerSample, labels: tf.Tensor, logits: Floats, loss: str) -> None:
    """See that TensorFlow can compile it, as it does for training: for batches of any size, without the numbers in them."""
    any_size = [tf.TensorSpec([None, *values.shape[1:]], values.dtype) for values in (labels, tf.constant(logits))]
    try:
        tf.function(function, autograph=False).get_concrete_function(*any_size)
    except Exception as error:  # likewise
        raise ConfigError(
            f"{_who(loss)} cannot be compiled for training, where tensors have no values yet: {_said(error)} ({_place(loss, error)}); for a Python `if` or "
            "`and` on a tensor use keras.ops.where or tf.where, for NumPy and Python's loops TensorFlow's own operations"
        ) from None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _place(loss: str, error: Exception | None = None) -> str:
    """Where in the loss's file it failed last; where the loss begins, if it did not fail there."""
    code = inspect.unwrap(LOSSES[loss].function).__code__
    failed = traceback.extract_tb(error.__traceback__ if error else None)
    lines = [frame.lineno for frame in failed if frame.filename == code.co_filename]
    return f"{Path(code.co_filename).name}, line {[code.co_firstlineno, *lines][-1]}"


def _without_effect(config: Config, data: Prepared, labels: tf.Tensor, gradient: Floats) -> list[str]:
    """Classes whose samples have no gradient, so that no weight of theirs can change anything."""
    if not task_of(data).has_class_parts:
        return []
    indices = class_indices(labels).numpy()
    moved = {int(index) for index, row in zip(indices, gradient, strict=True) if row.any()}
    still = [data.classes[index] for index in sorted(set(indices.tolist()) - moved)]
    return (
        [f"loss={config.loss.name} has no gradient for samples of class {listing(still)}: their weight has no effect"]
        if still
        else []
    )


def _last_operation(model: keras.Model) -> str:
    """What the model ends in: the activation of its last layer if it has one, else the layer or operation."""
    last = getattr(model, "operations", model.layers)[-1]
    if isinstance(last, keras.Model):
        return _last_operation(last)
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", None)
    return str(name if name not in (None, "linear") else type(last).__name__).lower()


def _first_odd(values: Floats) -> float:
    """The first that is not finite."""
    flat = np.asarray(values).ravel()
    return float(flat[np.argmin(np.isfinite(flat))])
