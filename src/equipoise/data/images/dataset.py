"""Folders of images, one folder for each class: listed without decoding, checked once, decoded while training.

The folders may stand below `train`, `validation` and `test`, which are the splits then.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError, counted, listing
from equipoise.core.schema import Counts, Floats, Integers, Name, PositiveInt
from equipoise.data.images.decoding import Examined, decode, examine
from equipoise.data.images.folders import Folder, is_unlabelled, listed
from equipoise.data.labels import in_order
from equipoise.data.paths import existing_folder
from equipoise.data.types import SPLITS, Dataset, Loaded, Preprocessing, Raw

MOST_BYTES_A_PIXEL = 16
BLOCK = 64  # files that are examined one after the other
WORKERS = 2 * (os.cpu_count() or 1)

MOST_SIDE = 4096
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


@dataclass(frozen=True)
class ImageFiles:
    """Images that are decoded when they are needed.

    Attributes
    ----------
    root : the folder below which the files stand
    paths : bytes (n,), each file's path relative to the root, UTF-8
    shape : (height, width, channels) that every image is brought to
    formats : those that occur, as Pillow names them
    ways : uint8 (n,), how to decode each, as `decoding.examine` says
    """

    root: str
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]"
    shape: tuple[int, int, int]
    formats: tuple[str, ...]
    ways: Integers

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | Integers) -> "ImageFiles":
        return replace(self, paths=self.paths[rows], ways=self.ways[rows])

    def encoded(self) -> list[bytes]:
        """Read each image's file as it is."""
        return [Path(self.root, os.fsdecode(path)).read_bytes() for path in self.paths]


class ImagePreprocessing(Preprocessing):
    """Encoded images: each is decoded as its bytes say, resized to (height, width), and scaled from 0 to 1."""

    kind: Literal["image"] = "image"
    shape: Annotated[Counts, Field(min_length=3, max_length=3)]
    max_pixels: PositiveInt

    def apply(self, rows: Sequence[bytes]) -> Floats:
        """Decode files of any of the formats that are read in training.

        Raises
        ------
        ConfigError
            If one cannot be decoded, with its number.
        """
        height, width, channels = self.shape
        found = np.empty((len(rows), *self.shape), np.float32)
        for row, data in enumerate(rows):
            with warnings.catch_warnings(action="ignore"):  # as in preparing
                examined = examine(data, self.max_pixels)
                if isinstance(examined, str):
                    raise ConfigError(f"image {row} {examined}")
                found[row] = decode(data, examined.way, (height, width, channels), [examined.way])
        return found


def image_directory(
    least: int = 2,
    *,
    path: Name,
    image_size: Annotated[tuple[Side, ...], Field(strict=False, min_length=2, max_length=2)],
    channels: Literal[1, 3],
    on_bad_file: Literal["error", "skip"],
    max_pixels: PositiveInt,
) -> Raw:
    """A folder that holds one folder of PNG, JPEG, BMP, GIF, TIFF or WebP files for each class.

    Parameters
    ----------
    least : classes that there must be; 1 where samples are judged, and not learned from
    path : the folder
    image_size : height and width that every image is resized to
    channels : 3 for colour, 1 for grey
    on_bad_file : what to do with a file that cannot be decoded
    max_pixels : an image with more is refused before it is decoded
    """
    root = existing_folder(path, "dataset.path")
    folders, notes = listed(root, least)
    names = in_order({folder.name for folder in folders})
    place = {name: index for index, name in enumerate(names)}
    sizes = [len(folder.paths) for folder in folders]
    labels = np.repeat([place[folder.name] for folder in folders], sizes)
    given = np.repeat(np.array([folder.split for folder in folders], dtype=np.int8), sizes)
    paths = np.concatenate([folder.paths for folder in folders])
    content = content_of(root, folders)
    shape = (image_size[0], image_size[1], channels)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _checked(root, paths, rows, shape, on_bad_file, max_pixels)

    def again(_: Preprocessing) -> Loaded:
        none = np.empty(0, np.int64)
        return load({"train": none, "validation": none, "test": np.arange(len(labels))}, root)

    return Raw(names, labels, 3, content, load, None, given, tuple(notes), again=again)


