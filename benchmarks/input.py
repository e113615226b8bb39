"""Measure samples a second from each kind of source, and of an image folder against a pipeline tuned by hand.

    python benchmarks/input.py

Only the input runs, without a model: the median of three rounds, in turn.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise.training import runtime

runtime.start("cpu", "auto", deterministic=True)

import tensorflow as tf
from PIL import Image

from equipoise.data import feed, write_shards
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.shards import RecordArrays, Records, shard_names
from equipoise.data.types import Samples
from equipoise.methods.implementations import Parts, PerSampleLoss, sample_weight
from equipoise.methods.label_forms import cross_entropy

IMAGES, ROWS, BATCH, SIDE, ROUNDS = 4000, 200_000, 128, 32, 3

Batches = Callable[[], tf.data.Dataset]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        cases = _of_arrays(Path(folder)) | _of_images(Path(folder))
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS + 1):
            for name, (batches, count) in cases.items():
                found[name].append(_rate(batches, count))
    medians = {name: statistics.median(rates[1:]) for name, rates in found.items()}  # the first round warms up
    for name, value in medians.items():
        print(f"{name:<56}{value:>12,.0f} samples a second")
    print(f"image folder against by hand: {medians['image folder'] / medians['image folder, pipeline by hand']:.2f}")


def _rate(batches: Batches, count: int) -> float:
    """Return samples a second over one pass."""
    start = time.perf_counter()
    for _ in batches():
        pass
    return count / (time.perf_counter() - start)


def _ours(samples: Samples) -> tf.data.Dataset:
    epoch = tf.Variable(0, dtype=tf.int64)
    return feed.Epochs(samples, 10, "sparse", 0, epoch).batches(BATCH)


def _of_arrays(folder: Path) -> dict[str, tuple[Batches, int]]:
    """Return the same samples as an array in memory, on disk, and in shards."""
    generator = np.random.default_rng(0)
    mapped = np.lib.format.open_memmap(f"{folder}/x.npy", mode="w+", dtype=np.float32, shape=(ROWS, 64))
    mapped[:] = generator.standard_normal((ROWS, 64), dtype=np.float32)
    arrays = Samples(mapped, generator.integers(0, 10, ROWS))
    shards = _records(folder, mapped)

    def weighted() -> tf.data.Dataset:
        return sample_weight(Parts(_ours(arrays), PerSampleLoss(cross_entropy, "cross_entropy")), np.ones(10)).batches

    return {
        "array in memory": (lambda: _ours(arrays), ROWS),
        "array in memory, a weight a sample": (weighted, ROWS),
        "array on disk": (lambda: _from_disk(arrays), ROWS),
        "array in 16 shards": (lambda: _from_disk(Samples(shards, arrays.labels)), ROWS),
        "array in 16 shards, parsed by TensorFlow in their order": (lambda: _parsed(shards), ROWS),
    }


def _from_disk(samples: Samples) -> tf.data.Dataset:
    """Return batches as of samples that are too many for memory."""
    feed.MOST_RESIDENT_BYTES, kept = 0, feed.MOST_RESIDENT_BYTES
    try:
        return _ours(samples)
    finally:
        feed.MOST_RESIDENT_BYTES = kept


def _records(folder: Path, array: np.ndarray) -> RecordArrays:
    """Write the array's rows into 16 shards."""
    files = shard_names("train", 16)
    places = np.empty((len(array), 3), np.int64)
    for number, name in enumerate(files):
        rows = np.arange(number, len(array), len(files))
        places[rows, 0] = number
        places[rows, 1:] = list(
            write_shards.written(str(folder / name), Samples(array, np.zeros(len(array), np.int64)), rows)
        )
    return RecordArrays(Records(tuple(str(folder / name) for name in files), places), array.shape[1:])


def _parsed(shards: RecordArrays) -> tf.data.Dataset:
    layout = {"features": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64)}

    def parse(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.io.parse_example(batch, layout)
        return tf.io.decode_raw(found["features"], tf.float32), found["label"]

    read = tf.data.TFRecordDataset(list(shards.records.files), num_parallel_reads=16)
    return read.batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _of_images(folder: Path) -> dict[str, tuple[Batches, int]]:
    """Return a folder of PNG files, read by this project and by a pipeline tuned by hand."""
    generator = np.random.default_rng(0)
    names = [f"{index}.png" for index in range(IMAGES)]
    for name in names:
        Image.fromarray(generator.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / name)
    labels = generator.integers(0, 10, IMAGES)
    encoded = np.array([os.fsencode(name) for name in names])
    files = ImageFiles(str(folder), encoded, (SIDE, SIDE, 3), ("PNG",), np.zeros(IMAGES, np.uint8))

    def by_hand() -> tf.data.Dataset:
        paths = tf.data.Dataset.from_tensor_slices(([f"{folder}/{name}" for name in names], labels)).shuffle(IMAGES)

        def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image = tf.io.decode_png(tf.io.read_file(path), channels=3)
            return tf.image.resize(image, (SIDE, SIDE)) / 255, label

        return paths.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)

    return {
        "image folder": (lambda: _ours(Samples(files, labels)), IMAGES),
        "image folder, pipeline by hand": (by_hand, IMAGES),
    }


if __name__ == "__main__":
    main()
