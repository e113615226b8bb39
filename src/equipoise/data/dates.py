"""Read dates as people write them, and take them apart. Everything works on Arrow arrays, a block of rows at a time.

Each cell is read by itself, so that one row has the bits that it has among others. Only which of day and month comes
first in 3/4/2024, and the zone of a typed column, are a matter of the whole column.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Booleans, Floats
from equipoise.data import cells

if TYPE_CHECKING:
    import pyarrow as pa

DAY = 86400.0
EXAMPLES = 4  # of cells that are no dates, in a note
MOST_COUNTED = 1000  # different cells that are no dates, of which a note shows the most frequent
PIVOT = 69  # of years of two digits: from here on 19xx, as POSIX has it
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
OTHER_MONTHS = {"mär": 3, "mai": 5, "okt": 10, "dez": 12}

_ZONE = r"(?: ?(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2}|[+-]\d{2}))?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_TIME = rf"(?:(?:t|,? +|,){_CLOCK}(?: ?(?P<half>[ap])\.?m\.?)?{_ZONE})?"
_NAME = r"(?P<name>jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\pL*\.?"
_WEEKDAY = r"(?:\pL{2,9}\.?,? )?"
# Of lower-case text. What a form lacks is the first of it: the first day of a month, midnight.
FORMS = (
    rf"^(?P<year>\d{{4}})[-/.年](?P<month>\d{{1,2}})[-/.月](?P<day>\d{{1,2}})日?{_TIME}$",
    r"^(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)"
    rf"(?:t?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?{_ZONE})?$",
    rf"^(?P<first>\d{{1,2}})[-/.](?P<next>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d\d){_TIME}$",
    rf"^{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ .-]*{_NAME}[ ,.'-]*(?P<year>\d{{4}}|\d\d){_TIME}$",
    rf"^{_WEEKDAY}{_NAME}[ -]?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ ,.-]+(?P<year>\d{{4}}|\d\d){_TIME}$",
    r"^(?P<year>\d{4})(?:[-/](?P<month>\d{1,2}))?$",
    r"^(?P<month>\d{1,2})[-/](?P<year>\d{4})$",
    rf"^{_NAME}[ /'-]*(?P<year>\d{{4}})$",
    r"^(?P<unix>\d{9,10}(?:\.\d+)?|\d{12,13}|\d{15,16}|\d{18,19})$",
)
PER_SECOND = {9: 1.0, 10: 1.0, 12: 1e3, 13: 1e3, 15: 1e6, 16: 1e6, 18: 1e9, 19: 1e9}  # by the digits of a Unix time


@dataclass(frozen=True)
class Moments:
    """Moments of time, float64 (rows,), in seconds since 1970, NaN where there is none.

    Attributes
    ----------
    instant : by UTC
    clock : by the clock that the cell is written by
    unreadable : where a cell is filled, and no date
    """

    instant: Floats
    clock: Floats
    unreadable: Booleans


def moments(
    column: "pa.Array", missing: Sequence[str] = (), *, day_first: bool = False, zone: str | None = None
) -> Moments:
    """Read a column's dates.

    Parameters
    ----------
    missing : markers of a missing value beside the usual ones
    day_first : whether 3/4/2024 is the third of April
    zone : of the training file's column, by whose clock all moments are read; None: by that of each cell
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        found = _typed(column)
    else:
        found = _of_text(cells.trimmed(cells.as_text(column)), missing, day_first=day_first, zone=zone)
    if zone is None:
        return found
    clock = np.where(np.isnan(found.instant), np.nan, _seconds(_local(found.instant, zone)))
    return Moments(found.instant, clock, found.unreadable)


def is_date(text: str) -> bool:
    """Return whether a text is read as a date, whichever of day and month comes first."""
    import pyarrow as pa

    found = [moments(pa.array([text]), day_first=day_first).clock[0] for day_first in (False, True)]
    return not all(np.isnan(found))


def zone_of(kind: "pa.DataType") -> str | None:
    """Return the time zone of a column's type, if it has one."""
    zone: str | None = getattr(kind, "tz", None)
    return zone


