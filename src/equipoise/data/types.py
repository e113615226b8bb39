"""What a dataset gives: a source, whose classes and counts are known at once, and whose samples are loaded when asked.

A dataset is a function from its options to a `Source`, or to a `Raw`, which is divided into splits here. This module
knows nothing of caches, TensorFlow or weights.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import (
    NONE,
    Counts,
    Floats,
    Integers,
    KeyOf,
    Name,
    Positive,
    PositiveInt,
    Section,
    Seed,
    Word,
    single_values,
)
from equipoise.data.augmentation import AUGMENTATIONS
from equipoise.data.mixing import MIXES
from equipoise.data.sampling import RULES

SPLITS = ("train", "validation", "test")
PATHS = ("path", "test_path")  # options that name a file or folder, relative to the working directory
ESTIMATE = "estimate"  # of target_prior: from rows without labels, once a model is trained
# Names of the splits in folders, columns and arrays, in any case, with 1 + their places in `SPLITS`.
SPLIT_NAMES = {"train": 1, "training": 1, "validation": 2, "valid": 2, "val": 2, "dev": 2, "test": 3, "testing": 3}

LabelForm = Literal["sparse", "one_hot", "binary"]
CountedBy = Literal["rows", "weight"]  # what `dataset.count` counts


class Dataset(Section):
    """The keys that every dataset has."""

    name: str
    title: Word | None  # the MLflow experiment; the dataset's name if null
    labels: LabelForm  # the form in which the model sees the labels
    positive: Name | None  # of two classes; the rarer one in training if null
    split_seed: Seed
    target_prior: (
        Literal["training", "uniform", "estimate"] | Annotated[tuple[Positive, ...], Field(strict=False, min_length=2)]
    )
    sampling: Annotated[str, KeyOf(RULES, NONE)]
    sampling_options: Annotated[dict[str, bool | int | float | str | None], BeforeValidator(single_values)] | None
    mix: Annotated[str, KeyOf(MIXES, NONE)]
    mix_alpha: Positive
    augment: Annotated[tuple[Annotated[str, KeyOf(AUGMENTATIONS)], ...], Field(strict=False)]


class RowWeights(Section):
    """Keys of datasets whose rows may have weights of their own, as of a survey.

    Attributes
    ----------
    weight : the column, or the array, that holds them; it is no feature
    count : whether rows, or sums of their weights, are the counts that weightings, losses and priors take
    """

    weight: Name | None
    count: CountedBy


class HeldOut(Section):
    """Keys of datasets that are made here: samples of each class in the splits that no model is trained on."""

    test_per_class: PositiveInt
    validation_per_class: PositiveInt


class Categories(NamedTuple):
    """Neighbouring features that stand for one category: its number, 0 or 1, or one feature for each category.

    Attributes
    ----------
    start, width : of the features
    quantities : how many features before them are 0 where this one is 1, since their value is missing
    """

    start: int
    width: int
    quantities: int = 0


class Preprocessing(Section):
    """How raw rows become the features that a model takes, as `prepare` learned it once and for all.

    It lies beside the prepared arrays and in every run as `preprocessing.json`; evaluation and serving read it.
    """

    kind: str

    @property
    def category_counts(self) -> tuple[int, ...]:
        """How many categories each of the last features is the number of; none where features are quantities."""
        return ()

    @property
    def categories(self) -> "tuple[Categories, ...]":
        """The features that stand for categories; none where all are quantities."""
        return ()

    def apply(self, rows: Any) -> Floats:
        """Return float32 (n, *shape), the same bits as in training, from rows of a type that depends on the kind."""
        raise NotImplementedError

    def unknown(self, rows: Any) -> list[str]:
        """Return for each row what training did not know, such as `city=berlin: not seen in training`, or ""."""
        return [""] * len(rows)


class ArrayPreprocessing(Preprocessing):
    """Arrays of numbers: (x - shift) * factor in float64, for each feature, for each channel, or for all alike."""

    kind: Literal["array"] = "array"
    shape: Counts  # of one sample
    shift: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    factor: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]

    def apply(self, rows: Any) -> Floats:
        """Scale numbers of shape (n, *shape)."""
        with np.errstate(over="ignore"):
            scaled: Floats = ((np.asarray(rows, np.float64) - np.array(self.shift)) * np.array(self.factor)).astype(
                np.float32
            )
        return scaled


@dataclass(frozen=True)
class Masses:
    """What the row weights of a training split add up to.

    Attributes
    ----------
    sums, squares : float64 (classes,), of the weights of each class's rows, or each label's positives, and of their
        squares
    total : of the weights of all rows
    """

    sums: Floats
    squares: Floats
    total: float

    @classmethod
    def of(cls, labels: Integers, weights: Floats, classes: int) -> "Masses":
        """Add up weights, (n,), by class indices, int64 (n,), or by 0/1 of shape (n, labels)."""
        each = (np.asarray(weights, np.float64), np.square(weights, dtype=np.float64))
        of_several = labels.ndim == 2
        sums, squares = (
            values @ labels.astype(np.float64)
            if of_several
            else np.bincount(labels, values, classes).astype(np.float64)
            for values in each
        )
        return cls(sums, squares, float(each[0].sum()))


@dataclass(frozen=True)
class ClassCounts:
    """The classes of some data, and how often each of them occurs.

    Attributes
    ----------
    classes : names, in the order of the label indices
    counts : int64 (classes,), the samples of each class in the training split
    masses : what their row weights add up to; None where rows have none
    count : whether the rows or their weights are counted where a count decides something
    resampled : int64 (classes,), the samples that a model is trained on, where they were resampled; else None
    """

    classes: tuple[str, ...]
    counts: Integers
    masses: Masses | None = field(default=None, kw_only=True)
    count: CountedBy = field(default="rows", kw_only=True)
    resampled: Integers | None = field(default=None, kw_only=True)

    @property
    def counted(self) -> Integers | Floats:
        """n_c as weightings, losses and priors take it, (classes,): rows, or sums of row weights."""
        return self.counts if self.masses is None or self.count == "rows" else self.masses.sums

    @property
    def sums(self) -> Integers | Floats:
        """What the rows of each class add up to in a loss before class weights, (classes,)."""
        return self.counts if self.masses is None else self.masses.sums

    @property
    def prior(self) -> Floats:
        """p_c = n_c / N."""
        prior: Floats = self.counted / self.counted.sum()
        return prior

    @property
    def head_to_tail(self) -> Integers:
        """Class indices from the most to the least frequent."""
        return np.argsort(-self.counts, kind="stable")


@dataclass(frozen=True)
class Samples:
    """Features and class indices, int64 (n,), or 0/1 (n, labels).

    Features are float32 (n, *shape), bytes of texts (n,), or images still to be decoded.
    `rows`, int64 (n,), are the samples' numbers in their origin, from 0; None where they have none.
    `weights`, float64 (n,), above 0, multiply the samples' losses; None where all count alike.
    """

    features: Any
    labels: Integers
    rows: Integers | None = None
    weights: Floats | None = None


@dataclass(frozen=True)
class Splits:
    """The three splits, notes on them, and numbers known by construction, such as an optimum to compare with.

    `preprocessing` is how raw rows became these features; None where they are the raw rows. For `equal_by_chance` see
    `Loaded`.
    """

    splits: Mapping[str, Samples]
    shape: tuple[int, ...]
    reference: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    digests: Mapping[str, Any] | None = None
    preprocessing: Preprocessing | None = None
    equal_by_chance: float = 0.0


@dataclass(frozen=True)
class Source:
    """A dataset that is ready to be loaded: what is known of it at once, and how to load it."""

    classes: tuple[str, ...]
    counts: Integers  # (classes,), samples in the training split, as far as can be known without loading
    dimensions: int  # of one sample
    content: str  # digest of the files it is made of
    load: Callable[[int, Path], Splits]  # takes the split seed; may write `<split>_features.npy` into the folder
    turned: bool = False  # whether its two classes were exchanged, so that the positive one is last
    test_counts_fixed: bool = False  # whether a design fixes how many test samples each class has
    texts: bool = False  # whether the samples are texts, of which the model makes numbers
    words: bool = False  # whether they are ids of the words of texts
    masses: Masses | None = None  # of the row weights of the training split; None where rows have none

    def counts_by(self, count: CountedBy) -> ClassCounts:
        """Return the classes' counts, with what is counted where they decide something."""
        return ClassCounts(self.classes, self.counts, masses=self.masses, count=count)


