"""One model on several devices or machines: what its replicas tell each other, and the steps that they take together.

Every replica takes a part of each batch, and a batch's loss is the sum over its samples divided by their number in all
replicas, as on one device. Keras's own `fit` takes the mean of the replicas' means instead, which weighs the samples of
an uneven last batch unequally, and fails where there are two workers (3.15): so the steps are taken here.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.core.schema import ConfigError


class Replicas:
    """The replicas of a model, which was built and compiled under their strategy, and their training.

    Parameters
    ----------
    model : with an optimiser that is built, and a loss whose `call` gives one value a sample
    batch_size, samples : in all replicas, and of an epoch; the last batch may be smaller
    steps_per_call : steps that one call of the compiled function takes
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        *,
        batch_size: int,
        samples: int,
        steps_per_call: int,
    ) -> None:
        self._strategy, self._model = strategy, model
        self._batch_size, self._samples, self._steps_per_call = batch_size, samples, steps_per_call
        self._steps = -(-samples // batch_size)
        self._first = _numbers(strategy)[0]
        with strategy.scope():
            # Each replica adds up its own samples; reading it adds up the replicas.
            self._total = tf.Variable(
                0.0,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )
        self._take = tf.function(self._take_steps)

    def fit(self, batches: tf.data.Dataset, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`, as Keras's `fit` does with one callback.

        Parameters
        ----------
        batches : this worker's part of each batch: features, labels, and weights of the samples if there are any
        """
        self._model.stop_training = False
        for epoch in range(first, end):
            watch.on_epoch_begin(epoch)
            self._total.assign(0.0)
            iterator, logs = iter(batches), {}
            for begin in range(0, self._steps, self._steps_per_call):
                stop = min(begin + self._steps_per_call, self._steps)
                self._take(iterator, tf.constant(begin), tf.constant(stop))
                logs = {"loss": float(self._total.read_value()) / min(stop * self._batch_size, self._samples)}
                watch.on_train_batch_end(stop - 1, logs)
            watch.on_epoch_end(epoch, logs)
            if self._model.stop_training:
                return

    def _take_steps(
        self, iterator: Iterator[Any], begin: tf.Tensor, stop: tf.Tensor
    ) -> None:  # pragma: no cover - runs as AutoGraph has rewritten it
        for step in tf.range(begin, stop):
            size = tf.minimum(self._batch_size, self._samples - step * self._batch_size)
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
            # Of a part without samples one that does not count: some of TensorFlow's kernels (2.21) die of an empty batch.
            begin = tf.minimum(start - first, tf.shape(batch[1])[0] - 1)
            features, labels, *weights = (values[begin : tf.maximum(stop - first, begin + 1)] for values in batch)
            counts = tf.cast(stop > start, tf.float32)
        with tf.GradientTape() as tape:
            losses = self._model.loss.call(labels, self._model(features, training=True))
            total = counts * tf.reduce_sum(losses * weights[0] if weights else losses)
            loss = total / tf.cast(size, tf.float32)
        gradients = tape.gradient(loss, self._model.trainable_variables)
        # The optimiser adds up the gradients of all replicas.
        self._model.optimizer.apply_gradients(zip(gradients, self._model.trainable_variables, strict=True))
        self._total.assign_add(total)


def place_of_this_worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """(i, n): this process is the i-th, from 0, of the n that train the model."""
    numbers = _numbers(strategy)
    return numbers[0] // len(numbers), int(strategy.num_replicas_in_sync) // len(numbers)


def of_each_worker(strategy: tf.distribute.Strategy, content: bytes) -> bytes:
    """The contents of all workers one after the other; every worker must ask for it."""
    first, *_ = _numbers(strategy)
    return _joined(strategy, lambda replica: content if replica == first else b"")


def from_chief(strategy: tf.distribute.Strategy, content: bytes) -> bytes:
    """The chief's content, whatever that of the others is; every worker must ask for it."""
    return _joined(strategy, lambda replica: content if replica == 0 else b"")


def _numbers(strategy: tf.distribute.Strategy) -> list[int]:
    """Of this process's replicas, among all."""
    values = strategy.experimental_distribute_values_from_function(lambda context: context.replica_id_in_sync_group)
    return [int(value) for value in strategy.experimental_local_results(values)]


def _joined(strategy: tf.distribute.Strategy, of_replica: Callable[[int], bytes]) -> bytes:
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return of_replica(0)

    def as_integers(context: tf.distribute.ReplicaContext) -> tf.Tensor:
        # TensorFlow gathers no bytes, and dies (2.21) if there is nothing at all to gather.
        replica = context.replica_id_in_sync_group
        content = of_replica(replica)
        return tf.constant(np.frombuffer(content if replica else b"\0" + content, np.uint8).astype(np.int32))

    gathered = strategy.gather(strategy.experimental_distribute_values_from_function(as_integers), axis=0)
    return bytes(gathered.numpy()[1:].astype(np.uint8).tobytes())


def check_agreement(strategy: tf.distribute.Strategy, what: Mapping[str, str]) -> None:
    """See that all workers were started with the same.

    Raises
    ------
    ConfigError
        In every worker, naming what is not the same in all of them.
    """
    size = hashlib.sha256().digest_size
    own = b"".join(hashlib.sha256(value.encode()).digest() for value in what.values())
    every = np.frombuffer(of_each_worker(strategy, own), np.uint8).reshape(-1, len(what), size)
    differing = [name for index, name in enumerate(what) if np.ptp(every[:, index], axis=0).any()]
    if differing:
        raise ConfigError(
            f"the workers were not started alike: they differ in {', '.join(differing)}; type the same command, on the same data, in each"
        )


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """Within it the failure of another worker is told as what it is.

    Raises
    ------
    ConnectionError
        If a worker is gone or does not answer.
    """
    lost = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.FailedPreconditionError,
    )
    try:
        yield
    except tf.errors.OpError as error:
        if not (isinstance(error, lost) or "ollective" in str(error.message)):
            raise  # pragma: no cover - a defect of ours
        said = str(error.message).strip().splitlines()
        reason = next((line for line in said if "aborted by" in line), said[0] if said else type(error).__name__)
        raise ConnectionError(f"another worker is gone, or does not answer ({reason[:200]})") from None
