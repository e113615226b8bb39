"""Weights of single rows, as of a survey or of importance: read, checked, and left out where they are 0. Pure NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.core.typed import number_in
from equipoise.data.labels import Spelled

KINDS = "a row weight is a finite number, not below 0"


def spelled_weights(found: Spelled, option: str, files: Sequence[tuple[str, int]], decimal: str = ".") -> Floats:
    """Return the numbers that a column's texts are, float64 (n,).

    Parameters
    ----------
    option : as typed, such as `dataset.weight=pnr`
    files : each file's name and how many rows it has, one after the other
    decimal : the decimal mark

    Raises
    ------
    ConfigError
        If one of them is no weight, or all are 0.
    """
    texts = [(text or "").strip() for text in found.texts]
    numbers = [number_in(text.replace(decimal, ".") if decimal != "." else text) for text in texts]
    values = np.array([np.nan if number is None else float(number) for number in numbers])[found.codes]
    return checked(values, option, files, lambda row: repr(texts[found.codes[row]]) if texts[found.codes[row]] else "")


def checked(values: Any, option: str, files: Sequence[tuple[str, int]], told: Any = None) -> Floats:
    """Return weights, float64 (n,).

    Parameters
    ----------
    option, files : as above
    told : from a row to its value as it stands in the file; None: the number

    Raises
    ------
    ConfigError
        As above.
    """
    if getattr(values, "dtype", np.dtype(object)).kind not in "fiub" or values.ndim != 1:
        raise ConfigError(f"{option}: '{files[0][0]}' has {values.dtype} of shape {values.shape} there: {KINDS}")
    found = np.asarray(values, np.float64)
    good = np.isfinite(found) & (found >= 0)
    if not good.all():
        row = int(np.argmin(good))
        held = told(row) if told is not None else f"{found[row]:g}"
        name, place = _in_file(row, files)
        hint = "; for a decimal comma, dataset.decimal=comma" if "," in held else ""
        raise ConfigError(f"{option}: row {place} of {name} has {held or 'no value'} there, and {KINDS}{hint}")
    if not found.any():
        raise ConfigError(f"{option}: every row of {files[0][0]} has the weight 0, so nothing would be learned")
    return found


def kept_rows(weights: Floats | None, rows: int) -> Integers:
    """Return the rows, int64, that are not left out: a row of weight 0 counts as none."""
    return np.arange(rows) if weights is None else np.flatnonzero(weights)


def left_out_note(weights: Floats | None) -> list[str]:
    """Tell of rows of weight 0."""
    count = 0 if weights is None else int((weights == 0).sum())
    told = "row has the weight 0, and is" if count == 1 else "rows have the weight 0, and are"
    return [f"dataset.weight: {count} {told} left out of every split"] if count else []


def _in_file(row: int, files: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """Return the file of a row, counted over all files, and its number there, from 1."""
    for name, size in files[:-1]:
        if row < size:
            return name, row + 1
        row -= size
    return files[-1][0], row + 1
