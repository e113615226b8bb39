"""Read the cells of a table: numbers as people write them, marks of a missing value, dates, codes.

Everything works on Arrow arrays, a block of rows at a time. This module knows nothing of files, splits or encoders.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from equipoise.core.schema import Booleans, Floats

if TYPE_CHECKING:
    import pyarrow as pa

Decimal = Literal[".", ","]

# Marks of a missing value in any column of a CSV, in this very case; notes do not mention them.
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
OF_PANDAS = ("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "n/a")
# Marks of a missing value in a column of numbers, in either case: words, signs, and the errors of a spreadsheet.
WORDS = frozenset(
    {
        "",
        "na",
        "n/a",
        "n.a.",
        "#na",
        "#n/a",
        "#n/a n/a",
        "<na>",
        "nan",
        "-nan",
        "nat",
        "null",
        "(null)",
        "none",
        "nil",
        "missing",
        "not available",
    }
)
USUAL = WORDS | {
    r"\n",
    "?",
    "*",
    "-",
    "--",
    "---",
    "–",
    "—",
    ".",
    "..",
    "...",
    "#null!",
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
}

PLAIN = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
INFINITE = r"(?i)^[+-]?inf(inity)?$"
CURRENCY = r"[A-Z]{0,2}\p{Sc}|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|BRL|MXN|ZAR|TRY|RUB|KRW|Rs\.?"
ASKED_FIRST = 64  # cells
BEHIND = "-"  # SAP writes the minus behind a number; it is read as a unit, only in a column of numbers
PER = {"%": "e-2", "‰": "e-3"}
COUNTED = rf"^(?:{CURRENCY}|[%‰])*$"  # units of numbers, whatever they measure; others may be part of a name


def _number(whole: str, mark: str) -> str:
    """Return the pattern of a number with a sign, a currency or another unit, or in parentheses, which mean a minus."""
    digits = rf"(?:(?P<whole>{whole}|\d+)(?P<fraction>{mark}\d*)?|(?P<part>{mark}\d+))(?P<power>[eE][+-]?\d+)?"
    after = rf"(?P<after>{CURRENCY}|[%‰]|[\pL°][\pL/.²³]{{0,7}}|{BEHIND})"
    return rf"^(?P<open>\()?(?P<sign>[+-]?) *(?P<before>{CURRENCY})? *(?P<minus>-?){digits} *{after}?\)?$"


# A group of thousands never begins with 0: 1,234, 1'234, 1 234 and, as in India, 12,34,567.
NUMBER: dict[Decimal, str] = {
    ".": _number(r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?:'\d{3})+|(?: \d{3})+)|[1-9]\d?(?:,\d{2})+,\d{3}", r"\."),
    ",": _number(r"[1-9]\d{0,2}(?:(?:\.\d{3})+|(?:'\d{3})+|(?: \d{3})+)", ","),
}

_DAY, _MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_NAME = r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\pL*\.?"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?"
_FORMS = [
    rf"\d{{4}}([-/.]){_MONTH}[-/.]{_DAY}(?:[t ,].*)?",
    rf"(?:{_DAY}[-/.]{_MONTH}|{_MONTH}[-/.]{_DAY})[-/.](?:\d{{4}}|\d\d)(?:[t ,].*)?",
    rf"\d{{4}}[-/]{_MONTH}|{_MONTH}[-/]\d{{4}}",
    rf"(?:\pL{{2,9}}\.?,? )?{_DAY}(?:st|nd|rd|th)?[ .-]*{_NAME}(?:[ ,.'-]*(?:\d{{4}}|\d\d))?(?:[t ,].*)?",
    rf"(?:\pL{{2,9}}\.?,? )?{_NAME}[ -]?{_DAY}(?:st|nd|rd|th)?(?:[ ,.-]+(?:\d{{4}}|\d\d))?(?:[t ,].*)?",
    rf"{_NAME}[ /'-]*(?:\d{{4}}|\d\d)|\d{{4}}[ -]?{_NAME}(?:[ -]?{_DAY})?",
    r"\d{4}-?w\d{1,2}(?:-\d)?|\d{4}[ -]?q[1-4]|q[1-4][ -]?\d{4}",
    r"\d{8}t\d{4,6}.*",
    r"\d{4}[年년] ?\d{1,2}[月월](?: ?\d{1,2}[日일].*)?",
    _TIME,
]
DATE = rf"^(?:{'|'.join(_FORMS)})$"  # of lower-case text
SHORTEST_DATE = 8  # characters, of what follows
COMPACT = r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d[0-5]\d[0-5]\d|2[0-3][0-5]\d[0-5]\d)?$"


def trimmed(text: "pa.StringArray") -> "pa.StringArray":
    """Return the text without the white space around it; text of nothing else is missing."""
    import pyarrow as pa
    import pyarrow.compute as compute

    text = compute.utf8_trim_whitespace(text)
    return compute.if_else(compute.equal(text, ""), pa.scalar(None, pa.string()), text)


def as_text(column: "pa.Array") -> "pa.StringArray":
    """Return a column of any plain type as text; whole numbers have no point."""
    import pyarrow as pa
    import pyarrow.compute as compute

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        return pa.array([_written(value) for value in column.to_pylist()], pa.string())
    return compute.cast(column, pa.string())


def _written(value: float | None) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if float(value).is_integer() else repr(value)


def is_text(column: "pa.Array") -> bool:
    """Return whether a column holds text, or categories that are text."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_temporal(kind)
    )


