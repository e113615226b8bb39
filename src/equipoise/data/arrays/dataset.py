"""Arrays: npz and npy files of any samples, and time series (the same, or the .ts format of the UEA & UCR archive)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Integers, Name, Names, Section
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.scaled import (
    Array,
    Numbers,
    Scale,
    SeriesPreprocessing,
    finite,
    padded,
    scaled_as_learned,
    write_scaled,
)
from equipoise.data.arrays.stored import Part, Stored, opened
from equipoise.data.arrays.ts_files import read_ts
from equipoise.data.labels import Spelled, in_array, spelled
from equipoise.data.paths import digest_of, existing_file
from equipoise.data.splitting import given_splits, grouped
from equipoise.data.types import SPLITS, Dataset, Loaded, Preprocessing, Raw, RowWeights


class ArrayOptions(Section):
    """The arrays of a file, and how their numbers are scaled.

    Attributes
    ----------
    path : the file
    features, target : names of the arrays with the samples and their labels
    missing_labels : texts that mean "no label"
    group : name of an array whose equal values stay on one side of every split
    scale : `standard` (training mean and deviation of each feature, or of each channel if there are more dimensions;
        padding does not count), `byte` (divide by 255) or `none`
    """

    path: Name
    features: Name
    target: Name
    missing_labels: Names
    group: Name | None
    scale: Scale


class OwnSplits(Section):
    """Names of arrays that are the validation and the test split."""

    validation_features: Name | None
    validation_target: Name | None
    validation_weight: Name | None
    test_features: Name | None
    test_target: Name | None
    test_weight: Name | None

    def parts(self) -> list[Part]:
        """Those that are given.

        Raises
        ------
        ConfigError
            If samples are given without labels, or labels without samples.
        """
        found = []
        for place, split in enumerate(SPLITS[1:], start=2):
            options = (f"{split}_features", f"{split}_target")
            values, labels = (getattr(self, option) for option in options)
            if (values is None) != (labels is None):
                raise ConfigError(
                    f"dataset.{options[0]}={values} and dataset.{options[1]}={labels}: give both, or neither"
                )
            weight = getattr(self, f"{split}_weight")
            if values is not None:
                found.append(Part(options, values, labels, place, weight))
            elif weight is not None:
                raise ConfigError(f"dataset.{split}_weight={weight} has no effect without dataset.{options[0]}")
        return found


def npz(least: int = 2, *, arrays: ArrayOptions, own: OwnSplits, split: Name | None, weights: RowWeights) -> Raw:
    """Arrays in an npz file or in npy files: features (n, …) and class labels (n,), numbers or text, or one-hot rows.

    Parameters
    ----------
    least : classes that there must be; 1 where samples are judged, and not learned from
    split : name of an array of the words train, validation and test
    """
    whole, more = Part(("features", "target"), arrays.features, arrays.target, 0, weights.weight), own.parts()
    _check_weights(weights.weight, more)
    if more:
        if arrays.group is not None or split is not None:
            option = "group" if split is None else "split"
            raise ConfigError(
                f"dataset.{option} divides one array; dataset.{more[0].options[0]} gives a split of its own: "
                "give one of them"
            )
        whole = replace(whole, place=1)
    stored = opened(arrays.path, [whole, *more], arrays.group, split)
    return _of_arrays(stored, stored.shapes[0][1:], arrays, split, least)


def _check_weights(weight: str | None, parts: Sequence[Part]) -> None:
    """Refuse row weights of some splits alone: the others' rows would silently count alike."""
    for part in parts:
        if (part.weight is None) != (weight is None):
            option, split = f"dataset.{part.options[0].split('_')[0]}_weight", part.options[0]
            given = f"dataset.weight={weight}" if part.weight is None else f"{option}={part.weight}"
            needed = option if part.weight is None else "dataset.weight"
            raise ConfigError(
                f"{given} with dataset.{split}={part.features}: give {needed} too, an array of ones if all count alike"
            )


def series(
    least: int = 2,
    *,
    arrays: ArrayOptions,
    test_path: Name | None,
    unequal: Literal["refuse", "pad"],
    weights: RowWeights,
) -> Raw:
    """Time series: an npz with features of shape (n, steps, channels) or (n, steps), or a .ts file.

    Parameters
    ----------
    least : as for `npz`
    test_path : a second .ts file that is the test split
    unequal : what to do with series of unequal length in a .ts file: refuse them, or pad them with zeros at the
        end and add a channel that is 1 where there are data
    """
    if Path(arrays.path).suffix.lower() == ".ts":
        if weights.weight is not None:
            raise ConfigError(
                f"dataset.weight={weights.weight}: a .ts file has no row weights; an npz may have an array"
            )
        return _of_ts_files(arrays, test_path, unequal, least)
    if test_path is not None:
        raise ConfigError("dataset.test_path is for .ts files; an npz names its splits in dataset=npz dataset.split")
    whole = Part(("features", "target"), arrays.features, arrays.target, 0, weights.weight)
    stored = opened(arrays.path, [whole], arrays.group, None)
    shape = stored.shapes[0]
    if len(shape) > 3:
        raise ConfigError(
            f"{stored.file}: the array '{arrays.features}' has the shape {shape}; "
            "series are (n, steps, channels) or (n, steps)"
        )
    return _of_arrays(stored, (*shape[1:], 1) if len(shape) == 2 else shape[1:], arrays, None, least)


