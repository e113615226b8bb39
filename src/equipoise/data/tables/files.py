"""Files that hold tables: CSV, also packed or in UTF-16, and Parquet. The content tells which of them a file is.

Files are read in batches, never whole.
"""

import bz2
import codecs
import csv as csv_module
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from equipoise.core.schema import ConfigError, as_typed, counted, listing
from equipoise.data.cells import MISSING, OF_PANDAS

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 65_536
# The first line that tells Excel the separator.
OF_EXCEL = re.compile(r"\"?sep=([^\r\n])\"?\r?\n?", re.IGNORECASE)
MOST_COMMENTS = 1000
PARQUET, ZIP = b"PAR1", b"PK\x03\x04"
PACKED: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
PACKED_NAMES = (".gz", ".bz2", ".xz", ".zip")
PARQUET_NAMES = (".parquet", ".pq")
OTHERS = {
    b"ARROW1": "an Arrow (Feather) file",
    b"ORC": "an ORC file",
    b"\x89HDF": "an HDF5 file",
    b"SQLite": "a database",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"7z\xbc\xaf": "a 7z archive",
}
UNPACKING_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)


# Takes the columns to read and, for rows that have not as many cells as the header, a function of the row's number,
# from 0, and what is wrong with it; then such rows are left out. Without the function they are an error. At last the
# size of the blocks that a CSV is read in, of which Arrow reads up to 32 ahead.
OnOdd = Callable[[int, str], None]
Batches = Callable[..., "Iterator[pa.RecordBatch]"]


@dataclass(frozen=True)
class Table:
    """A table that can be read again and again.

    Attributes
    ----------
    name : as messages call it
    columns : their names
    batches : read these columns from the start; the cells of a CSV are text as it stands in the file, even empty text
    missing : texts that mean a missing value; none where the file itself marks missing values
    is_text : whether all its cells are text, as those of a CSV
    categorical : the columns that pandas wrote as categories, of whatever type
    """

    name: str
    columns: tuple[str, ...]
    batches: Batches
    missing: tuple[str, ...] = ()
    is_text: bool = False
    categorical: frozenset[str] = frozenset()


def numbered(tables: Sequence[Table], columns: Sequence[str]) -> "Iterator[tuple[int, pa.RecordBatch]]":
    """Yield the batches of all tables, one after the other, each with the number of its first row."""
    start = 0
    for table in tables:
        for batch in table.batches(columns):
            yield start, batch
            start += batch.num_rows


def is_index(name: str) -> bool:
    """Return whether a column has the name that pandas gives the index of a frame when it writes or reads it."""
    return re.fullmatch(r"__index_level_\d+__|Unnamed: \d+(\.\d+)?", name) is not None


def open_table(file: Path, separator: str = ",", option: str = "dataset.separator", least: int = 2) -> Table:
    """Open a CSV or Parquet file as a table.

    Parameters
    ----------
    option : that names the separator
    least : columns that a CSV must have; with fewer it is probably read with a wrong separator

    Raises
    ------
    ConfigError
        If it is neither, or damaged.
    """
    if file.stat().st_size == 0:
        raise ConfigError(f"{file} is empty")
    with open(file, "rb") as stream:
        start = stream.read(8)
    if start.startswith(PARQUET) or file.suffix.lower() in PARQUET_NAMES:
        return _open_parquet(file)
    for magic, kind in OTHERS.items():
        if start.startswith(magic):
            raise ConfigError(f"{file} is {kind}: save it as CSV or Parquet")
    return _open_csv(file, separator, _opener(file, start), (option, least))


def _opener(file: Path, start: bytes) -> Callable[[], IO[bytes]]:
    """Return a function that opens the file, unpacking it if it is packed."""
    for magic, opened in PACKED.items():
        if start.startswith(magic):
            return lambda: opened(file)
    if start.startswith(ZIP):
        return lambda: _member(file)
    if file.suffix.lower() in PACKED_NAMES:
        raise ConfigError(f"{file} cannot be read: it is not packed as {file.suffix} says; rename it to what it is")
    return lambda: open(file, "rb")


