"""TFRecord shards: samples in a few large files, each of which can be read alone, since an index says where it lies.

A folder of shards holds `<split>-00000-of-00016.tfrecord`, whose records are `tf.train.Example`s with `features`
(float32, row by row) or `image` (an encoded file), `label`, and `weight` where rows have weights; `index.npz`, with
each sample's label, weight and the place of its payload; and `metadata.json`, with classes, shape, and digests of all
files. So counts are known before a shard is read, and the order of the samples, drawing and audit are those of arrays,
to the bit. Pure NumPy.
"""

import hashlib
import itertools
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Counts, Floats, Integers, Name, Names, PositiveInt, Section, Word
from equipoise.data import preprocessing
from equipoise.data.images.dataset import MOST_SIDE, ImageFiles, ImagePreprocessing
from equipoise.data.images.decoding import examine
from equipoise.data.paths import digest_of, existing_folder
from equipoise.data.types import SPLITS, ArrayPreprocessing, Masses, Preprocessing, RowWeights, Samples, Source, Splits

METADATA, INDEX = "metadata.json", "index.npz"
BLOCK = 64  # images that are read at once
MOST_SHARDS = 99_999  # five digits in a file's name
MOST_PIXELS = 50_000_000  # an image with more is refused before it is decoded

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Metadata(Section):
    """What `metadata.json` holds.

    `formats` are those of the images, if the samples are images; `files` are the size and digest of each file.
    """

    kind: Annotated[str, Field(pattern="^equipoise shards 1$")]
    classes: Annotated[Names, Field(min_length=2)]
    shape: Counts
    formats: Names
    shards: Annotated[PositiveInt, Field(le=MOST_SHARDS)]
    files: dict[str, tuple[int, Sha256]]
    reference: dict[Word, float]
    notes: Names
    test_counts_fixed: bool = False  # shards of an older version have no such key
    weight: str | None = None  # the column that the samples' weights were; None: they have none


@dataclass(frozen=True)
class Records:
    """Payloads in the shards of one split.

    Attributes
    ----------
    places : int64 (n, 3): the number of the shard, the first byte, how many bytes
    """

    files: tuple[str, ...]
    places: Integers

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any) -> "Records":
        return Records(self.files, self.places[rows])

    def read(self) -> list[bytes]:
        """Read the payloads, in the order of the places."""
        found = [b""] * len(self)
        order = np.lexsort((self.places[:, 1], self.places[:, 0]))  # shard by shard, forwards
        for shard, rows in itertools.groupby(order.tolist(), key=lambda row: int(self.places[row, 0])):
            with open(self.files[shard], "rb", buffering=0) as file:
                for row in rows:
                    _, first, size = self.places[row].tolist()
                    found[row] = os.pread(file.fileno(), size, first)
                    if len(found[row]) < size:
                        raise OSError(f"{self.files[shard]} was cut off after it was prepared")
        return found


@dataclass(frozen=True)
class RecordArrays:
    """Features in shards, float32 (n, *sample), indexed as an array is; only what is indexed is read."""

    records: Records
    sample: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.records), *self.sample)

    @property
    def dtype(self) -> "np.dtype[np.float32]":
        return np.dtype(np.float32)

    @property
    def nbytes(self) -> int:
        return 4 * math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, rows: slice | Integers) -> Floats:
        found = self.records[rows].read()
        return np.frombuffer(b"".join(found), "<f4").reshape(len(found), *self.sample)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class RecordImages:
    """Images in shards, decoded when they are needed, as `ImageFiles` are."""

    records: Records
    shape: tuple[int, int, int]
    formats: tuple[str, ...]
    ways: Integers

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, rows: slice | Integers) -> "RecordImages":
        return replace(self, records=self.records[rows], ways=self.ways[rows])

    def encoded(self) -> list[bytes]:
        """Read each image's file as it was."""
        return self.records.read()


Images = ImageFiles | RecordImages


