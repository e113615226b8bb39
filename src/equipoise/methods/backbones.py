"""Models around a backbone that was trained before: one of `keras.applications`, or a `.keras` file of the user's.

Batch norm of a backbone that was trained before stays in inference mode, as Keras's guide to transfer learning has it:
it keeps its statistics, whether weights are trained or frozen. The guide's `backbone(x, training=False)` does not do
so any more: what the model around it is called with counts (Keras 3.15).
"""

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Fraction, Name, Section
from equipoise.data.paths import existing_file
from equipoise.methods.saved_model import check_keras, load_keras

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(strict=False, min_length=2, max_length=2)]
# fmt: off
Known = Literal[
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5",
    "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile", "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2",
    "VGG16", "VGG19", "Xception",
]
# fmt: on
BACKBONE = "backbone"  # the name of the layer that `trainer.phases` freezes
IMAGENET = "imagenet"
LEAST = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}  # pixels of a side; of the others 32
WEIGHTS = (".weights.h5", ".h5")
OF_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"  # where Keras downloads weights


class Fed(Section):
    """Which images an architecture is fed.

    Attributes
    ----------
    image_size : height and width that they are resized to; None: their own
    pixels : white, as the samples have it
    """

    image_size: Sizes | None
    pixels: Literal[1, 255]


def application(
    shape: Shape, logits: int, *, architecture: Known, weights: Name | None, fed: Fed, dropout: Fraction
) -> "keras.Model":
    """An architecture of `keras.applications` with its own preprocessing, pooled, and a new head."""
    from keras import Input, layers

    inputs = Input(shape, name="features")
    height, width = fed.image_size or shape[:2]
    x = _image(inputs, (height, width, 3), "model=application")
    x = layers.Rescaling(255.0)(x) if fed.pixels == 1 else x
    backbone = _of_keras(architecture, weights, (height, width, 3))
    if weights is not None:
        _hold_statistics(backbone)
    return _with_head(inputs, backbone(_preprocessed(architecture, x)), logits, dropout)


def saved(shape: Shape, logits: int, *, path: Name, head: Literal["auto", "new"], dropout: Fraction) -> "keras.Model":
    """A Keras model from a file: its last layer is kept if it ends in as many logits, and replaced otherwise."""
    from keras import Input, Model, layers

    who = f"model.path={path}"
    base = load_keras(existing_file(path, "model.path"), who)
    last, features = _ending(base, who)
    inputs = Input(shape, name="features", dtype=base.input.dtype)
    x = _fitting(inputs, tuple(base.input_shape[1:]), who)
    backbone = Model(base.input, features, name=BACKBONE)
    for layer in backbone._flatten_layers():
        layer.trainable = True  # whatever was frozen when it was saved
    _hold_statistics(backbone)
    x = backbone(x)
    if head == "new" or not _ends_in(last, logits):
        return _with_head(inputs, _pooled(x), logits, dropout)
    x = layers.Dropout(dropout)(x) if dropout else x
    kept = layers.Dense(logits, use_bias=last.use_bias, dtype="float32", name="logits")
    model = Model(inputs, kept(x))
    kept.set_weights(last.get_weights())
    return model


def check_application(model: Section, dataset: Section) -> None:
    """Refuse what Keras would fail at, before anything is written.

    Raises
    ------
    ConfigError
        If weights are not to be had, images are too small, or samples are no pixels.
    """
    options = vars(model)
    architecture, weights, size = options["architecture"], options["weights"], options["image_size"]
    least = LEAST.get(architecture, 32)
    if size is not None and min(size) < least:
        raise ConfigError(
            f"model.image_size=[{size[0]},{size[1]}] is too small for model.architecture={architecture}: "
            f"both sides need at least {least} pixels"
        )
    if weights is not None and getattr(dataset, "scale", None) == "standard":
        raise ConfigError(
            f"dataset.scale=standard with model.weights={weights}: what the backbone has learned is of pixels; "
            "use dataset.scale=byte"
        )
    if weights == IMAGENET:
        _check_reachable(architecture)
    elif weights is not None:
        existing_file(weights, "model.weights")
        if not weights.endswith(WEIGHTS):
            raise ConfigError(
                f"model.weights={weights} must be a file of weights, {' or '.join(WEIGHTS)}, of the architecture "
                "without its top; for a whole model use model=saved model.path=…"
            )


