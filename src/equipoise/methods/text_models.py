"""Models of texts whose samples are ids of words, 0 where a text has ended: padding never changes an answer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Counts, Floats, Fraction, PositiveInt, Section
from equipoise.data.words import WordPreprocessing

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]
TINY = 1e-9


class TextLayers(Section):
    """The layers of the kinds.

    Attributes
    ----------
    width, dropout : of a word's vector, and between layers
    bag : `mean` and `sum` of the vectors of a text's words; `tfidf`: their sum by tf-idf weights of Euclidean length 1
    kernel_sizes, filters : of convolutions: the words that each spans, and how many there are of each size
    blocks, heads : of self-attention
    """

    width: PositiveInt
    dropout: Fraction
    bag: Literal["mean", "sum", "tfidf"]
    kernel_sizes: Counts
    filters: PositiveInt
    blocks: PositiveInt
    heads: PositiveInt


def text(
    shape: Shape,
    logits: int,
    words: WordPreprocessing,
    *,
    kind: Literal["bag", "cnn", "transformer"],
    options: TextLayers,
) -> "keras.Model":
    """A vector for each word; their sum, the strongest answers of convolutions, or self-attention; then logits."""
    from keras import Input, Model, layers, ops

    inputs = Input(shape, name="features")
    ids = ops.cast(inputs, "int32")  # before a layer of half precision rounds them
    there = ops.cast(ops.not_equal(ids, 0), "float32")
    x = layers.Embedding(words.ids, options.width, name="words")(ids)
    if kind == "bag":
        x = _bag(x, ids, there, words, options.bag)
    else:
        x = {"cnn": _convolved, "transformer": _attended}[kind](x, there, options)
    x = layers.Dropout(options.dropout)(x) if options.dropout else x
    return Model(inputs, layers.Dense(logits, dtype="float32", name="logits")(x))


def check_text(model: Section, _dataset: Section) -> None:
    """Refuse heads that cannot share the width.

    Raises
    ------
    ConfigError
        With the cure.
    """
    options: Mapping[str, Any] = vars(model)
    width, heads = options["width"], options["heads"]
    if options["kind"] == "transformer" and (width % heads or width % 2):
        raise ConfigError(
            f"model.heads={heads} with model.width={width}: the width must be even, and each head takes an equal part "
            f"of it; type model.width={2 * heads * max(1, round(width / (2 * heads)))}"
        )


def _bag(x: Any, ids: Any, there: Any, words: WordPreprocessing, bag: str) -> Any:
    """Add up the words' vectors, (n, length, width), by their weights: no matrix of texts and words is ever held."""
    from keras import ops

    if bag == "tfidf":
        weights = _tfidf(ids, words)
    elif bag == "mean":
        weights = there / ops.maximum(ops.sum(there, axis=1, keepdims=True), 1)
    else:
        weights = there
    return ops.sum(x * ops.expand_dims(ops.cast(weights, x.dtype), -1), axis=1)


def _tfidf(ids: Any, words: WordPreprocessing) -> Any:
    """Return the weight of each word of a text, (n, length), so that a word's weights add up to its tf-idf.

    The length of the vector of all words has for each word (its count)² idf², which is the sum of (2 k - 1) idf² over
    its k-th occurrences: sorted ids tell k.
    """
    from keras import layers, ops

    table = layers.Embedding(words.ids, 1, trainable=False, dtype="float32", name="idf")
    found = ops.squeeze(table(ids), -1)
    table.set_weights([idf(words)[:, np.newaxis]])
    length = ids.shape[1]
    in_order = ops.sort(ids, axis=1)
    places = np.arange(1, length + 1, dtype=np.int32)
    is_first = ops.pad(ops.not_equal(in_order[:, 1:], in_order[:, :-1]), [[0, 0], [1, 0]], constant_values=True)
    first, step = ops.where(is_first, places, 0), 1
    while step < length:  # the largest of the places up to each, by doubling
        first = ops.maximum(first, ops.pad(first[:, :-step], [[0, 0], [step, 0]]))
        step *= 2
    occurrence = ops.cast(ops.subtract(places, first), "float32") + 1
    squares = ops.square(ops.squeeze(table(in_order), -1)) * (2 * occurrence - 1)
    return found / ops.sqrt(ops.maximum(ops.sum(squares, axis=1, keepdims=True), TINY))


def idf(words: WordPreprocessing) -> Floats:
    """Return ln((1 + documents) / (1 + documents with the id)) + 1, float32 (ids,); 0 of what training has not seen."""
    held = np.array(words.frequencies, np.float64)
    return np.where(held > 0, np.log((1 + words.documents) / (1 + held)) + 1, 0).astype(np.float32)


def _convolved(x: Any, there: Any, options: TextLayers) -> Any:
    """Convolve words beside each other, and take each filter's strongest answer (Kim 2014)."""
    from keras import layers, ops

    mask = ops.expand_dims(ops.cast(there, x.dtype), -1)
    x = layers.Dropout(options.dropout)(x) if options.dropout else x
    found = []
    for size in options.kernel_sizes:
        answers = layers.Conv1D(options.filters, size, padding="same", activation="relu")(x * mask)
        found.append(ops.max(answers * mask, axis=1))  # of ReLU none is below 0
    return layers.Concatenate()(found) if len(found) > 1 else found[0]


def _attended(x: Any, there: Any, options: TextLayers) -> Any:
    """Blocks of self-attention and two dense layers, each normalised before (pre-norm), and the mean over the words."""
    from keras import layers, ops

    width = x.shape[-1]
    mask = ops.expand_dims(ops.cast(there, x.dtype), -1)
    among = ops.expand_dims(ops.cast(there, "bool"), 1)  # each word may look at each word that is there
    x = (x + ops.cast(positions(x.shape[1], width), x.dtype)) * mask
    for _ in range(options.blocks):
        normed = layers.LayerNormalization()(x)
        found = layers.MultiHeadAttention(options.heads, width // options.heads)(normed, normed, attention_mask=among)
        x = x + (layers.Dropout(options.dropout)(found) if options.dropout else found)
        found = layers.Dense(2 * width, activation="relu")(layers.LayerNormalization()(x))
        found = layers.Dense(width)(found)
        x = x + (layers.Dropout(options.dropout)(found) if options.dropout else found)
    x = layers.LayerNormalization()(x) * mask
    return ops.sum(x, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1)


def positions(length: int, width: int) -> Floats:
    """Return sines and cosines of each place (Vaswani et al. 2017), float32 (length, width)."""
    rates = 10_000.0 ** (-2 * np.arange(width // 2) / width)
    angles = np.arange(length)[:, np.newaxis] * rates
    return (0.05 * np.concatenate([np.sin(angles), np.cos(angles)], axis=1)).astype(np.float32)
