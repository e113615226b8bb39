"""Fit the encoders of a table's columns on its training rows, and note what is odd about a column.

Odd are columns that name the rows, columns that are constant, and numbers that may stand for a missing value.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.core.typed import as_typed
from equipoise.data import cells, dates
from equipoise.data.labels import alike, shown
from equipoise.data.scaling import Fitting, Moments
from equipoise.data.tables.columns import (
    CategoricalColumn,
    Column,
    DateColumn,
    DatePart,
    IdColumn,
    NumericColumn,
    TablePreprocessing,
)
from equipoise.data.tables.files import Table, numbered
from equipoise.data.tables.readings import FEW, ColumnOptions, Reading

if TYPE_CHECKING:
    import pyarrow as pa

MOST_IDS = 1 << 24  # from here on float32 skips whole numbers
MOST_NAMED = 1 << 20  # rows in which names are looked for
# Usual marks of a missing number, and how many deviations of the other numbers one must lie outside their range.
SENTINELS = (-1, -9, *(sign * (10**digits - 1) for digits in range(2, 9) for sign in (-1, 1)))
FAR_OUT = 10
SAMPLE = 2000  # rows that estimate how often two are equal by chance
# Relative deviation that may be rounding to a narrow type: four of its last bits.
ROUNDING = {"float": 4 * float(np.finfo(np.float32).eps), "halffloat": 4 * float(np.finfo(np.float16).eps)}


@dataclass
class _Sentinels:
    """Find usual marks of a missing number that occur more than once, far outside the other numbers of their column."""

    _rest: Fitting = field(default_factory=Fitting)
    _counts: Integers | int = 0  # (sentinels, columns)

    def add(self, rows: Floats) -> None:
        """Add a block of training rows, (n, columns)."""
        extreme = np.isin(np.fmin.reduce(rows), SENTINELS) | np.isin(np.fmax.reduce(rows), SENTINELS)
        suspect, counts = rows[:, extreme], np.zeros((len(SENTINELS), rows.shape[1]), dtype=np.int64)
        counts[:, extreme] = [(suspect == sentinel).sum(axis=0) for sentinel in SENTINELS]
        self._counts = self._counts + counts
        rest = rows.copy()
        rest[:, extreme] = np.where(np.isin(suspect, SENTINELS), np.nan, suspect)
        self._rest.add(rest)

    def notes(self, read: Sequence[Reading], options: ColumnOptions) -> list[str]:
        """Return a note for each column that has some."""
        rest = self._rest.moments()
        told = []
        for index, reading in enumerate(read):
            low, high, deviation = rest.low[index], rest.high[index], rest.deviation[index]
            margin = max(FAR_OUT * deviation, high - low)  # the range, too: money is skewed
            found = [
                sentinel
                for sentinel, counts in zip(SENTINELS, np.asarray(self._counts), strict=True)
                if counts[index] > 1
                and not rest.constant[index]
                and (sentinel < low - margin or sentinel > high + margin)
            ]
            if found:
                names = [f"{sentinel}" for sentinel in found]
                told.append(
                    f"column '{reading.name}' holds {listing(names)} again and again, "
                    f"far outside the rest ({low:.6g} to {high:.6g}): "
                    f"if that means a missing value, {options.more('missing', *names)}"
                )
        return told


@dataclass
class _Dates:
    """Learn the scale of a column of dates."""

    reading: Reading
    _fitting: Fitting = field(default_factory=Fitting)
    _rows: int = 0
    _lacking: int = 0

    def add(self, column: "pa.Array", chosen: Booleans) -> None:
        """Add the chosen rows of a block."""
        reading = self.reading
        found = dates.moments(column, reading.missing, day_first=reading.day_first, zone=reading.zone)
        rows = dates.parts_of(found)[chosen]
        if len(rows):
            self._rows += len(rows)
            self._lacking += int(np.isnan(rows[:, -1]).sum())
            self._fitting.add(rows)

    def column(self) -> tuple[list[Column], list[str]]:
        """Return the encoder, if there is anything to learn from, and notes."""
        name = self.reading.name
        if self._rows == self._lacking:
            return [], []
        found, elapsed = self._fitting.moments(), dates.PARTS.index("elapsed")
        mean = found.mean.copy()
        mean[elapsed] -= found.low[elapsed]
        parts = tuple(
            DatePart(name=part, mean=float(mean[place]), deviation=float(found.deviation[place]))
            for place, part in enumerate(dates.PARTS)
            if not found.constant[place]
        )
        if not parts:
            return [], [f"column '{name}' is constant in the training rows, so that it is left out"]
        return [
            DateColumn(
                name=name,
                type=self.reading.type,
                missing=self.reading.missing,
                day_first=self.reading.day_first,
                zone=self.reading.zone,
                earliest=float(found.low[elapsed]),
                latest=float(found.high[elapsed]),
                deviation=float(found.deviation[elapsed]),
                parts=parts,
                indicator=self._lacking > 0,
            )
        ], []


@dataclass(frozen=True)
class _OfText:
    """What columns of categories hold in the training rows.

    Attributes
    ----------
    counts : of each category, by column
    incomplete : the columns that miss a value in a row
    """

    options: ColumnOptions
    counts: dict[str, Counter[str]]
    incomplete: set[str] = field(default_factory=set)

    def add(self, reading: Reading, column: "pa.Array", chosen: Booleans) -> "pa.StringArray":
        """Count the chosen rows of a block; return its categories."""
        text, found = cells.categories(column, reading.missing), self.counts[reading.name]
        _count(found, text, chosen)
        if (text.is_null().to_numpy(zero_copy_only=False) & chosen).any():
            self.incomplete.add(reading.name)
        if len(found) > MOST_NAMED:  # text of any length, of which memory should hold no more
            _check_number_of(found, reading, self.options)
        return text

    def column(self, reading: Reading) -> tuple[Column, list[str]]:
        """Return the encoder of a column, and notes."""
        name, found = reading.name, self.counts[reading.name]
        shared: dict[str, Any] = {"name": name, "type": reading.type, "missing": reading.missing}
        _check_number_of(found, reading, self.options)
        if len(found) <= self.options.max_categories:
            return CategoricalColumn(**shared, categories=tuple(sorted(found))), []
        often, once = (tuple(sorted(each for each in found if (found[each] == 1) is rare)) for rare in (False, True))
        told = f", of which {len(once)} occur once and count as unseen" if once else ""
        incomplete = name in self.incomplete
        return IdColumn(**shared, categories=often, rare=once, incomplete=incomplete), [
            f"column '{name}' has {len(found)} categories in the training rows{told}: each is a number, of which "
            "model=mlp and linear make vectors"
        ]


@dataclass
class _RowNames:
    """Find out whether a column may name the rows: whole numbers that rise, or numbers or texts that all differ."""

    rises: bool
    differ: bool = True
    _last: float = -np.inf
    _rows: int = 0
    _seen: "list[pa.Array]" = field(default_factory=list)

    def add(self, values: "pa.Array") -> None:
        """Add the numbers or texts of a block."""
        import pyarrow as pa

        if self.rises or (self.differ and pa.types.is_floating(values.type)):
            numbers = values.to_numpy(zero_copy_only=False)
            self.differ = self.differ and bool((numbers % 1 == 0).all())  # never of NaN
            self.rises = self.rises and self.differ and bool((np.diff(numbers, prepend=self._last) > 0).all())
            self._last = numbers.max(initial=self._last)
        if self.differ and self._rows < MOST_NAMED:
            self._rows += len(values)
            self._seen.append(values)
            self.differ = values.null_count == 0 and len(pa.chunked_array(self._seen).unique()) == self._rows

    def note(self, name: str, options: ColumnOptions) -> list[str]:
        """Return a note if the column may name the rows."""
        cure = f"leave it out with {options.more('drop', name)}"
        if self.rises:
            return [f"column '{name}' rises from row to row: if it numbers the rows, {cure}"]
        return [f"column '{name}' has another value in every row: if it names the rows, {cure}"] if self.differ else []


def fit(
    tables: Sequence[Table], read: Sequence[Reading], in_train: Booleans, options: ColumnOptions
) -> tuple[TablePreprocessing, list[str]]:
    """Fit the encoder of each column on the training rows; the notes tell what is odd.

    Raises
    ------
    ConfigError
        If a number is infinite or too large, or a column has too many categories.
    """
    numeric = [reading for reading in read if reading.numeric]
    sentinels = _Sentinels()
    fitting, lacking = Fitting(), np.zeros(len(numeric), dtype=bool)
    of_text = _OfText(options, {reading.name: Counter() for reading in read if reading.kind == "category"})
    of_dates = {reading.name: _Dates(reading) for reading in read if reading.kind == "date"}
    names = {reading.name: _RowNames(rises=reading.numeric) for reading in read if reading.kind != "date"}
    for start, batch in numbered(tables, [reading.name for reading in read]):
        chosen = in_train[start : start + batch.num_rows]
        chosen = np.pad(chosen, (0, batch.num_rows - len(chosen)))
        block = np.empty((batch.num_rows, len(numeric)))
        for index, reading in enumerate(numeric):
            block[:, index] = _finite(batch.column(reading.name), reading)
            names[reading.name].add(_as_arrow(block[:, index]))
        if numeric and chosen.any():
            fitting.add(block[chosen])
            sentinels.add(block[chosen])
            lacking |= np.isnan(block[chosen]).any(axis=0)
        for reading in (reading for reading in read if reading.kind == "category"):
            names[reading.name].add(of_text.add(reading, batch.column(reading.name), chosen))
        for name, learning in of_dates.items():
            learning.add(batch.column(name), chosen)
    columns, notes = _columns(read, fitting.moments() if numeric else None, lacking, of_text, of_dates)
    notes += sentinels.notes(numeric, options) if numeric else []
    for name, found in of_text.counts.items():
        notes += _of_categories(name, sorted(found), complete=name not in of_text.incomplete)
    for reading in (reading for reading in read if reading.name in names):
        notes += names[reading.name].note(reading.name, options) or _of_many(
            reading, of_text.counts, int(in_train.sum()), options
        )
    return TablePreprocessing(columns=tuple(columns)), notes


def _of_categories(name: str, found: Sequence[str], *, complete: bool) -> list[str]:
    """Tell of categories that are constant, or that may be one category."""
    if len(found) == 1 and complete:
        return [f"column '{name}' is constant in the training rows ({found[0]}), so that nothing is learned of it"]
    near = [" and ".join(map(shown, group)) for group in alike(found)]
    if not near:
        return []
    cure = "where they mean one thing, write them alike"
    return [f"column '{name}': {listing(near, 3)} are different categories, and nearly the same text: {cure}"]


def _of_many(reading: Reading, categories: Mapping[str, Counter[str]], rows: int, options: ColumnOptions) -> list[str]:
    """Tell of text that hardly repeats: it may be numbers that cannot be read, or times."""
    found = categories.get(reading.name, Counter[str]())
    if len(found) <= max(FEW, rows / 2) or reading.notes or reading.name in options.categorical:
        return []
    return [
        f"column '{reading.name}' is text of {len(found)} different values in {rows} training rows "
        f"({listing(sorted(found), 3)}): if they are numbers or times, write them as plain numbers; "
        f"else leave the column out with {options.more('drop', reading.name)}"
    ]


def _columns(
    read: Sequence[Reading],
    moments: Moments | None,
    lacking: Booleans,
    of_text: _OfText,
    of_dates: Mapping[str, _Dates],
) -> tuple[list[Column], list[str]]:
    columns: list[Column] = []
    notes: list[str] = []
    index = 0  # among the numeric ones
    for reading in read:
        name = reading.name
        notes += reading.notes
        if reading.kind == "date":
            of_date, more = of_dates[name].column()
            columns, notes = [*columns, *of_date], [*notes, *more]
            if more:
                continue
        elif moments is not None and reading.numeric:
            if not np.isnan(moments.mean[index]):
                column = _standardised(reading, moments, index, bool(lacking[index]))
                columns.append(column)
                if column.constant:
                    notes.append(
                        f"column '{name}' is constant in the training rows ({column.mean:.12g}), "
                        "so that nothing is learned of it"
                    )
            index += 1
        elif of_text.counts[name]:
            found, more = of_text.column(reading)
            columns, notes = [*columns, found], [*notes, *more]
        if not columns or columns[-1].name != name:
            notes.append(f"column '{name}' has no value in the training rows: it is left out")
    return sorted(columns, key=lambda column: isinstance(column, IdColumn)), notes


def _finite(column: "pa.Array", reading: Reading) -> Floats:
    numbers, _ = cells.numbers(column, reading.decimal, reading.unit, reading.missing, reading.type)
    if np.isinf(numbers).any():
        cure = as_typed("dataset.missing", [*reading.missing, "inf", "-inf"])
        raise ConfigError(
            f"column '{reading.name}' holds an infinite number: replace or remove it, or read it as missing with {cure}"
        )
    return numbers


def _as_arrow(numbers: Floats) -> "pa.Array":
    import pyarrow as pa

    return pa.array(numbers)


def _count(found: Counter[str], values: "pa.StringArray", chosen: Booleans) -> None:
    """Count the values of the chosen rows."""
    import pyarrow as pa

    counts = values.filter(pa.array(chosen)).drop_null().value_counts()
    for value, count in zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True):
        found[value] += count


def _check_number_of(found: Counter[str], reading: Reading, options: ColumnOptions) -> None:
    """Refuse text of many values that mostly occur once, of which nothing can be learned, and more than are exact."""
    if len(found) <= options.max_categories:
        return
    once = sum(count == 1 for count in found.values())
    why = "most of which occur once" if once > found.total() / 2 else "more than float32 can tell apart"
    if once > found.total() / 2 or len(found) >= MOST_IDS:
        told = f" ({reading.notes[0]})" if reading.notes else ""
        raise ConfigError(
            f"column '{reading.name}' is text with more than {options.max_categories} different values, {why}{told}: "
            f"leave it out with {options.more('drop', reading.name)}, or raise dataset.max_categories"
        )


def _standardised(reading: Reading, moments: Moments, index: int, indicator: bool) -> NumericColumn:
    mean, deviation, low, high = (
        float(values[index]) for values in (moments.mean, moments.deviation, moments.low, moments.high)
    )
    if not np.isfinite([mean, deviation]).all():
        raise ConfigError(
            f"column '{reading.name}' holds numbers that are too large to be standardised: scale them first"
        )
    constant = bool(moments.constant[index]) or deviation <= ROUNDING.get(reading.type, 0) * abs(mean)
    return NumericColumn(
        name=reading.name,
        type=reading.type,
        decimal=reading.decimal,
        unit=reading.unit,
        missing=reading.missing,
        mean=mean,
        deviation=1.0 if constant else deviation,
        low=low,
        high=high,
        constant=constant,
        indicator=indicator,
        lenient=reading.lenient,
    )


def equal_by_chance(learned: TablePreprocessing, features: Floats) -> float:
    """Return how many training rows are expected to equal a given one if columns are independent of each other.

    The probability that two rows are equal in a column is estimated from the pairs of a sample of m rows:
    sum over its values v of n_v (n_v - 1) / (m (m - 1)) (Simpson 1949).

    Parameters
    ----------
    features : of the training rows, float32 (rows, features)
    """
    sample = np.asarray(features[:: max(1, len(features) // SAMPLE)])
    pairs, start = 1.0, 0
    for column in learned.columns:
        _, counts = np.unique(sample[:, start : start + column.width], axis=0, return_counts=True)
        same: Integers = counts * (counts - 1)
        pairs *= same.sum() / max(1, len(sample) * (len(sample) - 1))
        start += column.width
    return float(pairs * len(features))
