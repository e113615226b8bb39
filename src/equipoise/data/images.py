"""Folders of images, one folder a class: listed without decoding, checked once, decoded while training.

The folders may stand below `train`, `validation` and `test`, which then are the splits.
"""

import hashlib
import io
import os
import stat
from array import array
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.data.labels import alike, in_order
from equipoise.data.sources import SPLITS, Loaded, Preprocessing, Raw, existing_folder
from equipoise.options import ConfigError, Counts, Integers, Names, PositiveInt, listing

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # Pillow knows more: for EPS it would start Ghostscript
MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
MOST_BYTES_A_PIXEL = 16
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
    """

    root: str
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]"
    shape: tuple[int, int, int]
    formats: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice | Integers) -> "ImageFiles":
        return replace(self, paths=self.paths[rows])

    def encoded(self) -> list[bytes]:
        """Each image's file as it is."""
        return [Path(self.root, os.fsdecode(path)).read_bytes() for path in self.paths]


class ImagePreprocessing(Preprocessing):
    """Encoded images of some formats, each resized to (height, width) with so many channels, from 0 to 1."""

    kind: Literal["image"] = "image"
    shape: Annotated[Counts, Field(min_length=3, max_length=3)]
    formats: Names  # that occurred in training, as Pillow names them
    max_pixels: PositiveInt


def image_directory(
    *,
    path: str,
    image_size: Annotated[tuple[Side, ...], Field(strict=False, min_length=2, max_length=2)],
    channels: Literal[1, 3],
    on_bad_file: Literal["error", "skip"],
    max_pixels: PositiveInt,
) -> Raw:
    """A folder with one folder a class of PNG, JPEG, BMP or WebP files.

    Parameters
    ----------
    path : the folder
    image_size : height and width that every image is resized to
    channels : 3 for colour, 1 for grey
    on_bad_file : what to do with a file that cannot be decoded
    max_pixels : an image of more is refused before it is decoded
    """
    root = existing_folder(path, "dataset.path")
    listed = list(_listed(root))
    names = in_order({folder.name for folder in listed})
    _check_names(names, root)
    place = {name: index for index, name in enumerate(names)}
    sizes = [len(folder.paths) for folder in listed]
    labels = np.repeat([place[folder.name] for folder in listed], sizes)
    given = np.repeat(np.array([folder.split for folder in listed], dtype=np.int8), sizes)
    paths = np.concatenate([folder.paths for folder in listed])
    content = _content(root, listed)
    shape = (image_size[0], image_size[1], channels)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _checked(root, paths, labels, rows, shape, on_bad_file, max_pixels)

    return Raw(names, labels, 3, content, load, None, given)


@dataclass(frozen=True)
class _Folder:
    """The images in one folder of a class.

    Attributes
    ----------
    split : 0, or 1 + the place of the split that it stands below
    paths : bytes (n,), relative to the root
    states : int64 (n, 2), the size and time of each file
    """

    name: str
    split: int
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]"
    states: Integers


def _listed(root: Path) -> Iterator[_Folder]:
    """The folders that hold images, in the order of their paths."""
    splits = {"train": 1, "validation": 2, "val": 2, "test": 3}
    folders = _subfolders(str(root))
    if "train" in folders and set(folders) <= set(splits):
        classes = [(name, splits[split], f"{split}/{name}") for split in folders for name in _subfolders(str(root / split))]
    else:
        classes = [(name, 0, name) for name in folders]
    for name, split, folder in classes:
        yield from _below(root, folder, name, split)


def _below(root: Path, folder: str, name: str, split: int) -> Iterator[_Folder]:
    """The folder and those below it. Of a million files, what is held of each is its path, size and time, and no object."""
    resolved = Path(root, folder).resolve()
    if not resolved.is_relative_to(root):
        raise ConfigError(f"{root / folder} is a link that leaves {root}: copy the files, or name that folder itself")
    if resolved != root / folder and (root / folder).is_relative_to(resolved):
        raise ConfigError(f"{root / folder} is a link to a folder that it stands in: remove it")
    names: list[bytes] = []
    states = array("q")
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in EXTENSIONS or entry.is_dir():
                continue
            if entry.is_symlink():
                _check_link(root, Path(entry.path))
            status = os.stat(entry.path) if entry.is_symlink() else entry.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{entry.path} is no file: a pipe or a device")
            names.append(os.fsencode(entry.name))
            states.extend((status.st_size, status.st_mtime_ns))
    if names:
        order = np.argsort(np.array(names), kind="stable")
        paths = np.char.add(os.fsencode(folder + "/"), np.array(names)[order])
        yield _Folder(name, split, paths, np.frombuffer(states, np.int64).reshape(-1, 2)[order])
    for below in _subfolders(str(root / folder)):
        yield from _below(root, f"{folder}/{below}", name, split)


