"""Training on samples that stay in memory: the steps are taken in a loop of TensorFlow's graph, which gathers each batch.

Keras's own `fit` is handed every batch by a pipeline of tf.data, which on small models takes longer than the arithmetic.
A step is Keras's own `train_step` here too, the same operations on the same numbers. But TensorFlow may rewrite a formula
with constants, by what stands around it, so that the same bits are no law: they are known of what was tried alone.
"""

import math
import time

import keras
import psutil
import tensorflow as tf

from equipoise.config import Config
from equipoise.data.feed import ResidentBatches, is_resident
from equipoise.data.prepared import Prepared
from equipoise.options import ConfigError

# Loss functions, none of which has a product with a constant, and models that left the bits of `fit` however they were tried, on a CPU
# and on a GPU.
KNOWN = {"loss.function": ("cross_entropy", "balanced_softmax", "logit_adjusted"), "model": ("linear", "mlp", "cnn", "conv1d")}
# Of one call of the compiled function: Python sees a signal between two of them.
SECONDS_A_CALL = 0.5
MOST_SHARE = 0.5  # of the free memory, for samples


def engine_of(config: Config, data: Prepared, device: str) -> tuple[str, str]:
    """What takes the steps, `fit`, `resident` or `replicas`, and why.

    Parameters
    ----------
    device : "cpu" or "gpu"

    Raises
    ------
    ConfigError
        If the samples are to stay in memory and do not fit.
    """
    trainer, samples = config.trainer, data.split("train")
    needed = 4 * len(samples.labels) * math.prod(data.shape)
    if trainer.strategy != "single":
        return "replicas", f"trainer.strategy={trainer.strategy}"
    if trainer.engine == "resident":
        _check_memory(needed)
    if trainer.engine != "auto":
        return trainer.engine, f"trainer.engine={trainer.engine}"
    if config.loss.implementation == "class_weight":
        return "fit", "loss.implementation=class_weight is Keras's own; trainer.engine=resident takes less time"
    if not is_resident(samples):
        return "fit", "samples are read, or decoded, while they are trained on"
    fit_in = f"{len(samples.labels):,} samples fit in memory"
    if device == "gpu" and trainer.gpu_memory is not None and needed > MOST_SHARE * 2**20 * trainer.gpu_memory:
        return "fit", f"the samples take more than half of trainer.gpu_memory={trainer.gpu_memory}"
    if device == "gpu" and not trainer.deterministic:
        return "resident", f"{fit_in}; with trainer.deterministic=false no engine leaves the same bits twice on a GPU"
    for option, name in {"loss.function": config.loss.function, "model": config.model.name}.items():
        if name not in KNOWN[option]:
            return "fit", f"{option}={name} may leave other last bits with trainer.engine=resident"
    return "resident", f"{fit_in}; the bits are those of fit"


class Resident:
    """A model's training on resident batches.

    Parameters
    ----------
    model : compiled, with an optimiser that is built
    batch_size : the last batch of an epoch may be smaller
    """

    def __init__(self, model: keras.Model, batches: ResidentBatches, batch_size: int) -> None:
        self._model, self._batches, self._batch_size = model, batches, batch_size
        self._order = tf.function(batches.order)
        # On a CPU XLA makes a loop of dense layers twice as fast, and one of convolutions ten times slower than a step each.
        self._in_one = bool(model.jit_compile) and not any("Conv" in type(layer).__name__ for layer in model.layers)
        self._step = tf.function(model.train_step, autograph=False, reduce_retracing=True, jit_compile=model.jit_compile)
        self._take_any, self._take_full = tf.function(self._any_steps), tf.function(self._full_steps, jit_compile=True)
        self._at_once = 1  # steps a call; how many changes no bit

    def fit(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`, as Keras's `fit` does with one callback."""
        self._model.stop_training = False
        for epoch in range(first, end):
            self._model.reset_metrics()
            watch.on_epoch_begin(epoch)
            with tf.device("CPU:0"):  # where tf.data draws it
                rows = self._order()
            watch.on_epoch_end(epoch, self._take_epoch(rows, watch))
            if self._model.stop_training:
                return

    def _take_epoch(self, rows: tf.Tensor, watch: keras.callbacks.Callback) -> dict[str, float]:
        steps, begin, logs = -(-len(rows) // self._batch_size), 0, {}
        while begin < steps:
            stop, started = min(begin + self._at_once, steps), time.monotonic()
            self._take(rows, begin, stop)
            logs = {name: float(value) for name, value in self._model.get_metrics_result().items()}
            watch.on_train_batch_end(stop - 1, logs)
            allowed = int((stop - begin) * SECONDS_A_CALL / (time.monotonic() - started))
            self._at_once, begin = max(1, min(allowed, 2 * self._at_once)), stop
        return logs

    def _take(self, rows: tf.Tensor, begin: int, stop: int) -> None:
        full = min(stop, len(rows) // self._batch_size) if self._in_one else 0
        if full > begin:
            self._take_full(rows, tf.constant(begin), tf.constant(full))
        if stop > full:
            self._take_any(rows, tf.constant(max(begin, full)), tf.constant(stop))

    def _any_steps(self, rows: tf.Tensor, begin: tf.Tensor, stop: tf.Tensor) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        for step in tf.range(begin, stop):
            start = step * self._batch_size
            self._step(self._batches.fetch(rows[start : start + self._batch_size]))

    def _full_steps(self, rows: tf.Tensor, begin: tf.Tensor, stop: tf.Tensor) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        """Of batches that are all of one size, as XLA needs it."""
        step = begin
        while step < stop:  # for `tf.range` XLA would compile anew for each number of steps
            self._model.train_step(self._batches.fetch(tf.slice(rows, [step * self._batch_size], [self._batch_size])))
            step += 1


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > MOST_SHARE * free:
        raise ConfigError(
            f"trainer.engine=resident: the training samples take {needed / 2**30:.1f} GiB, more than half of the {free / 2**30:.1f} GiB "
            "of memory that are free here; use trainer.engine=fit"
        )
