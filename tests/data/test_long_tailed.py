"""Digits and MNIST with a long tail."""

from pathlib import Path

import numpy as np

from data_files import DIGITS, dataset
from equipoise.data.long_tailed import long_tail_counts
from equipoise.data.prepare import prepare


def test_long_tail_counts_of_mnist() -> None:
    assert long_tail_counts(300, 10, 100).tolist() == [300, 179, 107, 64, 38, 23, 13, 8, 5, 3]
    assert long_tail_counts(300, 10, 1).tolist() == [300] * 10
    assert long_tail_counts(5, 10, 100)[-1] == 1


def test_mnist_has_the_sizes_that_are_promised(tmp_path: Path) -> None:
    data = prepare(
        dataset(name="mnist_lt", imbalance_ratio=100.0, test_per_class=150, validation_per_class=50), tmp_path
    )
    assert data.counts.tolist() == [300, 179, 107, 64, 38, 23, 13, 8, 5, 3]
    assert np.bincount(data.split("test").labels).tolist() == [150] * 10
    assert np.bincount(data.split("validation").labels).tolist() == [50] * 10
    assert data.split("train").features.shape == (740, 28, 28, 1)
    assert data.split("train").features.dtype == np.float32
    assert float(data.split("train").features.max()) == 1.0
    rows = np.concatenate([data.split(name).features.reshape(-1, 784) for name in ("train", "validation", "test")])
    assert len(np.unique(rows, axis=0)) >= len(rows) - 1, "no sample stands in two splits"


def test_splits_depend_on_the_split_seed_and_not_on_the_ratio(tmp_path: Path) -> None:
    first, other_seed = prepare(dataset(**DIGITS), tmp_path), prepare(dataset(split_seed=1, **DIGITS), tmp_path)
    milder = prepare(dataset(**{**DIGITS, "imbalance_ratio": 5.0}), tmp_path)
    np.testing.assert_array_equal(first.split("test").features, milder.split("test").features)
    assert (first.split("test").features != other_seed.split("test").features).any()
    assert len({first.data_sha256, other_seed.data_sha256, milder.data_sha256}) == 3
