"""Half precision against single: one step of plain gradient descent changes the weights by the gradient."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data.prepare import prepare
from equipoise.methods.losses import LOSSES
from equipoise.methods.weighting import class_weights
from helpers import composed
from options import WEIGHTED_LOSSES, YES_OR_NO, of_loss

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

SMALL = [
    "dataset=synthetic",
    "dataset.class_counts=[60,25,8]",
    "dataset.features=6",
    "model=mlp",
    "model.hidden=[8]",
    "trainer.batch_size=93",
]
HEAVY = ["weighting=manual", "weighting.weights={0:1,1:10,2:1e5}"]
# Seed 0 has a sample at the kink of a ReLU.
SINGLE = [*YES_OR_NO, "seed=1"]
# Digits that a sum of products keeps: 11 bits of float16, 8 of bfloat16.
TOLERANCE = {"float32": 0, "mixed_float16": 4e-3, "mixed_bfloat16": 3e-2}


def fit(cache: Path, *overrides: str) -> tuple[Any, list[np.ndarray], list[dict[str, float]]]:
    """The trained model, the change of its weights, and the history."""
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    config = composed(*overrides)
    data = prepare(config.dataset, cache)
    weights = class_weights(config.weighting, data.counts, data.classes)
    built = Compiled(config, data)
    before = built.model.get_weights()
    history: list[dict[str, float]] = []
    training.fit(built, config, data, weights, lambda _, metrics: history.append(metrics))
    return built.model, [after - start for start, after in zip(before, built.model.get_weights(), strict=True)], history


@pytest.mark.parametrize("name", WEIGHTED_LOSSES)
def test_loss_and_gradient_are_those_of_float32_under_weights_of_1e5(cache: Path, name: str) -> None:
    # So small a step that the loss does not leave the range of float32; its relative change is compared.
    single = LOSSES[name].yes_or_no
    weights = [*HEAVY[:-1], "weighting.weights={0:1,1:1e5}", *SINGLE] if single else HEAVY
    one_step = [
        *SMALL,
        *weights,
        f"loss={name}",
        *of_loss(name),
        "trainer.epochs=1",
        "trainer.optimizer=sgd",
        "trainer.learning_rate=1e-6",
    ]
    found = {precision: fit(cache, *one_step, f"trainer.precision={precision}") for precision in TOLERANCE}
    _, expected, (single,) = found["float32"]
    for precision, (model, changes, (metrics,)) in found.items():
        assert model.layers[1].compute_dtype == precision.removeprefix("mixed_")
        assert model.layers[-1].compute_dtype == model.layers[1].dtype == "float32"
        for key in ("train/loss", "val/loss", "val/log_loss"):
            assert metrics[key] == pytest.approx(single[key], rel=TOLERANCE[precision]), key
        for change, right in zip(changes, expected, strict=True):
            assert np.linalg.norm(change - right) <= TOLERANCE[precision] * np.linalg.norm(right)
            assert np.linalg.norm(right) > 0 or LOSSES[name].head is not None


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_it_learns_as_float32_does_compiled_by_xla_too(cache: Path, precision: str) -> None:
    common = [*SMALL, *HEAVY, "trainer.batch_size=16", "trainer.epochs=8"]
    single = fit(cache, *common)[2]
    for jit in ("false", "true"):
        half = fit(cache, *common, f"trainer.precision={precision}", f"trainer.jit={jit}")[2]
        assert half[-1]["train/loss"] < 0.9 * half[0]["train/loss"]
        assert half[-1]["train/loss"] == pytest.approx(single[-1]["train/loss"], rel=0.02), "no step was lost"


def test_a_step_that_overflows_is_left_out_and_the_scale_halved() -> None:
    import keras
    import tensorflow as tf

    from equipoise.training.precision import loss_scaled

    inner = keras.optimizers.SGD(1.0)
    assert loss_scaled(inner, "mixed_bfloat16", np.array([1e5])) is inner
    optimizer = loss_scaled(inner, "mixed_float16", np.array([1.0, 1e5]))
    assert optimizer.initial_scale == 2.0 ** (15 - 17)
    assert loss_scaled(keras.optimizers.SGD(1.0), "mixed_float16", np.array([0.1])).initial_scale == 2.0**15
    variable = tf.Variable(1.0)
    optimizer.apply([tf.constant(np.inf)], [variable])
    assert (variable.numpy(), float(optimizer.dynamic_scale)) == (1.0, 2.0**-3)
    optimizer.apply([tf.constant(2.0**-3)], [variable])
    assert variable.numpy() == 0.0, "a gradient of 1, unscaled"


def test_half_precision_that_overflows_in_the_model_names_the_way_out(cache: Path) -> None:
    from equipoise.core.errors import ConfigError

    with pytest.raises(ConfigError, match=r"trainer\.precision=mixed_bfloat16, which counts as far as float32"):
        fit(
            cache,
            *SMALL,
            "trainer.precision=mixed_float16",
            "trainer.optimizer=sgd",
            "trainer.learning_rate=1e6",
            "trainer.epochs=3",
        )


@pytest.mark.parametrize("stage", ["crt", "tau_norm"])
def test_a_second_stage_takes_half_precision_features(cache: Path, stage: str) -> None:
    from equipoise.training.predictor import Predictor
    from equipoise.training.second_stage import run_second_stage

    overrides = [*SMALL, "trainer.epochs=2", "trainer.precision=mixed_float16", f"trainer.second_stage={stage}"]
    model, *_ = fit(cache, *overrides)
    config = composed(*overrides)
    curves = run_second_stage(model, Predictor(model), config, prepare(config.dataset, cache))
    assert all(np.isfinite(values).all() for values in curves.values())