def lacks_folders(dataset: Dataset, option: str) -> str | None:
    """Return that a folder of images has no folder for each class; None if it has."""
    root = existing_folder(str(getattr(dataset, option)), f"dataset.{option}")
    return f"{root} holds images, and no folder for each class" if is_unlabelled(root) else None


def content_of(root: Path, folders: Sequence[Folder]) -> str:
    """Return a digest of every file's path, size and time; the content is read when the files are checked."""
    digest = hashlib.sha256(os.fsencode(root))
    for folder in folders:
        for path, (size, time) in zip(folder.paths, folder.states, strict=True):
            digest.update(path + f" {size} {time}\n".encode())
    return digest.hexdigest()


def _checked(
    root: Path,
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]",
    rows: Mapping[str, Integers],
    shape: tuple[int, int, int],
    on_bad_file: str,
    max_pixels: int,
) -> Loaded:
    """Decode every file once; one that cannot be decoded is an error, or is left out."""
    good: dict[str, Integers] = {}
    found: dict[str, list[Examined]] = {}
    bad: list[str] = []
    # Entered before the threads start: Pillow warns of what does not hinder it, such as damaged EXIF.
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(WORKERS) as workers:
        for split in SPLITS:
            members = rows[split]
            results = _examined(workers, root, paths[members], max_pixels)
            for row, problem in zip(members, results, strict=True):
                if isinstance(problem, str):
                    bad.append(f"{os.fsdecode(paths[row])}: {problem}")
                    if on_bad_file == "error":
                        raise ConfigError(
                            f"{root / os.fsdecode(paths[row])} {problem}; "
                            "dataset.on_bad_file=skip leaves such files out"
                        )
            good[split] = members[[not isinstance(result, str) for result in results]]
            found[split] = [result for result in results if not isinstance(result, str)]
    formats = tuple(sorted({image.format for images in found.values() for image in images}))
    features = {
        split: ImageFiles(
            str(root), paths[members], shape, formats, np.array([image.way for image in found[split]], np.uint8)
        )
        for split, members in good.items()
    }
    digests = {split: np.array([image.sha256 for image in images], dtype="S32") for split, images in found.items()}
    left_out = (
        [f"{counted(len(bad), 'file', 'files')} left out (dataset.on_bad_file=skip): {listing(bad, 3)}"] if bad else []
    )
    notes = (*left_out, *_notes(features, found))
    return Loaded(features, shape, notes, good, digests, ImagePreprocessing(shape=shape, max_pixels=max_pixels))


def _examined(workers: ThreadPoolExecutor, root: Path, paths: Any, max_pixels: int) -> list[Examined | str]:
    """Examine the files, in their order. A task for each would take more memory than what is known of it."""

    def one_by_one(block: Any) -> list[Examined | str]:
        return [examined_file(root, bytes(path), max_pixels) for path in block]

    blocks = [paths[start : start + BLOCK] for start in range(0, len(paths), BLOCK)]
    return [result for results in workers.map(one_by_one, blocks) for result in results]


def _notes(features: Mapping[str, ImageFiles], found: Mapping[str, Sequence[Examined]]) -> list[str]:
    """Tell of images that are transparent or animated."""
    transparent = sum(image.transparent for images in found.values() for image in images)
    animated = [
        os.fsdecode(features[split].paths[row])
        for split, images in found.items()
        for row, image in enumerate(images)
        if image.animated
    ]
    notes = []
    if transparent:
        told = counted(
            transparent, "image is transparent in part: it is read", "images are transparent in part: they are read"
        )
        notes.append(f"{told} as on a mid-grey ground")
    if animated:
        told = counted(
            len(animated),
            "image is animated, and its first frame is read",
            "images are animated, and the first frame of each is read",
        )
        notes.append(f"{told}: {listing(sorted(animated), 3)}")
    return notes


def examined_file(root: Path, path: bytes, max_pixels: int) -> Examined | str:
    """Examine a file; return what is wrong with it if it cannot be decoded."""
    try:
        file = Path(root, os.fsdecode(path))
        if not file.is_file():  # since it was listed; a pipe would never end
            return "is no file any more"
        if file.stat().st_size > MOST_BYTES_A_PIXEL * max_pixels:
            return f"has {file.stat().st_size} bytes, more than an image of dataset.max_pixels={max_pixels} can need"
        data = file.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return examine(data, max_pixels)