def lacks_array(dataset: Dataset, option: str) -> str | None:
    """Return which array with labels an npz lacks; None if it has it, or is a .ts file, which always has labels."""
    file, _ = npz_files.archive_of(str(getattr(dataset, option)), f"dataset.{option}")
    target = str(vars(dataset)["target"])
    name = target.removesuffix(npz_files.NPY) if file.is_dir() else target
    there = file.suffix.lower() == ".ts" or Path(name).name in npz_files.members(file)
    return None if there else f"{file} has no '{target}' (dataset.target)"


def arrays_as_columns(dataset: Dataset, columns: Sequence[str], other: str | None) -> dict[str, Spelled]:
    """Read arrays with one value for each test sample, as text.

    Parameters
    ----------
    other : the option that names another file than the dataset's own, if that is judged

    Raises
    ------
    ConfigError
        If there is no such array, or it has not as many values as there are samples.
    """
    options = vars(dataset)
    file, alone = npz_files.archive_of(str(options[other or "path"]), f"dataset.{other or 'path'}")
    if other == "test_path" or file.suffix.lower() == ".ts":
        raise ConfigError(f"slices={listing(columns)}: {file} is a .ts file, which has no columns; an npz may have")
    if other and any(options.get(f"{split}_features") for split in SPLITS[1:]):
        raise ConfigError("slices cannot be told in another file whose splits are arrays of their own")
    names = npz_files.members(file)
    own = alone or options["features"]
    features = own if other else options.get("test_features") or own
    features = Path(features).stem if file.is_dir() and features.endswith(npz_files.NPY) else features
    samples = npz_files.header(file, features)[0]
    for name in columns:
        if name not in names:
            raise ConfigError(f"slices={name}: {file} has no such array{suggestion(name, names)}")
    return {name: spelled(npz_files.whole(file, name, features, samples), f"'{name}' of {file}") for name in columns}


def _of_arrays(stored: Stored, shape: tuple[int, ...], options: ArrayOptions, split: str | None, least: int) -> Raw:
    where = f"'{stored.parts[0].target}' of {stored.file}"
    labels = in_array(stored.labels(), where, options.missing_labels, least)
    notes = [*stored.unread(), *labels.notes]
    groups, given = None, stored.places
    if options.group is not None:
        groups, more = grouped(stored.words(stored.others[0]), f"dataset.group={options.group}", options.missing_labels)
        notes += more
    if split is not None:
        given, more = given_splits(stored.words(stored.others[-1]), f"dataset.split={split}")
        notes += more
    numbers = Numbers(stored.name, shape, lambda: stored.blocks(shape))

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return write_scaled(numbers, rows, folder, options.scale)

    return Raw(
        labels.classes,
        labels.indices,
        len(shape),
        stored.content,
        load,
        groups,
        given,
        tuple(notes),
        tuple(shape[0] for shape in stored.shapes) if len(stored.parts) > 1 else (),
        again=lambda learned: scaled_as_learned(numbers, learned),
        weights=stored.weights(),
    )


def _of_ts_files(options: ArrayOptions, test_path: str | None, unequal: str, least: int) -> Raw:
    files = [existing_file(options.path, "dataset.path")]
    files += [existing_file(test_path, "dataset.test_path")] if test_path else []
    found = [read_ts(file) for file in files]
    name = str(files[0])
    names = np.array([label for _, own in found for label in own])
    labels = in_array(names, f"the class label of {name}", options.missing_labels, least)
    samples = [sample for own, _ in found for sample in own]
    channels, lengths = {len(sample) for sample in samples}, {sample.shape[1] for sample in samples}
    if len(channels) > 1:
        raise ConfigError(
            f"{name}: the samples have {listing(sorted(map(str, channels)))} channels; they must have the same"
        )
    if len(lengths) > 1 and unequal == "refuse":
        raise ConfigError(
            f"{name}: the series have lengths from {min(lengths)} to {max(lengths)}; "
            "dataset.unequal=pad pads them and adds a mask channel"
        )
    array = padded(samples, max(lengths), mask=len(lengths) > 1)

    def blocks() -> Iterator[tuple[int, Array]]:
        yield 0, finite(array, 0, name)

    numbers = Numbers(name, array.shape[1:], blocks, masked=len(lengths) > 1)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return write_scaled(numbers, rows, folder, options.scale)

    def again(learned: Preprocessing) -> Loaded:
        if isinstance(learned, SeriesPreprocessing):  # each is padded to what the model takes
            return Loaded({"test": learned.apply(samples)}, learned.shape, preprocessing=learned)
        return scaled_as_learned(numbers, learned)

    sizes = tuple(len(own) for _, own in found)
    given = np.zeros(len(samples), dtype=np.int8)
    given[sizes[0] :] = 1 + SPLITS.index("test")
    content = " ".join(digest_of(file) for file in files)
    return Raw(labels.classes, labels.indices, 2, content, load, None, given, labels.notes, sizes, again)
