"""Bags of words for learners beside Keras: scikit-learn's tf-idf, padding and unknown words left out."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from equipoise.core.errors import ConfigError
from equipoise.data.words import Learning, WordOptions, WordPreprocessing, splitter
from equipoise.methods import bags
from equipoise.methods.bags import bag, check_size

TEXTS = ["the cat and the dog", "a cat, a cat!", "no dog: the end", "dog dog dog dog cat"]
NEW = ["the the dog", "zebra", "a cat and no zebra", "dog", ""]


def learned(length: int = 9) -> WordPreprocessing:
    options = WordOptions(tokens="vocabulary", unit="word", vocabulary=99, min_texts=1, length=length, lower=True)
    learning = Learning(options)
    learning.add([splitter("word", lower=True)(text) for text in TEXTS])
    return learning.learned("text")


def test_a_bag_is_that_of_scikit_learn() -> None:
    words = learned()
    theirs = TfidfVectorizer(vocabulary=list(words.words or ()), token_pattern=r"\w+").fit(TEXTS).transform(NEW)
    found = bag(words.apply(NEW), words)
    assert (found.dtype, found.shape, found.nnz) == (np.float32, (5, words.ids), theirs.nnz)
    np.testing.assert_allclose(found.toarray()[:, 2:], theirs.toarray(), rtol=1e-6)
    assert found[:, :2].nnz == 0, "padding and unknown words weigh nothing"
    longer = bag(learned(length=30).apply(NEW), words)
    assert (found != longer).nnz == 0, "padding changes no bit"
    assert bag(words.apply([]), words).shape == (0, words.ids)


def test_a_bag_too_large_for_its_zeros_is_refused_with_a_vocabulary_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = learned()  # 7 words, and 2 ids beside them
    monkeypatch.setattr(bags, "MOST_BYTES", 4 * 10 * 9)
    check_size("boosting", 10, words)
    with pytest.raises(ConfigError, match=r"model=boosting holds the zeros .*: 11 training texts of 9 ids .*"):
        check_size("boosting", 11, words)
    with pytest.raises(ConfigError, match=r"type dataset\.vocabulary=6, or use model=logistic"):
        check_size("boosting", 11, words)
