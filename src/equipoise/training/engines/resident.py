"""Training on samples that stay in memory: the steps are taken in a loop of TensorFlow's graph, which gathers each batch.

Keras's own `fit` is handed every batch by a pipeline of tf.data, which on small models takes longer than the arithmetic.
A step is Keras's own `train_step` here too, the same operations on the same numbers. But TensorFlow may rewrite a formula
with constants, by what stands around it, so that the same bits are no law: they are known of what was tried alone.
"""

import time

import keras
import tensorflow as tf

from equipoise.data.feed import ResidentBatches
from equipoise.training.engines.xla import program_of

SECONDS_A_CALL = 0.5  # of the compiled function: Python sees a signal between two of them


class Resident:
    """A model's training on resident batches.

    Parameters
    ----------
    model : compiled, with an optimiser that is built
    batch_size : the last batch of an epoch may be smaller
    in_programs : take the full batches in programs of XLA, `model.steps_per_execution` steps each
    """

    def __init__(self, model: keras.Model, batches: ResidentBatches, batch_size: int, *, in_programs: bool) -> None:
        self._model, self._batches, self._batch_size = model, batches, batch_size
        self._order = tf.function(batches.order)
        self._in_one = model.steps_per_execution if in_programs else 0
        self._step = tf.function(
            model.train_step, autograph=False, reduce_retracing=True, jit_compile=model.jit_compile
        )
        self._take_any, self._take_full, self._program = (
            tf.function(self._any_steps),
            tf.function(self._full_steps),
            program_of(model),
        )
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
        full = min(stop, len(rows) // self._batch_size) if self._in_one else begin
        for first in range(begin, full, self._in_one or 1):
            self._take_full(rows, tf.constant(first), tf.constant(min(self._in_one, full - first)))
        if stop > full:
            self._take_any(rows, tf.constant(max(begin, full)), tf.constant(stop))

    def _any_steps(
        self, rows: tf.Tensor, begin: tf.Tensor, stop: tf.Tensor
    ) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        for step in tf.range(begin, stop):
            start = step * self._batch_size
            self._step(self._batches.fetch(rows[start : start + self._batch_size]))

    def _full_steps(self, rows: tf.Tensor, begin: tf.Tensor, count: tf.Tensor) -> None:
        """Steps of batches of one size; what the program is handed beyond them, it does not look at."""
        places = begin * self._batch_size + tf.range(self._in_one * self._batch_size)
        flat = self._batches.fetch(tf.gather(rows, tf.minimum(places, tf.shape(rows)[0] - 1)))
        self._program(
            tuple(tf.reshape(values, (self._in_one, self._batch_size, *values.shape[1:])) for values in flat), count
        )
