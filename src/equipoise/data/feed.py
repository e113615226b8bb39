"""Prepared samples as batches, by tf.data or gathered from memory, in an order that depends on seed and epoch alone.

Small arrays are gathered from memory, for tf.data a whole epoch at once. Large arrays are read batch by batch from the
mapped file or from shards, and images are decoded in parallel. This module knows nothing of class weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from equipoise.core.schema import Floats, Integers
from equipoise.data.augmentation import augmented, drawn_numbers
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.images.decoding import decode
from equipoise.data.mixing import NUMBERS, Mixing
from equipoise.data.sampling import Sampling, drawn_rows
from equipoise.data.shards import Images, RecordImages
from equipoise.data.types import LabelForm, Samples

# Arrays up to this size are copied into memory; larger ones stay on disk.
MOST_RESIDENT_BYTES = 256 << 20


@dataclass(frozen=True)
class Epochs:
    """The samples of a split in epochs of (features, labels), each in an order that is a function of (seed, epoch).

    Where rows have weights of their own, these come third, float32 (n,).

    Attributes
    ----------
    classes, labels : the number of classes, and the form in which the model sees the labels
    seed, epoch : int64 variables, read at the start of every epoch, so that no state of a shuffling is left to save
    sampling : draw the rows with replacement, by class; None: every row once
    augment : ways to alter the images, in which each is altered anew in every epoch
    mixing : how samples of a batch are mixed; labels then are (one class, the other, share of the one), float32 (n, 3)
    """

    samples: Samples
    classes: int
    labels: LabelForm
    seed: int | tf.Variable
    epoch: tf.Variable
    sampling: Sampling | None = None
    augment: tuple[str, ...] = ()
    mixing: Mixing | None = None

    @property
    def alters(self) -> bool:
        """Whether a model is handed other samples than those that are there."""
        return bool(self.augment) or self.mixing is not None

    def batches(self, batch_size: int, *, part: tuple[int, int] = (0, 1), endless: bool = False) -> tf.data.Dataset:
        """Return the epoch's batches, in an order that is drawn afresh whenever they are iterated.

        Parameters
        ----------
        part : (i, n), the i-th of n parts of each batch, as even as they can be, of one row at least
        endless : go on with the epochs after it, each in its own order, since to begin anew takes tf.data longer than
            a small epoch; `epoch` stays the first, and batches may be read ahead of it
        """
        count = len(self.samples.labels)
        # What is in memory is gathered once for the whole epoch, and sliced: a call for each batch is several times
        # as slow.
        resident = is_resident(self.samples)
        gathered = _resident(self.samples) if resident else lambda rows: (rows,)
        epochs = tf.data.Dataset.counter() if endless else tf.data.Dataset.range(1)
        # Without branches that depend on tensors, AutoGraph's rewriting only takes a second.
        plain = resident and self.sampling is None and not self.alters
        traced = tf.autograph.experimental.do_not_convert if plain else lambda function: function
        batches = epochs.flat_map(
            traced(lambda later: _in_batches((*gathered(self.rows(later)), *self._numbers(later)), count, batch_size))
        )
        batches = batches if part == (0, 1) else batches.map(_part_of(*part))
        batches = batches if resident else _fetched(batches, self.samples)
        batches = batches.map(traced(self._made), None if resident or not self.alters else tf.data.AUTOTUNE)
        length = tf.data.INFINITE_CARDINALITY if endless else -(-count // batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(length))
        return batches.prefetch(2).with_options(_untuned()) if resident else batches.prefetch(tf.data.AUTOTUNE)

    def in_memory(self) -> "ResidentBatches":
        """Return the same samples in the same order, all of them loaded, or decoded, into memory now."""
        samples = self.samples
        if not is_resident(samples):
            samples = replace(samples, features=np.concatenate(list(feature_batches(samples.features))))
        read = _resident(samples)
        if not self.alters:
            return ResidentBatches(lambda: self.rows(0), read).map(self._made)
        order = ResidentBatches(
            lambda: tf.concat([self.rows(0)[:, tf.newaxis], *self._numbers(0)], axis=1),
            lambda rows: (*read(rows[:, 0]), rows[:, 1:]),
        )
        return order.map(self._made)

    def rows(self, later: int | tf.Tensor) -> tf.Tensor:  # pragma: no cover - runs as AutoGraph has rewritten it
        """Draw the rows, int64 (n,), of the epoch that is so many later."""
        now = self.epoch.read_value() + later
        key = tf.stack([tf.cast(self.seed, tf.int64), now])
        if self.sampling is None:
            return tf.random.experimental.stateless_shuffle(tf.range(len(self.samples.labels), dtype=tf.int64), key)
        return drawn_rows(self.sampling, now, key)

    def _numbers(self, later: int | tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Draw the numbers by which the samples of an epoch are altered, int64 (n, numbers); nothing if none is."""
        if not self.alters:
            return ()
        now, count = self.epoch.read_value() + later, len(self.samples.labels)
        found = [drawn_numbers(self.augment, count, self.seed, now)] if self.augment else []
        found += [self.mixing.numbers(count, self.seed, now)] if self.mixing else []
        return (tf.concat(found, axis=1),)

    def _made(self, features: tf.Tensor, index: tf.Tensor, *more: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Return what a model is handed of samples: features, altered if so, labels in their form, and rows' weights.

        Parameters
        ----------
        more : the rows' weights if they have any, and then the numbers by which they are altered if they are
        """
        if not self.alters:
            return (features, encode(index, self.classes, self.labels), *more)
        *weights, drawn = more
        if self.augment:
            features = augmented(self.augment, features, drawn)
        if self.mixing:
            return (*self.mixing.mixed(features, index, drawn[:, -NUMBERS:]), *weights)
        return (features, encode(index, self.classes, self.labels), *weights)


def _part_of(index: int, parts: int) -> Callable[..., tuple[tf.Tensor, ...]]:
    def own(*values: tf.Tensor) -> tuple[tf.Tensor, ...]:  # pragma: no cover - runs as AutoGraph has rewritten it
        held = tf.shape(values[0])[0]
        start = held * index // parts
        return tuple(value[start : tf.maximum(held * (index + 1) // parts, start + 1)] for value in values)

    return own


def _untuned() -> tf.data.Options:
    """Return the options of batches in memory: there is nothing to tune, nor to do side by side.

    To start and end the tuner takes longer than a small epoch.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    return options


def _in_batches(values: tuple[tf.Tensor, ...], count: int, batch_size: int) -> tf.data.Dataset:
    """Return slices of `count` rows as a dataset; the last one may be smaller."""
    full = count // batch_size * batch_size
    batches = tf.data.Dataset.from_tensor_slices(
        tuple(tf.reshape(value[:full], (-1, batch_size, *value.shape[1:])) for value in values)
    )
    rest = tf.data.Dataset.from_tensors(tuple(value[full:] for value in values))
    return batches.concatenate(rest.take(int(full < count)))


@dataclass(frozen=True)
class ResidentBatches:
    """The batches of `Epochs`, to be gathered from memory where they are used.

    Attributes
    ----------
    order : draw the rows of the epoch, int64 (n,), or (n, 1 + numbers) with what alters each of them
    fetch : gather the batch of some of the rows
    """

    order: Callable[[], tf.Tensor]
    fetch: Callable[[tf.Tensor], tuple[tf.Tensor, ...]]

    def map(self, function: Callable[..., tuple[tf.Tensor, ...]]) -> "ResidentBatches":
        """Apply the function to every batch, as that of a `tf.data.Dataset` does."""
        return replace(self, fetch=lambda rows: function(*self.fetch(rows)))


def is_resident(samples: Samples) -> bool:
    """Return whether the features are kept in memory; otherwise each batch is read or decoded when it is needed."""
    return not isinstance(samples.features, Images) and samples.features.nbytes <= MOST_RESIDENT_BYTES


def feature_batches(features: Any, batch_size: int = 1024) -> Iterator[Floats]:
    """Yield the features in their order, float32 (up to batch_size, *shape), or bytes of texts."""
    if isinstance(features, Images):
        rows = tf.data.Dataset.range(len(features)).batch(batch_size)
        samples = Samples(features, np.zeros(len(features), np.int64))
        yield from (batch.numpy() for batch, _ in _fetched(rows, samples).prefetch(1))
    else:
        yield from (np.asarray(features[start : start + batch_size]) for start in range(0, len(features), batch_size))


def _fetched(rows: tf.data.Dataset, samples: Samples) -> tf.data.Dataset:
    """Turn batches of row numbers into batches of (features, label index), decoded or read from the disk."""
    read = _decoded(samples) if isinstance(samples.features, Images) else _mapped(samples)
    return rows.map(lambda rows, *more: (*read(rows), *more), num_parallel_calls=tf.data.AUTOTUNE)


# From row numbers to a batch: features, label index, and the rows' weights if they have any.
Fetch = Callable[[tf.Tensor], tuple[tf.Tensor, ...]]


def _resident(samples: Samples) -> Fetch:
    features, beside = tf.constant(np.asarray(samples.features)), _beside(samples)
    return lambda rows: (tf.gather(features, rows), *beside(rows))


def _beside(samples: Samples) -> Fetch:
    """Return what gathers, of some of the rows, all but the features."""
    held = [tf.constant(np.asarray(samples.labels))]
    if samples.weights is not None:
        held.append(tf.constant(np.asarray(samples.weights, np.float32)))
    return lambda rows: tuple(tf.gather(values, rows) for values in held)


def _mapped(samples: Samples) -> Fetch:
    shape, dtype = samples.features.shape[1:], samples.features.dtype
    beside = _beside(samples)

    def read(rows: Integers) -> Floats:  # pragma: no cover - runs in TensorFlow's threads
        # In ascending order, so that the disk is read forwards.
        order = np.argsort(rows)
        found = np.empty((len(rows), *shape), dtype)
        found[order] = samples.features[rows[order]]
        return found

    def fetch(rows: tf.Tensor) -> tuple[tf.Tensor, ...]:  # pragma: no cover - runs as AutoGraph has rewritten it
        features = tf.numpy_function(read, [rows], tf.as_dtype(dtype), stateful=False)
        return (tf.ensure_shape(features, (None, *shape)), *beside(rows))

    return fetch


def _decoded(samples: Samples) -> Fetch:
    images, beside = samples.features, _beside(samples)
    ways, occurring = tf.constant(np.asarray(images.ways)), np.unique(images.ways).tolist()
    read = _from_files(images) if isinstance(images, ImageFiles) else _from_records(images)

    def fetch(rows: tf.Tensor) -> tuple[tf.Tensor, ...]:  # pragma: no cover - runs as AutoGraph has rewritten it
        # One image after the other within a batch, batches in parallel: less to hand around than image by image.
        if len(occurring) == 1:
            found = read(rows, (), lambda data: decode(data, occurring[0], images.shape, occurring))
        else:
            found = read(rows, (tf.gather(ways, rows),), lambda data, way: decode(data, way, images.shape))
        return (tf.ensure_shape(found, (None, *images.shape)), *beside(rows))

    return fetch


# Takes row numbers, more values for each row, and a function of an encoded image and these values; returns what the
# function makes of each row.
Reader = Callable[[tf.Tensor, tuple[tf.Tensor, ...], Callable[..., tf.Tensor]], tf.Tensor]


def _from_files(images: ImageFiles) -> Reader:
    root, paths = tf.constant(images.root + "/"), tf.constant(np.asarray(images.paths))

    def each(
        rows: tf.Tensor, more: tuple[tf.Tensor, ...], decoded: Callable[..., tf.Tensor]
    ) -> tf.Tensor:  # pragma: no cover - as above
        names = root + tf.gather(paths, rows)
        return tf.map_fn(
            lambda image: decoded(tf.io.read_file(image[0]), *image[1:]), (names, *more), fn_output_signature=tf.float32
        )

    return each


def _from_records(images: RecordImages) -> Reader:
    def read(rows: Integers) -> Any:  # pragma: no cover - runs in TensorFlow's threads
        return np.array(images[rows].encoded(), dtype=object)

    def each(
        rows: tf.Tensor, more: tuple[tf.Tensor, ...], decoded: Callable[..., tf.Tensor]
    ) -> tf.Tensor:  # pragma: no cover - as above
        data = tf.ensure_shape(tf.numpy_function(read, [rows], tf.string, stateful=False), (None,))
        return tf.map_fn(lambda image: decoded(*image), (data, *more), fn_output_signature=tf.float32)

    return each


def encode(indices: tf.Tensor, classes: int, labels: LabelForm) -> tf.Tensor:
    """Return class indices (n,) in the form of labels: int64 (n,), one-hot float32 (n, classes), or float32 (n, 1).

    Several labels, 0/1 of (n, labels), become float32.
    """
    if indices.shape.rank == 2:
        return tf.cast(indices, tf.float32)
    if labels == "one_hot":
        return tf.one_hot(indices, classes)
    if labels == "binary":
        return tf.cast(indices, tf.float32)[:, tf.newaxis]
    return indices


def class_indices(labels: tf.Tensor) -> tf.Tensor:
    """Return the class indices (n,) of a batch of labels in any of the three forms."""
    if labels.shape.rank == 2 and labels.shape[-1] > 1:
        return tf.argmax(labels, axis=-1)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)
