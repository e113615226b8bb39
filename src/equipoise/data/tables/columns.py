"""What was learned of a table's columns from its training rows, and how any row is encoded by it.

The record is written once, when a table is prepared, and read by all that encodes rows later: rows of a file, of a
data frame or of Python values come out as the same bits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.schema import Booleans, ConfigError, Floats, Names, Section, suggestion
from equipoise.data import cells
from equipoise.data.scaling import FAR, ROUNDING
from equipoise.data.tables.pandas_types import PandasType
from equipoise.data.types import Preprocessing

if TYPE_CHECKING:
    import pyarrow as pa


Why = Literal["unreadable", "infinite", "large", "far", "unseen", "missing"]
TOLD: dict[Why, str] = {
    "unreadable": "no number, read as missing",
    "infinite": "infinite, read as missing",
    "large": "too large for float32, read as missing",
    "far": "far outside the training rows",
    "unseen": "not seen in training",
    "missing": "missing",
}


@dataclass(frozen=True)
class Doubt:
    """Rows whose cell in a column says what the training rows did not say."""

    column: str
    rows: Booleans  # (rows,)
    why: Why

    def refusal(self, value: str) -> ConfigError:
        """Of a cell that cannot be encoded as the training rows were."""
        if self.why == "unreadable":
            return ConfigError(f"column '{self.column}' is numeric in training but not here: {value}")
        if self.why == "infinite":
            return ConfigError(f"column '{self.column}' holds an infinite number: replace or remove it")
        return ConfigError(f"column '{self.column}' holds numbers that are too large for float32: scale them first")


class NumericColumn(Section):
    """A feature that is standardised.

    Attributes
    ----------
    type : the Arrow type in the training file, whose rounding numbers get; `string` for a CSV
    decimal, unit : the decimal mark of text, and what may stand before or behind a number
    missing : markers of a missing value beside the usual ones
    mean, deviation : of the training rows
    low, high : range of the training rows
    constant : whether the training rows have one value, up to rounding; the feature is 0 then
    indicator : whether a second feature says «missing»
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

    @property
    def width(self) -> int:
        """Features."""
        return 1 + self.indicator

    def encode(self, values: "pa.Array") -> tuple[Floats, list[Doubt]]:
        """float32 (rows, width), and what is to be told of the rows; what cannot be read is missing."""
        numbers, unreadable = cells.numbers(values, self.decimal, self.unit, self.missing, self.type)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = ((numbers - self.mean) / self.deviation).astype(np.float32)
        infinite, large = np.isinf(numbers), np.isinf(scaled) & ~np.isinf(numbers)
        absent = np.isnan(numbers) | infinite | large
        scaled = np.zeros_like(scaled) if self.constant else np.where(absent, np.float32(0), scaled)
        features = np.stack([scaled, absent.astype(np.float32)], axis=1) if self.indicator else scaled[:, np.newaxis]
        doubts = [
            Doubt(self.name, unreadable, "unreadable"),
            Doubt(self.name, infinite, "infinite"),
            Doubt(self.name, large, "large"),
            Doubt(self.name, np.isnan(numbers) & ~unreadable, "missing"),
            Doubt(self.name, self._far(numbers) & ~infinite & ~large, "far"),
        ]
        return features, doubts

    def _far(self, numbers: Floats) -> Booleans:
        """Which lie outside the range of the training rows by more than `FAR` deviations, (rows,)."""
        margin = FAR * (ROUNDING * abs(self.mean) if self.constant else self.deviation)
        far: Booleans = (numbers < self.low - margin) | (numbers > self.high + margin)
        return far


class CategoricalColumn(Section):
    """One feature for each category that the training rows hold.

    Attributes
    ----------
    type : the Arrow type in the training file
    missing : what stands for a missing value beside nothing at all
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
        """float32 (rows, width), and what is to be told of the rows; a category that is unknown is none."""
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


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Encoded:
    """Features of rows, float32 (rows, features), what is doubtful about them, and the raw columns."""

    features: Floats
    doubts: tuple[Doubt, ...]
    values: "Mapping[str, pa.Array]"

    def strict(self) -> Floats:
        """The features, if the columns are as the training rows have them.

        Raises
        ------
        ConfigError
            If a number is infinite or too large, or text stands where the training rows have numbers.
        """
        for doubt in self.doubts:
            if doubt.why in ("unreadable", "infinite", "large") and doubt.rows.any():
                raise doubt.refusal(self._cell(doubt, int(np.argmax(doubt.rows))))
        return self.features

    def told(self) -> list[str]:
        """One text a row."""
        told: list[list[str]] = [[] for _ in self.features]
        for doubt in self.doubts:
            for row in np.flatnonzero(doubt.rows):
                cell = "" if doubt.why == "missing" else f"={self._cell(doubt, int(row))}"
                told[row].append(f"{doubt.column}{cell}: {TOLD[doubt.why]}")
        return ["; ".join(texts) for texts in told]

    def _cell(self, doubt: Doubt, row: int) -> str:
        return str(self.values[doubt.column][row].as_py())


class TablePreprocessing(Preprocessing):
    """The columns that a model of a table learned from, in the order of their features.

    Rows are columns by name: a data frame, an Arrow table or batch, or a mapping. Cells may be text as in a CSV, or
    numbers and truths of their own type; more columns do no harm, and a missing one is a `ConfigError`.
    """

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Annotated[Column, Field(discriminator="kind")], ...], Field(strict=False)]
    pandas: dict[str, PandasType] = Field(
        default_factory=dict
    )  # what pandas makes of each column; no feature depends on it

    @property
    def width(self) -> int:
        """Features of a row."""
        return sum(column.width for column in self.columns)

    def apply(self, rows: Any) -> Floats:
        """float32 (rows, features); what cannot be read is missing, and an unknown category none."""
        return self.encode(rows).features

    def unknown(self, rows: Any) -> list[str]:
        """For each row what of it is unknown, such as `city=berlin: not seen in training`; "" if nothing."""
        return self.encode(rows).told()

    def encode(self, rows: Any) -> Encoded:
        """The features of the rows, and what is doubtful about them."""
        values = dict(self._values(rows))
        parts = [column.encode(values[column.name]) for column in self.columns]
        rows_given = len(next(iter(values.values()), ()))
        features = np.hstack([np.empty((rows_given, 0), np.float32), *(features for features, _ in parts)])
        return Encoded(features, tuple(doubt for _, doubts in parts for doubt in doubts), values)

    def _values(self, rows: Any) -> "Iterator[tuple[str, pa.Array]]":
        names = getattr(rows, "column_names", None) or list(
            getattr(rows, "columns", rows)
        )  # of Arrow, pandas, a mapping
        known = {str(name): name for name in names}
        for name in (column.name for column in self.columns):
            if name not in known:
                raise ConfigError(
                    f"there is no column '{name}', which the model learned from{suggestion(name, list(known))}"
                )
            yield name, cells.as_array(rows[known[name]])
