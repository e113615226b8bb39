"""CSV files, also packed: their header at once, their cells as text, in blocks."""

import csv as csv_module
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from equipoise.core.errors import ConfigError, counted, listing
from equipoise.data.cells import MISSING, OF_PANDAS
from equipoise.data.tables.files import (
    BLOCK_BYTES,
    UNPACKING_ERRORS,
    WIDE,
    Form,
    OnOdd,
    Table,
    check_unique,
    encoding_of,
    first_line,
    misread,
)

if TYPE_CHECKING:
    import pyarrow as pa

# The first line that tells Excel the separator.
OF_EXCEL = re.compile(r"\"?sep=([^\r\n])\"?\r?\n?", re.IGNORECASE)
MOST_COMMENTS = 1000
PACKED_PARQUET = re.compile(rb"PAR1[\0-\x08\x0e-\x1f]")  # a column may be called PAR1, with text behind it
SEPARATORS = {";": ";", "\t": "tab", "|": "|", ",": ",", ":": ":", " ": " "}  # and how they are typed
MARK = "\ufeff"  # of the byte order, which an encoding without one leaves there


def open_csv(file: Path, opener: Callable[[], IO[bytes]], form: Form) -> Table:
    """Open a CSV.

    Raises
    ------
    ConfigError
        If it is no text, or has no header.
    """
    try:
        with opener() as stream:
            start = stream.read(5)
        _check_unpacked(file, start, form)
        encoding = encoding_of(form, start)
        with opener() as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
            first = next(_lines(text, file), "").removeprefix(MARK)
            of_excel = OF_EXCEL.fullmatch(first)
        separator = of_excel[1] if of_excel else _separator(first, form)
        with opener() as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
            lines = _lines(text, file)
            if of_excel:
                next(lines)
            rows = csv_module.reader(lines, delimiter=separator)
            header = [name.removeprefix(MARK) for name in next(rows, [])]
            _check_comments(file, header, rows)
    except UnicodeError:
        raise misread(file, form) from None
    except (*UNPACKING_ERRORS, csv_module.Error) as error:
        raise ConfigError(f"{file} cannot be read: {first_line(error)}") from None
    names = _column_names(header, file)
    if len(header) < form.least:
        raise ConfigError(
            f"{file} has one column when read with {form.prefix}separator={separator!r}: "
            f"{_other_separator(''.join(header), form)}"
        )
    content = _Csv(file, opener, form, encoding, separator, 1 if of_excel else 0, names)
    return Table(str(file), names, content.batches, (*MISSING, *OF_PANDAS), is_text=True, files=(file,))


@dataclass(frozen=True)
class _Csv:
    """The content of a CSV; `above` is the number of lines above its header."""

    file: Path
    opener: Callable[[], IO[bytes]]
    form: Form
    encoding: str
    separator: str
    above: int
    names: tuple[str, ...]

    def batches(
        self, columns: Sequence[str], on_odd: OnOdd | None = None, block_bytes: int | None = None
    ) -> "Iterator[pa.RecordBatch]":
        """Implement `Batches`."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        def odd(row: "arrow.InvalidRow") -> str:
            assert on_odd is not None
            found = counted(row.actual_columns, "cell", "cells")
            on_odd(row.number - 2 - self.above, f"has {found}, and the header {row.expected_columns}")
            return "skip"

        numbers = [f"{index}" for index in range(len(self.names))]
        wanted = [str(self.names.index(name)) for name in columns]
        read = arrow.ReadOptions(
            use_threads=on_odd is None,  # with threads no row would know its number
            block_size=block_bytes or BLOCK_BYTES,
            column_names=numbers,
            skip_rows=self.above,
            skip_rows_after_names=1,
        )
        parse = arrow.ParseOptions(
            delimiter=self.separator, newlines_in_values=True, invalid_row_handler=odd if on_odd else None
        )
        convert = arrow.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
        )
        try:
            with self.opener() as raw, pa.PythonFile(raw, "r") as stream:
                if self.encoding != "utf-8-sig":
                    stream = pa.transcoding_input_stream(stream, self.encoding, "utf-8")
                for batch in arrow.open_csv(stream, read, parse, convert):
                    yield pa.RecordBatch.from_arrays(batch.columns, names=list(columns))
        except UnicodeError:
            raise misread(self.file, self.form) from None
        except (pa.ArrowInvalid, *UNPACKING_ERRORS) as error:
            if "UTF8" in str(error):
                raise misread(self.file, self.form) from None
            if "straddl" in str(error):
                most = (block_bytes or BLOCK_BYTES) >> 20
                raise ConfigError(
                    f"{self.file} has a row of more than {most} MiB, or a quote that never ends: shorten it, or save "
                    "the table as Parquet"
                ) from None
            raise ConfigError(f"{self.file} cannot be read: {first_line(error)}") from None


def _check_comments(file: Path, header: Sequence[str], rows: Iterator[list[str]]) -> None:
    """Refuse comments above the header. A line that begins with # is the header if the next line has as many cells."""
    first, count = header, 0
    while header and header[0].startswith("#") and count < MOST_COMMENTS:
        following = next(rows, [])
        if len(following) == len(header):
            break
        header, count = following, count + 1
    if count:
        lines = "its first line is a comment" if count == 1 else f"its first {count} lines are comments"
        raise ConfigError(
            f"{file} has no header on top: {lines} ({listing(first, 3)}); delete {'it' if count == 1 else 'them'}"
        )


def _separator(line: str, form: Form) -> str:
    """Return what separates the names of a header: beside a decimal comma another mark, if there is one."""
    if form.separator == "," == form.decimal:
        mark = max((";", "\t", "|"), key=line.count)
        return mark if mark in line else ","
    return form.separator


def _other_separator(line: str, form: Form) -> str:
    """Return what to try for a line in which the separator does not occur."""
    mark = max(SEPARATORS, key=line.count)
    return f"try {form.option('separator', SEPARATORS[mark])}" if mark in line else "name the separator it uses"


def _check_unpacked(file: Path, start: bytes, form: Form) -> None:
    """Refuse what is not text, after unpacking."""
    if PACKED_PARQUET.match(start):
        raise ConfigError(f"{file} is a packed Parquet file: unpack it first")
    if b"\0" in start and not start.startswith(WIDE) and not form.encoding.lower().startswith(("utf", "u16", "u32")):
        raise misread(file, form)


def _column_names(header: Sequence[str], file: Path) -> tuple[str, ...]:
    """Return the header without white space around names; a column without a name gets the one of pandas."""
    short = [name.strip() for name in header]
    names = [
        name or f"Unnamed: {index}"
        for index, name in enumerate(short if len(set(short)) == len(set(header)) else header)
    ]
    check_unique(names, file)
    return tuple(names)


def _lines(text: IO[str], file: Path) -> Iterator[str]:
    """Yield the lines; stop at one that is longer than a block, since a compressed file may unpack to any length."""
    while line := text.readline(BLOCK_BYTES):
        if len(line) == BLOCK_BYTES:
            raise ConfigError(f"{file} has a line of more than {BLOCK_BYTES} characters: it is no table")
        yield line