def shard_names(split: str, shards: int) -> tuple[str, ...]:
    """Return the file names of a split's shards."""
    return tuple(f"{split}-{number:05d}-of-{shards:05d}.tfrecord" for number in range(shards))


def tfrecord(*, path: Name, weights: RowWeights) -> Source:
    """TFRecord shards that `src/shards.py` wrote, with their splits.

    Parameters
    ----------
    path : their folder
    """
    root = existing_folder(path, "dataset.path")
    metadata = _metadata(root)
    _check_weight(root, metadata, weights.weight)
    _check_sizes(root, metadata)
    index = {name: _index(root, metadata, name) for name in SPLITS}
    counts = np.bincount(index["train"][0], minlength=len(metadata.classes))
    by_split = {name: _weights(root, weights.weight, name, len(labels)) for name, (labels, _) in index.items()}
    of_train = by_split["train"]
    masses = None if of_train is None else Masses.of(index["train"][0], of_train, len(metadata.classes))
    unread = (
        f"the shards hold the row weights '{metadata.weight}', which are not read; dataset.weight={metadata.weight}"
    )
    notes = (*metadata.notes, *([f"{unread} reads them"] if metadata.weight and weights.weight is None else []))

    def load(_seed: int, _folder: Path) -> Splits:
        for name, (_, sha256) in metadata.files.items():
            if digest_of(root / name) != sha256:
                raise ConfigError(
                    f"{root / name} is not what was written: its digest is another; "
                    "copy it again, or write the shards anew"
                )
        splits = {}
        for name, (labels, places) in index.items():
            files = tuple(str(root / shard) for shard in shard_names(name, metadata.shards))
            records = Records(files, places)
            features = _images(records, metadata, name) if metadata.formats else RecordArrays(records, metadata.shape)
            splits[name] = Samples(features, labels, weights=by_split[name])
        return Splits(splits, metadata.shape, metadata.reference, notes, preprocessing=_preprocessing(root, metadata))

    return Source(
        metadata.classes,
        counts,
        len(metadata.shape),
        _content(root, metadata),
        load,
        test_counts_fixed=metadata.test_counts_fixed,
        masses=masses,
    )


def _check_weight(root: Path, metadata: Metadata, typed: str | None) -> None:
    if typed is None or typed == metadata.weight:
        return
    held = "no row weights" if metadata.weight is None else f"the row weights '{metadata.weight}'"
    raise ConfigError(
        f"dataset.weight={typed}: {root} holds {held}; shards hold those that the data were prepared with: "
        f"write them with {command('shards')} dataset=… dataset.weight={typed}"
    )


def _weights(root: Path, typed: str | None, split: str, samples: int) -> Floats | None:
    """Read the row weights of a split, float64 (n,), if they are asked for."""
    if typed is None:
        return None
    found: Floats = np.empty(0)
    try:
        with open(root / INDEX, "rb") as file, np.load(file, allow_pickle=False) as archive:
            found = archive[f"{split}_weights"]
        sound = found.dtype == np.float64 and found.shape == (samples,) and np.isfinite(found).all() and found.min() > 0
    except Exception:  # whatever a damaged archive makes NumPy raise
        sound = False
    if not sound:
        raise ConfigError(f"{root / INDEX} does not hold the row weights of its {split} split: write the shards anew")
    return found


def _preprocessing(root: Path, metadata: Metadata) -> Preprocessing:
    """Read what was learned of the raw rows before they were written; older shards hold what a model takes."""
    if preprocessing.PREPROCESSING in metadata.files:
        return preprocessing.read(root)
    if metadata.formats:
        return ImagePreprocessing(shape=metadata.shape, max_pixels=MOST_PIXELS)
    return ArrayPreprocessing(shape=metadata.shape, shift=(0.0,), factor=(1.0,))


