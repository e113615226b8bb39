"""List the images, or the texts, of a folder without reading them; folders' names tell the class and split of each.

Classes are the folders in the root, or in folders that are named as splits are. Every file below a class is listed,
or counted and named in a note.
"""

import os
import re
import stat
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError, counted, listing
from equipoise.core.schema import Integers
from equipoise.data.images.decoding import HEAD, KNOWN, looks_like_an_image
from equipoise.data.labels import alike
from equipoise.data.types import SPLITS, split_place

# Files with these suffixes must be images; the first bytes of any other file tell whether it is one.
SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"}
NOTHING = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"}  # systems leave them everywhere, beside hidden files


@dataclass(frozen=True)
class Files:
    """What files a folder holds.

    Attributes
    ----------
    one, known : what one is, and what is known as such, in messages
    suffixes : files with these must be some
    looks : whether a file of another name is one, by its first bytes; None: never
    """

    one: str
    known: str
    suffixes: Collection[str]
    looks: Callable[[bytes], bool] | None = None


IMAGES = Files("image", KNOWN, SUFFIXES, looks_like_an_image)
TEXTS = Files("text", ".txt", (".txt", ".text"))


@dataclass(frozen=True)
class Folder:
    """The files in one folder of a class.

    Attributes
    ----------
    split : 1 + the place of the split that it stands below, or 0
    paths : bytes (n,), relative to the root
    states : int64 (n, 2), the size and time of each file
    """

    name: str
    split: int
    paths: "np.ndarray[Any, np.dtype[np.bytes_]]"
    states: Integers


@dataclass
class _Unread:
    """The number of files that are no images, or no texts, and the names of the first."""

    known: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, file: str) -> None:
        self.count += 1
        self.first += [file] if len(self.first) < 3 else []

    def told(self) -> str:
        return counted(self.count, f"file is no {self.known}", f"files are no {self.known}")

    def named(self) -> str:
        return ", ".join(self.first) + (
            f" and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
        )


def listed(root: Path, least: int = 2, files: Files = IMAGES) -> tuple[list[Folder], list[str]]:
    """Return the folders that hold such files, in the order of their paths, and notes.

    Parameters
    ----------
    least : classes that there must be

    Raises
    ------
    ConfigError
        If there are fewer classes, splits or classes cannot be told apart, or a link leads out of the root.
    """
    unread = _Unread(files.known)
    classes = _classes(root, files)
    found = [folder for name, split, path in classes for folder in _below(root, path, (name, split, files), unread)]
    names = sorted({folder.name for folder in found})
    _check_names(names, root, unread, least, files)
    notes = []
    if unread.count:
        notes.append(f"{unread.told()} and {'is' if unread.count == 1 else 'are'} not read: {unread.named()}")
    empty = sorted({name for name, _, _ in classes} - set(names))
    if empty:
        one, several = (
            f"folder {listing(empty)} holds no {files.one}, and is no class",
            f"folders {listing(empty)} hold no {files.one}, and are no classes",
        )
        notes.append(f"the {one if len(empty) == 1 else several}")
    notes += _of_two_depths(root, found)
    beside = {
        file for folder in (root, *{(root / path).parent for _, _, path in classes}) for file in _direct(folder, files)
    }
    if beside:
        told = counted(
            len(beside),
            f"{files.one} stands in no folder of a class and is not read",
            f"{files.one}s stand in no folder of a class and are not read",
        )
        notes.append(f"{told}: {listing(sorted(beside), 3)}")
    return found, notes


def _of_two_depths(root: Path, found: Sequence[Folder]) -> list[str]:
    """Tell of folders of different names in each class, which may be the classes that were meant."""
    inner: dict[str, set[str]] = {}
    for folder in found:
        inside = os.fsdecode(folder.paths[0]).split("/")[2 if folder.split else 1 : -1]
        inner.setdefault(folder.name, set()).add(inside[0] if inside else "")
    names = [name for own in inner.values() for name in own]
    if any(len(own) < 2 or "" in own for own in inner.values()) or len(names) > len(set(names)):
        return []
    return [
        f"the classes are the folders {listing(list(inner))} of {root}; "
        f"if those in them ({listing(sorted(names), 4)}) are meant, move these up"
    ]


def _classes(root: Path, files: Files) -> list[tuple[str, int, str]]:
    """Return each class with the place of its split and its path below the root."""
    folders = [name for name in _subfolders(root) if _holds_anything(_inside(root, name))]
    splits = [name for name in folders if split_place(name)]
    # Look for files first: of a million of them in a folder only one is read.
    nested = [name for name in folders if not _direct(root / name, files, most=1) and _subfolders(root / name)]
    if splits and set(splits) <= set(nested):
        _check_splits(root, splits, [name for name in folders if name not in splits])
        return [(name, split_place(split), f"{split}/{name}") for split in splits for name in _subfolders(root / split)]
    _check_no_splits(root, folders, nested, files)
    _check_no_twins(root, folders)
    return [(name, 0, name) for name in _subfolders(root)]


def _check_splits(root: Path, splits: Sequence[str], others: Sequence[str]) -> None:
    if others:
        raise ConfigError(
            f"{root} holds the folder {listing(others)} beside the splits {listing(splits)}: move it elsewhere; "
            f"if all of them are classes, rename {listing(splits)}"
        )
    for place, name in enumerate(SPLITS, start=1):
        same = [split for split in splits if split_place(split) == place]
        if len(same) > 1:
            raise ConfigError(f"{root}: the folders {listing(same)} are all the {name} split: merge them")
        if not same and name == "train":
            raise ConfigError(f"{root} has the splits {listing(splits)} and no folder train to learn from")