def check_saved(model: Section, _dataset: Section) -> None:
    """Refuse a file that is not there or would run code, before anything is written.

    Raises
    ------
    ConfigError
        With the cure.
    """
    path = vars(model)["path"]
    file = existing_file(path, "model.path")
    if file.suffix != ".keras":
        raise ConfigError(
            f"model.path={path} is no .keras file, and no other format is loaded, since it could run code: "
            "save it by model.save('NAME.keras')"
        )
    check_keras(file, f"model.path={path}")


def _hold_statistics(backbone: "keras.Model") -> None:
    """Put batch norm into inference mode for good: its layer is not trainable; but its scale and shift are trained."""
    from keras import layers

    for layer in backbone._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            learned = layer.trainable_variables
            layer.trainable = False
            for variable in learned:
                variable.trainable = True


def _with_head(inputs: Any, x: Any, logits: int, dropout: float) -> "keras.Model":
    from keras import Model, layers

    x = layers.Dropout(dropout)(x) if dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def _image(x: Any, shape: Shape, who: str) -> Any:
    """Return images of that shape: resized, and grey ones with three equal channels."""
    from keras import layers

    height, width, channels = shape
    if x.shape[-1] != channels and (x.shape[-1], channels) != (1, 3):
        raise ConfigError(f"{who} takes images of {channels} channels; samples have {x.shape[-1]}")
    if None not in (height, width) and tuple(x.shape[1:3]) != (height, width):
        x = layers.Resizing(height, width)(x)
    return x if x.shape[-1] == channels else layers.Concatenate()([x, x, x])


def _fitting(x: Any, shape: Shape, who: str) -> Any:
    """Return inputs as a saved model takes them."""
    if len(shape) == len(x.shape) - 1 == 3:
        return _image(x, shape, who)
    if len(shape) != len(x.shape) - 1 or any(a not in (None, b) for a, b in zip(shape, x.shape[1:], strict=True)):
        raise ConfigError(f"{who} takes samples of shape {shape}; these have {tuple(x.shape[1:])}")
    return x


def _ending(base: "keras.Model", who: str) -> tuple[Any, Any]:
    """Return the last layer, and what goes into it if it is dense; else what comes out of it."""
    from keras import layers

    if len(getattr(base, "inputs", None) or ()) != 1 or len(base.outputs) != 1:
        raise ConfigError(f"{who} must have one input and one output: save a functional or sequential model")
    last = base.layers[-1]
    return last, last.input if isinstance(last, layers.Dense) else base.output


def _ends_in(last: Any, logits: int) -> bool:
    from keras import activations, layers

    return isinstance(last, layers.Dense) and last.units == logits and last.activation is activations.linear


def _pooled(x: Any) -> Any:
    """Return a vector a sample."""
    from keras import layers

    pools = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}
    return pools[len(x.shape)]()(x) if len(x.shape) in pools else x


def _of_keras(architecture: str, weights: str | None, shape: Shape) -> "keras.Model":
    """Return the architecture without its head, which answers with a vector."""
    import keras

    try:
        made = getattr(keras.applications, architecture)(
            include_top=False, weights=weights, input_shape=shape, pooling="avg"
        )
    except Exception as error:  # whatever a download or a file of other weights makes Keras raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        what = f"model.architecture={architecture}" if weights is None else f"model.weights={weights}"
        raise ConfigError(f"{what}: Keras cannot make the model: {reason}") from None
    return keras.Model(made.input, made.output, name=BACKBONE)


def _preprocessed(architecture: str, x: Any) -> Any:
    """Return pixels from 0 to 255 as the architecture's own module prepares them."""
    import keras

    return inspect.getmodule(getattr(keras.applications, architecture)).preprocess_input(x)  # type: ignore[union-attr]


def _check_reachable(architecture: str) -> None:
    """Refuse weights that are neither in Keras's cache nor to be downloaded."""

    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    def bare(text: str) -> str:
        return text.lower().replace("_", "").replace("-", "")

    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    if any(bare(architecture) in bare(file.name) and "notop" in bare(file.name) for file in cache.glob("*.h5")):
        return
    try:
        urlopen(Request(OF_KERAS, method="HEAD"), timeout=10).close()
    except HTTPError:
        pass  # there is a network
    except OSError as error:
        raise ConfigError(
            f"model.weights=imagenet: the weights are not in {cache}, and there is no way to download them "
            f"({getattr(error, 'reason', error)}): put Keras's file there, or use model.weights=null"
        ) from None
