"""Every model by its name: Keras models that end in logits, and the estimators beside them.

TensorFlow is imported when a Keras model is built, not before.

The function of a Keras model takes the shape of one sample and the number of logits, and returns an uncompiled model.
It may take the texts of the training split after them, to learn its vocabulary of, what is known of words, or the sizes
of embeddings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.core.schema import Counts, Fraction, PositiveInt, Section
from equipoise.data.paths import digest_of
from equipoise.data.words import WordPreprocessing
from equipoise.methods.backbones import IMAGENET, application, check_application, check_saved, saved
from equipoise.methods.estimators import ESTIMATORS, Estimator
from equipoise.methods.text_models import check_text, text

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]
Texts = np.ndarray[Any, np.dtype[np.object_]]
# How many numbers stand for a category: by a rule, one for each category, or so many.
Embedding: TypeAlias = Literal["auto", "one_hot"] | PositiveInt


def linear(shape: Shape, logits: int, ids: Shape = ()) -> "keras.Model":
    """Multinomial logistic regression."""
    return mlp(shape, logits, ids, hidden=(), dropout=0.0, embedding="one_hot")


def mlp(
    shape: Shape, logits: int, ids: Shape = (), *, hidden: Counts, dropout: Fraction, embedding: Embedding
) -> "keras.Model":
    """Dense layers with ReLU, each followed by dropout.

    The last features may be numbers of categories, 0 to `ids` - 1. Each of these has a vector, which is learned
    (`embedding`): min(600, 1.6 n^0.56) long for n categories, as fast.ai's `emb_sz_rule`, so long, or one-hot.
    """
    from keras import Input, Model, layers

    inputs = Input(shape, name="features")
    x = layers.Flatten()(inputs) if len(shape) > 1 else inputs
    if ids:
        x = _with_vectors(inputs, shape[0] - len(ids), ids, embedding)
    for units in hidden:
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(dropout)(x) if dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def _with_vectors(inputs: Any, first: int, ids: Shape, embedding: Embedding) -> Any:
    """Put vectors in place of the features from the first on, which are numbers of categories."""
    from keras import layers, ops

    parts = [inputs[:, :first]] if first else []
    for place, size in enumerate(ids):
        number = ops.cast(inputs[:, first + place], "int32")  # before half precision, which has no such whole numbers
        if embedding == "one_hot":
            parts.append(ops.one_hot(number, size))
        else:
            length = min(600, round(1.6 * size**0.56)) if embedding == "auto" else embedding
            parts.append(layers.Embedding(size, length)(number))
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


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


def resnet(shape: Shape, logits: int, *, depth: Literal[20, 32, 44, 56, 110]) -> "keras.Model":
    """The residual network of He et al. (2016, section 4.2) for small images: shortcuts without weights, 16 filters.

    Three stages of (depth - 2) / 6 blocks; the second and the third halve the image and have twice the filters.
    """
    from keras import Input, Model, layers

    inputs = Input(shape, name="features")
    x = layers.Activation("relu")(_normalised(inputs, 16, 1))
    for stage in (0, 1, 2):
        for block in range((depth - 2) // 6):
            x = _residual(x, 16 * 2**stage, 2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D()(x)
    head = layers.Dense(logits, kernel_initializer="he_normal", dtype="float32", name="logits")
    return Model(inputs, head(x))


def _normalised(x: Any, filters: int, strides: int) -> Any:
    """A convolution, and batch norm, which has the biases."""
    from keras import layers

    convolution = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")
    return layers.BatchNormalization(momentum=0.9)(convolution(x))


def _residual(x: Any, filters: int, strides: int) -> Any:
    """Two convolutions beside a shortcut, which takes every second pixel, and has zeros for new filters (option A)."""
    from keras import layers, ops

    found = layers.Activation("relu")(_normalised(x, filters, strides))
    found = _normalised(found, filters, 1)
    if strides > 1:
        new = (filters - x.shape[-1]) // 2
        x = ops.pad(x[:, ::2, ::2], [[0, 0], [0, 0], [0, 0], [new, new]])
    return layers.Activation("relu")(layers.Add()([x, found]))


@dataclass(frozen=True)
class Architecture:
    """A model function and what else training needs to know of it.

    Attributes
    ----------
    dimensions : how many its samples must have; None: any number
    dense : whether it is made of dense layers alone
    bits_known : whether every engine was seen to leave the bits of Keras's `fit`, on a CPU and on a GPU
    own : whether it is the user's own
    texts : whether it is handed the texts of the training split
    words : whether its samples are ids of words, and it is handed what is known of these
    embeds : whether it is handed the sizes of embeddings, for features that are numbers of categories
    check : refuses options, of the model and of the dataset, before anything is written
    file : the option that may name a file of weights, on which the result depends as on code
    backbone : whether it has one that `trainer.phases` can freeze
    is_read : whether it is a whole model from a file, which may take texts or numbers
    """

    build: Callable[..., "keras.Model"]
    dimensions: int | None = None
    dense: bool = False
    bits_known: bool = False
    own: bool = False
    texts: bool = False
    words: bool = False
    embeds: bool = False
    check: Callable[[Section, Section], None] | None = None
    file: str | None = None
    backbone: bool = False
    is_read: bool = False

    def __call__(
        self,
        shape: Shape,
        logits: int,
        texts: Texts | None = None,
        known: "WordPreprocessing | Shape | None" = (),
        /,
        **options: Any,
    ) -> "keras.Model":
        """Return the model, uncompiled.

        Parameters
        ----------
        texts : str (n,), those of the training split; None: the samples are numbers
        known : what is known of the words if samples are their ids; else how many categories each of the last features
            may be the number of

        Raises
        ------
        ConfigError
            If the user's own function fails, or returns no model of samples of that shape.
        """
        if not self.own:
            handed: tuple[Any, ...] = (known,) if self.words or (self.embeds and known) else ()
            model = self.build(shape, logits, *handed, **options)
            if takes_texts(model) != (texts is not None):  # one from a file may take either
                takes, has = ("texts", "numbers") if texts is None else ("numbers", "texts")
                raise ConfigError(f"model.path={options['path']} takes {takes}; samples are {has}")
            return model
        who = f"model={self.build.__name__}" + (" (its samples are texts)" if texts is not None else "")
        with plugins.telling(who, self.build):
            handed = (texts,) if self.texts else (known,) if self.embeds else ()
            model = _of_inputs(self.build(shape, logits, *handed, **options), shape, who, of_texts=texts is not None)
        if takes_texts(model) != (texts is not None):
            other = 'keras.Input(shape, dtype="string")' if texts is not None else "keras.Input(shape)"
            has, takes = ("numbers", "texts") if texts is None else ("texts", "numbers")
            raise ConfigError(
                f"model={self.build.__name__}: its function takes {takes}; samples are {has}: make it with {other}"
            )
        return model


def takes_texts(model: "keras.Model") -> bool:
    """Return whether a model's samples are texts, of which its own layers make numbers."""
    return bool(model.inputs[0].dtype == "string")


