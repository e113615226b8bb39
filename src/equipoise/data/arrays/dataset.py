"""Arrays: npz files of any kind of samples, and time series (npz, or the .ts text format of the UEA & UCR archive)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.schema import (
    ConfigError,
    Counts,
    Floats,
    Integers,
    Name,
    Names,
    as_typed,
    counted,
    listing,
    suggestion,
)
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.ts_files import read_ts
from equipoise.data.labels import in_array, spelled
from equipoise.data.scaling import FAR, Fitting, Moments
from equipoise.data.splitting import given_splits, grouped
from equipoise.data.types import (
    SPLITS,
    ArrayPreprocessing,
    Dataset,
    Loaded,
    Preprocessing,
    Raw,
    digest_of,
    existing_file,
    split_place,
)

MOST_ONE_HOT = 20_000  # columns of a one-hot array

Scale = Literal["none", "standard", "byte"]
Array = np.ndarray[Any, np.dtype[Any]]
Blocks = Callable[[], Iterator[tuple[int, Array]]]  # whole samples, each with the number of its first one


class SeriesPreprocessing(Preprocessing):
    """Series of unequal length: (x - shift) * factor of each channel, 0 after the end, and a last channel that is 1 before it."""

    kind: Literal["series"] = "series"
    shape: Annotated[Counts, Field(min_length=2, max_length=2)]  # steps, and channels with the mask
    shift: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    factor: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]

    def apply(self, rows: Any) -> Floats:
        """Of numbers of shape (n, steps, channels) with the mask as last channel, or of a list of series, each (channels, steps) of its own length.

        Raises
        ------
        ConfigError
            If a series is longer than any that was prepared, or has other channels.
        """
        steps, channels = self.shape
        if isinstance(rows, list):
            for row, one in enumerate(rows):
                if len(one) != channels - 1 or one.shape[1] > steps:
                    raise ConfigError(
                        f"series {row} has {counted(len(one), 'channel', 'channels')} of {one.shape[1]} steps; possible are {channels - 1} of up to {steps}"
                    )
            rows = padded(rows, steps, mask=True)
        values = np.asarray(rows, np.float64)
        there = values[..., -1:]
        with np.errstate(over="ignore"):
            scaled = np.where(there > 0, (values[..., :-1] - np.array(self.shift)) * np.array(self.factor), 0)
            found: Floats = np.concatenate([scaled, there], axis=-1).astype(np.float32)
        return found


@dataclass(frozen=True)
class _Part:
    """Arrays of an npz that belong together: the options that name them, their names, and the place of their split, 0 if it is to be decided."""

    options: tuple[str, str]
    features: str
    target: str
    place: int


def npz(
    least: int = 2,
    *,
    path: Name,
    features: Name,
    target: Name,
    validation_features: Name | None,
    validation_target: Name | None,
    test_features: Name | None,
    test_target: Name | None,
    missing_labels: Names,
    group: Name | None,
    split: Name | None,
    scale: Scale,
) -> Raw:
    """Arrays in an npz file: features of shape (n, …) and class labels of shape (n,), numbers or text, or one-hot rows.

    Parameters
    ----------
    least : classes that there must be; 1 where samples are judged, and not learned from
    path : the file
    features, target, group, split : the arrays' names; group and split as for `csv`
    validation_features, validation_target, test_features, test_target : arrays of their own that are these splits
    missing_labels : texts that mean «no label»
    scale : `standard` (training mean and deviation of each feature, or of each channel if there are more
        dimensions), `byte` (divide by 255) or `none`
    """
    parts = [_Part(("features", "target"), features, target, 0)]
    for place, values, labels in ((2, validation_features, validation_target), (3, test_features, test_target)):
        options = (f"{SPLITS[place - 1]}_features", f"{SPLITS[place - 1]}_target")
        if (values is None) != (labels is None):
            raise ConfigError(f"dataset.{options[0]}={values} and dataset.{options[1]}={labels}: give both, or neither")
        if values is not None and labels is not None:
            parts.append(_Part(options, values, labels, place))
    if len(parts) > 1:
        if group is not None or split is not None:
            option = "group" if split is None else "split"
            raise ConfigError(
                f"dataset.{option} divides one array; dataset.{parts[1].options[0]} gives a split of its own: give one of them"
            )
        parts[0] = _Part(parts[0].options, features, target, 1)
    return _from_npz(path, parts, missing_labels, group, split, scale, least, series=False)


def series(
    least: int = 2,
    *,
    path: Name,
    test_path: Name | None,
    features: Name,
    target: Name,
    missing_labels: Names,
    group: Name | None,
    unequal: Literal["refuse", "pad"],
    scale: Scale,
) -> Raw:
    """Time series: an npz with features of shape (n, steps, channels) or (n, steps), or a .ts file.

    Parameters
    ----------
    least : as for `npz`
    test_path : a second .ts file that is the test split
    features, target, group : the arrays' names in an npz
    missing_labels : texts that mean «no label»
    unequal : what to do with series of unequal length in a .ts file: refuse them, or pad them with zeros at the
        end and add a channel that is 1 where there are data
    scale : as for `npz`; what is padded has no part in it
    """
    if Path(path).suffix.lower() == ".ts":
        return _from_ts(path, test_path, missing_labels, unequal, scale, least)
    if test_path is not None:
        raise ConfigError("dataset.test_path is for .ts files; an npz names its splits in dataset=npz dataset.split")
    return _from_npz(
        path,
        [_Part(("features", "target"), features, target, 0)],
        missing_labels,
        group,
        None,
        scale,
        least,
        series=True,
    )


def lacks_array(dataset: Dataset, option: str) -> str | None:
    """What an npz lacks of labels: the array of them. A .ts file is nothing without labels."""
    file = existing_file(str(getattr(dataset, option)), f"dataset.{option}")
    target = str(vars(dataset)["target"])
    there = file.suffix.lower() == ".ts" or target in npz_files.members(file)
    return None if there else f"{file} has no '{target}' (dataset.target)"


def _from_npz(
    path: str,
    parts: Sequence[_Part],
    missing: Sequence[str],
    group: str | None,
    split: str | None,
    scale: Scale,
    least: int,
    *,
    series: bool,
) -> Raw:
    file = existing_file(path, "dataset.path")
    _check_names(file, parts, group, split)
    shapes = [npz_files.header(file, part.features) for part in parts]
    one = _shape_of_one(file, parts, shapes, series=series)
    first = parts[0].features
    labels = in_array(_labels(file, parts, shapes), f"'{parts[0].target}' of {file}", missing, least)
    notes = [*_unread(file, parts, group, split), *labels.notes]
    groups: Integers | None = None
    given: Integers | None = (
        np.repeat([part.place for part in parts], [shape[0] for shape in shapes]).astype(np.int8)
        if len(parts) > 1
        else None
    )
    if group is not None:
        groups, more = grouped(
            spelled(npz_files.whole(file, group, first, shapes[0][0]), f"'{group}' of {file}"),
            f"dataset.group={group}",
            missing,
        )
        notes += more
    if split is not None:
        given, more = given_splits(
            spelled(npz_files.whole(file, split, first, shapes[0][0]), f"'{split}' of {file}"), f"dataset.split={split}"
        )
        notes += more

    def blocks() -> Iterator[tuple[int, Array]]:
        before = 0
        for part, shape in zip(parts, shapes, strict=True):
            for start, block in npz_files.blocks(file, part.features):
                yield before + start, _finite(block, start, f"'{part.features}' of {file}").reshape(len(block), *one)
            before += shape[0]

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _write_scaled(blocks, one, rows, folder, scale, f"'{first}' of {file}", masked=False)

    files = tuple(shape[0] for shape in shapes) if len(parts) > 1 else ()
    again = _again(lambda: (block for _, block in blocks()), one, str(file))
    return Raw(
        labels.classes, labels.indices, len(one), digest_of(file), load, groups, given, tuple(notes), files, again
    )


def _check_names(file: Path, parts: Sequence[_Part], group: str | None, split: str | None) -> None:
    names = npz_files.members(file)
    wanted = [pair for part in parts for pair in zip(part.options, (part.features, part.target), strict=True)]
    for option, name in (*wanted, ("group", group), ("split", split)):
        if name is not None and name not in names:
            typed = _by_split(names)
            hint = f"; it has arrays for each split: {typed}" if typed else suggestion(name, names, f"dataset.{option}")
            raise ConfigError(f"dataset.{option}={name}: {file} has no such array{hint}")


def _by_split(names: Sequence[str]) -> str:
    """What is to be typed where arrays are named as splits are, such as `x_train` (Keras) or `test_images` (MedMNIST); nothing if they are not."""
    found = {}
    for name in names:
        words = name.casefold().split("_")
        place = max(map(split_place, words))
        kind = "target" if {"y", "label", "labels", "target", "targets"} & set(words) else "features"
        if place:
            found[kind if place == 1 else f"{SPLITS[place - 1]}_{kind}"] = name
    pairs = [("features", "target"), *((f"{split}_features", f"{split}_target") for split in SPLITS[1:])]
    whole = [key for pair in pairs for key in pair if set(pair) <= set(found)]
    return (
        " ".join(as_typed(f"dataset.{key}", found[key]) for key in whole)
        if {"features", "test_features"} <= set(whole)
        else ""
    )


def _unread(file: Path, parts: Sequence[_Part], group: str | None, split: str | None) -> list[str]:
    known = {group, split, *(name for part in parts for name in (part.features, part.target))}
    more = sorted(set(npz_files.members(file)) - known)
    typed = _by_split(npz_files.members(file)) if any(max(map(split_place, name.split("_"))) for name in more) else ""
    return (
        [f"{file} holds more arrays, which are not read: {listing(more)}{f'; to read them: {typed}' if typed else ''}"]
        if more
        else []
    )


def _shape_of_one(
    file: Path, parts: Sequence[_Part], shapes: Sequence[tuple[int, ...]], *, series: bool
) -> tuple[int, ...]:
    """The shape of one sample."""
    first = shapes[0]
    for part, shape in zip(parts, shapes, strict=True):
        if len(shape) < 2 or 0 in shape:
            raise ConfigError(
                f"{file}: the array '{part.features}' has the shape {shape}; needed are samples along the first axis and features after it"
            )
        if shape[1:] != first[1:]:
            raise ConfigError(
                f"{file}: '{part.features}' has samples of shape {shape[1:]}, and '{parts[0].features}' of {first[1:]}"
            )
    if series and len(first) > 3:
        raise ConfigError(
            f"{file}: the array '{parts[0].features}' has the shape {first}; series are (n, steps, channels) or (n, steps)"
        )
    return (*first[1:], 1) if series and len(first) == 2 else first[1:]


def _labels(file: Path, parts: Sequence[_Part], shapes: Sequence[tuple[int, ...]]) -> Array:
    """The labels of all parts, one after the other."""
    found = [
        npz_files.whole(file, part.target, part.features, shape[0], MOST_ONE_HOT)
        for part, shape in zip(parts, shapes, strict=True)
    ]
    for part, values in zip(parts, found, strict=True):
        if values.shape[1:] != found[0].shape[1:] or (values.dtype.kind in "US") != (found[0].dtype.kind in "US"):
            first, other = (
                f"'{name.target}' is {array.dtype} of shape {array.shape}"
                for name, array in ((parts[0], found[0]), (part, values))
            )
            raise ConfigError(f"{file}: the labels differ in kind: {first}, and {other}")
    return np.concatenate(found) if len(found) > 1 else found[0]


def _finite(block: Array, start: int, name: str) -> Array:
    good = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not good.all():
        raise ConfigError(f"{name}: sample {start + int(np.argmin(good))} holds NaN or infinity: replace or remove it")
    return block


def _from_ts(path: str, test_path: str | None, missing: Sequence[str], unequal: str, scale: Scale, least: int) -> Raw:
    files = [existing_file(path, "dataset.path")] + (
        [existing_file(test_path, "dataset.test_path")] if test_path else []
    )
    found = [read_ts(file) for file in files]
    names = [label for _, labels in found for label in labels]
    labels = in_array(np.array(names), f"the class label of {files[0]}", missing, least)
    samples = [sample for series, _ in found for sample in series]
    channels = {len(sample) for sample in samples}
    if len(channels) > 1:
        raise ConfigError(
            f"{files[0]}: the samples have {listing(sorted(map(str, channels)))} channels; they must have the same"
        )
    lengths = {sample.shape[1] for sample in samples}
    if len(lengths) > 1 and unequal == "refuse":
        raise ConfigError(
            f"{files[0]}: the series have lengths from {min(lengths)} to {max(lengths)}; dataset.unequal=pad pads them and adds a mask channel"
        )
    array = padded(samples, max(lengths), mask=len(lengths) > 1)
    given = np.zeros(len(samples), dtype=np.int8)
    given[len(found[0][1]) :] = 1 + SPLITS.index("test")

    def blocks() -> Iterator[tuple[int, Array]]:
        yield 0, _finite(array, 0, str(files[0]))

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _write_scaled(blocks, array.shape[1:], rows, folder, scale, str(files[0]), masked=len(lengths) > 1)

    content = " ".join(digest_of(file) for file in files)

    def again(learned: Preprocessing) -> Loaded:
        if isinstance(learned, SeriesPreprocessing):  # each is padded to what the model takes
            return Loaded({"test": learned.apply(samples)}, learned.shape, preprocessing=learned)
        return _again(lambda: iter([array]), (*array.shape[1:],), str(files[0]))(learned)

    return Raw(
        labels.classes,
        labels.indices,
        2,
        content,
        load,
        None,
        given,
        labels.notes,
        tuple(len(own) for _, own in found),
        again,
    )


def _again(blocks: Callable[[], Iterator[Any]], shape: tuple[int, ...], name: str) -> Callable[[Preprocessing], Loaded]:
    def again(learned: Preprocessing) -> Loaded:
        known = vars(learned)["shape"]
        if shape != known:
            raise ConfigError(f"{name} has samples of shape {shape}; the model was trained on {known}")
        return Loaded(
            {"test": np.concatenate([learned.apply(block) for block in blocks()])}, known, preprocessing=learned
        )

    return again


def padded(samples: Sequence[Floats], steps: int, *, mask: bool) -> Floats:
    """Series of shape (channels, own steps) as float64 (n, steps, channels), with the mask as last channel if there is to be one."""
    array = np.zeros((len(samples), steps, len(samples[0]) + mask))
    for index, sample in enumerate(samples):
        array[index, : sample.shape[1], : len(sample)] = sample.T
        if mask:
            array[index, : sample.shape[1], -1] = 1
    return array


def _write_scaled(
    blocks: Blocks,
    shape: tuple[int, ...],
    rows: Mapping[str, Integers],
    folder: Path,
    scale: Scale,
    name: str,
    *,
    masked: bool,
) -> Loaded:
    """Scale by the training rows and write each split; two passes, a block at a time."""
    moments = _fitted(blocks, rows["train"], masked=masked) if scale == "standard" else None
    learned = _learned(shape, scale, moments, name, masked=masked)
    features = {
        split: np.lib.format.open_memmap(
            folder / f"{split}_features.npy", mode="w+", dtype=np.float32, shape=(len(members), *shape)
        )
        for split, members in rows.items()
    }
    far = dict.fromkeys(SPLITS, 0)
    for start, block in blocks():
        scaled = learned.apply(block)
        if not np.isfinite(scaled).all():
            raise ConfigError(f"{name} holds numbers that are too large for float32: scale them first")
        for split, members in rows.items():
            low, high = np.searchsorted(members, (start, start + len(block)))
            own = members[low:high] - start
            features[split][low:high] = scaled[own]
            if moments is not None and split != "train" and low < high:
                far[split] += int(
                    moments.far(_values(block[own], masked=masked)).reshape(len(own), -1).any(axis=1).sum()
                )
    notes = _constant(moments, len(shape), name) if moments is not None else []
    notes += [
        f"{name}: {count} of {len(rows[split])} {split} samples {'lies' if count == 1 else 'lie'} more than {FAR:g} deviations outside the training range"
        for split, count in far.items()
        if count
    ]
    return Loaded(dict(features), shape, tuple(notes), preprocessing=learned)


def _constant(moments: Moments, axes: int, name: str) -> list[str]:
    """What is to be told of features, or channels if there are more axes, that have one value in the training rows."""
    found = np.flatnonzero(moments.constant)
    if not len(found):
        return []
    one, several = ("feature", "features") if axes == 1 else ("channel", "channels")
    told = f"{one} {found[0]} is" if len(found) == 1 else f"{len(found)} of {len(moments.constant)} {several} are"
    values = listing([f"{moments.mean[index]:.12g}" if len(found) == 1 else f"{index}" for index in found], 5)
    return [
        f"{name}: {told} constant in the training rows ({values}), so that nothing is learned of {'it' if len(found) == 1 else 'them'}"
    ]


def _fitted(blocks: Blocks, train: Integers, *, masked: bool) -> Moments:
    """The moments of each feature of the training rows, or of each channel if there are more dimensions."""
    fitting = Fitting()
    for start, block in blocks():
        low, high = np.searchsorted(train, (start, start + len(block)))
        if low < high:
            fitting.add(_values(block[train[low:high] - start], masked=masked))
    return fitting.moments()


def _values(block: Array, *, masked: bool) -> Array:
    """The block as (values, features) or (values, channels); NaN, which moments leave out, where a series is padded."""
    rows = block.reshape(-1, block.shape[-1])
    return np.where(rows[:, -1:] > 0, rows[:, :-1], np.nan) if masked else rows


def _learned(
    shape: tuple[int, ...], scale: Scale, moments: Moments | None, name: str, *, masked: bool
) -> ArrayPreprocessing | SeriesPreprocessing:
    if moments is None:
        shift: Floats = np.zeros(1)
        factor: Floats = np.array([1 / 255 if scale == "byte" else 1.0])
    elif np.isfinite(moments.mean).all() and np.isfinite(moments.deviation).all():
        shift, factor = moments.mean, 1 / moments.deviation
    else:
        raise ConfigError(f"{name} holds numbers that are too large to be standardised: scale them first")
    kind = SeriesPreprocessing if masked else ArrayPreprocessing
    return kind(shape=shape, shift=tuple(shift.tolist()), factor=tuple(factor.tolist()))
