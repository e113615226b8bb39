"""A training that leaves the numbers stops, and names the step, its batch and what it left."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.methods.weighting import class_weights
from helpers import composed
from trainings import HUGE, SMALL, fit

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]


@pytest.mark.parametrize("jit", ["false", "true"])
def test_a_step_that_breaks_the_numbers_stops_the_run_and_is_named(cache: Path, jit: str) -> None:
    message = (
        r"diverged in epoch 1 at step 1 of 6: its gradient leaves .* Its batch holds (\d+) of 0, (\d+) of 1.*"
        r" trainer.learning_rate=1000000000"
    )
    with pytest.raises(ConfigError, match=message):
        fit(cache, *SMALL, *HUGE, f"trainer.jit={jit}")


def test_a_loss_that_is_not_finite_is_told_from_a_gradient(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class 2 costs infinity; the first batch that holds it is named."""
    import tensorflow as tf

    from equipoise.methods.losses import LOSSES, Loss, cross_entropy

    def broken(labels: Any, logits: Any) -> Any:
        return tf.where(labels == 2, float("inf"), cross_entropy(labels, logits))

    broken.__name__ = "cross_entropy"  # whose options it has
    monkeypatch.setitem(LOSSES.shipped, "class_weight", Loss(broken))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"at step \d of 6: its loss is not finite. Its batch holds .* of 2\."):
        fit(cache, *SMALL)


def test_divergence_in_the_very_last_step_is_seen(cache: Path) -> None:
    """One step in all: the loss, taken before it, is finite; what it leaves is not."""
    with pytest.raises(
        ConfigError, match=r"diverged in epoch 1 at step 1 of 1: its gradient .* holds 60 of 0, 25 of 1, 8 of 2"
    ):
        fit(cache, *SMALL, *HUGE, "trainer.epochs=1", "trainer.batch_size=1000")


@pytest.mark.parametrize(
    "engine",
    [
        ["engine=fit"],
        ["engine=fit", "jit=true"],
        ["engine=resident"],
        ["engine=resident", "jit=true"],
        ["strategy=mirrored"],
    ],
)
def test_weights_of_nan_are_seen_though_a_relu_hides_them_from_the_loss(tmp_path: Path, engine: list[str]) -> None:
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*SMALL, "trainer.epochs=3", *(f"trainer.{option}" for option in engine))
    data = prepare(config.dataset, tmp_path)
    features = np.load(data.folder / "train_features.npy")
    features[3, 1] = np.nan
    np.save(data.folder / "train_features.npy", features)
    history: list[dict[str, float]] = []
    hidden = r"diverged in epoch 1: dense\w*/kernel holds NaN or infinity, which a layer above it hides"
    # Compiled by XLA, a ReLU lets NaN through.
    with pytest.raises(
        ConfigError, match=r"diverged in epoch 1 at step 1 of 6" if "jit=true" in engine else hidden
    ) as refused:
        training.fit(
            Compiled(config, data),
            config,
            data,
            class_weights(config.weighting, data.counts, data.classes),
            lambda _, found: history.append(found),
        )
    assert "Lower trainer.learning_rate=0.001" in str(refused.value)
    assert not history
