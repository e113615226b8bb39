"""Models: what every one ends in, and the parameters of each by hand."""

from typing import Any

import numpy as np
import pytest

from equipoise.methods.models import MODELS
from helpers import composed
from options import needed

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_ends_in_logits(model: str) -> None:
    from equipoise.training.graph import build
    from equipoise.training.predictor import Predictor

    shape = (20, 3) if MODELS[model].dimensions == 2 else (8, 8, 1)
    config = composed("dataset=digits_lt", *needed(f"model={model}"), f"model={model}")
    data: Any = type("Data", (), {"shape": shape, "classes": tuple("0123456789"), "texts": False})
    built = build(config, data)
    assert built.output_shape == (None, 10)
    assert built.layers[-1].activation.__name__ == "linear"
    assert Predictor(built)(np.zeros((3, *shape), np.float32)).shape == (3, 10)


def parameters(model: str, shape: tuple[int, ...], **options: Any) -> int:
    """How many weights the model of two logits has for samples of a shape."""
    count: int = MODELS[model].build(shape, 2, **options).count_params()
    return count


def test_every_model_is_tested() -> None:
    tests = [name for name in globals() if name.startswith("test_")]
    for name in MODELS:
        assert any(test.startswith(f"test_{name}_") for test in tests), f"model={name} has no test_{name}_… here"


def test_linear_has_a_weight_a_feature_and_a_bias() -> None:
    assert parameters("linear", (4, 3)) == (4 * 3 + 1) * 2


def test_mlp_has_a_layer_for_each_number() -> None:
    assert parameters("mlp", (3,), hidden=(5, 4), dropout=0.1) == (3 + 1) * 5 + (5 + 1) * 4 + (4 + 1) * 2


def test_cnn_halves_the_image_after_each_convolution() -> None:
    # 7 x 7 becomes 4 x 4 and 2 x 2: pooling rounds up.
    found = parameters("cnn", (7, 7, 1), filters=(4, 8), kernel_size=3, hidden=5, dropout=0.0)
    assert found == (9 + 1) * 4 + (9 * 4 + 1) * 8 + (2 * 2 * 8 + 1) * 5 + (5 + 1) * 2


def test_conv1d_halves_the_series_after_each_convolution() -> None:
    # 9 steps become 5 and 3.
    found = parameters("conv1d", (9, 2), filters=(4, 8), kernel_size=3, hidden=5, dropout=0.0)
    assert found == (3 * 2 + 1) * 4 + (3 * 4 + 1) * 8 + (3 * 8 + 1) * 5 + (5 + 1) * 2
