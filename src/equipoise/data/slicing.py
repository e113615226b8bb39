"""Columns that divide the test samples into slices; they need not be features."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equipoise.core.errors import ConfigError, listing, printable
from equipoise.core.schema import Floats, Integers
from equipoise.data import cells
from equipoise.data.catalogue import DATASETS, SHIPPED
from equipoise.data.labels import Spelled, in_order
from equipoise.data.types import Dataset

MISSING = "(missing)"  # the slice of the samples that have no value
MOST = 50  # slices of a column
FEW = 10  # of more different numbers, ranges are the slices
SHARES = (0.25, 0.5, 0.75)  # of the test samples that lie below the ends of a range


@dataclass(frozen=True)
class SlicedColumn:
    """A column's slices.

    Attributes
    ----------
    names : of the slices
    codes : int64 (n,), the place of each test sample's slice in `names`
    note : what a reader must know of them; "" if nothing
    """

    names: tuple[str, ...]
    codes: Integers
    note: str = ""


def sliced(
    dataset: Dataset, columns: Sequence[str], rows: Integers | None, other: str | None
) -> dict[str, SlicedColumn]:
    """Return the slices of each column.

    Parameters
    ----------
    rows : int64 (n,), the numbers of the test samples in their file
    other : the option that names another file than the dataset's own, if that is judged, as a whole

    Raises
    ------
    ConfigError
        If the data have no such column, or it has too many values.
    """
    read = DATASETS[dataset.name].columns
    if read is None or rows is None:
        able = [name for name, kind in SHIPPED.items() if kind.columns is not None]
        raise ConfigError(
            f"slices={listing(columns)}: dataset={dataset.name} has no columns; slices are for dataset={listing(able)} "
            "(in an npz, an array with one value for each sample is a column). Elsewhere, evaluate the samples of each "
            "slice by themselves: dataset.path=FOLDER_OF_ONE_SLICE"
        )
    found = read(dataset, columns, other)
    categorical = getattr(dataset, "categorical", ())
    return {name: _of_column(name, found[name], rows, as_categories=name in categorical) for name in columns}


def _of_column(name: str, found: Spelled, rows: Integers, *, as_categories: bool) -> SlicedColumn:
    if rows.max() >= len(found.codes):
        raise ConfigError(f"slices={name}: its file has {len(found.codes)} rows, and had more when it was prepared")
    used, codes = np.unique(found.codes[rows], return_inverse=True)
    texts = [(found.texts[place] or "").strip() or None for place in used]
    different = {text for text in texts if text is not None}
    if len(different) > FEW and not as_categories:
        numbers = _numbers(texts)
        if numbers is not None:
            return _in_ranges(name, numbers[codes])
    if len(different) > MOST:
        raise ConfigError(
            f"slices={name}: the column has {len(different):,} values among the test rows; possible are {MOST}: "
            "put them into groups, in a column of its own (the file may have columns that no model learns from: "
            f"dataset.drop)"
        )
    names = (*map(printable, in_order(different)), *([MISSING] if None in texts else []))
    place = {text: names.index(MISSING if text is None else printable(text)) for text in texts}
    return SlicedColumn(names, np.array([place[text] for text in texts], np.int64)[codes])


def _numbers(texts: Sequence[str | None]) -> Floats | None:
    """Return the numbers that all texts are, float64 (texts,), NaN where one is missing; None if some are none."""
    import pyarrow as pa

    for mark in cells.NUMBER:
        numbers, unreadable = cells.numbers(pa.array(texts, pa.string()), mark)
        if not unreadable.any():
            return numbers
    return None


def _in_ranges(name: str, numbers: Floats) -> SlicedColumn:
    """Divide numbers, float64 (n,), at the quartiles of those that are there, as far as they differ."""
    there = ~np.isnan(numbers)
    quartiles = np.quantile(numbers[there], SHARES, method="higher")
    least, most = numbers[there].min(), numbers[there].max()
    ends = sorted({end for end in map(_rounded, quartiles) if least < end <= most})
    told = [f"{end:.12g}" for end in ends]
    names = [f"{low} to below {high}" for low, high in itertools.pairwise(told)]
    names = [f"below {told[0]}", *names, f"{told[-1]} and more"] if told else ["any number"]
    codes = np.where(there, np.searchsorted(ends, numbers, side="right"), len(names)).astype(np.int64)
    if not there.all():
        names.append(MISSING)
    return SlicedColumn(tuple(names), codes, f"{name}: its numbers are divided at the quartiles of the test rows.")


def _rounded(number: float) -> float:
    """Return a number of six digits, or a whole number as it is."""
    return float(number) if float(number).is_integer() else float(f"{number:.6g}")