@dataclass(frozen=True)
class Loaded:
    """The features of each split, and the shape of one sample.

    Attributes
    ----------
    rows : the rows that are left, if some had to be left out
    digests : bytes (n,) for each split, one digest for each sample, where the features themselves are not at hand
    preprocessing : how raw rows became these features
    equal_by_chance : how many training samples are expected to equal a given sample without being copies of it
    """

    features: Mapping[str, Any]
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()
    rows: Mapping[str, Integers] | None = None
    digests: Mapping[str, Any] | None = None
    preprocessing: Preprocessing | None = None
    equal_by_chance: float = 0.0


@dataclass(frozen=True)
class Times:
    """When each sample was, by which it is divided.

    Attributes
    ----------
    option : as typed
    values : float64 (n,), finite: seconds since 1970, or what numbers the column has
    shown : from such a value to its text
    """

    option: str
    values: Floats
    shown: Callable[[float], str]


@dataclass(frozen=True)
class Raw:
    """A dataset in one piece, still to be divided.

    Attributes
    ----------
    classes : names in the order of the label indices
    labels : int64 (n,) class indices, or 0/1 of shape (n, labels)
    dimensions : of one sample
    content : digest of the files
    load : return the features of each split by its rows; may write `<split>_features.npy` into the folder
    groups : int64 (n,), or None
    given : int8 (n,), 1 + the place of the split that the data name for a sample, else 0; or None
    notes : what a reader must know of the labels, groups and splits
    files : samples in each of the files that they come from, one after the other; empty if there is one file
    again : return the features of all samples, as the test split, by what was learned of other samples
    texts : whether the samples are texts, of which the model makes numbers
    words : whether they are ids of the words of texts
    weights : float64 (n,), not below 0, that multiply the samples' losses; None where all count alike
    times : by which they are divided, oldest first; None where they are divided at random
    """

    classes: tuple[str, ...]
    labels: Integers
    dimensions: int
    content: str
    load: Callable[[Mapping[str, Integers], Path], Loaded]
    groups: Integers | None = None
    given: Integers | None = None
    notes: tuple[str, ...] = ()
    files: tuple[int, ...] = ()
    again: Callable[[Preprocessing], Loaded] | None = None
    texts: bool = False
    words: bool = False
    weights: Floats | None = None
    times: Times | None = None


