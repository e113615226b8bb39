"""Every dataset by its name: those that come with splits, and those that are divided here.

Nothing else names one: what is to be known of a dataset stands in its record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.core.schema import Integers, arguments, known_class
from equipoise.data.arrays.dataset import arrays_as_columns, lacks_array, npz, series
from equipoise.data.images.dataset import image_directory, lacks_folders
from equipoise.data.labels import Labels, Spelled, with_names
from equipoise.data.long_tailed import digits_lt, mnist_lt
from equipoise.data.own import OwnDataset, raw_of
from equipoise.data.row_weights import kept_rows, left_out_note
from equipoise.data.shards import tfrecord
from equipoise.data.splitting import Divided, Division, divide
from equipoise.data.synthetic import synthetic
from equipoise.data.tables.dataset import (
    columns_of_file,
    columns_of_shipped,
    csv,
    lacks_targets,
    multilabel,
    tabular,
)
from equipoise.data.text_files import columns_beside, lacks_classes, text
from equipoise.data.types import SPLITS, Dataset, Masses, Raw, Samples, Source, Splits, check_labels


@dataclass(frozen=True)
class Kind:
    """A dataset function, with what must be known of its data before they are read.

    Attributes
    ----------
    function : from its options to a `Source`, or to a `Raw`, which is divided here; of the user's own, to their data
    divided : whether it returns a `Raw`: its config then has the keys of `Divided`
    several_labels : whether a sample may have several labels, or none
    read_in_place : whether samples are read from where they lie as long as a model is trained and judged
    lacks_labels : what an own file or folder lacks for a trained model to be judged on it; None if nothing. The second
        argument is the option that names it.
    own : whether it is the user's own
    texts : whether its samples are texts, as ids of their words or as they are
    columns : read columns of the file with the test samples, which need not be features, as text; None if there are
        none. The last argument is the option that names another file, if that is judged.
    """

    function: Callable[..., Any]
    divided: bool = False
    several_labels: bool = False
    read_in_place: bool = False
    lacks_labels: Callable[[Dataset, str], str | None] = lambda *_: None
    own: bool = False
    texts: bool = False
    columns: Callable[[Dataset, Sequence[str], str | None], Mapping[str, Spelled]] | None = None

    @property
    def section(self) -> type[Divided] | None:
        """The section with the keys that it has besides those of every dataset."""
        return OwnDataset if self.own else Divided if self.divided else None

    def __call__(self, dataset: Dataset) -> Source | Raw:
        """Return the configured data."""
        options = arguments(dataset, self.function)
        if isinstance(dataset, OwnDataset):
            return raw_of(self.function, options, dataset.scale)
        found: Source | Raw = self.function(**options)
        return found


def _of_own(function: Callable[..., Any], _own: Own) -> Kind:
    return Kind(function, divided=True, own=True)


SHIPPED: Mapping[str, Kind] = {
    "mnist_lt": Kind(mnist_lt),
    "digits_lt": Kind(digits_lt),
    "synthetic": Kind(synthetic),
    "tfrecord": Kind(tfrecord, read_in_place=True),
    "csv": Kind(csv, divided=True, lacks_labels=lacks_targets, columns=columns_of_file),
    "image_directory": Kind(image_directory, divided=True, read_in_place=True, lacks_labels=lacks_folders),
    "multilabel": Kind(
        multilabel, divided=True, several_labels=True, lacks_labels=lacks_targets, columns=columns_of_file
    ),
    "npz": Kind(npz, divided=True, lacks_labels=lacks_array, columns=arrays_as_columns),
    "series": Kind(series, divided=True, lacks_labels=lacks_array, columns=arrays_as_columns),
    "tabular": Kind(tabular, divided=True, columns=columns_of_shipped),
    "text": Kind(text, divided=True, texts=True, lacks_labels=lacks_classes, columns=columns_beside),
}

DATASETS: Registry[Kind] = Registry("dataset", SHIPPED, _of_own, tuple(OwnDataset.model_fields))


def source_of(dataset: Dataset, change: Callable[[Source | Raw], Source | Raw] = lambda given: given) -> Source:
    """Return the configured source, surveyed but not yet loaded.

    Parameters
    ----------
    change : of what the dataset's function gives, before it is divided

    Raises
    ------
    ConfigError
        If the data cannot be what the config says.
    """
    kind = DATASETS[dataset.name]
    found = change(kind(dataset))
    source = found if isinstance(found, Source) else _divided(found, dataset)  # type: ignore[arg-type]
    if kind.several_labels:
        return source
    positive = positive_class(dataset, source.classes, source.counts)
    return _turned(source) if dataset.labels == "binary" and positive == source.classes[0] else source


def positive_class(dataset: Dataset, classes: Sequence[str], counts: Integers) -> str | None:
    """Return the positive one of two classes: `dataset.positive`, or the rarer one in training, of equal ones the last.

    Raises
    ------
    ConfigError
        If `dataset.positive` is none of the classes, or there are more than two.
    """
    typed = dataset.positive
    if len(classes) != 2:
        if typed is not None:
            raise ConfigError(
                f"dataset.positive={typed}: there are {len(classes)} classes, "
                "and one of them is positive only where there are two"
            )
        return None
    return (
        known_class(typed, classes, "dataset.positive")
        if typed is not None
        else classes[0 if counts[0] < counts[1] else 1]
    )


def _turned(source: Source) -> Source:
    """Exchange the two classes: a single logit means the second class, and so does all that reads it."""

    def load(split_seed: int, folder: Path) -> Splits:
        loaded = source.load(split_seed, folder)
        return replace(
            loaded,
            splits={name: replace(samples, labels=1 - samples.labels) for name, samples in loaded.splits.items()},
        )

    classes, counts, masses = source.classes[::-1], source.counts[::-1], source.masses
    masses = masses and replace(masses, sums=masses.sums[::-1], squares=masses.squares[::-1])
    return replace(source, classes=classes, counts=counts, load=load, turned=True, masses=masses)


def _named(raw: Raw, options: Divided) -> Raw:
    """Call the classes as `dataset.class_names` says."""
    if options.class_names is None:
        return raw
    found = with_names(Labels(raw.classes, raw.labels), options.class_names, "dataset.class_names")
    return replace(raw, classes=found.classes, labels=found.indices, notes=(*raw.notes, *found.notes))


def _divided(raw: Raw, options: Divided) -> Source:
    check_labels(raw.labels, len(raw.classes), f"dataset={options.name}: its function gives")
    raw = _named(raw, options)
    division = _division(raw, options)

    def load(_seed: int, folder: Path) -> Splits:
        loaded = raw.load(division.rows, folder)
        rows = loaded.rows or division.rows
        splits = {
            name: Samples(
                loaded.features[name],
                division.labels[rows[name]],
                _in_their_files(rows[name], raw.files),
                None if raw.weights is None else raw.weights[rows[name]],
            )
            for name in SPLITS
        }
        notes = (*raw.notes, *left_out_note(raw.weights), *division.notes, *loaded.notes)
        return Splits(splits, loaded.shape, {}, notes, loaded.digests, loaded.preprocessing, loaded.equal_by_chance)

    rows, classes = division.rows["train"], division.classes
    train = division.labels[rows]
    counts = train.sum(axis=0) if train.ndim == 2 else np.bincount(train, minlength=len(classes))
    masses = None if raw.weights is None else Masses.of(train, raw.weights[rows], len(classes))
    return Source(classes, counts, raw.dimensions, raw.content, load, texts=raw.texts, words=raw.words, masses=masses)


def _division(raw: Raw, options: Divided) -> Division:
    """Divide the samples, as if those of weight 0 were not there."""
    kept = kept_rows(raw.weights, len(raw.labels))
    groups, given = (None if values is None else values[kept] for values in (raw.groups, raw.given))
    times = None if raw.times is None else replace(raw.times, values=raw.times.values[kept])
    found = divide(raw.labels[kept], raw.classes, options, groups, given, times)
    labels = np.full_like(raw.labels, -1)
    labels[kept] = found.labels
    return replace(found, labels=labels, rows={name: kept[rows] for name, rows in found.rows.items()})


def _in_their_files(rows: Integers, files: Sequence[int]) -> Integers:
    """Return the samples' numbers, each counted from the start of its own file."""
    starts = np.cumsum([0, *files[:-1]], dtype=np.int64)
    found: Integers = rows - starts[np.searchsorted(starts, rows, side="right") - 1]
    return found
