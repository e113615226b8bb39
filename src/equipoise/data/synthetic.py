"""Gaussian classes, of which the Bayes optimum is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Counts, Floats, Positive, PositiveInt
from equipoise.data.types import ArrayPreprocessing, HeldOut, Samples, Source, Splits

MOST_GENERATED = 1 << 30  # numbers, which are held in memory whole


def synthetic(
    *,
    class_counts: Counts,
    features: PositiveInt,
    form: Literal["vector", "series"],
    separation: Positive,
    held_out: HeldOut,
) -> Source:
    """Unit Gaussians whose means are all `separation` apart: for equal priors, the nearest mean is the Bayes optimum.

    As a series the same numbers are steps of one channel, of shape (features, 1).
    """
    classes = len(class_counts)
    _check(class_counts, features, held_out)
    shape = (features,) if form == "vector" else (features, 1)
    means = np.eye(classes, features) * separation / np.sqrt(2)

    def load(split_seed: int, _: Path) -> Splits:
        generator = np.random.default_rng(split_seed)

        def draw(counts: Sequence[int]) -> Samples:
            labels = np.repeat(np.arange(classes), counts)
            noise = generator.standard_normal((len(labels), features))
            return Samples((means[labels] + noise).astype(np.float32).reshape(-1, *shape), labels)

        splits = {
            "test": draw([held_out.test_per_class] * classes),
            "validation": draw([held_out.validation_per_class] * classes),
            "train": draw(class_counts),
        }
        known = {"bayes_balanced_accuracy": _optimum(splits["test"], means)}
        as_they_are = ArrayPreprocessing(shape=shape, shift=(0.0,), factor=(1.0,))
        return Splits(splits, shape, known, preprocessing=as_they_are)

    names = tuple(str(index) for index in range(classes))
    return Source(names, np.array(class_counts), len(shape), "generated", load, test_counts_fixed=True)


def _check(class_counts: Sequence[int], features: int, held_out: HeldOut) -> None:
    classes = len(class_counts)
    if classes < 2:
        raise ConfigError("dataset.class_counts needs two classes at least")
    samples = sum(class_counts) + classes * (held_out.test_per_class + held_out.validation_per_class)
    if samples * features > MOST_GENERATED:
        raise ConfigError(
            f"dataset.class_counts and dataset.features make {samples * features} numbers; "
            f"at most {MOST_GENERATED} are generated"
        )
    if features < classes:
        raise ConfigError(
            f"dataset.features={features}: {classes} means at equal distances need {classes} features at least"
        )


def _optimum(samples: Samples, means: Floats) -> float:
    """Return the share of samples whose own mean is nearest: of means of one length, the largest inner product."""
    nearest = np.argmax(samples.features.reshape(-1, means.shape[1]) @ means.T, axis=1)
    return float((nearest == samples.labels).mean())
