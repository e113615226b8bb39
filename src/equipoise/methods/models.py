"""Keras models that end in logits. TensorFlow is imported when a model is built, not before.

A model function takes the shape of one sample and the number of logits, and returns an uncompiled model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from equipoise.core import plugins
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
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


@dataclass(frozen=True)
class Architecture:
    """A model function and what else training needs to know of it.

    Attributes
    ----------
    dimensions : how many its samples must have; None: any number
    dense : whether it is made of dense layers alone
    bits_known : whether every engine was seen to leave the bits of Keras's `fit`, on a CPU and on a GPU
    own : whether it is the user's own
    """

    build: Callable[..., "keras.Model"]
    dimensions: int | None = None
    dense: bool = False
    bits_known: bool = False
    own: bool = False

    def __call__(self, shape: Shape, logits: int, **options: Any) -> "keras.Model":
        """Return the model, uncompiled.

        Raises
        ------
        ConfigError
            If the user's own function fails, or returns no model of samples of that shape.
        """
        if not self.own:
            return self.build(shape, logits, **options)
        who = f"model={self.build.__name__}"
        with plugins.telling(who, self.build):
            return _of_inputs(self.build(shape, logits, **options), shape, who)


def _of_inputs(found: Any, shape: Shape, who: str) -> "keras.Model":
    """Return the model as a function of its inputs, which a subclass of `keras.Model` need not be."""
    import keras

    if not isinstance(found, keras.Model):
        raise ConfigError(f"{who}: its function returns {type(found).__name__}; it must return a keras.Model")
    if (isinstance(found, keras.Sequential) and found.built) or type(found).__name__ == "Functional":
        if found.input_shape != (None, *shape):
            raise ConfigError(
                f"{who}: its function takes inputs of shape {found.input_shape}; samples have the shape {shape}: "
                "make it with Input(shape)"
            )
        return found
    inputs = keras.Input(shape, name="features")
    return keras.Model(inputs, found(inputs))


def _of_own(function: Callable[..., "keras.Model"], _own: Own) -> Architecture:
    return Architecture(function, own=True)


SHIPPED: Mapping[str, Architecture] = {
    "linear": Architecture(linear, dense=True, bits_known=True),
    "mlp": Architecture(mlp, dense=True, bits_known=True),
    "cnn": Architecture(cnn, dimensions=3, bits_known=True),
    "conv1d": Architecture(conv1d, dimensions=2, bits_known=True),
}

MODELS: Registry[Architecture] = Registry("model", SHIPPED, _of_own)


class ModelOptions(Section):
    """The keys that every model has."""

    name: str
