"""The workers that train one model together: what they tell each other, and what a user is told if one is gone."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from equipoise.core.errors import ConfigError


def place_of_this_worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return (i, n): this process is the i-th, from 0, of the n that train the model."""
    numbers = replica_numbers(strategy)
    return numbers[0] // len(numbers), int(strategy.num_replicas_in_sync) // len(numbers)


def of_each_worker(strategy: tf.distribute.Strategy, content: bytes) -> bytes:
    """Return the contents of all workers one after the other; every worker must ask for it."""
    first, *_ = replica_numbers(strategy)
    return _joined(strategy, lambda replica: content if replica == first else b"")


def from_chief(strategy: tf.distribute.Strategy, content: bytes) -> bytes:
    """Return the chief's content, whatever that of the others is; every worker must ask for it."""
    return _joined(strategy, lambda replica: content if replica == 0 else b"")


def replica_numbers(strategy: tf.distribute.Strategy) -> list[int]:
    """Return the numbers of this process's replicas among all."""
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
    """Check that all workers were started with the same values.

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
            f"the workers were not started alike: they differ in {', '.join(differing)}; "
            "type the same command, on the same data, in each"
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
