"""Models: what every one ends in, and the parameters of each by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.methods.models import MODELS, SHIPPED
from helpers import composed
from options import needed

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.mark.parametrize("model", [name for name, model in SHIPPED.items() if not model.words])
def test_every_model_ends_in_logits(model: str, tmp_path: Path) -> None:
    from equipoise.training.graph import build
    from equipoise.training.predictor import Predictor

    shape = (20, 3) if MODELS[model].dimensions == 2 else (8, 8, 1)
    config = composed("dataset=digits_lt", *needed(f"model={model}"), f"model={model}", *of_file(model, tmp_path))
    data: Any = type("Data", (), {"shape": shape, "classes": tuple("0123456789"), "texts": False, "ids": ()})
    built = build(config, data)
    assert built.output_shape == (None, 10)
    assert built.layers[-1].activation.__name__ == "linear"
    assert Predictor(built)(np.zeros((3, *shape), np.float32)).shape == (3, 10)


def of_file(model: str, folder: Path) -> list[str]:
    """What must be typed with a model that is read from a file."""
    if model != "saved":
        return []
    MODELS["cnn"].build((8, 8, 1), 3, filters=(2,), kernel_size=3, hidden=4, dropout=0.5).save(folder / "cnn.keras")
    return [f"model.path='{folder}/cnn.keras'"]


def parameters(model: str, shape: tuple[int, ...], **options: Any) -> int:
    """How many weights the model of two logits has for samples of a shape."""
    count: int = MODELS[model].build(shape, 2, **options).count_params()
    return count


def test_every_model_is_tested() -> None:
    tests = [name for name in globals() if name.startswith("test_")]
    for name in SHIPPED.keys() - {"application", "saved", "text"}:  # which have a file of tests
        assert any(test.startswith(f"test_{name}_") for test in tests), f"model={name} has no test_{name}_… here"


def test_linear_has_a_weight_a_feature_and_a_bias() -> None:
    assert parameters("linear", (4, 3)) == (4 * 3 + 1) * 2


def test_mlp_has_a_layer_for_each_number() -> None:
    assert (
        parameters("mlp", (3,), hidden=(5, 4), dropout=0.1, embedding="auto") == (3 + 1) * 5 + (5 + 1) * 4 + (4 + 1) * 2
    )


def test_cnn_halves_the_image_after_each_convolution() -> None:
    # 7 x 7 becomes 4 x 4 and 2 x 2: pooling rounds up.
    found = parameters("cnn", (7, 7, 1), filters=(4, 8), kernel_size=3, hidden=5, dropout=0.0)
    assert found == (9 + 1) * 4 + (9 * 4 + 1) * 8 + (2 * 2 * 8 + 1) * 5 + (5 + 1) * 2


def test_conv1d_halves_the_series_after_each_convolution() -> None:
    # 9 steps become 5 and 3.
    found = parameters("conv1d", (9, 2), filters=(4, 8), kernel_size=3, hidden=5, dropout=0.0)
    assert found == (3 * 2 + 1) * 4 + (3 * 4 + 1) * 8 + (3 * 8 + 1) * 5 + (5 + 1) * 2


def by_hand(blocks: int) -> int:
    """The weights to train of a ResNet of so many blocks a stage: convolutions, two a filter of batch norm, head."""
    norms = sum(2 * filters * 2 * blocks for filters in (16, 32, 64)) + 2 * 16
    first = 3 * 3 * 3 * 16
    entering = 9 * (16 * 16 + 16 * 32 + 32 * 64)  # the first convolution of each stage
    others = sum(9 * filters * filters * (2 * blocks - 1) for filters in (16, 32, 64))
    return norms + first + entering + others + 65 * 10


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (110, 1.7)])
def test_resnet_has_the_parameters_of_the_paper(depth: int, millions: float) -> None:
    found = MODELS["resnet"].build((32, 32, 3), 10, depth=depth)
    trained = sum(variable.numpy().size for variable in found.trainable_variables)
    assert trained == by_hand((depth - 2) // 6)
    assert trained / 1e6 == pytest.approx(millions, abs=0.05 if millions == 1.7 else 0.005)
    convolutions = [layer for layer in found.layers if type(layer).__name__ == "Conv2D"]
    assert len(convolutions) == depth - 1, "and one dense layer"
    assert found.get_layer(index=-2).output.shape == (None, 64)


def test_resnet_s_shortcut_takes_every_second_pixel_and_new_filters_are_zero() -> None:
    """With convolutions of zeros, batch norm leaves 0 beside the shortcut, so that only that is left."""
    found = MODELS["resnet"].build((4, 4, 1), 2, depth=20)
    first, *others = [layer for layer in found.layers if type(layer).__name__ == "Conv2D"]
    first.set_weights([np.ones(first.kernel.shape, np.float32)])
    for layer in others:
        layer.set_weights([np.zeros(layer.kernel.shape, np.float32)])
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, 0, 0] = 9.0  # of the first convolution: 9 in the corner's 2 x 2 pixels, of which the first is taken twice
    import keras

    pooled = keras.Model(found.input, found.get_layer(index=-2).output)(image).numpy()[0]
    assert pooled[:24] == pytest.approx(np.zeros(24), abs=1e-6)
    assert pooled[24:40] == pytest.approx(np.full(16, 9 / np.sqrt(1.001)), rel=1e-5)
    assert pooled[40:] == pytest.approx(np.zeros(24), abs=1e-6)
