"""A training that has gone out of numbers: at which step, and what its user is told."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config, Trainer
from equipoise.core.errors import ConfigError, listing
from equipoise.data.feed import class_indices
from equipoise.methods.implementations import PerSample
from equipoise.training.engines.engine import Work
from equipoise.training.workers import of_each_worker


class FirstBadStep:
    """Counts the steps of an epoch and notes the first whose logits or loss are not finite, inside the compiled step.

    Attributes
    ----------
    taken : int64 variable, the steps of the epoch so far
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        # Each replica has its own, and sees its own part of a batch. Keras's variables stand still in the second pass
        # of a step that has two.
        of_each = {"synchronization": "on_read", "aggregation": "only_first_replica"}
        with strategy.scope():
            self.taken = keras.Variable(0, trainable=False, dtype="int64", **of_each)
            self._found = keras.Variable([-1, -1], trainable=False, dtype="int64", **of_each)

    def watched(self, function: PerSample) -> PerSample:
        """Return the loss function, which notes of each step that uses it whether all was finite."""

        def call(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            losses = function(labels, logits)
            finite = tf.stack([tf.reduce_all(tf.math.is_finite(values)) for values in (logits, losses)])
            self._found.assign(tf.where((self._found >= 0) | finite, self._found, self.taken))
            self.taken.assign_add(1)
            return losses

        return call

    def begin(self) -> None:
        """Begin a new epoch."""
        self.taken.assign(0)
        self._found.assign([-1, -1])

    def found(self, last: int) -> tuple[int, str]:
        """Return the step, from 0, that broke the numbers, and how; the last that was taken if none was seen to.

        Logits that are not finite come of weights that are not, which the step before has made. Every worker must ask.
        """
        own = np.stack([found.numpy() for found in self._strategy.experimental_local_results(self._found.value)])
        every = np.frombuffer(of_each_worker(self._strategy, own.tobytes()), own.dtype).reshape(-1, 2)
        logits, loss = (min((step for step in steps if step >= 0), default=-1) for steps in every.T.tolist())
        if loss >= 0 and not 0 <= logits <= loss:
            return loss, "its loss is not finite"
        return max(0, logits - 1) if logits >= 0 else last, "its gradient leaves weights that give no finite logits"


def cure(trainer: Trainer) -> str:
    """Return what keeps a training within the numbers."""
    wider = ""
    if trainer.precision == "mixed_float16":
        wider = "; or trainer.precision=mixed_bfloat16, which counts as far as float32"
    return (
        f"Lower trainer.learning_rate={trainer.learning_rate}, or keep the loss's scale with "
        f"weighting.normalize=sample_mean{wider}"
    )


class Divergence:
    """Tells where and why a training has gone out of numbers."""

    def __init__(self, work: Work, first_bad: FirstBadStep, config: Config, classes: Sequence[str]) -> None:
        self._work, self._first_bad, self._config, self._classes = work, first_bad, config, classes

    def error(self, epoch: int, last: int | None = None) -> ConfigError:
        """Return the error, while the epoch's order of samples is still in force.

        Parameters
        ----------
        last : the last step that was taken, from 0; None: the last of the epoch
        """
        steps = self._work.steps
        step, how = self._first_bad.found(steps - 1 if last is None else last)
        return ConfigError(
            f"training diverged in epoch {epoch + 1} at step {step + 1} of {steps}: {how}. "
            f"Its batch holds {self._held(step)}. {cure(self._config.trainer)}"
        )

    def hidden(self, epoch: int, weights: str) -> ConfigError:
        """Return the error where the loss does not tell: of what is no number, a ReLU makes 0."""
        return ConfigError(
            f"training diverged in epoch {epoch + 1}: {weights} holds NaN or infinity, which a layer above it hides "
            f"from the loss. A sample that is no number does so, or too long a step. {cure(self._config.trainer)}"
        )

    def _held(self, step: int) -> str:
        """Return the classes of a batch, the most frequent first."""
        epochs = replace(self._work.epochs, augment=(), mixing=None)
        _, labels, *_ = next(iter(epochs.batches(self._work.batch_size).skip(step).take(1)))
        if labels.shape.rank == 2 and self._config.dataset.labels == "sparse":  # several labels a sample
            found = labels.numpy().sum(axis=0)
        else:
            found = np.bincount(class_indices(labels).numpy(), minlength=len(self._classes))
        order = [index for index in np.argsort(-found, kind="stable") if found[index]]
        return listing([f"{int(found[index])} of {self._classes[index]}" for index in order])