def shown(seconds: float) -> str:
    """Return a moment as text, without a clock time at midnight."""
    text = str(np.datetime64(round(seconds), "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")


def _typed(column: "pa.Array") -> Moments:
    import pyarrow as pa
    import pyarrow.compute as compute

    zone = zone_of(column.type)
    stamps = compute.cast(column, pa.timestamp("us", zone), safe=False)
    clock = compute.local_timestamp(stamps) if zone else stamps
    return Moments(_seconds(stamps), _seconds(clock), np.zeros(len(column), bool))


def _seconds(stamps: "pa.Array") -> Floats:
    """Return timestamps in microseconds as seconds, float64, NaN for null."""
    import pyarrow as pa

    numbers = stamps.view(pa.int64())
    found: Floats = numbers.fill_null(0).to_numpy(zero_copy_only=False) / 1e6
    found[numbers.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return found


def _local(instant: Floats, zone: str) -> "pa.Array":
    """Return moments by the clock of a zone."""
    import pyarrow as pa
    import pyarrow.compute as compute

    micro = pa.array(np.where(np.isnan(instant), 0, instant * 1e6).round().astype(np.int64))
    return compute.local_timestamp(micro.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))


def _in_zone(clock: Floats, zone: str) -> Floats:
    """Return the instants of a zone's clock; of an hour that comes twice the first."""
    import pyarrow as pa
    import pyarrow.compute as compute

    micro = pa.array((clock * 1e6).round().astype(np.int64)).cast(pa.timestamp("us"))
    return _seconds(compute.assume_timezone(micro, zone, ambiguous="earliest", nonexistent="earliest"))


def _of_text(text: "pa.StringArray", missing: Sequence[str], *, day_first: bool, zone: str | None) -> Moments:
    import pyarrow as pa
    import pyarrow.compute as compute

    lower = compute.utf8_lower(text)
    absent = compute.or_kleene(
        compute.is_in(lower, pa.array(sorted(cells.USUAL))), compute.is_in(text, pa.array(list(missing), pa.string()))
    )
    filled = compute.and_(text.is_valid(), compute.invert(absent)).to_numpy(zero_copy_only=False)
    clock, instant = np.full(len(text), np.nan), np.full(len(text), np.nan)
    left = np.flatnonzero(filled)
    for form in FORMS:
        if len(left) == 0:
            break
        found = compute.extract_regex(lower.take(pa.array(left)), form)
        hit = found.is_valid().to_numpy(zero_copy_only=False)
        here = found.filter(pa.array(hit))
        part = {each.name: compute.struct_field(here, each.name) for each in here.type}
        if len(here):
            clock[left[hit]], offset = _moments_of(part, len(here), day_first=day_first)
            instant[left[hit]] = clock[left[hit]] - np.nan_to_num(offset)
            bare = left[hit][np.isnan(offset) & ~np.isnan(clock[left[hit]])]
            if zone is not None and len(bare):
                instant[bare] = _in_zone(clock[bare], zone)
        left = left[~hit]
    return Moments(instant, clock, filled & np.isnan(clock))


def _moments_of(part: "dict[str, pa.StringArray]", rows: int, *, day_first: bool) -> tuple[Floats, Floats]:
    """Return seconds by the cells' clocks, NaN where there is no such date, and the offsets of the zones written."""
    if "unix" in part:
        text = part["unix"].to_pylist()
        seconds = [float(word) / PER_SECOND[len(word.partition(".")[0])] for word in text]
        return np.array(seconds), np.zeros(rows)

    def number(name: str, empty: float = 0.0) -> Floats:
        return _numbers(part[name], empty) if name in part else np.full(rows, empty)

    year = number("year")
    year = np.where(year >= 100, year, year + np.where(year >= PIVOT, 1900, 2000))
    day, month = (number("day", 1), _months(part["name"])) if "name" in part else (number("day", 1), number("month", 1))
    if "first" in part:
        day, month = (number("first"), number("next")) if day_first else (number("next"), number("first"))
    hour = number("hour")
    if "half" in part:
        half = np.array(part["half"].to_pylist())
        hour = np.where(half == "", hour, np.where((hour < 1) | (hour > 12), 99, hour % 12 + 12 * (half == "p")))
    minute, second = number("minute"), number("second")
    days, is_date = _days(year, month, day)
    is_time = (hour < 24) & (minute < 60) & (second < 60)
    fraction = [float(f"0.{word}") for word in part["fraction"].to_pylist()] if "fraction" in part else np.zeros(rows)
    clock = days * DAY + hour * 3600 + minute * 60 + second + fraction
    offset = np.array([_offset(word) for word in part["zone"].to_pylist()]) if "zone" in part else np.full(rows, np.nan)
    return np.where(is_date & is_time, clock, np.nan), offset


def _numbers(text: "pa.StringArray", empty: float) -> Floats:
    import pyarrow as pa
    import pyarrow.compute as compute

    found: Floats = compute.cast(compute.if_else(compute.equal(text, ""), f"{empty:.0f}", text), pa.float64()).to_numpy(
        zero_copy_only=False
    )
    return found


def _months(names: "pa.StringArray") -> Floats:
    known = {**{name: place + 1 for place, name in enumerate(MONTHS)}, **OTHER_MONTHS}
    return np.array([known[name] for name in names.to_pylist()], np.float64)


def _days(year: Floats, month: Floats, day: Floats) -> tuple[Floats, Booleans]:
    """Return days since 1970, and which of them are in the calendar."""
    is_month = (month >= 1) & (month <= 12)
    months = (year - 1970) * 12 + np.where(is_month, month, 1) - 1
    first = months.astype(np.int64).astype("M8[M]")
    days = first.astype("M8[D]").astype(np.int64) + day - 1
    following = (first + 1).astype("M8[D]").astype(np.int64)
    return days, is_month & (day >= 1) & (days < following)


def _offset(word: str) -> float:
    """Return the seconds that a zone is ahead of UTC; NaN if none is written."""
    if word in ("", "z", "utc", "gmt"):
        return math.nan if word == "" else 0.0
    digits = word[1:].replace(":", "")
    return (-1 if word[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


Part = Literal[
    "year", "month", "month_sin", "month_cos", "weekday", "weekday_sin", "weekday_cos", "hour", "hour_sin", "hour_cos",
    "elapsed",
]  # fmt: skip
PARTS: tuple[Part, ...] = Part.__args__  # type: ignore[attr-defined]


def parts_of(found: Moments) -> Floats:
    """Return the parts of moments, float64 (rows, parts) in the order of `PARTS`, NaN where there is none.

    Month, weekday (0 is Monday) and hour are by the clock, and stand once more as sine and cosine of their place on a
    circle, so that December is next to January. `elapsed` is in days since 1970, by UTC.
    """
    known = ~np.isnan(found.clock)
    days = np.floor(np.where(known, found.clock, 0) / DAY)
    dates = days.astype(np.int64).astype("M8[D]")
    month = dates.astype("M8[M]").astype(np.int64) % 12 + 1.0
    year = dates.astype("M8[Y]").astype(np.int64) + 1970.0
    weekday = (days + 3) % 7
    hour = np.floor((np.where(known, found.clock, 0) - days * DAY) / 3600)
    columns = [year, month, *_circle(month - 1, 12), weekday, *_circle(weekday, 7), hour, *_circle(hour, 24)]
    rows = np.stack([*columns, found.instant / DAY], axis=1)
    rows[~known] = np.nan
    return rows


def _circle(number: Floats, around: int) -> tuple[Floats, Floats]:
    angle = 2 * np.pi * number / around
    return np.sin(angle), np.cos(angle)


@dataclass
class DateSurvey:
    """A survey of the cells of a column that is to be read as dates.

    Attributes
    ----------
    type : the Arrow type of the column
    odd : the cells that are no dates, and how often they occur
    filled : how many cells are filled
    day_first, month_first : an example of a cell in which the day, or the month, surely comes first; or ""
    unsure : an example of a cell in which either may come first; or ""
    zoned, bare : how many cells of text have a zone, and how many have a clock time and no zone
    """

    type: str
    zone: str | None = None
    odd: Counter[str] = field(default_factory=Counter)
    filled: int = 0
    day_first: str = ""
    month_first: str = ""
    unsure: str = ""
    zoned: int = 0
    bare: int = 0
    example: str = ""

    def add(self, column: "pa.Array", missing: Sequence[str]) -> None:
        """Add a block of the column; texts in `missing` count as empty."""
        import pyarrow as pa
        import pyarrow.compute as compute

        found = moments(column, missing, zone=self.zone)
        other = moments(column, missing, day_first=True, zone=self.zone)
        known = ~np.isnan(found.clock) | ~np.isnan(other.clock)
        unreadable = found.unreadable & other.unreadable
        self.filled += int((known | unreadable).sum())
        if pa.types.is_temporal(column.type):
            return
        text = cells.trimmed(cells.as_text(column))
        if unreadable.any() and len(self.odd) < MOST_COUNTED:
            self.odd.update(text.filter(pa.array(unreadable)).to_pylist())
        elif unreadable.any():
            self.odd[next(iter(self.odd))] += int(unreadable.sum())
        either = known & (found.clock != other.clock)
        for name, mask in {
            "day_first": known & np.isnan(found.clock),
            "month_first": known & np.isnan(other.clock),
            "unsure": either & ~np.isnan(found.clock) & ~np.isnan(other.clock),
            "example": known,
        }.items():
            if not getattr(self, name) and mask.any():
                setattr(self, name, text[int(np.argmax(mask))].as_py())
        lower = compute.utf8_lower(text.filter(pa.array(known)))
        clock = compute.match_substring_regex(lower, r"\d:\d\d").to_numpy(zero_copy_only=False)
        zoned = compute.match_substring_regex(lower, r"\d ?(?:z|utc|gmt|[+-]\d{2}:?(?:\d{2})?)$")
        with_zone = clock & zoned.to_numpy(zero_copy_only=False)
        self.zoned, self.bare = self.zoned + int(with_zone.sum()), self.bare + int((clock & ~with_zone).sum())

    def order(self, where: str) -> tuple[bool, list[str]]:
        """Return whether the day comes before the month, and a note if no cell says so.

        Then the month comes first in 3/4/2024, and the day in 3.4.2024.

        Parameters
        ----------
        where : the column, as messages call it

        Raises
        ------
        ConfigError
            If one cell says this, and another one that.
        """
        if self.day_first and self.month_first:
            raise ConfigError(
                f"{where} mixes {self.day_first} and {self.month_first}, so that nothing says whether the day or the "
                "month comes first: write dates as year-month-day"
            )
        if self.day_first or self.month_first or not self.unsure:
            return bool(self.day_first), []
        day_first = "/" not in self.unsure
        first = "day" if day_first else "month"
        return day_first, [f"{where}: {self.unsure} is read with the {first} first; year-month-day leaves no doubt"]
