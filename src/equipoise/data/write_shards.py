"""Write prepared data as TFRecord shards; `data.shards` says what they hold, and reads them."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Integers
from equipoise.data import preprocessing
from equipoise.data.paths import digest_of
from equipoise.data.prepared import Prepared
from equipoise.data.shards import INDEX, METADATA, MOST_SHARDS, Images, Metadata, shard_names
from equipoise.data.types import SPLITS, Samples

BLOCK_ROWS = 256
HEAD, TAIL = 12, 4  # bytes of a record before and after its data: their length and two checksums


def write_shards(data: Prepared, output: Path, shards: int, weight: str | None = None) -> None:
    """Write the three splits, each dealt evenly over so many shards; the folder appears whole or not at all.

    Parameters
    ----------
    weight : the column or array that the samples' weights are, if they have any

    Raises
    ------
    ConfigError
        If the folder is there already or cannot be written, a split has fewer samples than shards, a sample may have
        several labels, or samples are texts.
    """
    if data.several_labels:
        raise ConfigError("shards hold one class for each sample, and these samples have several labels")
    if data.texts or data.words:
        raise ConfigError("shards hold numbers and images, and these samples are texts")
    if data.ids:
        raise ConfigError(
            f"shards hold numbers that are quantities, and the table has a column of {max(data.ids)} categories: leave "
            "it out with dataset.drop, or raise dataset.max_categories, which makes a feature of each"
        )
    sizes = {name: len(data.split(name).labels) for name in SPLITS}
    smallest = min(SPLITS, key=lambda name: sizes[name])
    fewest = sizes[smallest]
    if not 1 <= shards <= min(MOST_SHARDS, fewest):
        raise ConfigError(
            f"shards={shards}: must be at least 1, and at most the {fewest} samples of the {smallest} split"
        )
    if output.exists():
        raise ConfigError(f"output={output} is there already: give another folder")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as aside:
            _write(data, Path(aside), shards, weight)
            os.chmod(aside, 0o755)
            os.rename(aside, output)
    except OSError as error:
        raise ConfigError(f"output={output} cannot be written: {error.strerror or error}") from None


def _write(data: Prepared, folder: Path, shards: int, weight: str | None) -> None:
    index: dict[str, Any] = {}
    for split in SPLITS:
        samples = data.split(split)
        places = np.empty((len(samples.labels), 3), np.int64)
        for number, name in enumerate(shard_names(split, shards)):
            places[number::shards, 0] = number
            places[number::shards, 1:] = list(
                written(str(folder / name), samples, np.arange(number, len(samples.labels), shards))
            )
        index |= {f"{split}_labels": np.asarray(samples.labels), f"{split}_places": places}
        index |= {} if samples.weights is None else {f"{split}_weights": np.asarray(samples.weights)}
    np.savez(folder / INDEX, allow_pickle=False, **index)
    preprocessing.write(preprocessing.read(data.folder), folder)
    metadata = Metadata(
        kind="equipoise shards 1",
        classes=data.classes,
        shape=data.shape,
        formats=data.image_formats,
        shards=shards,
        files={file.name: (file.stat().st_size, digest_of(file)) for file in sorted(folder.iterdir())},
        reference=data.reference,
        # Whoever prepares the shards looks for leakage and missing classes again.
        notes=tuple(note for note in data.notes if not note.startswith(("leakage:", "validation:"))),
        test_counts_fixed=data.test_counts_fixed,
        weight=weight,
    )
    (folder / METADATA).write_text(metadata.model_dump_json(indent=1), encoding="utf-8")


def written(file: str, samples: Samples, rows: Integers) -> Iterator[tuple[int, int]]:
    """Write these rows as records, and yield the first byte and the size of each payload."""
    key = "image" if isinstance(samples.features, Images) else "features"
    start = 0
    with tf.io.TFRecordWriter(file) as writer:
        for row, payload in zip(rows, _payloads(samples.features, rows), strict=True):
            feature = {
                key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[payload])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(samples.labels[row])])),
            }
            if samples.weights is not None:
                value = [float(samples.weights[row])]
                feature["weight"] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
            record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
            writer.write(record)
            yield start + HEAD + record.index(payload), len(payload)
            start += HEAD + len(record) + TAIL


def _payloads(features: Any, rows: Integers) -> Iterator[bytes]:
    for start in range(0, len(rows), BLOCK_ROWS):
        block = features[rows[start : start + BLOCK_ROWS]]
        yield from (
            block.encoded()
            if isinstance(block, Images)
            else (row.tobytes() for row in np.ascontiguousarray(block, "<f4"))
        )
