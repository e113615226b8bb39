"""Labels as a script has them: a list, an array or a column of text or numbers, or one-hot rows."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Integers
from equipoise.core.typed import number_in
from equipoise.data.labels import Spelled, as_text, in_order, of_known, spelled, understood


def class_names(labels: Any, given: Sequence[Any] | None, where: str) -> tuple[str, ...]:
    """Return the given classes as text, or else those that occur, by value if all are numbers and if not by alphabet.

    Parameters
    ----------
    where : what messages call the labels

    Raises
    ------
    ConfigError
        If a class is given twice; or a label is missing, there is one class only, or the labels are a quantity.
    """
    if given is not None:
        names = tuple(str(as_text(name)) for name in np.asarray(given, dtype=object).tolist())
        if len(set(names)) < len(names):
            raise ConfigError(f"classes={listing(names)}: a class is named twice")
        return names
    found = _as_array(labels)
    if _is_rows(found):
        return tuple(map(str, range(found.shape[1])))
    read = understood(_spelled(found, where), where, missing=())
    for note in read.notes:
        warnings.warn(note, stacklevel=4)
    return read.classes


def indices_of(labels: Any, classes: Sequence[str], where: str) -> Integers:
    """Return class indices, int64 (n,).

    Whole numbers are the indices themselves, unless the classes are numbers; one-hot rows have their class at the 1.

    Raises
    ------
    ConfigError
        If a label is missing or is none of the classes.
    """
    found = _as_array(labels)
    if _is_rows(found):
        return _of_rows(found, classes, where)
    are_indices = found.dtype.kind in "iu" and not all(number_in(name) is not None for name in classes)
    return of_known(_spelled(found, where), _numbered(classes) if are_indices else classes, where, missing=())


def counted(labels: Any, given: Sequence[Any] | None) -> tuple[tuple[str, ...], Integers]:
    """Return the classes and their counts, int64 (classes,).

    Parameters
    ----------
    labels : one a sample; or a mapping from class to number of samples
    given : the classes, if they are known

    Raises
    ------
    ConfigError
        As `class_names` and `indices_of`, and if a count is no whole number.
    """
    if not isinstance(labels, Mapping):
        names = class_names(labels, given, "y")
        return names, np.bincount(indices_of(labels, names, "y"), minlength=len(names))
    by_name = {str(as_text(name)): count for name, count in labels.items()}
    if len(by_name) < len(labels):
        raise ConfigError(f"y counts a class twice: {listing([*map(str, labels)])}")
    names = in_order(by_name) if given is None else class_names(labels, given, "y")
    unknown = [name for name in by_name if name not in names]
    if unknown:
        raise ConfigError(
            f"y counts samples of {unknown[0]}, which is none of the classes{suggestion(unknown[0], names)}"
        )
    counts = np.array([by_name.get(name, 0) for name in names])
    if counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ConfigError("y maps each class to its samples: the numbers must be whole, and not below 0")
    return names, counts.astype(np.int64)


def _as_array(labels: Any) -> Any:
    found = np.asarray(labels)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2):
        raise ConfigError(f"labels of shape {found.shape}: give one label a sample, (n,), or one-hot rows (n, classes)")
    return found


def _is_rows(labels: Any) -> bool:
    return bool(labels.ndim == 2)


def _of_rows(rows: Any, classes: Sequence[str], where: str) -> Integers:
    if rows.shape[1] != len(classes):
        raise ConfigError(f"{where} has rows of {rows.shape[1]} numbers for {len(classes)} classes")
    if not (((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all()):
        raise ConfigError(f"{where} has rows that are not one-hot: each sample has exactly one class here")
    indices: Integers = rows.argmax(axis=1).astype(np.int64)
    return indices


def _spelled(labels: Any, where: str) -> Spelled:
    """Return the distinct texts; a column of Python objects is read by the text of each."""
    if labels.dtype.kind != "O":
        return spelled(labels, where)
    codes: dict[str | None, int] = {}
    numbers = [codes.setdefault(as_text(label), len(codes)) for label in labels]
    return Spelled(tuple(codes), np.array(numbers, np.int64))


def _numbered(classes: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(str, range(len(classes))))
