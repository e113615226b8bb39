"""Decay, clipping and the average of weights, as one step of each by hand has them."""

from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from helpers import composed

pytestmark = pytest.mark.usefixtures("tensorflow")

SGD = ["trainer.optimizer=sgd", "trainer.learning_rate=0.5"]


def stepped(*overrides: str, steps: int = 1) -> tuple[Any, list[Any]]:
    """A model of 1 x 2 weights, all of them 1, after steps along gradients of 3 and 4; and its optimiser."""
    import keras

    from equipoise.training.optimizer import optimizer_of, spared_of

    norm = keras.layers.BatchNormalization(name="norm", scale=True, center=True)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=True, name="dense"), norm])
    for variable in model.trainable_variables:
        variable.assign(np.ones(variable.shape))
    optimizer = optimizer_of(composed(*overrides).trainer, spared_of(model), np.ones(2))
    gradients = [np.zeros(variable.shape, np.float32) for variable in model.trainable_variables]
    gradients[0] = np.array([[3, 4]], np.float32)
    for _ in range(steps):
        optimizer.apply(gradients, model.trainable_variables)
    model.compile(optimizer)
    return model, [variable.numpy().tolist() for variable in model.trainable_variables]


def test_decay_shrinks_kernels_and_leaves_biases_and_norms() -> None:
    _, (kernel, bias, gamma, beta) = stepped(*SGD, "trainer.weight_decay=0.1")
    # 1 - 0.5 * 0.1 = 0.95, and a step of half the gradient.
    assert kernel[0] == pytest.approx([0.95 - 1.5, 0.95 - 2])
    assert bias == gamma == beta == [1, 1]


def test_adamw_decays_everything_by_keras_s_own_share_unless_one_is_typed() -> None:
    adamw = ["trainer.optimizer=adamw", "trainer.learning_rate=0.5"]
    assert stepped(*adamw)[1][1] == pytest.approx([0.998] * 2), "1 - 0.5 * 0.004 on the bias"
    assert stepped(*adamw, "trainer.weight_decay=0.0")[1][1] == [1, 1]


def test_a_gradient_of_length_5_is_clipped_to_1() -> None:
    _, (kernel, *_) = stepped(*SGD, "trainer.clip_norm=1.0")
    assert kernel[0] == pytest.approx([1 - 0.5 * 0.6, 1 - 0.5 * 0.8])
    _, (kernel, *_) = stepped(*SGD, "trainer.clip_norm=6.0")
    assert kernel[0] == pytest.approx([-0.5, -1])


def test_the_average_stands_in_for_the_weights_between_epochs() -> None:
    from equipoise.training.optimizer import Average

    model, (trained, *_) = stepped(*SGD, "trainer.ema=0.75", steps=2)
    average = Average()
    average.take_out(model)  # nothing was put in before the first epoch
    average.put_in(model)
    # Of the weights after each step, 1 - 1.5 and 1 - 3: the first is where the average begins.
    assert trained[0] == [-2, -3]
    assert model.trainable_variables[0].numpy().tolist() == [[0.75 * -0.5 + 0.25 * -2, 0.75 * -1 + 0.25 * -3]]
    average.take_out(model)
    assert model.trainable_variables[0].numpy().tolist() == trained
    with pytest.raises(ConfigError, match=r"trainer\.ema"):
        composed("trainer.ema=1.0")


def test_a_plateau_has_nothing_to_watch_once_all_rows_are_trained_on() -> None:
    with pytest.raises(ConfigError, match=r"trainer\.refit=true with trainer\.schedule=reduce_on_plateau"):
        composed("trainer.refit=true", "trainer.schedule=reduce_on_plateau")
