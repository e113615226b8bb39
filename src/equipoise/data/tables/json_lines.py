"""JSON Lines, also packed: one object a line, whose keys are columns.

A key that a line lacks is a missing value if another line has it; a key that no line has is no column. The file is read
twice, in blocks of whole lines: once to learn the type of every column, and then for the values.
"""

import codecs
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from equipoise.core.errors import ConfigError
from equipoise.data.tables.files import (
    BLOCK_BYTES,
    PACKED_NAMES,
    UNPACKING_ERRORS,
    Form,
    OnOdd,
    Table,
    encoding_of,
    first_line,
    misread,
    unpacked,
)

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = (".jsonl", ".ndjson", ".json")
MOST_BYTES = 8 * BLOCK_BYTES  # of one line
KINDS = {int: "a number", float: "a number", str: "a text", bool: "true or false", dict: "an object", list: "a list"}


def is_json(file: Path, opener: Callable[[], IO[bytes]]) -> bool:
    """Return whether a file has the name of JSON Lines, packed or not, or begins as an object of JSON."""
    names = [suffix.lower() for suffix in file.suffixes]
    if names and (names[-1] in NAMES or (names[-1] in PACKED_NAMES and names[-2:-1] and names[-2] in NAMES)):
        return True
    try:
        with opener() as stream:
            return stream.read(64).removeprefix(codecs.BOM_UTF8).lstrip().startswith((b'{"', b"[{"))
    except UNPACKING_ERRORS:
        return False


def open_json(file: Path, form: Form) -> Table:
    """Open a file of JSON Lines.

    Raises
    ------
    ConfigError
        If a line is no object of JSON, or a column's values are of several kinds.
    """
    status = file.stat()
    types = _surveyed(str(file), form, status.st_size, status.st_mtime_ns)
    if not types:
        raise ConfigError(f'{file} has no row with a column; a row is a line such as {{"x": 1.5, "y": "a"}}')
    content = _Lines(file, form, types)
    return Table(str(file), tuple(types), content.batches, types=types, files=(file,))


def common_type(one: "pa.DataType", other: "pa.DataType") -> "pa.DataType | None":
    """Return the type that holds the values of both, or None; a whole number beyond 2^53 is rounded in `float64`."""
    import pyarrow as pa

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)):
        return _common_number(one, other)
    if all(map(pa.types.is_timestamp, (one, other))) or all(map(pa.types.is_decimal, (one, other))):
        return _widest(one, other)
    if pa.types.is_nested(one) and pa.types.is_nested(other):
        return one  # neither is read
    return pa.string() if _is_textual(one) and _is_textual(other) else None


