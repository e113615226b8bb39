"""Decide for each column of a table, as a whole, whether it is read as numbers or as categories.

A few other cells do not turn a column of numbers into categories, nor a few numbers a column of categories into
numbers. A note tells of each cell that is not read as it stands there, and dates are refused unless they are named.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BeforeValidator

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Name, Names, PositiveInt, Section
from equipoise.core.typed import as_typed
from equipoise.data import cells, dates
from equipoise.data.dates import DateSurvey
from equipoise.data.tables.files import Table

if TYPE_CHECKING:
    import pyarrow as pa

NEARLY_ALL = 0.9  # of the cells
MOST = 0.5  # of the cells: if so many of a column of categories are numbers, a note tells of it
FEW = 10  # different numbers may as well be categories
EXAMPLES = 6  # of cells of one kind, for messages

# Numbers without any mark, with a decimal mark that is surely a point or a comma, with one that may as well mark
# thousands, and with another unit than a currency or per cent; then what is no number.
Kind = Literal["whole", "point", "comma", "point?", "comma?", "unit", "date", "marker", "odd"]
NUMBERS: tuple[Kind, ...] = ("whole", "point", "comma", "point?", "comma?")


def _mark(word: Any) -> Any:
    return {"point": ".", "comma": ","}.get(word, word) if isinstance(word, str) else word


DecimalMark: TypeAlias = Annotated[Literal["auto", ".", ","], BeforeValidator(_mark)]


class FeatureOptions(Section):
    """Which columns of a table are features, and of what kind.

    Attributes
    ----------
    drop : columns to leave out
    categorical : columns that hold categories, though they look like numbers or dates
    numeric : columns that hold numbers, though they look like categories; other cells are missing
    dates : columns that hold dates, which become numbers; other cells are missing
    time : the column by which rows are divided, oldest first; it is a feature only if one of these names it
    max_categories : a text column with more values in training than this becomes numbers of categories
    """

    drop: Names
    categorical: Names
    numeric: Names
    dates: Names
    time: Name | None
    max_categories: PositiveInt


class ColumnOptions(FeatureOptions):
    """What the config says of a table's columns.

    Attributes
    ----------
    missing : texts that stand for a missing value, beside the usual ones
    decimal : the decimal mark of numbers that are text; `auto` goes by each column, then by the other columns
    """

    missing: Names
    decimal: DecimalMark

    def more(self, key: Literal["drop", "missing", "categorical", "numeric", "dates"], *names: str) -> str:
        """Return the option as it is typed to add these names to it."""
        return as_typed(f"dataset.{key}", [*getattr(self, key), *names])


@dataclass(frozen=True)
class Reading:
    """The way to read a column's cells.

    Attributes
    ----------
    kind : what the cells are
    type : the Arrow type that the column has in the first file
    decimal, unit, missing : see `cells.numbers`
    notes : what a reader must know of the column
    lenient : whether a cell that is no number is missing; else it is an error
    day_first, zone : see `dates.moments`
    """

    name: str
    kind: Literal["number", "category", "date"]
    type: str
    decimal: cells.Decimal = "."
    unit: str = ""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lenient: bool = False
    day_first: bool = False
    zone: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether the cells are numbers."""
        return self.kind == "number"


