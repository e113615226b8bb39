"""Encoders of a table's columns, learned from its training rows.

The record is written once, when a table is prepared, and read wherever rows are encoded later: rows of a file, of a
data frame or of Python values become the same bits.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.schema import Booleans, Floats, Names, Section
from equipoise.data import cells, dates
from equipoise.data.scaling import FAR, ROUNDING
from equipoise.data.tables.pandas_types import PandasType
from equipoise.data.types import Categories, Preprocessing

if TYPE_CHECKING:
    import pyarrow as pa


Why = Literal["unreadable", "no number", "no date", "infinite", "large", "far", "unseen", "missing"]
TOLD: dict[Why, str] = {
    "unreadable": "no number, read as missing",
    "no number": "no number, read as missing",
    "no date": "no date, read as missing",
    "infinite": "infinite, read as missing",
    "large": "too large for float32, read as missing",
    "far": "far outside the training rows",
    "unseen": "not seen in training",
    "missing": "missing",
}


@dataclass(frozen=True)
class Doubt:
    """Rows whose cell in a column has no like among the training rows."""

    column: str
    rows: Booleans  # (rows,)
    why: Why

    def refusal(self, value: str) -> ConfigError:
        """Return the error of a cell that cannot be encoded as the training rows were."""
        if self.why == "unreadable":
            return ConfigError(f"column '{self.column}' is numeric in training but not here: {value}")
        if self.why == "infinite":
            return ConfigError(f"column '{self.column}' holds an infinite number: replace or remove it")
        return ConfigError(f"column '{self.column}' holds numbers that are too large for float32: scale them first")


class NumericColumn(Section):
    """A feature that is standardised.

    Attributes
    ----------
    type : the Arrow type in the training file, to which numbers are rounded; `string` for a CSV
    decimal, unit : the decimal mark of text, and what may stand before or behind a number
    missing : markers of a missing value beside the usual ones
    mean, deviation : of the training rows
    low, high : range of the training rows
    constant : whether the training rows have one value, up to rounding; then the feature is 0
    indicator : whether a second feature tells that a value is missing
    lenient : whether text that is no number is missing in training, too; else it is an error there
    """

    kind: Literal["number"] = "number"
    name: str
    type: str
    decimal: cells.Decimal
    unit: str
    missing: Names
    mean: float
    deviation: Annotated[float, Field(gt=0)]
    low: float
    high: float
    constant: bool
    indicator: bool
    lenient: bool = False

    @property
    def width(self) -> int:
        """Features."""
        return 1 + self.indicator

    def encode(self, values: "pa.Array") -> tuple[Floats, list[Doubt]]:
        """Return float32 (rows, width) and the doubts about rows; what cannot be read is missing."""
        numbers, unreadable = cells.numbers(values, self.decimal, self.unit, self.missing, self.type)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((numbers - self.mean) / self.deviation).astype(np.float32)
        infinite, large = np.isinf(numbers), np.isinf(scaled) & ~np.isinf(numbers)
        absent = np.isnan(numbers) | infinite | large
        scaled = np.zeros_like(scaled) if self.constant else np.where(absent, np.float32(0), scaled)
        features = np.stack([scaled, absent.astype(np.float32)], axis=1) if self.indicator else scaled[:, np.newaxis]
        doubts = [
            Doubt(self.name, unreadable, "no number" if self.lenient else "unreadable"),
            Doubt(self.name, infinite, "infinite"),
            Doubt(self.name, large, "large"),
            Doubt(self.name, np.isnan(numbers) & ~unreadable, "missing"),
            Doubt(self.name, self._far(numbers) & ~infinite & ~large, "far"),
        ]
        return features, doubts

    def _far(self, numbers: Floats) -> Booleans:
        """Return which numbers lie outside the training range by more than `FAR` deviations, (rows,)."""
        margin = FAR * (ROUNDING * abs(self.mean) if self.constant else self.deviation)
        far: Booleans = (numbers < self.low - margin) | (numbers > self.high + margin)
        return far


class DatePart(Section):
    """A part of dates that is standardised; `mean` and `deviation` are those of the training rows."""

    name: dates.Part
    mean: float
    deviation: Annotated[float, Field(gt=0)]


class DateColumn(Section):
    """Parts of dates, each of which is standardised: those that differ between training rows.

    Attributes
    ----------
    type : the Arrow type in the training file
    missing : markers of a missing value beside the usual ones
    day_first, zone : see `dates.moments`
    earliest, latest : of the training rows, in days since 1970; `elapsed` are days since the earliest
    deviation : of the training rows, in days
    indicator : whether a last feature tells that a date is missing
    """

    kind: Literal["date"] = "date"
    name: str
    type: str
    missing: Names
    day_first: bool
    zone: str | None
    earliest: float
    latest: float
    deviation: Annotated[float, Field(gt=0)]
    parts: Annotated[tuple[DatePart, ...], Field(strict=False)]
    indicator: bool

    @property
    def width(self) -> int:
        """Features."""
        return len(self.parts) + self.indicator

    def encode(self, values: "pa.Array") -> tuple[Floats, list[Doubt]]:
        """Return float32 (rows, width) and the doubts about rows; what is no date is missing."""
        found = dates.moments(values, self.missing, day_first=self.day_first, zone=self.zone)
        rows = dates.parts_of(found)
        days = rows[:, dates.PARTS.index("elapsed")].copy()
        rows[:, dates.PARTS.index("elapsed")] -= self.earliest
        absent = np.isnan(days)
        mean, deviation = (np.array([getattr(part, key) for part in self.parts]) for key in ("mean", "deviation"))
        chosen = rows[:, [dates.PARTS.index(part.name) for part in self.parts]]
        features = np.where(absent[:, np.newaxis], 0, (chosen - mean) / deviation).astype(np.float32)
        if self.indicator:
            features = np.column_stack([features, absent.astype(np.float32)])
        margin = FAR * self.deviation
        doubts = [
            Doubt(self.name, found.unreadable, "no date"),
            Doubt(self.name, absent & ~found.unreadable, "missing"),
            Doubt(self.name, (days < self.earliest - margin) | (days > self.latest + margin), "far"),
        ]
        return features, doubts


class IdColumn(Section):
    """One feature that is the number of the category, exact in float32: for columns of many categories.

    Unseen categories have the number 0, which is that of those, too, that occur once in the training rows: by Good's
    estimate (1953) their share of the rows is the chance that the next row has an unseen one, and from their rows a
    model learns what is to be said of it. The others count from 1; the last number means that a value is missing, if a
    training row misses it.

    Attributes
    ----------
    type : the Arrow type in the training file
    missing : markers of a missing value beside the empty text
    categories : those that occur more than once
    rare : those that occur once
    incomplete : whether a training row misses its value; if none does, a missing value counts as unseen
    """

    kind: Literal["id"] = "id"
    name: str
    type: str
    missing: Names
    categories: Names
    rare: Names
    incomplete: bool

    @property
    def width(self) -> int:
        """Features."""
        return 1

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return 1 + len(self.categories) + self.incomplete

    @functools.cached_property
    def _known(self) -> "pa.Array":
        import pyarrow as pa

        return pa.array([*self.categories, *self.rare], pa.string())

    def encode(self, values: "pa.Array") -> tuple[Floats, list[Doubt]]:
        """Return float32 (rows, 1) and the doubts about rows."""
        import pyarrow.compute as compute

        text = cells.categories(values, self.missing, (*self.categories, *self.rare))
        absent = text.is_null().to_numpy(zero_copy_only=False)
        codes = compute.index_in(text, self._known).fill_null(-1).to_numpy(zero_copy_only=False)
        numbers = np.where(codes < len(self.categories), codes + 1, 0)
        numbers[absent] = self.size - 1 if self.incomplete else 0
        doubts = [Doubt(self.name, (codes < 0) & ~absent, "unseen"), Doubt(self.name, absent, "missing")]
        return numbers.astype(np.float32)[:, np.newaxis], doubts


class CategoricalColumn(Section):
    """One feature for each category that the training rows hold.

    Attributes
    ----------
    type : the Arrow type in the training file
    missing : markers of a missing value beside the empty text
    """

    kind: Literal["category"] = "category"
    name: str
    type: str
    missing: Names
    categories: Names

    @property
    def width(self) -> int:
        """Features."""
        return len(self.categories)

    def encode(self, values: "pa.Array") -> tuple[Floats, list[Doubt]]:
        """Return float32 (rows, width) and the doubts about rows; an unknown category is none of the columns."""
        import pyarrow as pa
        import pyarrow.compute as compute

        text = cells.categories(values, self.missing, self.categories)
        absent = text.is_null().to_numpy(zero_copy_only=False)
        codes = (
            compute.index_in(text, pa.array(self.categories, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
        )
        features = (codes[:, np.newaxis] == np.arange(self.width)).astype(np.float32)
        features[absent] = 0
        return features, [Doubt(self.name, (codes < 0) & ~absent, "unseen"), Doubt(self.name, absent, "missing")]


Column = NumericColumn | CategoricalColumn | IdColumn | DateColumn


@dataclass(frozen=True)
class Encoded:
    """Features of rows, float32 (rows, features), the doubts about them, and the raw columns."""

    features: Floats
    doubts: tuple[Doubt, ...]
    values: "Mapping[str, pa.Array]"

    def strict(self) -> Floats:
        """Return the features.

        Raises
        ------
        ConfigError
            If a number is infinite or too large, or there is text where the training rows have numbers.
        """
        for doubt in self.doubts:
            if doubt.why in ("unreadable", "infinite", "large") and doubt.rows.any():
                raise doubt.refusal(self._cell(doubt, int(np.argmax(doubt.rows))))
        return self.features

    def told(self) -> list[str]:
        """Return one text for each row: its doubts, or nothing."""
        told: list[list[str]] = [[] for _ in self.features]
        for doubt in self.doubts:
            for row in np.flatnonzero(doubt.rows):
                cell = "" if doubt.why == "missing" else f"={self._cell(doubt, int(row))}"
                told[row].append(f"{doubt.column}{cell}: {TOLD[doubt.why]}")
        return ["; ".join(texts) for texts in told]

    def _cell(self, doubt: Doubt, row: int) -> str:
        return str(self.values[doubt.column][row].as_py())


class TablePreprocessing(Preprocessing):
    """The columns that a model of a table learned from, in the order of their features, of which ids are the last.

    Rows are columns by name: a data frame, an Arrow table or batch, or a mapping. Cells may be text as in a CSV, or
    numbers and booleans of their own type. Other columns are ignored; a missing column is a `ConfigError`.
    """

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Annotated[Column, Field(discriminator="kind")], ...], Field(strict=False)]
    # The type that pandas gives each column; no feature depends on it.
    pandas: dict[str, PandasType] = Field(default_factory=dict)

    def with_decimal(self, mark: str) -> "TablePreprocessing":
        """Return what encodes rows whose text has another decimal mark, unless it is `auto`."""
        if mark not in (".", ","):
            return self
        columns = [
            column.model_copy(update={"decimal": mark}) if isinstance(column, NumericColumn) else column
            for column in self.columns
        ]
        return self.model_copy(update={"columns": tuple(columns)})

    @property
    def width(self) -> int:
        """Features of a row."""
        return sum(column.width for column in self.columns)

    @property
    def category_counts(self) -> tuple[int, ...]:
        """How many numbers each of the last features has, of columns of many categories."""
        return tuple(column.size for column in self.columns if isinstance(column, IdColumn))

    @property
    def categories(self) -> tuple[Categories, ...]:
        """The features of categorical columns, and those that tell that a number or a date is missing."""
        found, start = [], 0
        for column in self.columns:
            if isinstance(column, CategoricalColumn | IdColumn):
                found += [Categories(start, column.width)] * (column.width > 0)
            elif column.indicator:
                found.append(Categories(start + column.width - 1, 1, column.width - 1))
            start += column.width
        return tuple(found)

    def apply(self, rows: Any) -> Floats:
        """Return float32 (rows, features); what cannot be read is missing, an unknown category is a row of zeros."""
        return self.encode(rows).features

    def unknown(self, rows: Any) -> list[str]:
        """Return for each row what is unknown, such as `city=berlin: not seen in training`; "" if nothing."""
        return self.encode(rows).told()

    def encode(self, rows: Any) -> Encoded:
        """Return the features of the rows and the doubts about them."""
        values = dict(self._values(rows))
        parts = [column.encode(values[column.name]) for column in self.columns]
        rows_given = len(next(iter(values.values()), ()))
        features = np.hstack([np.empty((rows_given, 0), np.float32), *(features for features, _ in parts)])
        return Encoded(features, tuple(doubt for _, doubts in parts for doubt in doubts), values)

    def _values(self, rows: Any) -> "Iterator[tuple[str, pa.Array]]":
        # Arrow, pandas, or a mapping.
        names = getattr(rows, "column_names", None) or list(getattr(rows, "columns", rows))
        known = {str(name): name for name in names}
        for name in (column.name for column in self.columns):
            if name not in known:
                raise ConfigError(
                    f"there is no column '{name}', which the model learned from{suggestion(name, list(known))}"
                )
            yield name, cells.as_array(rows[known[name]])
