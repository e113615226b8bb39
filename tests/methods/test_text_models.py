"""Models of ids of words: the bag is scikit-learn's dense product, and padding never changes an answer."""

from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from equipoise.core.errors import ConfigError
from equipoise.data.words import Learning, WordOptions, WordPreprocessing, splitter
from equipoise.methods.models import MODELS
from equipoise.methods.text_models import TextLayers

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

TEXTS = ["the cat and the dog", "a cat, a cat!", "no dog: the end", "dog dog dog dog cat"]
NEW = ["the the dog", "a cat and no zebra", "dog"]
LAYERS: dict[str, Any] = {
    "width": 8,
    "dropout": 0.2,
    "bag": "mean",
    "kernel_sizes": (2, 3),
    "filters": 5,
    "blocks": 2,
    "heads": 2,
}


def learned(length: int = 9) -> WordPreprocessing:
    options = WordOptions(tokens="vocabulary", unit="word", vocabulary=99, min_texts=1, length=length, lower=True)
    learning = Learning(options)
    learning.add([splitter("word", lower=True)(text) for text in TEXTS])
    return learning.learned("text")


def built(words: WordPreprocessing, kind: Literal["bag", "cnn", "transformer"], **layers: Any) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    options = TextLayers(**(LAYERS | layers))
    return MODELS["text"](words.shape, 3, None, words, kind=kind, options=options)


@pytest.mark.parametrize("bag", ["sum", "mean", "tfidf"])
def test_a_bag_is_the_dense_product_of_scikit_learn(bag: str) -> None:
    words = learned()
    model = built(words, "bag", bag=bag)
    model.get_layer("logits").bias.assign([0.5, -1, 2])
    of = TfidfVectorizer if bag == "tfidf" else CountVectorizer
    counted = of(vocabulary=list(words.words or ()), token_pattern=r"\w+").fit(TEXTS).transform(NEW).toarray()
    vectors = model.get_layer("words").get_weights()[0]
    # What scikit-learn does not know, and leaves out, has a vector of its own here, and no weight in tf-idf.
    unknown = np.array([[0.0], [0.0 if bag == "tfidf" else 1.0], [0.0]])
    counted = np.hstack([unknown, counted])
    if bag == "mean":
        counted /= np.array([[3], [5], [1]])
    kernel, bias = model.get_layer("logits").get_weights()
    expected = counted @ vectors[1:] @ kernel + bias
    np.testing.assert_allclose(model(words.apply(NEW)).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bag", "tfidf", "cnn", "transformer"])
def test_padding_changes_no_answer(kind: Any) -> None:
    options = {"kind": "bag", "bag": "tfidf"} if kind == "tfidf" else {"kind": kind}
    short, long = (built(learned(length), **options) for length in (9, 40))
    long.set_weights(short.get_weights())
    texts = [*TEXTS, *NEW]
    found, same = short(learned(9).apply(texts)).numpy(), long(learned(40).apply(texts)).numpy()
    np.testing.assert_allclose(same, found, rtol=1e-5, atol=1e-6)
    assert np.abs(found - found[0]).max() > 1e-4, "the answers tell texts apart"
    nothing = short(np.zeros((2, 9), np.float32)).numpy()
    assert np.isfinite(nothing).all()
    alone = short(learned(9).apply(texts[:1])).numpy()
    np.testing.assert_allclose(alone[0], found[0], rtol=1e-5, atol=1e-6)


def test_only_a_bag_forgets_the_order_of_words() -> None:
    words = learned()
    one, other = words.apply(["the cat and the dog"]), words.apply(["dog the and cat the"])
    for kind in ("bag", "cnn", "transformer"):
        model = built(words, kind)  # type: ignore[arg-type]
        assert np.allclose(model(one), model(other), atol=1e-6) == (kind == "bag"), kind


def test_half_precision_reads_every_id() -> None:
    """Half precision has no whole number above 2,048 for each id."""
    import keras

    ids = np.arange(4100, 4109, dtype=np.float32)[np.newaxis]
    many = learned().model_copy(update={"frequencies": (0, *[1] * 4999)})
    keras.config.set_dtype_policy("mixed_float16")
    model = built(many, "bag", bag="sum")
    vectors, (kernel, bias) = model.get_layer("words").get_weights()[0], model.get_layer("logits").get_weights()
    expected = vectors[4100:4109].sum(axis=0)[np.newaxis] @ kernel + bias
    np.testing.assert_allclose(model(ids).numpy(), expected, atol=2e-3)


def test_heads_must_share_the_width() -> None:
    from equipoise.methods.text_models import check_text

    typed: Any = SimpleNamespace(kind="transformer", width=50, heads=4)
    with pytest.raises(ConfigError, match=r"model.heads=4 with model.width=50: .*; type model.width=48"):
        check_text(typed, typed)