@dataclass
class Survey:
    """A survey of a column's cells; empty cells do not count.

    Attributes
    ----------
    cells, examples : how many there are of each kind, and a few of them; also of numbers that no program writes so
        (`written`)
    units : how many numbers there are with each currency, per cent or other unit
    different : the different numbers, as long as they are few
    digits : cells of digits alone
    leading : cells of three or more digits, the first of which is 0
    compact : cells that may be a date such as 20240131
    small, large : whole numbers of three digits at most, and of more, as long as no point is surely decimal
    zeros : cells that are 0
    """

    type: str
    cells: Counter[Kind] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    units: Counter[str] = field(default_factory=Counter)
    different: set[str] = field(default_factory=set)
    digits: int = 0
    leading: int = 0
    compact: int = 0
    small: int = 0
    large: int = 0
    zeros: int = 0

    @property
    def numbers(self) -> int:
        """How many cells are numbers."""
        return sum(self.cells[kind] for kind in NUMBERS)

    @property
    def filled(self) -> int:
        """How many cells are no marker of a missing value."""
        return self.cells.total() - self.cells["marker"]

    def add(self, column: "pa.Array", missing: Sequence[str]) -> None:
        """Add a block of the column; texts in `missing` count as empty."""
        import pyarrow as pa
        import pyarrow.compute as compute

        if not cells.is_text(column):
            if self.compact == self.numbers:  # all of them so far
                text = cells.as_text(column).drop_null()  # NaN is no text
                self.cells["whole"] += len(text)
                self._add_dates(text)
            else:
                self.cells["whole"] += len(column) - column.null_count
            return
        text = cells.trimmed(cells.as_text(column)).drop_null()
        text = text.filter(compute.invert(compute.is_in(text, pa.array(list(missing), pa.string()))))
        numbers = cells.cast_or_none(text, pa.float64())
        if numbers is not None and np.isfinite(_array(numbers)).all():  # twice as fast as the pattern
            self._add_plain(text)
            return
        plain = compute.match_substring_regex(text, cells.PLAIN)
        self._add_plain(text.filter(plain))
        others = compute.value_counts(text.filter(compute.invert(plain)))
        if len(others):
            self._add_others(others.field("values"), others.field("counts").to_numpy())

    def _add_plain(self, text: "pa.StringArray") -> None:
        """Add numbers as programs write them."""
        import pyarrow.compute as compute

        before, sure = self.numbers, self.cells["point"] > 0  # if one point is decimal, all are
        with_point = _array(compute.match_substring(text, "."))
        grouped = with_point & ~with_point if sure else _matching(text, r"^[+-]?[1-9]\d{0,2}\.\d{3}$")
        self._count("whole", text, ~with_point)
        self._count("point?", text, grouped)
        self._count("point", text, with_point & ~grouped)
        if self.digits == before:
            self._add_digits(text)
        if self.compact == before:
            self._add_dates(text)
        if not sure:
            unsigned = compute.ascii_ltrim(text, "+-")
            digits, length = _array(compute.ascii_is_decimal(unsigned)), _array(compute.binary_length(unsigned))
            self.small += int((digits & (length <= 3)).sum())
            self.large += int((digits & (length > 3)).sum())
        self.zeros += int(_array(compute.equal(text, "0")).sum())
        self._remember(text)

    def _add_digits(self, text: "pa.StringArray") -> None:
        """Add cells of digits alone, as long as all are."""
        import pyarrow.compute as compute

        digits, length = _array(compute.ascii_is_decimal(text)), _array(compute.binary_length(text))
        led = digits & _array(compute.starts_with(text, "0"))
        self.digits += int(digits.sum())
        self.leading += int((led & (length > 2)).sum())
        self._show("leading", text, led & (length > 2))
        self._show("padded", text, led & (length == 2))

    def _add_others(self, text: "pa.StringArray", counts: Any) -> None:
        """Add other cells, each once, with how often they occur."""
        import pyarrow as pa
        import pyarrow.compute as compute

        lower = compute.utf8_lower(text)
        marker = _array(compute.is_in(lower, pa.array(sorted(cells.USUAL))))
        date = _matching(lower, cells.DATE) & ~marker
        units = {mark: cells.parts(text, mark)["unit"] for mark in cells.NUMBER}
        point, comma = (_array(compute.is_valid(units[mark])) for mark in (".", ","))
        number = (point | comma | _matching(text, cells.INFINITE)) & ~marker & ~date
        unit = _array(compute.coalesce(units["."], units[","], pa.scalar("")))
        measured = number & ~_matching(pa.array(unit, pa.string()), cells.COUNTED)
        plain = number & ~measured
        has_point, has_comma = _matching(text, r"\."), _matching(text, ",")
        self._count("marker", text, marker, counts)
        self._count("date", text, date, counts)
        self._count("odd", text, ~(marker | date | number), counts)
        self._count("unit", text, measured, counts)
        self._count("comma", text, plain & comma & ~point, counts)
        self._count("point", text, plain & point & ~comma, counts)
        self._count("comma?", text, plain & (comma == point) & has_comma, counts)
        self._count("point?", text, plain & (comma == point) & has_point & ~has_comma, counts)
        self._count("whole", text, plain & (comma == point) & ~has_point & ~has_comma, counts)
        for word in sorted(set(unit[number]) - {""}):
            if word in self.units or len(self.units) < EXAMPLES:
                self.units[word] += int(counts[number & (unit == word)].sum())
                self._show(word, text, number & (unit == word))
        self._show("written", text, number)
        self._remember(text.filter(pa.array(number)))

    def _count(self, kind: Kind, text: "pa.StringArray", mask: Any, counts: Any = 1) -> None:
        self.cells[kind] += int((mask * counts).sum())
        self._show(kind, text, mask)

    def _show(self, what: str, text: "pa.StringArray", mask: Any) -> None:
        import pyarrow as pa

        known = self.examples.setdefault(what, [])
        if len(known) < EXAMPLES:
            found = text.filter(pa.array(mask)).unique()[:EXAMPLES].to_pylist()
            known += [word for word in found if word not in known]

    def _add_dates(self, text: "pa.StringArray") -> None:
        import pyarrow.compute as compute

        text = text.filter(compute.greater_equal(compute.binary_length(text), cells.SHORTEST_DATE))
        mask = _matching(text, cells.COMPACT)
        self.compact += int(mask.sum())
        self._show("date", text, mask)

    def _remember(self, text: "pa.StringArray") -> None:
        if len(self.different) <= FEW:
            self.different |= set(text.unique()[: FEW + 1].to_pylist())


