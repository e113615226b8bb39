"""Texts as they are, one a sample, for a model that makes numbers of them itself: UTF-8 bytes, as TensorFlow has them.

NumPy keeps them side by side, each in as many bytes as the longest takes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Integers
from equipoise.data.types import Loaded, Preprocessing

Texts = np.ndarray[Any, np.dtype[np.bytes_]]

SHAPE = ()  # of one sample
MOST_BYTES = 2**31  # of all texts, each as long as the longest


class TextPreprocessing(Preprocessing):
    """Nothing was learned of the texts: what the model learned of them, such as its vocabulary, it has itself.

    `column` is the column of a table that holds them.
    """

    kind: Literal["text"] = "text"
    shape: tuple[()] = SHAPE
    column: str = "text"

    def apply(self, rows: Any) -> Any:
        """Encode texts of shape (n,), or a list of them, as bytes (n,).

        Raises
        ------
        ConfigError
            If one is no text.
        """
        return encoded(np.asarray(rows, dtype=object).ravel(), "the texts")


def are_texts(features: Any) -> bool:
    """Return whether the features are texts, in any of the forms that NumPy has for them.

    Of objects the first decides; `encoded` refuses those that are no text.
    """
    dtype = getattr(features, "dtype", None)
    if dtype is None or dtype.kind not in "USTO":
        return False
    return dtype.kind != "O" or isinstance(next(iter(features.ravel()), None), str | bytes)


def encoded(values: Any, who: str) -> Texts:
    """Return texts (n,), str or UTF-8 bytes, as bytes (n,).

    Raises
    ------
    ConfigError
        If one is no text, or no UTF-8, or holds the character 0, which is where NumPy ends a text; or if they take too
        much memory.
    """
    found = [_encoded(text, place, who) for place, text in enumerate(values)]
    longest = max(map(len, found), default=1)
    if longest * len(found) > MOST_BYTES:
        raise ConfigError(
            f"{who}: its longest text has {longest:,} bytes, and {len(found):,} texts of this length take more than "
            f"{MOST_BYTES:,}: cut the longest ones"
        )
    return np.array(found, dtype=f"S{max(1, longest)}")


def decoded(texts: Any) -> Any:
    """Return bytes (n,) as an array of str."""
    return np.array([text.decode() for text in texts.tolist()], dtype=object)


def written(texts: Texts, rows: Mapping[str, Integers], folder: Path) -> Loaded:
    """Write the texts of each split into the folder."""
    for split, members in rows.items():
        np.save(folder / f"{split}_features.npy", texts[members], allow_pickle=False)
    features = {split: np.load(folder / f"{split}_features.npy", mmap_mode="r", allow_pickle=False) for split in rows}
    return Loaded(features, SHAPE, preprocessing=TextPreprocessing())


def _encoded(text: Any, place: int, who: str) -> bytes:
    if not isinstance(text, str | bytes):
        raise ConfigError(f"{who}: sample {place} is of type {type(text).__name__}; a text is a str")
    try:
        found = text.encode() if isinstance(text, str) else bytes(text)
        found.decode()
    except UnicodeError:
        raise ConfigError(f"{who}: sample {place} is no text in UTF-8") from None
    if b"\0" in found:
        raise ConfigError(f"{who}: sample {place} holds the character 0: remove it")
    return found
