"""Texts as the ids of their words, padded to one length: learned of training texts, and read wherever texts are met.

Id 0 pads. In a vocabulary, id 1 stands for every word that it does not hold; hashing gives every word an id from 1 on.
"""

import functools
import heapq
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Counts, Floats, Integers, PositiveInt, Section
from equipoise.data.types import Preprocessing

WORD = re.compile(r"\w+")
PADDING, UNKNOWN = 0, 1
MOST_IDS = 2**24 - 2  # float32 holds every whole number up to 2**24
# Different words that are counted at once, or as many times the vocabulary; beyond it the rarest half is forgotten.
MOST_COUNTED, TIMES = 500_000, 10

Size = Annotated[int, Field(ge=1, le=MOST_IDS)]


class WordOptions(Section):
    """How texts become ids.

    Attributes
    ----------
    tokens : a `vocabulary` of the training texts, `hashing` of any word, or `none`: texts stay as they are
    unit : what has an id: a word, or a character, as of languages that do not divide words
    vocabulary : the most words of a vocabulary, or how many ids hashing gives
    min_texts : training texts that must hold a word for it to be in the vocabulary
    length : words of a text that are read
    lower : whether capital letters count as small ones
    """

    tokens: Literal["vocabulary", "hashing", "none"]
    unit: Literal["word", "character"]
    vocabulary: Size
    min_texts: PositiveInt
    length: PositiveInt
    lower: bool


class _Ids(dict[str, int]):
    """Ids by word; a word that is not there has that of the unknown ones."""

    def __missing__(self, _: str) -> int:
        return UNKNOWN


class WordPreprocessing(Preprocessing):
    """Texts become the ids of their first words, float32 (n, length), since models are handed float32.

    Attributes
    ----------
    shape : the words that are read of a text
    column : the column of a table that holds the texts
    unit, lower : see `WordOptions`
    words : of the vocabulary, in the order of their ids, the first of which is 2; None: words are hashed
    frequencies : for each id, training texts that hold it
    documents : training texts
    """

    kind: Literal["words"] = "words"
    shape: Annotated[Counts, Field(min_length=1, max_length=1)]
    column: str
    unit: Literal["word", "character"]
    lower: bool
    words: Annotated[tuple[str, ...], Field(strict=False)] | None
    frequencies: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=2)]
    documents: PositiveInt

    @property
    def ids(self) -> int:
        """How many ids there are, with that of the padding."""
        return len(self.frequencies)

    @functools.cached_property
    def id_of(self) -> Callable[[str], int]:
        """Return the id of a word."""
        if self.words is None:
            return functools.partial(hashed, ids=self.ids - 1)
        return _Ids({word: place for place, word in enumerate(self.words, UNKNOWN + 1)}).__getitem__

    def apply(self, rows: Iterable[Any]) -> Floats:
        """Return the ids of texts, str or UTF-8 bytes; a text without a word is all padding.

        Raises
        ------
        ConfigError
            If one is no text.
        """
        split = splitter(self.unit, lower=self.lower)
        return padded([split(as_text(row)) for row in rows], self.id_of, self.shape[0])

    def unknown(self, rows: Any) -> list[str]:
        """Return for each text a note if none of the words that are read of it was in a training text."""
        return self.doubts(self.apply(rows))

    def doubts(self, ids: Floats) -> list[str]:
        """Return the same for texts whose ids are known."""
        known = (np.array(self.frequencies) > 0)[ids.astype(np.int64)]
        return [f"holds no {self.unit} that training knew" if not found.any() else "" for found in known]