def _member(file: Path) -> IO[bytes]:
    """Open the only file in a zip archive."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if "[Content_Types].xml" in names:
            raise ConfigError(f"{file} is an Excel workbook: save its sheet as CSV")
        if len(names) != 1:
            raise ConfigError(f"{file} holds {len(names)} files ({listing(names, 3)}): unpack it and name one of them")
        return archive.open(names[0])


def _open_csv(file: Path, separator: str, opener: Callable[[], IO[bytes]], typed: tuple[str, int]) -> Table:
    try:
        with opener() as stream:
            start = stream.read(4)
        _check_unpacked(file, start)
        encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        with opener() as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
            of_excel = OF_EXCEL.fullmatch(next(_lines(text, file), ""))
        separator = of_excel[1] if of_excel else separator
        with opener() as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
            lines = _lines(text, file)
            if of_excel:
                next(lines)
            rows = csv_module.reader(lines, delimiter=separator)
            header = next(rows, [])
            _check_comments(file, header, rows)
    except UnicodeError:
        raise _not_utf8(file) from None
    except (*UNPACKING_ERRORS, csv_module.Error) as error:
        raise ConfigError(f"{file} cannot be read: {_first_line(error)}") from None
    names = _column_names(header, file)
    option, least = typed
    if len(header) < least:
        raise ConfigError(
            f"{file} has one column when read with {option}={separator!r}: {_other_separator(''.join(header), option)}"
        )
    content = _Csv(file, opener, encoding, separator, 1 if of_excel else 0, names)
    return Table(str(file), names, content.batches, (*MISSING, *OF_PANDAS), is_text=True)


@dataclass(frozen=True)
class _Csv:
    """The content of a CSV; `above` is the number of lines above its header."""

    file: Path
    opener: Callable[[], IO[bytes]]
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
                if self.encoding == "utf-16":
                    stream = pa.transcoding_input_stream(stream, self.encoding, "utf-8")
                for batch in arrow.open_csv(stream, read, parse, convert):
                    yield pa.RecordBatch.from_arrays(batch.columns, names=list(columns))
        except UnicodeError:
            raise _not_utf8(self.file) from None
        except (pa.ArrowInvalid, *UNPACKING_ERRORS) as error:
            raise ConfigError(f"{self.file} cannot be read: {_first_line(error)}") from None


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


def _other_separator(line: str, option: str) -> str:
    """Return what to try for a line in which the separator does not occur."""
    mark, name = max(
        {";": ";", "\t": "tab", "|": "|", ",": ",", ":": ":", " ": " "}.items(), key=lambda pair: line.count(pair[0])
    )
    return f"try {as_typed(option, name)}" if mark in line else "name the separator it uses"


def _check_unpacked(file: Path, start: bytes) -> None:
    """Refuse what is not text, after unpacking."""
    if start.startswith(PARQUET):
        raise ConfigError(f"{file} is a packed Parquet file: unpack it first")
    if b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _not_utf8(file)


def _not_utf8(file: Path) -> ConfigError:
    with open(file, "rb") as stream:
        wide = b"\0" in stream.read(4)
    return ConfigError(
        f"{file} is not UTF-8 text: convert it, for example with iconv -f {'utf-16le' if wide else 'latin1'} -t utf-8"
    )


def _column_names(header: Sequence[str], file: Path) -> tuple[str, ...]:
    """Return the header without white space around names; a column without a name gets the one of pandas."""
    short = [name.strip() for name in header]
    names = [
        name or f"Unnamed: {index}"
        for index, name in enumerate(short if len(set(short)) == len(set(header)) else header)
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{file} has the column {listing(twice)} more than once: rename it")
    return tuple(names)


def _lines(text: IO[str], file: Path) -> Iterator[str]:
    """Yield the lines; stop at one that is longer than a block, since a compressed file may unpack to any length."""
    while line := text.readline(BLOCK_BYTES):
        if len(line) == BLOCK_BYTES:
            raise ConfigError(f"{file} has a line of more than {BLOCK_BYTES} characters: it is no table")
        yield line


def _open_parquet(file: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        schema = parquet.read_schema(file)
        names = tuple(schema.names)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no Parquet file: {_first_line(error)}") from None
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{file} has the column {listing(twice)} more than once: rename it")

    def batches(columns: Sequence[str], *_: Any) -> "Iterator[pa.RecordBatch]":
        try:
            yield from parquet.ParquetFile(file).iter_batches(BLOCK_ROWS, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(f"{file} cannot be read: {_first_line(error)}") from None

    return Table(str(file), names, batches, categorical=_pandas_categories(schema))


def _pandas_categories(schema: "pa.Schema") -> frozenset[str]:
    """Return the columns that were a `Categorical`; where categories are numbers, Parquet stores only the numbers."""
    try:
        described = schema.pandas_metadata["columns"]
        return frozenset(str(column["name"]) for column in described if column["pandas_type"] == "categorical")
    except (TypeError, KeyError, ValueError):  # none, or a damaged one
        return frozenset()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
