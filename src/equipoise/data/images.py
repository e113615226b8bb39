"""Folders of images, one folder a class: listed without decoding, checked once, decoded while training.

The folders may stand below `train`, `validation` and `test`, which then are the splits.
"""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.data.sources import SPLITS, Loaded, Raw
from equipoise.options import ConfigError, Integers, PositiveInt, listing

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
MOST_BYTES_A_PIXEL = 16
WORKERS = 2 * (os.cpu_count() or 1)

Side = Annotated[int, Field(ge=1, le=4096)]


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
    try:
        root = Path(path).expanduser().resolve()
        there = bool(path) and root.is_dir()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        there = False
    if not there:
        raise ConfigError(f"dataset.path={path}: there is no such folder")
    found = list(_listed(root))
    names = sorted({name for name, _, _ in found})
    _check_names(names, root)
    place = {name: index for index, name in enumerate(names)}
    labels = np.array([place[name] for name, _, _ in found], dtype=np.int64)
    given = np.array([split for _, split, _ in found], dtype=np.int8)
    paths = np.array([os.fsencode(file) for _, _, file in found])
    shape = (image_size[0], image_size[1], channels)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _checked(root, paths, labels, rows, shape, on_bad_file, max_pixels)

    return Raw(tuple(names), labels, 3, _content(root, paths), load, None, given)


def _listed(root: Path) -> Iterator[tuple[str, int, str]]:
    """Class name, 0 or 1 + the split's place, and relative path of every image, in the order of the paths."""
    folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    splits = {"train": 1, "validation": 2, "val": 2, "test": 3}
    if "train" in folders and set(folders) <= set(splits):
        for folder in folders:
            for name in sorted(entry.name for entry in os.scandir(root / folder) if entry.is_dir() and not entry.name.startswith(".")):
                yield from ((name, splits[folder], file) for file in _files(root, Path(folder, name)))
    else:
        for name in folders:
            yield from ((name, 0, file) for file in _files(root, Path(name)))


def _files(root: Path, folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(root / folder, followlinks=True):
        if not Path(parent).resolve().is_relative_to(root):
            raise ConfigError(f"{parent} is a link that leaves {root}: copy the files, or name that folder itself")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(parent, name)
            if name.startswith(".") or file.suffix.lower() not in EXTENSIONS:
                continue
            if file.is_symlink() and not file.resolve().is_relative_to(root):
                raise ConfigError(f"{file} is a link that leaves {root}: copy the file")
            if not file.is_file():
                raise ConfigError(f"{file} is no file: a pipe, a device or a broken link")
            yield str(file.relative_to(root))


def _check_names(names: list[str], root: Path) -> None:
    if len(names) < 2:
        what = f"images of one class only ({names[0]})" if names else "no images in folders of their class"
        raise ConfigError(f"{root} has {what}; needed is a folder for each class, with {', '.join(sorted(EXTENSIONS))} files in it")
    alike = [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    if alike:
        both = [name for name in names if name.casefold() in alike]
        raise ConfigError(f"{root} has folders whose names differ by case only ({listing(both)}): merge or rename them")


def _content(root: Path, paths: "np.ndarray[Any, np.dtype[np.bytes_]]") -> str:
    """Digest of every file's path, size and time; the content itself is read when the files are checked."""
    digest = hashlib.sha256(os.fsencode(root))
    for path in paths:
        status = os.stat(os.path.join(os.fsencode(root), path))
        digest.update(path + f" {status.st_size} {status.st_mtime_ns}\n".encode())
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
    features = {split: ImageFiles(str(root), paths[members], shape, tuple(sorted(formats))) for split, members in good.items()}
    return Loaded(features, shape, notes, good, {split: np.array(found, dtype="S32") for split, found in digests.items()})


def _check(root: Path, path: bytes, max_pixels: int) -> tuple[bytes, str] | str:
    """The digest and format of a file that can be decoded, or what is wrong with it."""
    from PIL import Image

    try:
        file = Path(root, os.fsdecode(path))
        if not file.is_file():  # since it was listed; a pipe would never end
            return "is no file any more"
        if file.stat().st_size > MOST_BYTES_A_PIXEL * max_pixels:
            return f"has {file.stat().st_size} bytes, more than an image of dataset.max_pixels={max_pixels} can need"
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > max_pixels:
                return f"has {image.width} x {image.height} pixels, more than dataset.max_pixels={max_pixels}"
            if image.mode not in MODES:
                return f"has the colour mode {image.mode}, known are {listing(sorted(MODES))}"
            image.load()
            kind = str(image.format)
    except Exception as error:  # whatever a damaged file makes a decoder raise
        return f"cannot be decoded ({type(error).__name__})"
    return hashlib.sha256(data).digest(), kind