def cast_or_none(text: "pa.StringArray", kind: "pa.DataType") -> "pa.Array | None":
    """Return a text as numbers, or None if a cell is none.

    Arrow words an error for each cell that fails, which takes longer than a regular expression. So a few cells are
    asked first.
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    try:
        compute.cast(text[:ASKED_FIRST], kind)
        return compute.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def parsed(text: "pa.StringArray", decimal: Decimal, unit: str = "") -> "pa.DoubleArray":
    """Read the numbers of a text with this decimal mark, and with this unit or none; null where there is no number.

    Each is the double nearest to what is written, so that 45% and 0.45 are the same number.
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    part = parts(text, decimal)
    before = compute.or_(
        compute.equal(part["open"], "("),
        compute.or_(compute.equal(part["sign"], "-"), compute.equal(part["minus"], "-")),
    )
    behind = compute.equal(part["unit"], BEHIND)
    negative = compute.or_(before, behind)
    whole = compute.replace_substring_regex(part["whole"], r"[.,' ]", "")
    fraction = compute.replace_substring(compute.binary_join_element_wise(part["fraction"], part["part"], ""), ",", ".")
    power = (
        compute.if_else(compute.equal(part["unit"], unit), pa.scalar(PER[unit]), part["power"])
        if unit in PER
        else part["power"]
    )
    joined = compute.binary_join_element_wise(compute.if_else(negative, "-", ""), whole, fraction, power, "")
    twice = compute.or_(
        compute.and_(compute.equal(part["sign"], "-"), compute.equal(part["minus"], "-")), compute.and_(before, behind)
    )
    if unit in PER:
        twice = compute.or_(
            twice, compute.and_(compute.equal(part["unit"], unit), compute.not_equal(part["power"], ""))
        )
    meant = compute.and_not(compute.is_in(part["unit"], pa.array(["", unit])), twice)
    numbers = compute.cast(compute.if_else(meant, joined, pa.scalar(None, pa.string())), pa.float64())
    infinite = compute.match_substring_regex(text, INFINITE)
    return compute.if_else(infinite, np.inf, numbers) if compute.any(infinite).as_py() else numbers


def parts(text: "pa.StringArray", decimal: Decimal) -> "dict[str, pa.StringArray]":
    """Return the parts of the numbers in a text by name, `unit` among them; all null where there is no number."""
    import pyarrow.compute as compute

    for pattern, plain in (
        ("[\u00a0\u2007\u2009\u202f]", " "),
        ("\u2212", "-"),
        ("\u2019", "'"),
    ):  # one space, minus, apostrophe
        text = compute.replace_substring_regex(text, pattern, plain)
    found = compute.extract_regex(text, NUMBER[decimal])
    part = {field.name: compute.struct_field(found, field.name) for field in found.type}
    return {**part, "unit": compute.binary_join_element_wise(part["before"], part["after"], "")}


