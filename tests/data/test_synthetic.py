"""Gaussian classes, whose best accuracy is known."""

from pathlib import Path

import numpy as np
import pytest

from data_files import SYNTHETIC, dataset
from equipoise.data.prepare import prepare


def test_the_bayes_optimum_of_two_gaussians(tmp_path: Path) -> None:
    from scipy.stats import norm

    two = {**SYNTHETIC, "class_counts": (10, 10), "test_per_class": 40_000}
    data = prepare(dataset(**two), tmp_path)
    # Means 3 apart: each class is right with probability Phi(3 / 2).
    assert data.reference["bayes_balanced_accuracy"] == pytest.approx(
        norm.cdf(1.5), abs=4 * np.sqrt(0.067 * 0.933 / 80_000)
    )


def test_a_series_is_the_same_numbers_as_steps_of_one_channel(tmp_path: Path) -> None:
    vector, series = (prepare(dataset(**{**SYNTHETIC, "form": form}), tmp_path) for form in ("vector", "series"))
    assert (vector.shape, series.shape) == ((4,), (4, 1))
    assert (np.asarray(vector.split("test").features)[..., np.newaxis] == series.split("test").features).all()
    assert vector.reference == series.reference
