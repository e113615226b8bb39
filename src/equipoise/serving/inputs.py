"""The file or folder with rows to be predicted: what a model learned from says what it takes."""

from collections.abc import Mapping

from equipoise.core.errors import ConfigError
from equipoise.data.images.folders import SUFFIXES
from equipoise.data.paths import existing_file, existing_folder, is_folder, is_pattern
from equipoise.serving.answers import Answers
from equipoise.serving.array_rows import of_arrays, of_ts
from equipoise.serving.blocks import Input
from equipoise.serving.file_rows import OF_TEXTS, TEXT_NAMES, of_folder, of_lines
from equipoise.serving.request import Request
from equipoise.serving.served_form import IMAGE
from equipoise.serving.table_rows import of_table

TEXTS = "texts: a CSV or Parquet file with their column, a folder of .txt files, or a .txt file with a text a line"
TAKES: Mapping[str, str] = {
    "table": "rows of a table, in a CSV, JSON Lines, Parquet or Arrow file, or several of them",
    "image": f"images: a folder, or a CSV or Parquet file with a column '{IMAGE}' of their paths",
    "text": TEXTS,
    "words": TEXTS,
    "array": "arrays: an npz or npy file, or a table with a number a column",
    "series": "series: a .ts file, or an npz or npy file of padded ones with their mask",
}


def open_input(request: Request, answers: Answers) -> Input:
    """Open the file or folder that is to be read.

    Raises
    ------
    ConfigError
        If it is not there, or not what the model takes.
    """
    kind, path = answers.learned.kind, request.source
    if is_pattern(path) or (is_folder(path) and kind == "table"):
        return of_table(answers, request)
    if is_folder(path) and kind in ("array", "series"):
        return of_arrays(answers, request)
    if is_folder(path):
        if kind not in ("image", *OF_TEXTS):
            raise _wrong(path, "is a folder", kind)
        if request.key is not None:
            raise ConfigError(f"key={request.key}: a folder has no columns; the output has each file's path")
        return of_folder(existing_folder(path, "input"), answers, request.encoding)
    file = existing_file(path, "input")
    suffix = file.suffix.lower()
    if suffix in (".npz", ".npy") and kind in ("array", "series"):
        return of_arrays(answers, request)
    if suffix == ".ts" and kind == "series":
        return of_ts(file, answers, request)
    if suffix in TEXT_NAMES and kind in OF_TEXTS:
        return of_lines(file, answers, request)
    if kind == "series" or suffix in (".npz", ".npy", ".ts") or suffix in SUFFIXES:
        raise _wrong(path, "is of another kind", kind)
    return of_table(answers, request)


def _wrong(path: str, what: str, kind: str) -> ConfigError:
    return ConfigError(f"input={path} {what}; the model takes {TAKES[kind]}")