def numbers(
    column: "pa.Array", decimal: Decimal = ".", unit: str = "", missing: Sequence[str] = (), kind: str = ""
) -> tuple[Floats, Booleans]:
    """Return a column's numbers and which cells cannot be read, both of shape (rows,).

    The numbers are float64, and NaN where a cell is missing or cannot be read.

    Parameters
    ----------
    decimal, unit : the decimal mark of text, and what may stand before or behind a number
    missing : markers of a missing value beside the usual ones; those that are numbers are compared as numbers
    kind : the Arrow type that the column had in training, to which numbers are rounded
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    unreadable = np.zeros(len(column), dtype=bool)
    if is_text(column):
        values, unreadable = _from_text(column, decimal, unit, missing, truths=kind == "bool")
    elif pa.types.is_decimal(column.type):
        # Arrow's direct cast errs in the last bit.
        values = _array(compute.cast(compute.cast(column, pa.string()), pa.float64()))
    else:
        values = _array(
            compute.cast(
                column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column, pa.float64(), safe=False
            )
        )
    rounded = {"float": np.float32, "halffloat": np.float16}.get(kind)
    if rounded is not None:
        with np.errstate(over="ignore"):
            values = values.astype(rounded).astype(np.float64)
    absent = [float(marker) for marker in missing if re.match(PLAIN, marker) or re.match(INFINITE, marker)]
    return (np.where(np.isin(values, absent), np.nan, values) if absent else values), unreadable


def _from_text(
    column: "pa.Array", decimal: Decimal, unit: str, missing: Sequence[str], *, truths: bool
) -> tuple[Floats, Booleans]:
    import pyarrow as pa
    import pyarrow.compute as compute

    text = trimmed(as_text(column))
    found = cast_or_none(text, pa.float64()) if decimal == "." else None
    if found is not None:
        return _array(found), np.zeros(len(text), dtype=bool)
    lower = compute.utf8_lower(text)
    absent = compute.or_(
        compute.is_in(lower, pa.array(sorted(USUAL))), compute.is_in(text, pa.array(list(missing), pa.string()))
    )
    text = compute.if_else(absent, pa.scalar(None, pa.string()), text)
    if truths:
        text = compute.if_else(compute.is_in(lower, pa.array(["true", "t", "yes"])), "1", text)
        text = compute.if_else(compute.is_in(lower, pa.array(["false", "f", "no"])), "0", text)
    found = parsed(text, decimal, unit)
    unreadable: Booleans = _array(compute.and_(compute.is_valid(text), compute.is_null(found)))
    return _array(found), unreadable


def categories(column: "pa.Array", missing: Sequence[str], known: Sequence[str] = ()) -> "pa.StringArray":
    """Return a column's categories as text, null where missing.

    Numbers and booleans that were text in training become the category that means the same: 7 becomes "007" if no
    other category is 7.

    Parameters
    ----------
    missing : markers of a missing value
    known : the categories of the training rows
    """
    import pyarrow as pa
    import pyarrow.compute as compute

    text = trimmed(as_text(column)) if is_text(column) else _same(as_text(column), known)
    return (
        compute.if_else(compute.is_in(text, pa.array(list(missing), pa.string())), pa.scalar(None, pa.string()), text)
        if missing
        else text
    )


def _same(text: "pa.StringArray", known: Sequence[str]) -> "pa.StringArray":
    import pyarrow.compute as compute

    encoded = compute.dictionary_encode(text)
    exact, meanings = set(known), defaultdict(list)
    for word in known:
        meanings[_says(word)].append(word)
    meant: list[str] = []
    for value in encoded.dictionary.to_pylist():
        alike = meanings[_says(value)]
        meant.append(value if value in exact or len(alike) != 1 else alike[0])
    import pyarrow as pa

    return pa.array(meant, pa.string()).take(encoded.indices)


def _says(text: str) -> float | str:
    return float(text) if re.match(PLAIN, text) else text.lower()


def as_array(values: Any) -> "pa.Array":
    """Return values of Arrow, pandas or Python as an Arrow array; values of different kinds become text."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    try:
        found = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        found = pa.array([_one(value) for value in values], pa.string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _one(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    try:
        if value is None or value != value:  # NaN, NaT
            return None
    except (TypeError, ValueError):  # pandas' NA is neither true nor false
        return None
    return str(value)


def _array(column: "pa.Array") -> Any:
    return column.to_numpy(zero_copy_only=False)
