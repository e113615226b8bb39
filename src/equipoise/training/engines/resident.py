"""Training on samples that stay in memory: a loop of TensorFlow's graph gathers each batch and takes the steps.

Keras's own `fit` is handed every batch by a pipeline of tf.data, which on small models takes longer than the
arithmetic. A step is Keras's own `train_step` here too, the same operations on the same numbers. But TensorFlow may
rewrite a formula with constants by what stands around it. So the same bits are no law: they are known of what was
tried alone.
"""

import time
from collections.abc import Callable

import keras
import tensorflow as tf

from equipoise.data.feed import ResidentBatches
from equipoise.methods.implementations import Parts
from equipoise.training.engines.engine import Engine, Work
from equipoise.training.engines.xla import program_of

SECONDS_A_CALL = 0.5  # of the compiled function: Python sees a signal between two of them


class Resident(Engine):
    """Steps on batches that are gathered from memory.

    Where the choice says so, programs of XLA take the full batches, `model.steps_per_execution` steps each.
    """

    name = "resident"
    holds_samples = True

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._batch_size = work.batch_size
        self._at_once = 1  # steps a call; how many changes no bit

    def batches(self) -> ResidentBatches:
        """Return the batches of an epoch, all of whose samples are loaded now."""
        return self.work.epochs.in_memory()

    def begin(self, parts: Callable[[], Parts]) -> None:
        """Take what training is called with, once the model is compiled."""
        super().begin(parts)
        model, self._batches = self.model, parts().batches
        self._order = tf.function(self._batches.order)
        self._in_one = model.steps_per_execution if self.work.choice.in_programs else 0
        self._step = tf.function(
            model.train_step, autograph=False, reduce_retracing=True, jit_compile=model.jit_compile
        )
        self._take_any, self._take_full = tf.function(self._any_steps), tf.function(self._full_steps)
        self._program = program_of(model)

    def fit(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`, as Keras's `fit` does with one callback."""
        self.model.stop_training = False
        for epoch in range(first, end):
            self.model.reset_metrics()
            watch.on_epoch_begin(epoch)
            with tf.device("CPU:0"):  # where tf.data draws it
                rows = self._order()
            watch.on_epoch_end(epoch, self._take_epoch(rows, watch))
            if self.model.stop_training:
                return

    def _take_epoch(self, rows: tf.Tensor, watch: keras.callbacks.Callback) -> dict[str, float]:
        steps, begin, logs = -(-len(rows) // self._batch_size), 0, {}
        while begin < steps:
            stop, started = min(begin + self._at_once, steps), time.monotonic()
            self._take(rows, begin, stop)
            logs = {name: float(value) for name, value in self.model.get_metrics_result().items()}
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