def _subfolders(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _check_link(root: Path, file: Path) -> None:
    if not file.resolve().is_relative_to(root):
        raise ConfigError(f"{file} is a link that leaves {root}: copy the file")
    if not file.exists():
        raise ConfigError(f"{file} is a link to a file that is not there: remove it")


def _check_names(names: Sequence[str], root: Path) -> None:
    if len(names) < 2:
        what = f"images of one class only ({names[0]})" if names else "no images in folders of their class"
        raise ConfigError(f"{root} has {what}; needed is a folder for each class, with {', '.join(sorted(EXTENSIONS))} files in it")
    same = [name for group in alike(names) for name in group]
    if same:
        raise ConfigError(f"{root} has folders whose names differ by case only ({listing(same)}), or in what does not show: merge or rename them")


def _content(root: Path, listed: Sequence[_Folder]) -> str:
    """Digest of every file's path, size and time; the content itself is read when the files are checked."""
    digest = hashlib.sha256(os.fsencode(root))
    for folder in listed:
        for path, (size, time) in zip(folder.paths, folder.states, strict=True):
            digest.update(path + f" {size} {time}\n".encode())
    return digest.hexdigest()


def _checked(
    root: Path,
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]",
    labels: Integers,
    rows: Mapping[str, Integers],
    shape: tuple[int, int, int],
    on_bad_file: str,
    max_pixels: int,
) -> Loaded:
    """Decode every file once; what cannot be decoded is an error or is left out."""
    good: dict[str, Integers] = {}
    digests: dict[str, list[bytes]] = {}
    bad: list[str] = []
    formats: set[str] = set()
    with ThreadPoolExecutor(WORKERS) as workers:
        for split in SPLITS:
            members = rows[split]
            results = list(workers.map(lambda row: _check(root, bytes(paths[row]), max_pixels), members, chunksize=64))
            for row, problem in zip(members, results, strict=True):
                if isinstance(problem, str):
                    bad.append(f"{os.fsdecode(paths[row])}: {problem}")
                    if on_bad_file == "error":
                        raise ConfigError(f"{root / os.fsdecode(paths[row])} {problem}; dataset.on_bad_file=skip leaves such files out")
            good[split] = members[[isinstance(result, tuple) for result in results]]
            digests[split] = [result[0] for result in results if isinstance(result, tuple)]
            formats |= {result[1] for result in results if isinstance(result, tuple)}
    notes = (f"{len(bad)} files left out (dataset.on_bad_file=skip): {listing(bad, 3)}",) if bad else ()
    known = tuple(sorted(formats))
    features = {split: ImageFiles(str(root), paths[members], shape, known) for split, members in good.items()}
    learned = ImagePreprocessing(shape=shape, formats=known, max_pixels=max_pixels)
    return Loaded(features, shape, notes, good, {split: np.array(found, dtype="S32") for split, found in digests.items()}, learned)


def _check(root: Path, path: bytes, max_pixels: int) -> tuple[bytes, str] | str:
    """The digest and format of a file that can be decoded, or what is wrong with it."""
    try:
        file = Path(root, os.fsdecode(path))
        if not file.is_file():  # since it was listed; a pipe would never end
            return "is no file any more"
        if file.stat().st_size > MOST_BYTES_A_PIXEL * max_pixels:
            return f"has {file.stat().st_size} bytes, more than an image of dataset.max_pixels={max_pixels} can need"
        data = file.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return check_image(data, max_pixels)


def check_image(data: bytes, max_pixels: int) -> tuple[bytes, str] | str:
    """The digest and format of an encoded image that can be decoded, or what is wrong with it."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                return f"has {image.width} x {image.height} pixels, more than dataset.max_pixels={max_pixels}"
            if image.mode not in MODES:
                return f"has the colour mode {image.mode}, known are {listing(sorted(MODES))}"
            image.load()
            kind = str(image.format)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        return f"cannot be decoded ({type(error).__name__})"
    return hashlib.sha256(data).digest(), kind
