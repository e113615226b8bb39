"""Keras models that end in logits. TensorFlow is imported when a model is built, not before.

A model function takes the shape of one sample and the number of logits, and returns an uncompiled model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.core.schema import Counts, Fraction, PositiveInt, Section

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


@dataclass(frozen=True)
class Architecture:
    """A model function and what else training needs to know of it.

    Attributes
    ----------
    dimensions : how many its samples must have; None: any number
    dense : whether it is made of dense layers alone
    bits_known : whether every engine was seen to leave the bits of Keras's `fit`, on a CPU and on a GPU
    """

    build: Callable[..., "keras.Model"]
    dimensions: int | None = None
    dense: bool = False
    bits_known: bool = False


MODELS: Mapping[str, Architecture] = {
    "linear": Architecture(linear, dense=True, bits_known=True),
    "mlp": Architecture(mlp, dense=True, bits_known=True),
    "cnn": Architecture(cnn, dimensions=3, bits_known=True),
    "conv1d": Architecture(conv1d, dimensions=2, bits_known=True),
}


class ModelOptions(Section):
    """The keys that every model has."""

    name: str
