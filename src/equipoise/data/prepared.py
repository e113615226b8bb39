"""The contract between preparing and everything after it: arrays on disk, mapped into memory, with their metadata.

A prepared dataset is a folder. For each split it holds
- `<split>_features.npy` (float32, or bytes of texts), or `<split>_paths.npy` of images that are decoded while training,
  or `<split>_places.npy` of samples that stay in shards,
- `<split>_ways.npy` (uint8) of images, files or in shards: how to decode each,
- `<split>_labels.npy` (int64),
- `<split>_rows.npy` (int64), the samples' numbers in their source,
- `<split>_weights.npy` (float64), if the samples have weights of their own.

Beside them lie `preprocessing.json` and, written last, `metadata.json`, with the digest of every other file and of
itself. This module knows nothing of where the samples came from.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Counts, Floats, Integers, Names, Section
from equipoise.data import preprocessing, seals
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.images.decoding import WAYS
from equipoise.data.shards import MOST_SHARDS, RecordArrays, RecordImages, Records, shard_names
from equipoise.data.texts import are_texts
from equipoise.data.types import ClassCounts, Masses, Samples
from equipoise.data.words import WordPreprocessing

METADATA = "metadata.json"


@dataclass(frozen=True)
class Prepared(ClassCounts):
    """One prepared dataset.

    Attributes
    ----------
    shape : of one sample
    data_sha256 : digest of all arrays, equal wherever the same data are prepared
    reference : numbers known of the data by construction, such as the Bayes optimum
    notes : what every run on these data must report
    image_root : the folder of the images, if they are files that are decoded while training
    image_formats : the formats of the images, files or in shards
    shard_root, shards : the folder of the shards and how many each split has, if the samples stay in them
    test_counts_fixed : whether a design fixes how many test samples each class has
    ids : how many categories each of the last features is the number of
    drawn : the samples to train on in place of the training split, if it was resampled
    """

    folder: Path
    shape: tuple[int, ...]
    data_sha256: str
    reference: dict[str, float]
    notes: tuple[str, ...] = ()
    image_root: str | None = None
    image_formats: tuple[str, ...] = ()
    shard_root: str | None = None
    shards: int = 0
    test_counts_fixed: bool = False
    ids: tuple[int, ...] = ()
    drawn: Samples | None = None

    @property
    def training(self) -> Samples:
        """The samples that a model is trained on."""
        return self.split("train") if self.drawn is None else self.drawn

    def split(self, name: str) -> Samples:
        """Return `train`, `validation` or `test`, mapped and not loaded.

        Raises
        ------
        ConfigError
            If the arrays are damaged or do not fit the metadata.
        """
        samples = self._bare(name)
        weights = self._weights(name, len(samples.labels))
        return samples if weights is None else replace(samples, weights=weights)

    def _bare(self, name: str) -> Samples:
        if self.shard_root is not None:
            return self._in_shards(name, self.shard_root)
        features = self._array(name, "features" if self.image_root is None else "paths")
        labels = self._array(name, "labels")
        shape = self.shape if self.image_root is None else ()
        if (
            features.shape != (len(labels), *shape)
            or labels.dtype != np.int64
            or features.dtype.kind not in ("fS" if self.image_root is None else "S")
        ):
            raise _unknown(self.folder)
        if self.image_root is None:
            return Samples(features, labels, self._rows(name, len(labels)))
        height, width, channels = self.shape
        ways = self._ways(name, len(labels))
        return Samples(
            ImageFiles(self.image_root, features, (height, width, channels), self.image_formats, ways), labels
        )

    def has_same_rows(self, other: "Prepared", split: str) -> bool:
        """Whether the same rows of the same source are in the split, in the same order, however they are scaled."""
        # Rows are known by their number, their path or their place in a shard; what was generated is known by itself.
        kind = next(
            kind for kind in ("rows", "paths", "places", "features") if (self.folder / f"{split}_{kind}.npy").exists()
        )
        return np.array_equal(self._array(split, kind), other._array(split, kind))

    def _in_shards(self, name: str, root: str) -> Samples:
        places, labels = self._array(name, "places"), self._array(name, "labels")
        if places.shape != (len(labels), 3) or places.dtype != np.int64 or labels.dtype != np.int64:
            raise _unknown(self.folder)
        files = tuple(f"{root}/{file}" for file in shard_names(name, self.shards))
        if not self.image_formats:
            return Samples(RecordArrays(Records(files, places), self.shape), labels)
        height, width, channels = self.shape
        return Samples(
            RecordImages(
                Records(files, places), (height, width, channels), self.image_formats, self._ways(name, len(labels))
            ),
            labels,
        )

    def _ways(self, split: str, samples: int) -> Integers:
        ways = self._array(split, "ways")
        if ways.shape != (samples,) or ways.dtype != np.uint8 or not np.isin(ways, WAYS).all():
            raise _unknown(self.folder)
        return ways

    def _rows(self, name: str, samples: int) -> Integers | None:
        if not (self.folder / f"{name}_rows.npy").exists():
            return None
        rows = self._array(name, "rows")
        if rows.shape != (samples,) or rows.dtype != np.int64:
            raise _unknown(self.folder)
        return rows

    def _weights(self, name: str, samples: int) -> Floats | None:
        if not (self.folder / f"{name}_weights.npy").exists():
            return None
        weights = self._array(name, "weights")
        if weights.shape != (samples,) or weights.dtype != np.float64:
            raise _unknown(self.folder)
        return weights

    def _array(self, split: str, kind: str) -> "np.ndarray[Any, np.dtype[Any]]":
        try:
            found: np.ndarray[Any, np.dtype[Any]] = np.load(
                self.folder / f"{split}_{kind}.npy", mmap_mode="r", allow_pickle=False
            )
            len(found)  # a single number has none
        except Exception:  # whatever a damaged header makes NumPy raise
            raise _unknown(self.folder) from None
        return found

    @functools.cached_property
    def several_labels(self) -> bool:
        """Whether a sample may have several labels, or none."""
        return self.split("train").labels.ndim == 2

    @functools.cached_property
    def texts(self) -> bool:
        """Whether the samples are texts, of which the model makes numbers."""
        return are_texts(self.split("train").features)

    @functools.cached_property
    def words(self) -> WordPreprocessing | None:
        """What is known of the words whose ids the samples are; None if they are none."""
        learned = preprocessing.read(self.folder)
        return learned if isinstance(learned, WordPreprocessing) else None


class Metadata(Section):
    """The keys of `metadata.json`; a file with other keys is of another version."""

    classes: Annotated[Names, Field(min_length=2)]
    shape: Counts | tuple[()]  # a text has none
    counts: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], Field(strict=False)]
    data_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: dict[str, float]
    notes: Names
    image_root: str | None
    image_formats: Names
    shard_root: str | None
    shards: Annotated[int, Field(ge=0, le=MOST_SHARDS)]
    test_counts_fixed: bool
    ids: Counts | tuple[()] = ()
    files: dict[str, str]  # path below the folder to digest
    sha256: str  # of all of the above


def seal(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata, with the digest of each file that the folder holds: the last step of a preparation."""
    values = {**metadata, "files": {name: digest for name, digest in seals.digests(folder).items() if name != METADATA}}
    (folder / METADATA).write_text(json.dumps({**values, "sha256": _sha256(values)}, indent=1))


