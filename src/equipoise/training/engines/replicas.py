"""One model on several devices or machines: the steps that its replicas take together.

Every replica takes a part of each batch. A batch's loss is the sum over its samples divided by their number in all
replicas, as on one device. Keras's own `fit` takes the mean of the replicas' means instead (3.15): it weighs the
samples of an uneven last batch unequally, and it fails where there are two workers. So the steps are taken here.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

import keras
import tensorflow as tf

from equipoise.methods.implementations import Parts
from equipoise.training.engines.engine import STEPS_PER_CALL, Engine, Work
from equipoise.training.sharpness import SharpnessAware
from equipoise.training.workers import place_of_this_worker, replica_numbers


class Replicas(Engine):
    """Steps of the replicas of a model, which was built and compiled under their strategy.

    The loss must give one value a sample, as `PerSampleLoss.weighted` does.
    """

    name = "replicas"

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._strategy = work.strategy
        self._first = replica_numbers(work.strategy)[0]
        self._batch_size, self._count = work.batch_size, work.count
        with work.strategy.scope():
            # Each replica adds up its own samples; reading it adds up the replicas.
            self._total = keras.Variable(0.0, trainable=False, synchronization="on_read", aggregation="sum")

    def begin(self, parts: Callable[[], Parts]) -> None:
        """Take what training is called with, once the model is compiled, as each phase does."""
        super().begin(parts)
        self._take = tf.function(self._take_steps)

    def batches(self) -> tf.data.Dataset:
        """Return this worker's part of each batch of an epoch."""
        return self.work.epochs.batches(self._batch_size, part=place_of_this_worker(self._strategy))

    def fit(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`, as Keras's `fit` does with one callback."""
        steps, batches = self.work.steps, cast(tf.data.Dataset, self.parts().batches)
        self.model.stop_training = False
        for epoch in range(first, end):
            watch.on_epoch_begin(epoch)
            self._total.assign(0.0)
            iterator, logs = iter(batches), {}
            for begin in range(0, steps, STEPS_PER_CALL):
                stop = min(begin + STEPS_PER_CALL, steps)
                self._take(iterator, tf.constant(begin), tf.constant(stop))
                logs = {"loss": float(self._total.value.read_value()) / min(stop * self._batch_size, self._count)}
                watch.on_train_batch_end(stop - 1, logs)
            watch.on_epoch_end(epoch, logs)
            if self.model.stop_training:
                return

    def _take_steps(
        self, iterator: Iterator[Any], begin: tf.Tensor, stop: tf.Tensor
    ) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        for step in tf.range(begin, stop):
            size = tf.minimum(self._batch_size, self._count - step * self._batch_size)
            self._strategy.run(self._step, args=(next(iterator), size))

    def _step(
        self, batch: tuple[tf.Tensor, ...], size: tf.Tensor
    ) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        """One replica's part of a step; `size` is that of the whole batch."""
        context = tf.distribute.get_replica_context()
        replica, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
        first = size * self._first // replicas  # of this worker's samples
        start, stop = size * replica // replicas, size * (replica + 1) // replicas
        with tf.device("CPU:0"):  # no replica's device needs the whole batch
            # A part without samples gets one that does not count: an empty batch kills some kernels of TensorFlow 2.21.
            begin = tf.minimum(start - first, tf.shape(batch[1])[0] - 1)
            features, labels, *weights = (values[begin : tf.maximum(stop - first, begin + 1)] for values in batch)
            counts = tf.cast(stop > start, tf.float32)

        def loss_of() -> tf.Tensor:
            losses = self.model.loss.weighted(labels, self.model(features, training=True), *weights)
            total = counts * tf.reduce_sum(losses)
            self._total.assign_add(total)
            return total / tf.cast(size, tf.float32)

        summed = functools.partial(context.all_reduce, tf.distribute.ReduceOp.SUM)
        if isinstance(self.model, SharpnessAware):
            found = self.model.gradients(loss_of, whole=summed)
        else:
            with tf.GradientTape() as tape:
                loss = loss_of()
            found = tape.gradient(loss, self.model.trainable_variables)
        # Replicas cannot add up the rows of an embedding that each of them has used, so a gradient is that of all rows.
        gradients = [tf.convert_to_tensor(each) for each in found]
        if self.work.clip_norm is not None:
            length = tf.linalg.global_norm(summed(gradients))
            gradients, _ = tf.clip_by_global_norm(gradients, self.work.clip_norm, use_norm=length)
        # The optimiser adds up the gradients of all replicas.
        self.model.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
