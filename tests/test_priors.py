"""Effective and target priors by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from equipoise.data.prepared import Prepared
from equipoise.priors import effective_prior, target_prior
from equipoise.weighting import ClassWeights

DATA = Prepared(Path(), ("a", "b"), (1,), np.array([30, 10]), "", {})


def test_the_effective_prior_is_that_of_the_weighted_samples() -> None:
    assert effective_prior(ClassWeights(("a", "b"), DATA.counts, np.array([1.0, 1.0]))) == pytest.approx([0.75, 0.25])
    assert effective_prior(ClassWeights(("a", "b"), DATA.counts, np.array([1.0, 6.0]))) == pytest.approx([30 / 90, 60 / 90])
    assert effective_prior(ClassWeights(("a", "b"), DATA.counts, np.array([1.0, 0.0]))) is None


@pytest.mark.parametrize(("typed", "expected"), [("training", [0.75, 0.25]), ("uniform", [0.5, 0.5]), ((1.0, 4.0), [0.2, 0.8])])
def test_the_target_prior_is_as_typed(typed: Any, expected: list[float]) -> None:
    dataset: Any = SimpleNamespace(target_prior=typed)
    assert target_prior(dataset, DATA) == pytest.approx(expected)
