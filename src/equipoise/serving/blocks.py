"""Rows to be predicted, in blocks that are small enough for any number of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.serving.answers import Answers, Read

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, MOST_BYTES = 16_384, 64 << 20  # in a block at most, and of its features, or of its probabilities


@dataclass(frozen=True)
class Block:
    """Rows that follow each other.

    Attributes
    ----------
    places : their numbers, int64 (n,) from 0, or the paths of their files
    keys : (n,); None if no key is named
    """

    places: "pa.Array"
    keys: "pa.Array | None"
    read: Read


@dataclass(frozen=True)
class Input:
    """Rows to be predicted.

    Attributes
    ----------
    place : what tells a row: `row` or `path`
    rows : how many there are, nearly; None if only reading can tell
    """

    place: str
    rows: int | None
    blocks: Callable[[], Iterator[Block]]


def at_once(answers: Answers) -> int:
    """Return how many rows a block may have, by the size of what the model takes and gives."""
    return max(1, min(ROWS, MOST_BYTES // max(4 * math.prod(answers.shape), 8 * len(answers.classes))))