def open_prepared(folder: Path) -> Prepared:
    """Open a finished preparation, whose files must all be as they were written.

    Raises
    ------
    ConfigError
        If a file is damaged, or the metadata are those of another version.
    """
    try:
        content = (folder / METADATA).read_bytes()
        found = Metadata.model_validate_json(content)
    except (ValidationError, OSError):
        raise _unknown(folder) from None
    if found.sha256 != _sha256(json.loads(content)):
        raise _unknown(folder)
    if len(found.counts) != len(found.classes) or (
        (found.image_root is not None or found.image_formats) and len(found.shape) != 3
    ):
        raise _unknown(folder)
    damaged = seals.damaged(folder, found.files)
    if damaged:
        raise ConfigError(
            f"{folder / damaged} is damaged, or was changed after it was prepared: "
            f"delete the folder {folder}, and it is made again"
        )
    values = found.model_dump(exclude={"files", "sha256"}) | {"counts": np.array(found.counts, dtype=np.int64)}
    return Prepared(folder=folder, **values, masses=_masses(folder, len(found.classes)))


def _masses(folder: Path, classes: int) -> Masses | None:
    """Add up the row weights of the training split, if it has any."""
    if not (folder / "train_weights.npy").exists():
        return None
    weights, labels = (np.load(folder / f"train_{kind}.npy", allow_pickle=False) for kind in ("weights", "labels"))
    return Masses.of(labels, weights, classes)


def _sha256(metadata: Mapping[str, Any]) -> str:
    """Return the digest of the metadata without their own digest."""
    values = {key: value for key, value in metadata.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _unknown(folder: Path) -> ConfigError:
    return ConfigError(
        f"{folder} is damaged, or was prepared by another version: delete that folder, and it is made again"
    )