def readings(tables: Sequence[Table], columns: Sequence[str], options: ColumnOptions) -> list[Reading]:
    """Decide how to read each of the columns, by the cells of all tables.

    Raises
    ------
    ConfigError
        If a column holds dates or lists, numbers that can be read in two ways, or numbers and a few other cells.
    """
    of_dates, surveys = _surveyed(tables, columns, options)
    marks = {_sure_mark(survey) for survey in surveys.values() if survey.numbers >= NEARLY_ALL * survey.filled} - {None}
    common = marks.pop() if len(marks) == 1 else None
    categorical = {name for table in tables for name in table.categorical}
    return [
        _of_dates(name, of_dates[name], options)
        if name in of_dates
        else _Decision(name, surveys[name], options, common, tables[0].missing, name in categorical).reading()
        for name in columns
        if name in of_dates or name in surveys
    ]


def _surveyed(
    tables: Sequence[Table], columns: Sequence[str], options: ColumnOptions
) -> tuple[dict[str, DateSurvey], dict[str, Survey]]:
    """Look at every cell of the columns that are named as dates, and of the others."""
    import pyarrow as pa

    of_dates: dict[str, DateSurvey] = {}
    surveys: dict[str, Survey] = {}
    for table in tables:
        # A note tells of other marks of a missing value among numbers.
        missing = (*(cells.MISSING if table.is_text else ()), *options.missing)
        for batch in table.batches(columns):
            for name in columns:
                column = batch.column(name)
                if name in options.dates:
                    _add_dates(of_dates, name, column, missing)
                    continue
                if pa.types.is_temporal(column.type):
                    is_date = pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)
                    raise _holds_dates(name, options, "" if is_date else str(column.type))
                if pa.types.is_nested(column.type):
                    raise ConfigError(
                        f"column '{name}' holds {_structures(column.type)}, "
                        f"or leave it out with {options.more('drop', name)}"
                    )
                try:
                    surveys.setdefault(name, Survey(str(column.type))).add(column, missing)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                    kind = f"column '{name}' holds {column.type}, neither numbers nor text"
                    raise ConfigError(f"{kind}: leave it out with {options.more('drop', name)}") from None
    return of_dates, surveys


def _add_dates(surveys: dict[str, DateSurvey], name: str, column: "pa.Array", missing: Sequence[str]) -> None:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_boolean(kind):
        raise ConfigError(f"dataset.dates: column '{name}' holds {kind}, and no dates: leave it out of dataset.dates")
    if name not in surveys:
        surveys[name] = DateSurvey(str(kind), dates.zone_of(kind))
    surveys[name].add(column, missing)


def _of_dates(name: str, found: DateSurvey, options: ColumnOptions) -> Reading:
    """Decide how to read a column that is named as one of dates."""
    odd = listing([f"{text} ({count})" for text, count in found.odd.most_common(dates.EXAMPLES)])
    count = found.odd.total()
    if count == found.filled > 0:
        raise ConfigError(
            f"dataset.dates: column '{name}' holds no date ({odd}): leave it out of dataset.dates, "
            "or write dates as year-month-day"
        )
    day_first, doubts = found.order(f"column '{name}'")
    notes = []
    if count:
        notes.append(
            f"column '{name}': {_cells(count)} {'is no date' if count == 1 else 'are no dates'}, and missing: {odd}"
        )
    notes += doubts
    if found.zoned and found.bare:
        notes.append(f"column '{name}': {_cells(found.bare)} with a time and without a zone are read as UTC")
    return Reading(
        name, "date", found.type, missing=options.missing, notes=tuple(notes), day_first=day_first, zone=found.zone
    )