def _common_number(one: "pa.DataType", other: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if not (pa.types.is_integer(one) and pa.types.is_integer(other)):
        return pa.float64()
    if pa.uint64() not in (one, other):
        return pa.int64()
    # In int64 what is 2^63 or more would turn negative.
    return pa.uint64() if all(map(pa.types.is_unsigned_integer, (one, other))) else pa.float64()


def _widest(one: "pa.DataType", other: "pa.DataType") -> "pa.DataType | None":
    """Return the finer of two times, the wider of two decimals; None for times of which one alone has a zone."""
    import pyarrow as pa

    schemas = [pa.schema([("x", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None


def _is_textual(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_string_view(held))


@functools.lru_cache(maxsize=256)
def _surveyed(file: str, form: Form, _size: int, _time: int) -> "Mapping[str, pa.DataType]":
    """Return the type of every column, in the order in which they come; text that looks like a time is text."""
    import pyarrow as pa

    found: dict[str, pa.DataType] = {}
    lines = _Lines(Path(file), form, None)
    for number, block in lines.blocks():
        # A line that is no object is told when the values are read.
        for field in lines.parsed(number, block, on_odd=lambda *_: None).schema:
            kind = pa.string() if pa.types.is_temporal(field.type) else field.type
            common = common_type(found.get(field.name, kind), kind)
            if common is None:
                raise _of_several_kinds(lines, field.name, f"{found[field.name]} and {kind}")
            found[field.name] = common
    for number, block in lines.blocks() if not found else ():
        lines.parsed(number, block)  # which tells of lines that are no objects
    return {name: pa.string() if pa.types.is_null(kind) else kind for name, kind in found.items()}


@dataclass(frozen=True)
class _Lines:
    """The lines of a file; without `types` every column is read, as the type that its values have in a block."""

    file: Path
    form: Form
    types: "Mapping[str, pa.DataType] | None"

    def batches(
        self, columns: Sequence[str], on_odd: OnOdd | None = None, block_bytes: int | None = None
    ) -> "Iterator[pa.RecordBatch]":
        """Implement `Batches`."""
        for number, block in self.blocks(block_bytes or BLOCK_BYTES):
            table = self.parsed(number, block, columns, on_odd)
            yield from table.select(list(columns)).combine_chunks().to_batches()

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
        """Yield whole lines in UTF-8, with the number of the first one, from 0; blank lines count for nothing."""
        rest, number = b"", 0
        for data in self._text(size):
            head, mark, tail = data.rpartition(b"\n")
            if mark:
                block, rest = rest + head + mark, tail
                yield number, block
                number += _rows(block)
            else:
                rest += tail
            if len(rest) > MOST_BYTES:
                raise ConfigError(f"{self.file} has a line of more than {MOST_BYTES} bytes: it is no JSON Lines")
        if rest.strip():
            yield number, rest

    def _text(self, size: int) -> Iterator[bytes]:
        """Yield the file's text in UTF-8, unpacked and without a mark on top."""
        try:
            with open(self.file, "rb") as raw:
                opener = unpacked(self.file, raw.read(8))
            with opener() as raw:
                start = raw.read(4)
                encoding = encoding_of(self.form, start)
                decoder = codecs.getincrementaldecoder(encoding)()
                data = start
                while data:
                    yield decoder.decode(data).encode()
                    data = raw.read(size)
                yield decoder.decode(b"", final=True).encode()
        except UnicodeError:
            raise misread(self.file, self.form) from None
        except UNPACKING_ERRORS as error:
            raise ConfigError(f"{self.file} cannot be read: {first_line(error)}") from None

    def parsed(self, number: int, block: bytes, columns: Sequence[str] = (), on_odd: OnOdd | None = None) -> "pa.Table":
        """Read a block's values.

        Raises
        ------
        ConfigError
            If a line is no object; with `on_odd` it is left out.
        """
        import pyarrow as pa
        import pyarrow.json as arrow

        options, schema = arrow.ParseOptions(), pa.schema([])
        if self.types is not None:
            schema = pa.schema([(name, self.types[name]) for name in columns])
            options = arrow.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        read = arrow.ReadOptions(block_size=max(1, len(block)))
        try:
            table, rows = arrow.read_json(pa.BufferReader(block), read, options), _rows(block)
            if table.num_rows == rows:
                return table
            told = f"it has {table.num_rows} objects on {rows} lines"
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError) as error:
            told = first_line(error)
        odd = _odd_lines(block)
        if on_odd is None or not odd:
            raise self._error(number, odd, told, is_list=block.lstrip().startswith(b"["))
        for place, what in odd.items():
            on_odd(number + place, what)
        lines = [line for line in block.split(b"\n") if line.strip()]
        good = b"\n".join(line for place, line in enumerate(lines) if place not in odd)
        return self.parsed(number, good, columns) if good else schema.empty_table()

    def _error(self, number: int, odd: Mapping[int, str], told: str, *, is_list: bool) -> ConfigError:
        if is_list:
            cure = "pandas.read_json(…).to_json(…, orient='records', lines=True)"
            return ConfigError(f"{self.file} holds a list, and not an object on each line: {cure} writes it so")
        if odd:
            place = min(odd)
            return ConfigError(f"{self.file}: row {number + place + 1} {odd[place]}")
        if "changed from" in told:
            name = told.split("/", 1)[-1].split(")", 1)[0]
            return _of_several_kinds(self, name, told.split("changed from ", 1)[1].split(" in row")[0])
        return ConfigError(f"{self.file} cannot be read: {told}")


def _rows(block: bytes) -> int:
    """Count the lines that are not blank."""
    return sum(1 for line in block.split(b"\n") if line.strip())


def _odd_lines(block: bytes) -> dict[int, str]:
    """Return what is wrong with each line that is no object of JSON, by its number in the block."""
    odd: dict[int, str] = {}
    for place, line in enumerate(line for line in block.split(b"\n") if line.strip()):
        try:
            is_object = isinstance(json.loads(line, object_pairs_hook=_once), dict)
            told = "" if is_object else "is no object of JSON, {…}, on a line of its own"
        except (ValueError, RecursionError) as error:
            told = f"is no object of JSON on a line of its own: {first_line(error)}"
        if told:
            odd[place] = told
    return odd


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _of_several_kinds(lines: _Lines, name: str, kinds: str) -> ConfigError:
    return ConfigError(
        f"{lines.file}: column '{name}' holds values of several kinds ({_two_kinds(lines, name) or kinds}): write them "
        "alike, numbers without quotation marks, and null for a missing one"
    )


def _two_kinds(lines: _Lines, name: str) -> str:
    """Return the kind of the column's first value and the first other kind, each with its row; "" of one kind."""
    first = None
    for number, block in lines.blocks():
        for row, line in enumerate((line for line in block.split(b"\n") if line.strip()), number + 1):
            try:
                value = json.loads(line).get(name)
            except (ValueError, RecursionError, AttributeError):  # what is no object is told elsewhere
                continue
            kind = KINDS.get(type(value))
            first = first or (kind and (kind, row))
            if first and kind not in (None, first[0]):
                return f"{first[0]} in row {first[1]}, {kind} in row {row}"
    return ""