def _of_inputs(found: Any, shape: Shape, who: str, *, of_texts: bool) -> "keras.Model":
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
    inputs = keras.Input(shape, name="features", dtype="string" if of_texts else None)
    return keras.Model(inputs, found(inputs))


def _of_own(function: Callable[..., Any], own: Own) -> Architecture | Estimator:
    if own.of_estimator:
        return Estimator(function, sparse=False, own=True)
    return Architecture(function, own=True, texts="texts" in own.handed, embeds="ids" in own.handed)


SHIPPED: Mapping[str, Architecture] = {
    "linear": Architecture(linear, dense=True, bits_known=True, embeds=True),
    "mlp": Architecture(mlp, dense=True, bits_known=True, embeds=True),
    "cnn": Architecture(cnn, dimensions=3, bits_known=True),
    "conv1d": Architecture(conv1d, dimensions=2, bits_known=True),
    "resnet": Architecture(resnet, dimensions=3),
    "application": Architecture(application, 3, check=check_application, file="weights", backbone=True),
    "text": Architecture(text, words=True, check=check_text),
    "saved": Architecture(saved, check=check_saved, file="path", backbone=True, is_read=True),
}

MODELS: Registry[Architecture | Estimator] = Registry("model", {**SHIPPED, **ESTIMATORS}, _of_own)


def architecture(name: str) -> Architecture:
    """Return the record of a Keras model."""
    found = MODELS[name]
    assert isinstance(found, Architecture), f"model={name} is no Keras model"
    return found


def estimator(name: str) -> Estimator | None:
    """Return the record of an estimator; None of a Keras model. A file of the user's own is imported for its alone."""
    own = None if name in MODELS.shipped else MODELS.own().get(name)
    if own is not None and not own.of_estimator:
        return None
    found = MODELS[name]
    return found if isinstance(found, Estimator) else None


def of_words() -> list[str]:
    """Return the names of the models whose samples are ids of words."""
    return [name for name, model in SHIPPED.items() if model.words]


def of_texts() -> list[str]:
    """Return the names of the user's own models that are handed texts; no file is imported."""
    return [name for name, own in MODELS.own().items() if "texts" in own.handed]


def file_of(options: Section) -> tuple[str, Path] | None:
    """Return the option that names a file of the model's weights, and the file; None if there is none."""
    name = vars(options)["name"]
    option = MODELS[name].file
    path = vars(options)[option] if option else None
    return None if option is None or path in (None, IMAGENET) else (f"model.{option}", Path(path).expanduser())


def digests_of_file(options: Section) -> dict[str, str]:
    """Return the digest of the file by the option that names it; empty if there is none, or it is gone."""
    found = file_of(options)
    return {found[0]: digest_of(found[1])} if found and found[1].is_file() else {}


class ModelOptions(Section):
    """The keys that every model has."""

    name: str


def packages_of(name: str) -> tuple[str, ...]:
    """Return the packages whose versions a model's result depends on."""
    found = estimator(name)
    return ("tensorflow", "keras") if found is None else tuple(dict.fromkeys(("scikit-learn", *found.packages)))
