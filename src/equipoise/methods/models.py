"""Keras models that end in logits. TensorFlow is imported when a model is built, not before.

A model function takes the shape of one sample and the number of logits, and returns an uncompiled model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.core.schema import ConfigError, Counts, Fraction, PositiveInt, Section

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]


def linear(shape: Shape, logits: int) -> "keras.Model":
    """Multinomial logistic regression."""
    return mlp(shape, logits, hidden=(), dropout=0.0)


def mlp(shape: Shape, logits: int, *, hidden: Counts, dropout: Fraction) -> "keras.Model":
    """Dense layers with ReLU, each followed by dropout."""
    from keras import Input, Model, layers

    inputs = Input(shape, name="features")
    x = layers.Flatten()(inputs) if len(shape) > 1 else inputs
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(dropout)(x) if dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def cnn(
    shape: Shape, logits: int, *, filters: Counts, kernel_size: PositiveInt, hidden: PositiveInt, dropout: Fraction
) -> "keras.Model":
    """Convolutions with ReLU, each followed by 2 x 2 max-pooling, then one dense layer."""
    from keras import Input, Model, layers

    inputs = x = Input(shape, name="features")
    for channels in filters:
        x = layers.Conv2D(channels, kernel_size, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(padding="same")(x)
    x = layers.Dense(hidden, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(dropout)(x) if dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def conv1d(
    shape: Shape, logits: int, *, filters: Counts, kernel_size: PositiveInt, hidden: PositiveInt, dropout: Fraction
) -> "keras.Model":
    """Convolutions over time with ReLU, each followed by max-pooling over 2 steps, then one dense layer."""
    from keras import Input, Model, layers

    inputs = x = Input(shape, name="features")
    for channels in filters:
        x = layers.Conv1D(channels, kernel_size, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(padding="same")(x)
    x = layers.Dense(hidden, activation="relu")(layers.Flatten()(x))
    x = layers.Dropout(dropout)(x) if dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def normalise_classifier(model: "keras.Model", scale: float) -> "keras.Model":
    """The model with its last layer replaced by scale x cosine(features, class vector), as LDAM needs it.

    Of stock layers alone, so that it loads without this project's code: the class vectors are brought back to
    unit length after every step, where the authors divide by their length in every step.
    """
    from keras import Model, constraints, layers

    head = model.layers[-1]
    if not isinstance(head, layers.Dense):
        raise ConfigError(
            f"loss=ldam makes the last layer of a model anew, which must be Dense; this one ends in {type(head).__name__}: use another loss"
        )
    unit_length = constraints.UnitNorm(axis=0)
    cosines = layers.Dense(head.units, use_bias=False, kernel_constraint=unit_length, dtype="float32", name="cosines")
    features = layers.UnitNormalization(dtype="float32")(head.input)
    normalised = Model(model.input, layers.Rescaling(scale, dtype="float32", name="logits")(cosines(features)))
    cosines.kernel.assign(unit_length(cosines.kernel))
    return normalised


@dataclass(frozen=True)
class Architecture:
    """A model function and the number of dimensions that its samples must have (None: any)."""

    build: Callable[..., "keras.Model"]
    dimensions: int | None = None


MODELS: Mapping[str, Architecture] = {
    "linear": Architecture(linear),
    "mlp": Architecture(mlp),
    "cnn": Architecture(cnn, dimensions=3),
    "conv1d": Architecture(conv1d, dimensions=2),
}


class ModelOptions(Section):
    """The keys that every model has."""

    name: str
