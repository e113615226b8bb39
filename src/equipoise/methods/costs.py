"""What each confusion costs: from the top-level `cost`, typed or from a CSV, to a matrix. Pure NumPy.

Knows nothing of losses and decisions, which both use it.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BeforeValidator, Field

from equipoise.core.errors import ConfigError
from equipoise.core.paths import is_file, is_folder
from equipoise.core.schema import Floats, known_class, names_as_text
from equipoise.core.typed import mapping_in


def read_costs(typed: object) -> object:
    """Return a CSV's table as the mapping that one could have typed; anything else with its class names as text.

    The CSV's first row names the predicted classes, its first column the true ones. It is read at once, so that the
    run logs the costs themselves and not their file.
    """
    typed = mapping_in(typed) or typed if isinstance(typed, str) else typed
    if isinstance(typed, Mapping):
        if not any(typed.values()):
            raise ValueError("names no confusion; type {cat: {dog: 5}}, or null for no costs")
        return {true: names_as_text(row) for true, row in names_as_text(typed).items()}
    if not isinstance(typed, str):
        return typed
    if not is_file(Path(typed)):
        what = "this is a folder, and no file" if is_folder(Path(typed)) else "there is no such file"
        raise ValueError(f"{what}; give a CSV with a row for each true class, or type {{cat: {{dog: 5}}}}")
    try:
        with open(typed, newline="", encoding="utf-8-sig") as file:
            (_, *predicted), *rows = [row for row in csv.reader(file) if row] or [[""]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"the file cannot be read as CSV: {error}") from None
    table: dict[str, dict[str, float]] = {}
    for true, *cells in rows:
        if len(cells) != len(predicted) or true in table:
            raise ValueError(f"the row of '{true}' must hold one number for each of {len(predicted)} classes, once")
        table[true] = {name: _number(cell, true) for name, cell in zip(predicted, cells, strict=True)}
    if not table:
        raise ValueError("the file has no row of costs below its first")
    return table


Costs: TypeAlias = Annotated[
    dict[str, dict[str, Annotated[float, Field(ge=0, le=1e9)]]] | None, BeforeValidator(read_costs)
]


def cost_matrix(typed: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> Floats:
    """Return M[true, predicted], float64 (classes, classes): as typed, else 1 off the diagonal and 0 on it.

    Raises
    ------
    ConfigError
        If a name is no class, a right prediction costs something, or nothing costs anything.
    """
    index = {name: position for position, name in enumerate(classes)}
    matrix = 1 - np.eye(len(classes))
    for true, row in typed.items():
        for predicted, value in row.items():
            cell = tuple(index[known_class(name, classes, "cost")] for name in (true, predicted))
            matrix[cell] = value
    if np.diag(matrix).any():
        wrong = classes[int(np.flatnonzero(np.diag(matrix))[0])]
        raise ConfigError(f"cost.{wrong}.{wrong} is not 0: a right prediction costs nothing; costs are relative to it")
    if not matrix.any():
        raise ConfigError("cost: every confusion costs 0, so nothing would be learned from it")
    return matrix


def costs_as_matrix(costs: Any) -> Floats:
    """Return a matrix (true class, predicted class) that was given as an array, float64 (classes, classes).

    Raises
    ------
    ConfigError
        If it is not square, a number is below 0, a right prediction costs something, or nothing costs anything.
    """
    matrix: Floats = np.asarray(costs, np.float64)
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ConfigError("costs: give a square matrix (true class, predicted class) of numbers that are not below 0")
    if np.diag(matrix).any() or not matrix.any():
        raise ConfigError("costs: a right prediction costs nothing, and some wrong one must cost something")
    return matrix


def _number(cell: str, row: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"'{cell}' in the row of '{row}' is no number") from None