def _metadata(root: Path) -> Metadata:
    if not (root / METADATA).is_file():
        raise ConfigError(
            f"dataset.path={root} holds no {METADATA}: "
            f"shards are written by {command('shards')} dataset=… output={root}"
        )
    try:
        metadata = Metadata.model_validate_json((root / METADATA).read_bytes())
    except (ValidationError, OSError):
        raise ConfigError(f"{root / METADATA} is damaged, or of another version: write the shards anew") from None
    expected = {INDEX, *(file for split in SPLITS for file in shard_names(split, metadata.shards))}
    expected |= {preprocessing.PREPROCESSING} & set(metadata.files)  # shards of an older version have none
    *sides, channels = metadata.shape
    sound = not metadata.formats or (len(sides) == 2 and max(sides) <= MOST_SIDE and channels in (1, 3))
    if set(metadata.files) != expected or len(set(metadata.classes)) < len(metadata.classes) or not sound:
        raise ConfigError(f"{root / METADATA} contradicts itself: write the shards anew")
    return metadata


def _check_sizes(root: Path, metadata: Metadata) -> None:
    for name, (size, _) in metadata.files.items():
        file = root / name
        if not file.is_file():
            raise ConfigError(f"{file} is missing: copy it again, or write the shards anew")
        if file.stat().st_size != size:
            raise ConfigError(
                f"{file} has {file.stat().st_size} bytes, and was written with {size}: "
                "copy it again, or write the shards anew"
            )


def _index(root: Path, metadata: Metadata, split: str) -> tuple[Integers, Integers]:
    """Read labels, int64 (n,), and places, int64 (n, 3), which must lie within the classes and the shards."""
    try:
        with open(root / INDEX, "rb") as file, np.load(file, allow_pickle=False) as archive:
            labels, places = archive[f"{split}_labels"], archive[f"{split}_places"]
        is_whole = labels.dtype == places.dtype == np.int64  # NumPy returns the bytes of a member that is no array
    except Exception as error:  # whatever a damaged archive makes NumPy raise
        raise ConfigError(
            f"{root / INDEX} is damaged ({type(error).__name__}): copy it again, or write the shards anew"
        ) from None
    sizes = np.array([metadata.files[name][0] for name in shard_names(split, metadata.shards)])
    sound = is_whole and labels.ndim == 1 and len(labels) > 0 and places.shape == (len(labels), 3)
    sound = (
        sound
        and labels.min() >= 0
        and labels.max() < len(metadata.classes)
        and places.min() >= 0
        and places[:, 0].max() < len(sizes)
    )
    sound = sound and bool((places[:, 1] <= sizes[places[:, 0]] - places[:, 2]).all())
    if not (sound and (metadata.formats or (places[:, 2] == 4 * math.prod(metadata.shape)).all())):
        raise ConfigError(f"{root / INDEX} does not fit the shards beside it: write them anew")
    return labels, places


def _images(records: Records, metadata: Metadata, split: str) -> RecordImages:
    """Examine the images, each of which must be decodable, and of a format that the shards name."""
    ways = np.empty(len(records), np.uint8)
    encoded = (data for start in range(0, len(records), BLOCK) for data in records[start : start + BLOCK].read())
    for row, data in enumerate(encoded):
        found = examine(data, MOST_PIXELS)
        if isinstance(found, str):
            raise ConfigError(f"sample {row} of the {split} split {found}: write the shards anew")
        if found.format not in metadata.formats:
            raise ConfigError(
                f"sample {row} of the {split} split is of the format {found.format}, "
                "which the shards do not name: write them anew"
            )
        ways[row] = found.way
    height, width, channels = metadata.shape
    return RecordImages(records, (height, width, channels), metadata.formats, ways)


def _content(root: Path, metadata: Metadata) -> str:
    """Return a digest of what was written, and of every file's time; the content is read when it is loaded."""
    times = [(root / name).stat().st_mtime_ns for name in metadata.files]
    return hashlib.sha256(f"{root} {metadata.model_dump_json()} {times}".encode(errors="surrogateescape")).hexdigest()
