"""One small batch before training: whether loss and model are what training takes them for. Nothing is trained.

No random number is drawn: a training ends with the bits that it has without a trial.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config
from equipoise.core import plugins
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, Floats
from equipoise.data.feed import class_indices, encode
from equipoise.data.prepared import Prepared
from equipoise.methods.backbones import BACKBONE
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


@dataclass(frozen=True)
class Trial:
    """A loss and the batch that it is tried on.

    Attributes
    ----------
    name : of the loss, as typed
    labels : in the form that the loss takes; each class occurs twice, where that many fit
    logits : float32 (n, logits), of both signs
    """

    name: str
    function: PerSample
    labels: tf.Tensor
    logits: Floats

    @classmethod
    def of(cls, config: Config, data: Prepared) -> "Trial":
        """Return the trial of the configured loss."""
        classes = len(data.classes)
        samples = min(2 * classes, MOST_SAMPLES)
        samples += samples == classes  # never as many as classes: axes must not be mistaken for each other
        labels = encode(tf.constant(task_of(data).example_labels(classes, samples)), classes, config.dataset.labels)
        logits = np.random.default_rng(0).normal(size=(samples, logits_of(config, data))).astype(np.float32)
        return cls(config.loss.name, loss_function(config, data), labels, logits)

    def __str__(self) -> str:
        return f"loss={self.name}: its function {LOSSES[self.name].function.__name__}"

    def run(self, part: slice = slice(None)) -> tuple[tf.Tensor, Floats | None]:
        """Return the loss's values for a part of the batch, and their gradient in the logits if they have one."""
        labels, logits = self.labels[part], tf.constant(self.logits[part])
        try:
            with tf.GradientTape() as tape:
                tape.watch(logits)
                values = self.function(labels, logits)
                if values is None:
                    raise ConfigError(
                        f"{self} returns None; it must return one value a sample: "
                        f"is its `return` missing? ({self.place()})"
                    )
                values = tf.convert_to_tensor(values)
            gradient = tape.gradient(values, logits)
        except ConfigError:
            raise
        except (Exception, SystemExit) as error:  # whatever a loss that anybody has written may raise
            raise ConfigError(
                f"{self} fails on labels {labels.dtype.name} {tuple(labels.shape)} and logits float32 "
                f"{tuple(logits.shape)}: {_said(error)} ({self.place(error)}){_cure(error)}"
            ) from None
        return values, None if gradient is None else tf.convert_to_tensor(gradient).numpy()

    def compile(self) -> None:
        """Refuse a loss that TensorFlow cannot compile for batches of any size, whose tensors have no values yet."""
        values = (self.labels, tf.constant(self.logits))
        any_size = [tf.TensorSpec([None, *found.shape[1:]], found.dtype) for found in values]
        try:
            tf.function(self.function, autograph=False).get_concrete_function(*any_size)
        except (Exception, SystemExit) as error:  # likewise
            raise ConfigError(
                f"{self} cannot be compiled for training, where tensors have no values yet: {_said(error)} "
                f"({self.place(error)}); for a Python `if` or `and` on a tensor use keras.ops.where or tf.where, "
                "for NumPy and Python's loops TensorFlow's own operations"
            ) from None

    def summary(self) -> str:
        """Say how many samples it was tried on, and between which values, once it has stood the trial."""
        values, _ = self.run()
        low, high = float(tf.reduce_min(values)), float(tf.reduce_max(values))
        return f"{len(self.logits)} samples, values {low:.3g} to {high:.3g}, gradient finite"

    def place(self, error: BaseException | None = None) -> str:
        """Return where in the loss's file it failed last; where the loss begins, if it did not fail there."""
        return plugins.place_in(LOSSES[self.name].function, error)


def check_loss(config: Config, data: Prepared) -> list[str]:
    """Try the loss on one batch, and return what the user should hear of it.

    Raises
    ------
    ConfigError
        If it fails, does not return one finite number a sample, has no gradient, mixes the samples of a batch, or
        cannot be compiled.
    """
    with plugins.placing(LOSSES[config.loss.name].function):
        return _checked_loss(Trial.of(config, data), data)


def _checked_loss(trial: Trial, data: Prepared) -> list[str]:
    values, gradient = trial.run()
    _check_values(trial, values)
    if gradient is None:
        raise ConfigError(
            f"{trial} has no gradient: it must be made of TensorFlow's operations on the logits, "
            "without tf.stop_gradient, argmax or rounding alone"
        )
    if not np.isfinite(gradient).all():
        raise ConfigError(f"{trial} has a gradient that is not finite: {_first_odd(gradient)}")
    if not gradient.any():
        raise ConfigError(f"{trial} has a gradient of 0 for every sample, so that nothing would be learned")
    half = len(values) // 2
    parts = [trial.run(part)[0] for part in (slice(half), slice(half, None))]
    alike = np.allclose(np.concatenate(parts), values, rtol=1e-3, atol=1e-5)
    if not (alike or LOSSES[trial.name].of_batches):
        raise ConfigError(
            f"{trial} gives a sample another value if others are in its batch; it must depend on the sample alone: "
            "class weights multiply samples, and several devices divide a batch"
        )
    trial.compile()
    return _without_effect(trial, data, gradient)


