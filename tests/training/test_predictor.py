"""A sample's logits are the same bits, whatever other samples are predicted with it."""

from typing import Any

import numpy as np
import pytest

SHAPES = {"linear": (784,), "mlp": (9,), "cnn": (28, 28, 1), "conv1d": (64, 2)}
SIZES = (1, 2, 3, 17, 127, 128, 129, 1000, 1024, 1025, 1300)


def of(architecture: str) -> Any:
    """A model with drawn weights, which leaves no two samples equal."""
    import keras

    layers, shape = keras.layers, SHAPES[architecture]
    keras.utils.set_random_seed(0)
    hidden = {
        "linear": [],
        "mlp": [layers.Dense(100, "relu"), layers.BatchNormalization(), layers.Dense(50, "relu")],
        "cnn": [layers.Conv2D(16, 3, activation="relu"), layers.GlobalAveragePooling2D()],
        "conv1d": [layers.Conv1D(16, 5, activation="relu"), layers.GlobalAveragePooling1D()],
    }[architecture]
    return keras.Sequential([layers.Input(shape), *hidden, layers.Dense(3)])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("architecture", SHAPES)
def test_a_sample_s_logits_do_not_depend_on_the_others(architecture: str) -> None:
    from equipoise.training.predictor import Predictor

    model = of(architecture)
    features = np.random.default_rng(0).normal(size=(1300, *SHAPES[architecture])).astype(np.float32)
    predict = Predictor(model)
    expected = predict(features)
    np.testing.assert_allclose(expected, model.predict(features, verbose=0), rtol=1e-4, atol=1e-5)
    for size in SIZES:
        first = len(features) - size
        np.testing.assert_array_equal(predict(features[first:]), expected[first:], str(size))
    order = np.random.default_rng(1).permutation(len(features))
    np.testing.assert_array_equal(predict(features[order]), expected[order])


@pytest.mark.usefixtures("tensorflow")
def test_without_blocks_the_bits_are_those_of_keras() -> None:
    from equipoise.training.predictor import Predictor

    model, features = of("mlp"), np.random.default_rng(0).normal(size=(1025, 9)).astype(np.float32)
    model.compile(jit_compile=False)
    found = Predictor(model, in_blocks=False)(features)
    np.testing.assert_array_equal(found, model.predict(features, batch_size=1024, verbose=0))
