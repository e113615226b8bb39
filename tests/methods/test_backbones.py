"""Backbones that were trained before: whole, in inference mode, with the right head, and refused with the cure."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.methods import backbones
from equipoise.methods.backbones import BACKBONE, Fed, Known, application, saved
from equipoise.methods.models import MODELS
from helpers import composed
from trainings import small_resnet

pytestmark = pytest.mark.usefixtures("tensorflow")


def config_error(*overrides: str) -> str:
    """What is said of a command line, before anything is written."""
    with pytest.raises(ConfigError) as error:
        composed(*overrides)
    return str(error.value)


PIXELS = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, tensorflow: Any) -> Path:
    """A small network for images of 8 x 8 that ends in three logits; its batch norm has seen samples."""
    import keras

    keras.utils.set_random_seed(7)
    model = small_resnet((8, 8, 1), 3, depth=20)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(PIXELS, np.array([0, 1, 2, 0]), epochs=3, verbose=0)
    model.save(path := tmp_path_factory.mktemp("backbone") / "small.keras")
    return path


def statistics(model: Any) -> list[Any]:
    return [variable.numpy() for variable in model.variables if "moving" in variable.name]


def test_every_application_of_keras_is_known() -> None:
    import keras

    there = {name for name, made in vars(keras.applications).items() if name[0].isupper() and callable(made)}
    assert set(get_args(Known)) == there


def test_a_head_of_as_many_logits_is_kept(file: Path) -> None:
    import keras

    before, found = keras.saving.load_model(file), saved((8, 8, 1), 3, path=str(file), head="auto", dropout=0.0)
    np.testing.assert_array_equal(found(PIXELS), before(PIXELS, training=False))
    assert found.layers[-1].name == "logits"


@pytest.mark.parametrize(("logits", "head"), [(2, "auto"), (3, "new")])
def test_another_head_is_made_anew_and_the_backbone_stays(file: Path, logits: int, head: Any) -> None:
    import keras

    before, found = keras.saving.load_model(file), saved((8, 8, 1), logits, path=str(file), head=head, dropout=0.5)
    assert found.output_shape == (None, logits)
    for left, right in zip(found.get_layer(BACKBONE).get_weights(), before.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(found.layers[-1].get_weights()[0][:, :2], before.layers[-1].get_weights()[0][:, :2])


def test_batch_norm_of_a_backbone_stays_as_it_was_while_it_is_trained(file: Path) -> None:
    found = saved((8, 8, 1), 3, path=str(file), head="auto", dropout=0.0)
    before = statistics(found)
    np.testing.assert_array_equal(found(PIXELS, training=True), found(PIXELS, training=False))
    for left, right in zip(statistics(found), before, strict=True):
        np.testing.assert_array_equal(left, right)


def test_what_was_frozen_when_it_was_saved_is_trained(file: Path, tmp_path: Path) -> None:
    import keras

    frozen = keras.saving.load_model(file)
    whole, frozen.trainable = len(frozen.trainable_variables), False
    frozen.save(tmp_path / "frozen.keras")
    found = saved((8, 8, 1), 3, path=str(tmp_path / "frozen.keras"), head="auto", dropout=0.0)
    assert len(found.trainable_variables) == whole, "also scale and shift of batch norm"


def test_images_of_another_size_are_resized_as_keras_does(file: Path) -> None:
    import keras

    larger = np.random.default_rng(1).random((2, 16, 12, 1), np.float32)
    before, found = keras.saving.load_model(file), saved((16, 12, 1), 3, path=str(file), head="auto", dropout=0.0)
    np.testing.assert_allclose(found(larger), before(keras.layers.Resizing(8, 8)(larger)), rtol=1e-6)


def test_a_model_of_texts_takes_texts(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    words = keras.layers.TextVectorization(vocabulary=["good", "bad"], output_mode="multi_hot")
    inputs = keras.Input((), dtype="string")
    keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dense(3)(words(inputs)))).save(tmp_path / "texts.keras")
    options: Any = {"path": str(tmp_path / "texts.keras"), "head": "auto", "dropout": 0.0}
    found, before = (
        MODELS["saved"]((), 2, np.array(["bad"], object), **options),
        keras.saving.load_model(options["path"]),
    )
    texts = tf.constant(["good", "so bad"])
    np.testing.assert_array_equal(found(texts), before(texts))
    with pytest.raises(ConfigError, match=r"texts\.keras takes texts; samples are numbers"):
        MODELS["saved"]((), 2, **options)


def test_a_feature_map_is_pooled(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((4, 4, 1))
    keras.Model(inputs, keras.layers.Conv2D(5, 3)(inputs)).save(tmp_path / "map.keras")
    assert saved((4, 4, 1), 2, path=str(tmp_path / "map.keras"), head="auto", dropout=0.0).layers[-1].input.shape == (
        None,
        5,
    )


@pytest.mark.parametrize(
    ("shape", "said"),
    [((8, 8, 3), "takes images of 1 channels; samples have 3"), ((5,), r"takes samples of shape \(8, 8, 1\)")],
)
def test_samples_that_do_not_fit_are_told(file: Path, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=f"model.path={file} {said}"):
        saved(shape, 3, path=str(file), head="auto", dropout=0.0)


def test_an_application_prepares_its_pixels_itself(tmp_path: Path) -> None:
    """Grey images of 0 to 1 come out as Keras's own function, backbone and pooling make of 0 to 255 in colour."""
    import keras

    vgg: Any = {"architecture": "VGG16", "fed": Fed(image_size=None, pixels=1), "dropout": 0.0}
    small = np.random.default_rng(2).random((2, 32, 32, 1), np.float32)
    found = application((32, 32, 1), 2, weights=None, **vgg)
    colour = np.repeat(small * 255, 3, axis=-1)
    features = found.get_layer(BACKBONE)(keras.applications.vgg16.preprocess_input(colour))
    np.testing.assert_allclose(found(small), found.layers[-1](features), rtol=1e-4, atol=1e-4)
    found.get_layer(BACKBONE).save_weights(tmp_path / "vgg.weights.h5")
    again = application((32, 32, 1), 2, weights=str(tmp_path / "vgg.weights.h5"), **vgg)
    for left, right in zip(again.get_weights()[:-2], found.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(left, right)
    (tmp_path / "other.weights.h5").write_text("nothing")
    with pytest.raises(ConfigError, match=r"other\.weights\.h5: Keras cannot make the model: "):
        application((32, 32, 1), 2, weights=str(tmp_path / "other.weights.h5"), **vgg)


def test_batch_norm_of_new_weights_learns() -> None:
    found = application(
        (8, 8, 1), 2, architecture="MobileNetV2", weights=None, fed=Fed(image_size=(32, 32), pixels=255), dropout=0.0
    )
    before = statistics(found)
    found(PIXELS, training=True)
    assert not np.array_equal(statistics(found)[0], before[0])


DIGITS = ["dataset=digits_lt", "model=application"]
REFUSED = {
    "no such architecture": ([*DIGITS, "model.architecture=ResNet51"], "model.architecture=ResNet51"),
    "too small": (
        [*DIGITS, "model.architecture=Xception", "model.image_size=[64,80]"],
        "model.image_size=[64,80] is too small for model.architecture=Xception: both sides need at least 71 pixels",
    ),
    "no file of weights": ([*DIGITS, "model.weights=nothing.h5"], "model.weights=nothing.h5: there is no such file"),
    "no path": (["dataset=digits_lt", "model=saved"], "model.path"),
    "no file": (
        ["dataset=digits_lt", "model=saved", "model.path=nothing.keras"],
        "model.path=nothing.keras: there is no such file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_told_before_anything_is_written(case: str) -> None:
    overrides, said = REFUSED[case]
    assert said in config_error(*overrides)


def test_imagenet_without_a_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    said = config_error(*DIGITS, "model.weights=imagenet")
    assert f"model.weights=imagenet: the weights are not in {tmp_path}/models" in said
    assert "use model.weights=null" in said
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5").touch()
    composed(*DIGITS, "model.weights=imagenet")


def test_a_lambda_is_refused_with_the_cure(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x, output_shape=(8, 8, 1))(inputs)).save(tmp_path / "x.keras")
    said = config_error("dataset=digits_lt", "model=saved", f"model.path='{tmp_path}/x.keras'")
    assert "Lambda, and is not loaded: only Keras's own layers are" in said
    assert "keras.ops instead of a Lambda" in said


def test_the_file_s_content_counts_as_code_does(file: Path, tmp_path: Path) -> None:
    from equipoise.config import identity

    copy = tmp_path / "copy.keras"
    copy.write_bytes(file.read_bytes())
    config = composed("dataset=digits_lt", "model=saved", f"model.path='{copy}'")
    then = identity.tags(config)
    assert identity.changed({**then, "data_sha256": "x"}, config, "x") == ""
    other = small_resnet((8, 8, 1), 2, depth=20)
    other.save(copy)
    assert identity.changed({**then, "data_sha256": "x"}, config, "x") == "the file of model.path has changed"
    assert backbones.IMAGENET not in identity.code(config)