def _check_values(trial: Trial, values: tf.Tensor) -> None:
    samples, logits = len(trial.logits), trial.logits
    if values.shape != (samples,):
        of_each = LOSSES[trial.name].yes_or_no and values.shape == logits.shape
        cure = "take the mean over its labels, axis=-1" if of_each else "leave out the mean or the sum over the batch"
        raise ConfigError(
            f"{trial} returns the shape {tuple(values.shape)} for {samples} samples; it must return one value a "
            f"sample, ({samples},), which class weights multiply: {cure}"
        )
    if values.dtype != tf.float32:
        raise ConfigError(f"{trial} returns {values.dtype.name}; it must return float32: tf.cast(…, tf.float32)")
    if not np.isfinite(values).all():
        raise ConfigError(
            f"{trial} is not finite: it returns {_first_odd(values)} for logits between {logits.min():.2f} "
            f"and {logits.max():.2f}; if it is meant for probabilities, take tf.nn.softmax(logits) first"
        )


def check_model(built: Compiled, config: Config, data: Prepared) -> None:
    """Try the model, with freshly drawn weights, on some training samples.

    Raises
    ------
    ConfigError
        If it does not end in finite logits, one a class (one in all for binary labels), or has nothing to train.
    """
    with plugins.placing(MODELS[config.model.name].build):
        _check_built(built, config, data)


def _check_built(built: Compiled, config: Config, data: Prepared) -> None:
    model, logits = built.model, logits_of(config, data)
    who = f"model={config.model.name}: {MODELS[config.model.name].build.__name__}"
    if model.output_shape != (None, logits):
        raise ConfigError(
            f"{who} ends in the shape {model.output_shape}; it must end in {(None, logits)}, {logits} logits a sample"
        )
    if not model.trainable_variables:
        raise ConfigError(f"{who} has no weights to train")
    frozen = [phase for phase in config.trainer.phases if phase.frozen]
    if frozen and BACKBONE not in [layer.name for layer in model.layers]:
        raise ConfigError(
            f"trainer.phases freezes a backbone, and {who} has no layer of that name: give it one, "
            f"keras.Model(…, name='{BACKBONE}'), or leave frozen out"
        )
    last = _last_operation(model)
    if last in PROBABILITIES:
        raise ConfigError(
            f"{who} ends in {last}; it must end in logits, of which the loss makes probabilities itself: "
            "leave the activation of the last layer out"
        )
    train = data.training
    found = built.predict(train.features[np.unique(np.linspace(0, len(train.labels) - 1, ROWS).astype(int))])
    if not np.isfinite(found).all():
        raise ConfigError(
            f"{who} gives {_first_odd(found)} for training samples, before anything is trained: "
            "its layers or its initial weights are too large"
        )
    if logits > 1 and (found >= 0).all() and np.allclose(found.sum(axis=1), 1, atol=NEAR):
        raise ConfigError(
            f"{who} gives rows that sum to 1, as a softmax does; it must end in logits, "
            "of which the loss makes probabilities itself"
        )
    if config.trainer.second_stage != NONE and not isinstance(model.layers[-1], keras.layers.Dense):
        raise ConfigError(
            f"trainer.second_stage={config.trainer.second_stage} makes the last layer anew, which must be Dense; "
            f"{who} ends in {last}"
        )


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _cure(error: BaseException) -> str:
    """Return what helps against TensorFlow's most common complaint, of whole numbers that meet fractions."""
    types = ("int32", "int64", "float")
    return (
        "; labels are class indices: tf.one_hot makes rows of them" if sum(t in str(error) for t in types) > 1 else ""
    )


def _without_effect(trial: Trial, data: Prepared, gradient: Floats) -> list[str]:
    """Return what is to be said of classes whose samples have no gradient: no weight of theirs can change anything."""
    if not task_of(data).has_class_parts:
        return []
    indices = class_indices(trial.labels).numpy()
    moved = {int(index) for index, row in zip(indices, gradient, strict=True) if row.any()}
    still = [data.classes[index] for index in sorted(set(indices.tolist()) - moved)]
    no_gradient = f"loss={trial.name} has no gradient for samples of class {listing(still)}"
    return [f"{no_gradient}: their weight has no effect"] if still else []


def _last_operation(model: keras.Model) -> str:
    """Return what the model ends in: the activation of its last layer if it has one, else the layer or operation."""
    last = getattr(model, "operations", model.layers)[-1]
    if isinstance(last, keras.Model):
        return _last_operation(last)
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", None)
    return str(name if name not in (None, "linear") else type(last).__name__).lower()


def _first_odd(values: Floats) -> float:
    """Return the first that is not finite."""
    flat = np.asarray(values).ravel()
    return float(flat[np.argmin(np.isfinite(flat))])
