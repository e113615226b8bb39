"""Words become ids: by a vocabulary that is counted by hand, and by hashes that were computed elsewhere."""

import unicodedata

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data import words
from equipoise.data.words import Learning, WordOptions, WordPreprocessing, splitter

OPTIONS = {"tokens": "vocabulary", "unit": "word", "vocabulary": 100, "min_texts": 1, "length": 4, "lower": True}


def learned(texts: list[str], **options: object) -> WordPreprocessing:
    found = WordOptions(**(OPTIONS | options))  # type: ignore[arg-type]
    learning = Learning(found)
    learning.add([splitter(found.unit, lower=found.lower)(text) for text in texts])
    return learning.learned("body")


def test_ids_go_by_how_many_texts_hold_a_word_then_by_the_alphabet() -> None:
    found = learned(["b a a a", "b c", "B d"])
    assert found.words == ("b", "a", "c", "d"), "b is in three texts; a is three times in one"
    assert (found.ids, found.frequencies, found.documents) == (6, (0, 0, 3, 1, 1, 1), 3)
    np.testing.assert_array_equal(
        found.apply(["c b", "x, d!", "", "a b c d b"]), [[4, 2, 0, 0], [1, 5, 0, 0], [0] * 4, [3, 2, 4, 5]]
    )
    assert found.apply(["c b"]).dtype == np.float32


def test_a_vocabulary_holds_the_words_of_most_texts() -> None:
    texts = ["a b", "a b", "a c"]
    assert learned(texts, vocabulary=1).words == ("a",)
    assert learned(texts, min_texts=2).words == ("a", "b")
    with pytest.raises(ConfigError, match=r"no word is in dataset.min_texts=4 training texts: type dataset.min"):
        learned(texts, min_texts=4)


def test_words_beyond_the_length_are_not_read() -> None:
    learning = Learning(WordOptions(**OPTIONS))  # type: ignore[arg-type]
    learning.add([["a", "b", "c", "d", "e"], ["a"]])
    assert learning.learned("body").words == ("a", "b", "c", "d")
    assert learning.notes() == [
        "1 of 2 training texts has more than 4 words (the longest 5), and the rest of it is not read: "
        "dataset.length reads more"
    ]


def test_many_different_words_are_forgotten_but_for_the_most_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST_COUNTED", 20)
    learning = Learning(WordOptions(**(OPTIONS | {"vocabulary": 2})))  # type: ignore[arg-type]
    for number in range(200):
        learning.add([["often", f"once{number}", "also" if number % 2 else "often"]])
        assert len(learning._counts) <= 21
    found = learning.learned("body")
    assert (found.words, found.frequencies) == (("often", "also"), (0, 0, 200, 100))
    assert learning.notes()[-1].startswith("the training texts hold more than ")


def test_hashes_are_crc_32_whatever_the_training_texts_hold() -> None:
    # The check value of CRC-32, of the digits from 1 to 9, in every description of it; and what `gzip` stores of cat.
    check, cat = 1 + 0xCBF43926 % 1000, 1 + 0x9E5E43A8 % 1000
    found = learned(["cat", "cat dog"], tokens="hashing", vocabulary=1000)
    assert found.words is None
    assert found.ids == 1001
    np.testing.assert_array_equal(found.apply(["Cat 123456789"]), [[cat, check, 0, 0]])
    assert found.frequencies[cat] == 2
    assert sum(found.frequencies) == 3
    assert found.unknown(["dog", "zebra"]) == ["", "holds no word that training knew"]


def test_one_word_has_one_spelling() -> None:
    composed, apart = "Été", unicodedata.normalize("NFD", "été")
    assert splitter("word", lower=True)(apart) == ["été"] == splitter("word", lower=True)(composed)
    assert splitter("word", lower=False)(f"{composed}, don't: 12") == ["Été", "don", "t", "12"]
    assert splitter("character", lower=True)("東京 A!") == ["東", "京", "a", "!"]


def test_what_was_learned_is_the_same_once_it_was_written_and_read() -> None:
    found = learned(["b a null", "01 true"])
    again = WordPreprocessing.model_validate_json(found.model_dump_json())
    assert again == found
    np.testing.assert_array_equal(again.apply([b"true null 01"]), found.apply(["true null 01"]))
    assert again.unknown(["", "zebra", "a zebra"]) == ["holds no word that training knew"] * 2 + [""]
    for odd in (None, 3, float("nan"), b"\xff", "\ud800"):
        with pytest.raises(ConfigError, match="no text"):
            again.apply([odd])
