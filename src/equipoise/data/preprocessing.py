"""The file of what `prepare` learned of raw rows: written once, and read wherever raw rows are met again."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from equipoise.core.errors import ConfigError
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.images.dataset import ImagePreprocessing
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.texts import TextPreprocessing
from equipoise.data.types import ArrayPreprocessing, Preprocessing
from equipoise.data.words import WordPreprocessing

PREPROCESSING = "preprocessing.json"
KINDS: Mapping[str, type[Preprocessing]] = {
    "array": ArrayPreprocessing,
    "image": ImagePreprocessing,
    "series": SeriesPreprocessing,
    "table": TablePreprocessing,
    "text": TextPreprocessing,
    "words": WordPreprocessing,
}


class _Kind(Preprocessing, extra="ignore"):
    """The part of a record that tells its kind."""


def write(learned: Preprocessing, folder: Path) -> None:
    """Write the record into the folder."""
    (folder / PREPROCESSING).write_text(learned.model_dump_json(indent=1), encoding="utf-8")


def read(folder: Path) -> Preprocessing:
    """Read the record from the folder.

    Raises
    ------
    ConfigError
        If there is none, it is damaged, or it is another version's.
    """
    try:
        content = (folder / PREPROCESSING).read_bytes()
        return KINDS[_Kind.model_validate_json(content).kind].model_validate_json(content)
    except (OSError, KeyError, ValidationError):
        raise ConfigError(
            f"{folder / PREPROCESSING} is missing, damaged or of another version: "
            "delete the folder, and it is made again"
        ) from None
