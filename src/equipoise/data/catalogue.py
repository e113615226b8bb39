"""Every dataset by its name: those that come with splits, and those that are divided here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from equipoise.data.arrays import npz, series
from equipoise.data.images import image_directory
from equipoise.data.records import tfrecord
from equipoise.data.sources import SPLITS, Dataset, Raw, Samples, Source, Splits, digits_lt, mnist_lt, synthetic
from equipoise.data.splitting import Divided, divide
from equipoise.data.tables import csv, multilabel, tabular
from equipoise.options import Integers, arguments

WITH_SPLITS: Mapping[str, Callable[..., Source]] = {
    "mnist_lt": mnist_lt,
    "digits_lt": digits_lt,
    "synthetic": synthetic,
    "tfrecord": tfrecord,
}
IN_ONE_PIECE: Mapping[str, Callable[..., Raw]] = {
    "csv": csv,
    "image_directory": image_directory,
    "multilabel": multilabel,
    "npz": npz,
    "series": series,
    "tabular": tabular,
}
SEVERAL_LABELS = "multilabel"  # the one whose samples have any number of labels
SOURCES: Mapping[str, Callable[..., Source | Raw]] = {**WITH_SPLITS, **IN_ONE_PIECE}


def source_of(dataset: Dataset) -> Source:
    """The configured source, surveyed but not yet loaded.

    Raises
    ------
    ConfigError
        If the data cannot be what the config says.
    """
    function = SOURCES[dataset.name]
    found = function(**arguments(dataset, function))
    return found if isinstance(found, Source) else _divided(found, dataset)  # type: ignore[arg-type]


def _divided(raw: Raw, options: Divided) -> Source:
    division = divide(raw.labels, raw.classes, options, raw.groups, raw.given)

    def load(_seed: int, folder: Path) -> Splits:
        loaded = raw.load(division.rows, folder)
        rows = loaded.rows or division.rows
        splits = {name: Samples(loaded.features[name], division.labels[rows[name]], _in_their_files(rows[name], raw.files)) for name in SPLITS}
        return Splits(splits, loaded.shape, {}, (*raw.notes, *division.notes, *loaded.notes), loaded.digests, loaded.preprocessing)

    train = division.labels[division.rows["train"]]
    counts = train.sum(axis=0) if train.ndim == 2 else np.bincount(train, minlength=len(division.classes))
    return Source(division.classes, counts, raw.dimensions, raw.content, load)


def _in_their_files(rows: Integers, files: Sequence[int]) -> Integers:
    """The numbers of samples of several files, each counted from the start of its own."""
    starts = np.cumsum([0, *files[:-1]], dtype=np.int64)
    found: Integers = rows - starts[np.searchsorted(starts, rows, side="right") - 1]
    return found