def split_place(name: str) -> int:
    """Return 1 + the place of the split of this name; 0 if it is none."""
    return SPLIT_NAMES.get(name.strip().casefold(), 0)


def check_labels(labels: Any, classes: int, giver: str) -> None:
    """Refuse labels that a dataset function must not give.

    Parameters
    ----------
    giver : what a message begins with: `dataset=wine: its function gives`

    Raises
    ------
    ConfigError
        If the labels are no int64, (n,) with classes counted from 0, or (n, classes) of 0 and 1.
    """
    found = np.asarray(labels)
    of_several = found.ndim == 2 and found.shape[1] == classes
    if found.dtype != np.int64 or (found.ndim != 1 and not of_several):
        raise ConfigError(
            f"{giver} labels that are {found.dtype} of shape {found.shape}; "
            f"they must be int64, (n,) or 0/1 of (n, {classes})"
        )
    outside = found[(found < 0) | (found >= (2 if of_several else classes))]
    if outside.size:
        most = (
            "of several labels each is 0 or 1"
            if of_several
            else f"{classes} classes are counted from 0 to {classes - 1}"
        )
        raise ConfigError(f"{giver} labels from {found.min()} to {found.max()}; {most}")


def title_of(dataset: Dataset) -> str:
    """Return the name of the dataset's MLflow experiment: its title, or its kind and what it was made of."""
    if dataset.title is not None:
        return dataset.title
    parts = [dataset.name, getattr(dataset, "id", None), _file_title(getattr(dataset, "path", ""))]
    return re.sub(r"[^\w.-]+", "_", "-".join(part for part in parts if part))


def _file_title(path: str) -> str:
    """Return a file's name without its endings; of a pattern, that of the last folder above it."""
    parts = Path(path).parts
    return next((part.split(".")[0] for part in reversed(parts) if not set("*?[") & set(part)), "")