def _structures(kind: "pa.DataType") -> str:
    """Return what a nested column holds, and what to do."""
    import pyarrow as pa

    if pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}:
        return (
            "images, as Hugging Face's datasets store them: for dataset=image_directory, write each into a folder of "
            "its class, with row['image'].save(f'images/{row[\"label\"]}/{number}.png') for each row"
        )
    if pa.types.is_struct(kind):
        return "structures: flatten it, with pandas.json_normalize"
    return "lists or structures: flatten it"


def _holds_dates(name: str, options: ColumnOptions, example: str) -> ConfigError:
    """Return the error of a column of dates, or of times of the day, that is not named as one of dates."""
    is_date = not example or dates.is_date(example)
    cure = (
        f"for year, month, weekday, hour and days elapsed, {options.more('dates', name)}"
        if is_date
        else "turn it into numbers that mean something (hours)"
    )
    else_categories = f"; if they are categories, {options.more('categorical', name)}" if example else ""
    return ConfigError(
        f"column '{name}' holds dates{f' ({example})' if example else ''}: {cure}, "
        f"or leave it out with {options.more('drop', name)}{else_categories}"
    )


def _sure_mark(survey: Survey) -> cells.Decimal | None:
    point, comma = survey.cells["point"] > 0, survey.cells["comma"] > 0
    return None if point == comma else "." if point else ","