def as_text(row: Any) -> str:
    """Return a text, of str or of UTF-8 bytes.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not isinstance(row, str | bytes):
        raise ConfigError(f"is of type {type(row).__name__}, and no text")
    try:
        return row.decode() if isinstance(row, bytes) else row.encode().decode()
    except UnicodeError:
        raise ConfigError("is no text in UTF-8") from None


def splitter(unit: str, *, lower: bool) -> Callable[[str], list[str]]:
    """Return what divides a text into words, or into the characters that are no white space.

    Accents and the like are composed first (Unicode's NFC), so that one word has one spelling.
    """

    def divided(text: str) -> list[str]:
        text = unicodedata.normalize("NFC", text)
        text = text.lower() if lower else text
        return WORD.findall(text) if unit == "word" else list("".join(text.split()))

    return divided


def hashed(word: str, ids: int) -> int:
    """Return the id of a word, from 1 to `ids`: its CRC-32, the same on any machine."""
    return 1 + zlib.crc32(word.encode()) % ids


def padded(texts: Sequence[Sequence[str]], id_of: Callable[[str], int], length: int) -> Floats:
    """Return the ids of the first words of texts, float32 (n, length), 0 where a text has ended."""
    lengths = np.array([min(len(words), length) for words in texts], dtype=np.int64)
    found = np.zeros((len(texts), length), np.float32)
    words = chain.from_iterable(words[:length] for words in texts)
    found[np.arange(length) < lengths[:, np.newaxis]] = np.fromiter(map(id_of, words), np.float32, int(lengths.sum()))
    return found


@dataclass
class Learning:
    """Learn, text by text, which words training texts hold.

    Attributes
    ----------
    documents, cut : texts, and how many of them have more words than are read
    longest : words of the longest text
    """

    options: WordOptions
    documents: int = 0
    cut: int = 0
    longest: int = 0
    _counts: Counter[str] = field(default_factory=Counter)  # texts that hold a word
    _of_ids: Integers | None = None  # texts that hold an id, of hashing
    _forgotten: bool = False

    def add(self, texts: Sequence[Sequence[str]]) -> None:
        """Add the words of some texts; those beyond the length are not read."""
        length = self.options.length
        self.documents += len(texts)
        self.cut += sum(len(words) > length for words in texts)
        self.longest = max([self.longest, *map(len, texts)])
        if self.options.tokens == "hashing":
            self._add_ids(texts)
            return
        for words in texts:
            self._counts.update(set(words[:length]))
        most = max(MOST_COUNTED, TIMES * self.options.vocabulary)
        if len(self._counts) > most:
            self._forgotten = True
            self._counts = Counter(dict(self._most(most // 2)))

    def _add_ids(self, texts: Sequence[Sequence[str]]) -> None:
        ids = self.options.vocabulary
        found = np.zeros(ids + 1, np.int64) if self._of_ids is None else self._of_ids
        for words in texts:
            found[list({hashed(word, ids) for word in words[: self.options.length]})] += 1
        self._of_ids = found

    def _most(self, words: int) -> list[tuple[str, int]]:
        """Return the words that most texts hold, of equal ones the first in the alphabet."""
        return heapq.nsmallest(words, self._counts.items(), key=lambda item: (-item[1], item[0]))

    def learned(self, column: str) -> WordPreprocessing:
        """Return what was learned; `column` holds the texts.

        Raises
        ------
        ConfigError
            If no word is in as many texts as it must be.
        """
        words, frequencies = None, self._of_ids
        if frequencies is None:
            most = [each for each in self._most(self.options.vocabulary) if each[1] >= self.options.min_texts]
            if not most:
                raise ConfigError(
                    f"no {self.options.unit} is in dataset.min_texts={self.options.min_texts} training texts: "
                    "type dataset.min_texts=1"
                )
            words = tuple(word for word, _ in most)
            frequencies = np.array([0, 0, *(count for _, count in most)], np.int64)
        return WordPreprocessing(
            shape=(self.options.length,),
            column=column,
            unit=self.options.unit,
            lower=self.options.lower,
            words=words,
            frequencies=tuple(frequencies.tolist()),
            documents=self.documents,
        )

    def notes(self) -> list[str]:
        """Return what a reader must know of what is not read."""
        length, unit = self.options.length, self.options.unit
        told = []
        if self.cut:
            has, rest = ("has", "it is") if self.cut == 1 else ("have", "them is")
            told.append(
                f"{self.cut:,} of {self.documents:,} training texts {has} more than {length:,} {unit}s (the longest "
                f"{self.longest:,}), and the rest of {rest} not read: dataset.length reads more"
            )
        if self.longest <= length // 2:
            told.append(
                f"no training text has more than {self.longest:,} {unit}s: dataset.length={max(1, self.longest)} "
                f"takes less time than dataset.length={length}"
            )
        different = len(self._counts)
        if sum(count >= self.options.min_texts for count in self._counts.values()) > self.options.vocabulary:
            more = f"more than {different:,}" if self._forgotten else f"{different:,}"
            told.append(
                f"the training texts hold {more} different {unit}s; the {self.options.vocabulary:,} that most texts "
                "hold have an id of their own (dataset.vocabulary)"
            )
        return told
