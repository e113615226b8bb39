"""Tables as every reader of files gives them, and what the readers share: unpacking, encodings, names of columns."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.typed import as_typed
from equipoise.data import other_formats

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 65_536
ZIP = b"PK\x03\x04"
PACKED: Mapping[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
PACKED_NAMES = (".gz", ".bz2", ".xz", ".zip")
UNPACKING_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
)
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
AUTO = "auto"  # UTF-8, or UTF-16 with its mark
# Encodings that people have, of Python's hundred; the first that reads a file is told in a message.
USUAL = ("utf-8", "utf-16", "cp1252", "latin-1", "cp1250", "cp1251", "iso-8859-15", "mac-roman", "cp437", "cp850")
ASIAN = ("shift_jis", "cp932", "euc_jp", "gb18030", "gbk", "big5", "euc_kr", "cp949")
GUESSES = ("utf-8", "cp1252", "latin-1")  # the last of which reads anything
MOST_SHOWN = 30  # characters of a word that shows how a guess reads


def checked_encoding(name: Any) -> Any:
    """Return the name of an encoding.

    Raises
    ------
    ValueError
        If there is none of that name, with the nearest.
    """
    if not isinstance(name, str | int) or name == AUTO:
        return name
    try:
        "".encode(str(name))  # which refuses codecs of what is no text
    except (LookupError, ValueError):
        raise ValueError(f"is no encoding of text{suggestion(str(name), (AUTO, *USUAL, *ASIAN))}") from None
    return str(name)


Encoding: TypeAlias = Annotated[str, BeforeValidator(checked_encoding)]

# Takes the columns to read and, for rows that cannot be read, a function of the row's number, from 0, and what is wrong
# with it; then such rows are left out. Without the function they are an error. At last the size of the blocks that a
# CSV is read in, of which Arrow reads up to 32 ahead.
OnOdd = Callable[[int, str], None]
Batches = Callable[..., "Iterator[pa.RecordBatch]"]


@dataclass(frozen=True)
class Form:
    """How text files are written.

    Attributes
    ----------
    separator : of a CSV
    encoding : as Python names it, or `auto`
    decimal : the decimal mark; beside a decimal comma, a separator that is a comma is looked for in the header
    prefix : of the options in messages
    least : columns that a CSV must have; with fewer it is probably read with a wrong separator
    """

    separator: str = ","
    encoding: str = AUTO
    decimal: str = AUTO
    prefix: str = "dataset."
    least: int = 2

    def option(self, key: str, value: str) -> str:
        """Return an option as it is typed."""
        option = f"{self.prefix}{key}"
        return f"{option}={value}" if re.fullmatch(r"[\w-]+", value, re.ASCII) else as_typed(option, value)


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
    types : the type of each column, of files that say it
    files : those that it is read from, in their order
    split : 1 + the place of the split that it is called after, else 0
    notes : what a reader must know of the files
    """

    name: str
    columns: tuple[str, ...]
    batches: Batches
    missing: tuple[str, ...] = ()
    is_text: bool = False
    categorical: frozenset[str] = frozenset()
    types: "Mapping[str, pa.DataType]" = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    split: int = 0
    notes: tuple[str, ...] = ()


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


def unpacked(file: Path, start: bytes) -> Callable[[], IO[bytes]]:
    """Return a function that opens the file, unpacking it if it is packed.

    Parameters
    ----------
    start : its first bytes
    """
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
        told = other_formats.of_archive(file, names)
        if told:
            raise ConfigError(told)
        if len(names) != 1:
            raise ConfigError(f"{file} holds {len(names)} files ({listing(names, 3)}): unpack it and name one of them")
        return archive.open(names[0])


def encoding_of(form: Form, start: bytes) -> str:
    """Return the encoding of a text that begins with these bytes; a mark there says more than what was typed."""
    if start.startswith(WIDE):
        return "utf-16"
    is_utf8 = form.encoding == AUTO or codecs.lookup(form.encoding).name == "utf-8"
    return "utf-8-sig" if is_utf8 or start.startswith(codecs.BOM_UTF8) else form.encoding


def misread(file: Path, form: Form) -> ConfigError:
    """Return the error of a text that is in another encoding, with one that reads it and how it does."""
    with open(file, "rb") as stream:
        start = stream.read(8)
    opener = unpacked(file, start)
    with opener() as stream:
        start = stream.read(4)
    guesses = GUESSES if b"\0" not in start else ("utf-16-le",) if start[1:2] == b"\0" else ("utf-16-be",)
    typed = "UTF-8" if form.encoding == AUTO else form.encoding
    if start.startswith(WIDE):
        return ConfigError(f"{file} is not UTF-16 text, though it begins as such: it is damaged or cut off")
    for name in guesses:
        word = _read_with(opener, name)
        if word is not None:
            shown = f", with '{word}' in it" if word else ""
            return ConfigError(
                f"{file} is not {typed} text: {form.option('encoding', name)} reads it{shown}; "
                "if that looks wrong, name its true encoding"
            )
    return ConfigError(f"{file} is not {typed} text, and is damaged or no text at all")


def _read_with(opener: Callable[[], IO[bytes]], encoding: str) -> str | None:
    """Return the first word that is not ASCII, or "", if all of a text can be read so, else None."""
    word = ""
    try:
        with opener() as stream, io.TextIOWrapper(stream, encoding) as text:
            while block := text.read(BLOCK_BYTES):
                found = None if word else re.search(r"[^\W\d_]*[^\x00-\x7f][^\W\d_]*", block)
                word = found[0][:MOST_SHOWN] if found else word
    except (UnicodeError, *UNPACKING_ERRORS):
        return None
    return word


def check_unique(names: Sequence[str], file: Path) -> None:
    """Refuse a column that is there twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{file} has the column {listing(twice)} more than once: rename it")


def first_line(error: Exception) -> str:
    """Return the first line of an error's text, or its type if it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