@dataclass(frozen=True)
class _Decision:
    """All that decides how a column is read.

    Attributes
    ----------
    common : the decimal mark of the other columns, if they agree
    written : texts that mean a missing value in this kind of file
    categorical : whether the file says that the column holds categories
    """

    name: str
    survey: Survey
    options: ColumnOptions
    common: cells.Decimal | None
    written: tuple[str, ...]
    categorical: bool

    def reading(self) -> Reading:
        found, name = self.survey, self.name
        if name in self.options.categorical:
            return self._categories()
        if name in self.options.numeric:
            return self._as_told()
        if self.categorical and found.type.startswith(("int", "uint")):
            return self._categories(
                f"column '{name}' holds whole numbers that pandas wrote as categories, and so they are here"
            )
        unit = self._unit()
        numbers = found.numbers + (found.cells["unit"] if unit else 0)
        dates = found.cells["date"] + (found.compact if found.compact == found.numbers else 0)
        if dates and dates >= NEARLY_ALL * found.filled:
            raise _holds_dates(name, self.options, found.examples["date"][0])
        if found.leading and found.digits == found.numbers:
            codes = f"holds codes with leading zeros ({listing(found.examples['leading'][:3])})"
            return self._categories(f"column '{name}' {codes}: they are categories, not numbers")
        if numbers == 0 < found.filled or numbers < MOST * found.filled:
            return self._categories()
        if numbers < found.filled:
            return self._mixed(numbers)
        return self._numbers(self._decimal(), unit or self._symbol())

    def _categories(self, *notes: str) -> Reading:
        return Reading(
            self.name, "category", self.survey.type, missing=(*self.written, *self.options.missing), notes=notes
        )

    def _as_told(self) -> Reading:
        """Read numbers, and nothing else, as `dataset.numeric` says."""
        found = self.survey
        numbers = found.numbers + found.cells["unit"]
        odd = listing([word for kind in ("odd", "date") for word in found.examples.get(kind, [])], EXAMPLES)
        if numbers == 0 < found.filled:
            raise ConfigError(
                f"dataset.numeric: column '{self.name}' holds no number ({odd}): leave it out of dataset.numeric"
            )
        reading = self._numbers(self._decimal(), self._symbol())
        left = found.filled - numbers
        told = f"column '{self.name}': {_cells(left)} {'is no number' if left == 1 else 'are no numbers'}, and missing"
        return replace(reading, lenient=True, notes=(*reading.notes, *([f"{told}: {odd}"] if left else [])))

    def _mixed(self, numbers: int) -> Reading:
        """Decide on a column of numbers and other cells."""
        found = self.survey
        odd = [word for kind in ("odd", "date", "unit") for word in found.examples.get(kind, [])][:EXAMPLES]
        others = f"{_cells(found.filled - numbers)} of another kind ({listing(odd)})"
        holds = f"column '{self.name}' holds {numbers} numbers and {others}"
        if numbers >= NEARLY_ALL * found.filled and len(found.different) > FEW:
            raise ConfigError(
                f"{holds}: if these are missing values, {self.options.more('missing', *odd)}; "
                f"if all that is no number is missing, {self.options.more('numeric', self.name)}; "
                f"if the column holds categories, {self.options.more('categorical', self.name)}"
            )
        if numbers < NEARLY_ALL * found.filled and len(found.different) <= FEW:
            return self._categories()
        return self._categories(
            f"{holds}: all are categories; if these are missing values, {self.options.more('missing', *odd)}"
        )

    def _unit(self) -> str:
        """Return the one unit of measured numbers, such as kg, if they are more than a few categories."""
        found = self.survey
        if len(found.units) != 1 or found.cells["unit"] == 0 or len(found.different) <= FEW:
            return ""
        (unit,) = found.units
        return unit if found.numbers + found.cells["unit"] >= NEARLY_ALL * found.filled else ""

    def _symbol(self) -> str:
        """Return the currency, or per cent, of the numbers."""
        found = self.survey
        if len(found.units) > 1:
            mixed = listing([found.examples[unit][0] for unit in found.units], 3)
            raise ConfigError(
                f"column '{self.name}' mixes {mixed}: write them in one unit, "
                f"or leave it out with {self.options.more('drop', self.name)}"
            )
        (unit,) = found.units or ("",)
        if unit in cells.PER and found.units[unit] + found.zeros < found.numbers:
            raise ConfigError(
                f"column '{self.name}' mixes {found.examples[unit][0]} with numbers that have no {unit}: "
                f"write them alike, or leave it out with {self.options.more('drop', self.name)}"
            )
        return unit

    def _decimal(self) -> cells.Decimal:
        found, options = self.survey, self.options
        first = {kind: examples[0] for kind, examples in found.examples.items() if examples}
        if options.decimal != "auto":
            other: Kind = "comma" if options.decimal == "." else "point"
            if found.cells[other]:
                raise ConfigError(
                    f"column '{self.name}' holds {first[other]}, which is no number under dataset.decimal; "
                    "try dataset.decimal=auto"
                )
            return options.decimal
        if found.cells["point"] and found.cells["comma"]:
            raise ConfigError(
                f"column '{self.name}' mixes decimal points ({first['point']}) and decimal commas ({first['comma']}): "
                f"write them alike, or leave it out with {options.more('drop', self.name)}"
            )
        mark = _sure_mark(found)
        if mark is None and found.cells["comma?"]:
            mark = self.common or ("." if found.small and not found.large and not found.cells["point?"] else None)
            if mark is None:
                raise ConfigError(
                    f"column '{self.name}' holds {first['comma?']}: "
                    f"if its comma marks thousands, {as_typed('dataset.decimal', 'point')}; "
                    f"if it is a decimal comma, {as_typed('dataset.decimal', 'comma')}"
                )
        return mark or (self.common if self.common and not (found.cells["point?"] and found.large) else ".")

    def _numbers(self, decimal: cells.Decimal, unit: str) -> Reading:
        import pyarrow as pa

        found = self.survey
        told = [
            *found.examples.get("written", [])[:3],
            *(found.examples.get("point?", [])[:1] if decimal == "," else []),
        ]
        values = cells.parsed(pa.array(told, pa.string()), decimal, unit).to_pylist()
        parts = [
            f"{word} as {value:.12g}"
            for word, value in zip(told, values, strict=True)
            if value is not None and np.isfinite(value)
        ]
        if found.cells["marker"]:
            parts.append(f"{_cells(found.cells['marker'])} ({listing(found.examples['marker'])}) as missing")
        notes = [f"column '{self.name}' is read as numbers: {', '.join(parts)}"] if parts else []
        if found.digits == found.numbers and found.examples.get("padded"):
            padded = found.examples["padded"][0]
            notes.append(
                f"column '{self.name}' is read as numbers, {padded} as {int(padded)}: "
                f"if these are codes, {self.options.more('categorical', self.name)}"
            )
        return Reading(self.name, "number", found.type, decimal, unit, self.options.missing, tuple(notes))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _matching(text: "pa.StringArray", pattern: str) -> Any:
    """Return where the pattern occurs, (cells,)."""
    import pyarrow.compute as compute

    return _array(compute.match_substring_regex(text, pattern))


def _array(column: "pa.Array") -> Any:
    return column.to_numpy(zero_copy_only=False)