def _check_no_splits(root: Path, folders: Sequence[str], nested: Sequence[str], files: Files) -> None:
    """Refuse splits that are not named as such: they must not become the classes."""
    cure = "if they are splits, call them train, validation and test, with a folder for each class in each"
    seeming = [name for name in folders if _split_places(name)]
    places = {place for name in seeming for place in _split_places(name)}
    if len(places) > 1 and (len(seeming) == len(folders) or set(seeming) & set(nested)):
        bare = [name for name in seeming if name not in nested]
        held = f", and {listing(bare)} holds files that are in no folder of a class" if bare else ""
        raise ConfigError(
            f"{root}: the folders {listing(seeming)} look like splits, not like classes{held}: {cure}; "
            "if they are classes, rename them"
        )
    inside = {tuple(_subfolders(root / name)) for name in nested} if len(nested) == len(folders) > 1 else set()
    if len(inside) == 1 and len(equal := min(inside)) > 1:
        raise ConfigError(
            f"{root}: the folders {listing(folders)} all hold the folders {listing(equal)}, "
            f"so that these may be the classes: {cure}; if not, move the {files.one}s of {listing(equal)} up"
        )


def _check_no_twins(root: Path, folders: Sequence[str]) -> None:
    """Refuse a link to another class, which would give each of its files two classes."""
    stands = {name: _inside(root, name).resolve() for name in folders}
    twins = [name for name, place in stands.items() if list(stands.values()).count(place) > 1]
    if twins:
        raise ConfigError(f"{root}: the folders {listing(twins)} are one and the same, by a link: remove it")


def _split_places(name: str) -> set[int]:
    """Return the splits among the words of a name such as `X_train` or `val2017`."""
    return {split_place(word) for word in re.split(r"[\W\d_]+", name)} - {0}


def _below(root: Path, folder: str, kind: tuple[str, int, Files], unread: _Unread) -> Iterator[Folder]:
    """Yield the folder and those below it. No object is held for a file, only its path, size and time.

    Parameters
    ----------
    kind : the class, the place of the split, and the files that count
    """
    name, split, files = kind
    names: list[bytes] = []
    states = array("q")
    with os.scandir(_inside(root, folder)) as entries:
        for entry in entries:
            if _is_nothing(entry.name) or entry.is_dir():
                continue
            if not _is_one(entry, root, files):
                unread.add(f"{folder}/{entry.name}")
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
        yield Folder(name, split, paths, np.frombuffer(states, np.int64).reshape(-1, 2)[order])
    for below in _subfolders(root / folder):
        yield from _below(root, f"{folder}/{below}", kind, unread)


def is_unlabelled(root: Path, files: Files = IMAGES) -> bool:
    """Return whether the files stand in the folder itself, and in no folder of a class."""
    return bool(_direct(root, files, most=1)) and not _subfolders(root)


def _inside(root: Path, folder: str) -> Path:
    """Return the folder, which must not be a link out of the root, or to a folder above it."""
    path, resolved = root / folder, Path(root, folder).resolve()
    if not resolved.is_relative_to(root):
        raise ConfigError(f"{path} is a link that leaves {root}: copy the files, or name that folder itself")
    if resolved != path and path.is_relative_to(resolved):
        raise ConfigError(f"{path} is a link to a folder that it stands in: remove it")
    return path


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not _is_nothing(entry.name) and entry.is_dir())


def _holds_anything(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(not _is_nothing(entry.name) for entry in entries)


def _direct(folder: Path, files: Files, most: int | None = None) -> list[str]:
    """Return the names of `most` files, by their suffixes, in the folder itself."""
    with os.scandir(folder) as entries:
        found = (
            entry.name
            for entry in entries
            if not _is_nothing(entry.name) and _suffix(entry.name) in files.suffixes and not entry.is_dir()
        )
        return list(found) if most is None else [name for name, _ in zip(found, range(most), strict=False)]


def _is_one(entry: "os.DirEntry[str]", root: Path, files: Files) -> bool:
    """Return whether the file has the name of an image or a text, or begins as an image."""
    if _suffix(entry.name) in files.suffixes:
        return True
    try:
        if (
            files.looks is None or not entry.is_file() or not Path(entry.path).resolve().is_relative_to(root)
        ):  # a pipe would never end
            return False
        with open(entry.path, "rb") as file:
            return files.looks(file.read(HEAD))
    except OSError:
        return False


def _is_nothing(name: str) -> bool:
    return name.startswith(".") or name.lower() in NOTHING


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _check_link(root: Path, file: Path) -> None:
    if not file.resolve().is_relative_to(root):
        raise ConfigError(f"{file} is a link that leaves {root}: copy the file")
    if not file.exists():
        raise ConfigError(f"{file} is a link to a file that is not there: remove it")


def _check_names(names: list[str], root: Path, unread: _Unread, least: int, files: Files) -> None:
    if len(names) < least:
        what = f"{files.one}s of one class only ({names[0]})" if names else f"no {files.one}s in folders of their class"
        inner = _subfolders(root / names[0]) if names and (root / names[0]).is_dir() else []
        flat = len(_direct(root, files))
        hint = f"; {unread.told()}: {unread.named()}" if unread.count else ""
        if flat:
            hint = f"; {counted(flat, f'{files.one} stands', f'{files.one}s stand')} in the folder itself"
        if len(inner) > 1:
            hint = f"; did you mean dataset.path={root / names[0]}?"
        raise ConfigError(f"{root} has {what}; needed is a folder for each class, with {files.known} files in it{hint}")
    same = [name for group in alike(names) for name in group]
    if same:
        raise ConfigError(
            f"{root} has folders whose names differ by case only ({listing(same)}), or in what does not show: "
            "merge or rename them"
        )
