"""Learning rates by the epoch: values computed by hand."""

import numpy as np
import pytest

from equipoise.methods.learning_rates import factor_at
from helpers import composed


def factors(epochs: int, *overrides: str, scores: tuple[float, ...] = ()) -> list[float]:
    """The factor of each epoch, to which the scores of the epochs before it are known."""
    options = composed(*overrides).trainer
    return [factor_at(options, epoch, epochs, scores[:epoch]) for epoch in range(epochs)]


def test_a_cosine_is_half_a_wave() -> None:
    # cos of 0, 45, 90 and 135 degrees.
    half = np.sqrt(0.5)
    assert factors(4, "trainer.schedule=cosine") == pytest.approx([1, (1 + half) / 2, 0.5, (1 - half) / 2])
    ends = factors(4, "trainer.schedule=cosine", "trainer.schedule_end=0.2")
    assert ends == pytest.approx([1, 0.2 + 0.4 * (1 + half), 0.6, 0.2 + 0.4 * (1 - half)])


def test_a_warm_up_rises_to_the_whole_rate_where_the_wave_begins() -> None:
    half = np.sqrt(0.5)
    found = factors(8, "trainer.schedule=warmup_cosine", "trainer.schedule_warmup=0.5")
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 1, (1 + half) / 2, 0.5, (1 - half) / 2])
    assert factors(4, "trainer.schedule=warmup_cosine", "trainer.schedule_warmup=0.0") == pytest.approx(
        factors(4, "trainer.schedule=cosine")
    )


def test_steps_are_where_they_were_typed() -> None:
    found = factors(100, "trainer.schedule=step", "trainer.schedule_drops=[0.07,0.29]", "trainer.schedule_factor=0.5")
    assert found == [1.0] * 7 + [0.5] * 22 + [0.25] * 71, "though 0.07 * 100 is above 7 in floating point"


def test_a_plateau_is_so_many_epochs_without_a_better_score() -> None:
    overrides = ["trainer.schedule=reduce_on_plateau", "trainer.schedule_patience=2", "trainer.schedule_factor=0.5"]
    scores = (0.1, 0.3, 0.3, 0.2, 0.25, 0.31, 0.3, 0.1, 0.2)
    # Nothing above 0.3 in the 3rd and 4th epoch, nor above 0.31 in the 7th and 8th; the 6th is better.
    assert factors(10, *overrides, scores=scores) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_a_constant_rate_is_the_default() -> None:
    assert factors(3) == [1.0, 1.0, 1.0]
