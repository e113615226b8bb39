"""The samples, labels, groups and splits in an npz file or in npy files, as one part or as one for each split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Floats, Integers
from equipoise.core.typed import as_typed
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.scaled import Array, finite
from equipoise.data.labels import Spelled, spelled
from equipoise.data.paths import digest_of
from equipoise.data.row_weights import checked
from equipoise.data.types import SPLITS, split_place

MOST_ONE_HOT = 20_000  # columns of a one-hot array


@dataclass(frozen=True)
class Part:
    """Two arrays: samples and their labels.

    Attributes
    ----------
    options : those that name them
    features, target : their names
    place : 1 + the place of their split in `SPLITS`; 0 if they are divided here
    weight : the name of the array with the samples' weights; None: they have none
    """

    options: tuple[str, str]
    features: str
    target: str
    place: int
    weight: str | None = None


@dataclass(frozen=True)
class Stored:
    """Parts of an npz file, or of a folder of npy files, whose samples count from the first part to the last.

    Attributes
    ----------
    file : the npz file, or the folder
    shapes : of each part's samples, (n, ...)
    others : the names of the arrays with the groups and the splits
    alone : whether an npy file was named, and not all that are beside it
    """

    file: Path
    parts: tuple[Part, ...]
    shapes: tuple[tuple[int, ...], ...]
    others: tuple[str, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        """As messages call its samples."""
        return f"'{self.parts[0].features}' of {self.file}"

    @property
    def places(self) -> Integers | None:
        """The place of the split of each sample, int8 (n,); None if there is one part."""
        if len(self.parts) == 1:
            return None
        counts = [shape[0] for shape in self.shapes]
        return np.repeat([part.place for part in self.parts], counts).astype(np.int8)

    def blocks(self, shape: tuple[int, ...]) -> Iterator[tuple[int, Array]]:
        """Read the samples of all parts, each brought to this shape, in blocks with the number of their first one."""
        before = 0
        for part, own in zip(self.parts, self.shapes, strict=True):
            for start, block in npz_files.blocks(self.file, part.features):
                good = finite(block, start, f"'{part.features}' of {self.file}")
                yield before + start, good.reshape(len(block), *shape)
            before += own[0]

    def words(self, name: str) -> Spelled:
        """Read an array that has one value for each sample of the first part."""
        values = npz_files.whole(self.file, name, self.parts[0].features, self.shapes[0][0])
        return spelled(values, f"'{name}' of {self.file}")

    def labels(self) -> Array:
        """Read the labels of all parts, one after the other, (n,) or (n, columns).

        Raises
        ------
        ConfigError
            If they differ in kind.
        """
        found = [
            npz_files.whole(self.file, part.target, part.features, shape[0], MOST_ONE_HOT)
            for part, shape in zip(self.parts, self.shapes, strict=True)
        ]
        for part, values in zip(self.parts, found, strict=True):
            if values.shape[1:] != found[0].shape[1:] or (values.dtype.kind in "US") != (found[0].dtype.kind in "US"):
                first, other = (
                    f"'{name.target}' is {array.dtype} of shape {array.shape}"
                    for name, array in ((self.parts[0], found[0]), (part, values))
                )
                raise ConfigError(f"{self.file}: the labels differ in kind: {first}, and {other}")
        return np.concatenate(found) if len(found) > 1 else found[0]

    def weights(self) -> Floats | None:
        """Read the row weights of all parts, one after the other, float64 (n,); None if they have none."""
        first = self.parts[0].weight
        if first is None:
            return None
        names = [str(part.weight) for part in self.parts]
        values = [
            npz_files.whole(self.file, name, part.features, shape[0])
            for name, part, shape in zip(names, self.parts, self.shapes, strict=True)
        ]
        files = [(f"'{name}' of {self.file}", len(own)) for name, own in zip(names, values, strict=True)]
        return checked(np.concatenate(values), f"dataset.weight={first}", files)

    @property
    def content(self) -> str:
        """The digest of the npz file, or of the npy files that are read."""
        if not self.file.is_dir():
            return digest_of(self.file)
        digests = [digest_of(self.file / f"{name}{npz_files.NPY}") for name in self._names()]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def _names(self) -> list[str]:
        names = [name for part in self.parts for name in (part.features, part.target, part.weight)]
        return [name for name in (*names, *self.others) if name is not None]

    def unread(self) -> list[str]:
        """Tell of the arrays that are not read."""
        names = npz_files.members(self.file)
        more = sorted(set(names) - set(self._names()))
        if not more or self.alone:
            return []
        typed = _by_split(names) if any(max(map(split_place, name.split("_"))) for name in more) else ""
        hint = f"; to read them: {typed}" if typed else ""
        return [f"{self.file} holds more arrays, which are not read: {listing(more)}{hint}"]


def opened(path: str, parts: Sequence[Part], group: str | None, split: str | None) -> Stored:
    """Open the file, whose samples are not read yet.

    Raises
    ------
    ConfigError
        If it has no array of a name that is given, or samples of different shapes.
    """
    file, alone = npz_files.archive_of(path, "dataset.path")
    if file.is_dir():
        parts = [_beside(part, file, alone if place == 0 else None) for place, part in enumerate(parts)]
        group, split = (name and _name(name, option, file) for option, name in (("group", group), ("split", split)))
    names = npz_files.members(file)
    wanted = [pair for part in parts for pair in zip(part.options, (part.features, part.target), strict=True)]
    more = [(part.options[0].replace("features", "weight"), part.weight) for part in parts]
    for option, name in (*wanted, *more, ("group", group), ("split", split)):
        if name is not None and name not in names:
            typed = _by_split(names)
            hint = f"; it has arrays for each split: {typed}" if typed else suggestion(name, names, f"dataset.{option}")
            raise ConfigError(f"dataset.{option}={name}: {file} has no such array{hint}")
    shapes = [npz_files.header(file, part.features) for part in parts]
    for part, shape in zip(parts, shapes, strict=True):
        if len(shape) < 2 or 0 in shape:
            raise ConfigError(
                f"{file}: the array '{part.features}' has the shape {shape}; "
                "needed are samples along the first axis and features after it"
            )
        if shape[1:] != shapes[0][1:]:
            raise ConfigError(
                f"{file}: '{part.features}' has samples of shape {shape[1:]}, "
                f"and '{parts[0].features}' of {shapes[0][1:]}"
            )
    others = tuple(name for name in (group, split) if name is not None)
    return Stored(file, tuple(parts), tuple(shapes), others, alone is not None)


def _beside(part: Part, folder: Path, alone: str | None) -> Part:
    """Return the part with the names of npy files as those of arrays in the folder.

    Parameters
    ----------
    alone : the name of the features if their file was named, and not the folder
    """
    target = _name(part.target, part.options[1], folder)
    features = alone or _name(part.features, part.options[0], folder)
    weight = part.weight and _name(part.weight, part.options[0].replace("features", "weight"), folder)
    return replace(part, features=features, target=target, weight=weight)


def _name(typed: str, option: str, folder: Path) -> str:
    """Return the name of the array in an npy file, which must stand in the folder.

    Raises
    ------
    ConfigError
        If it stands elsewhere.
    """
    file = Path(typed).expanduser()
    if file.suffix.lower() != npz_files.NPY:
        return typed
    if len(file.parts) > 1 and file.resolve().parent != folder:
        raise ConfigError(
            f"dataset.{option}={typed}: arrays stand in one folder, and the features in {folder}: put the file there"
        )
    return file.stem


def _by_split(names: Sequence[str]) -> str:
    """Return what to type where arrays are named as splits, such as `x_train` or `test_images`; nothing elsewhere."""
    found = {}
    for name in names:
        words = name.casefold().split("_")
        place = max(map(split_place, words))
        kind = "target" if {"y", "label", "labels", "target", "targets"} & set(words) else "features"
        if place:
            found[kind if place == 1 else f"{SPLITS[place - 1]}_{kind}"] = name
    pairs = [("features", "target"), *((f"{split}_features", f"{split}_target") for split in SPLITS[1:])]
    whole = [key for pair in pairs for key in pair if set(pair) <= set(found)]
    if not {"features", "test_features"} <= set(whole):
        return ""
    return " ".join(as_typed(f"dataset.{key}", found[key]) for key in whole)
