"""Samples a second from each kind of source, and of image folders against a pipeline tuned by hand.

    python benchmarks/input.py

Only the input is run, no model, three rounds in turn, the median counts.
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
from equipoise.methods.losses import cross_entropy

IMAGES, ROWS, BATCH, SIDE, ROUNDS = 4000, 200_000, 128, 32, 3


def rate(batches: Callable[[], tf.data.Dataset], count: int) -> float:
    """Samples a second over one pass."""
    start = time.perf_counter()
    for _ in batches():
        pass
    return count / (time.perf_counter() - start)


def records(folder: Path, array: np.ndarray) -> RecordArrays:
    """The array's rows in 16 shards."""
    files = shard_names("train", 16)
    places = np.empty((len(array), 3), np.int64)
    for number, name in enumerate(files):
        rows = np.arange(number, len(array), len(files))
        places[rows, 0] = number
        places[rows, 1:] = list(
            write_shards.written(str(folder / name), Samples(array, np.zeros(len(array), np.int64)), rows)
        )
    return RecordArrays(Records(tuple(str(folder / name) for name in files), places), array.shape[1:])


def main() -> None:
    """Print the table."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{index}.png" for index in range(IMAGES)]
        for name in names:
            Image.fromarray(generator.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(f"{folder}/{name}")
        labels = generator.integers(0, 10, IMAGES)
        files = Samples(
            ImageFiles(
                folder,
                np.array([os.fsencode(name) for name in names]),
                (SIDE, SIDE, 3),
                ("PNG",),
                np.zeros(IMAGES, np.uint8),
            ),
            labels,
        )
        mapped = np.lib.format.open_memmap(f"{folder}/x.npy", mode="w+", dtype=np.float32, shape=(ROWS, 64))
        mapped[:] = generator.standard_normal((ROWS, 64), dtype=np.float32)
        arrays = Samples(mapped, generator.integers(0, 10, ROWS))
        epoch = tf.Variable(0, dtype=tf.int64)
        in_shards = Samples(records(Path(folder), mapped), arrays.labels)

        def ours(samples: Samples) -> tf.data.Dataset:
            return feed.training_batches(samples, classes=10, labels="sparse", batch_size=BATCH, seed=0, epoch=epoch)

        def by_hand() -> tf.data.Dataset:
            paths = tf.data.Dataset.from_tensor_slices(([f"{folder}/{name}" for name in names], labels)).shuffle(IMAGES)

            def read(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                image = tf.io.decode_png(tf.io.read_file(path), channels=3)
                return tf.image.resize(image, (SIDE, SIDE)) / 255, label

            return paths.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)

        def from_disk(samples: Samples) -> tf.data.Dataset:
            feed.MOST_RESIDENT_BYTES, kept = 0, feed.MOST_RESIDENT_BYTES
            try:
                return ours(samples)
            finally:
                feed.MOST_RESIDENT_BYTES = kept

        def parsed() -> tf.data.Dataset:
            layout = {"features": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64)}

            def parse(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                found = tf.io.parse_example(batch, layout)
                return tf.io.decode_raw(found["features"], tf.float32), found["label"]

            shards = tf.data.TFRecordDataset(list(in_shards.features.records.files), num_parallel_reads=16)
            return shards.batch(BATCH).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

        def weighted() -> tf.data.Dataset:
            return sample_weight(
                Parts(ours(arrays), PerSampleLoss(cross_entropy, "cross_entropy")), np.ones(10)
            ).batches

        cases = {
            "array in memory": (lambda: ours(arrays), ROWS),
            "array in memory, a weight a sample": (weighted, ROWS),
            "array on disk": (lambda: from_disk(arrays), ROWS),
            "array in 16 shards": (lambda: from_disk(in_shards), ROWS),
            "array in 16 shards, parsed by TensorFlow in their order": (parsed, ROWS),
            "image folder": (lambda: ours(files), IMAGES),
            "image folder, pipeline by hand": (by_hand, IMAGES),
        }
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS + 1):
            for name, (batches, count) in cases.items():
                found[name].append(rate(batches, count))
        medians = {name: statistics.median(rates[1:]) for name, rates in found.items()}  # the first round warms up
        for name, value in medians.items():
            print(f"{name:<36}{value:>12,.0f} samples a second")
        print(
            f"image folder against by hand: {medians['image folder'] / medians['image folder, pipeline by hand']:.2f}"
        )


if __name__ == "__main__":
    main()
