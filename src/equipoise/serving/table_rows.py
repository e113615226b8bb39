"""The rows of a table, of one file or several, in their order; those that cannot be read are among them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Integers
from equipoise.data import cells
from equipoise.data.tables.arrow_files import ARROW, ARROW_NAMES, is_parquet
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.tables.files import Form, Table
from equipoise.data.tables.opening import open_one
from equipoise.serving.answers import Answers, Read
from equipoise.serving.blocks import Block, Input, at_once
from equipoise.serving.request import Request
from equipoise.serving.served_form import column_of

if TYPE_CHECKING:
    import pyarrow as pa

COUNTED_BYTES = 1 << 24
AHEAD = 1 << 20  # bytes of a block of a CSV with short lines, of which Arrow reads 32 ahead


def of_table(answers: Answers, request: Request) -> Input:
    """Read a table by what the model learned from: columns by name, or all columns as numbers."""
    learned = answers.learned
    read: Callable[[Any], Read]
    column = column_of(learned)
    least = 1 if column is not None or isinstance(learned, TablePreprocessing) else 2
    form = Form(request.separator, request.encoding, request.decimal, "", least)
    table = open_one(request.source, "input", form)
    if isinstance(learned, TablePreprocessing):
        answers = replace(answers, learned=learned.with_decimal(request.decimal))
        wanted, read = [column.name for column in learned.columns], answers.read
    elif column is not None:
        wanted, read = [column], lambda batch: answers.read(batch.column(0).to_pylist())
    else:
        wanted, read = [name for name in table.columns if name != request.key], partial(_numbers, answers)
        needed = math.prod(answers.shape)
        if len(wanted) != needed:
            raise ConfigError(
                f"{table.name} has {len(wanted)} columns of numbers; the model takes {needed}, "
                f"a sample of shape {answers.shape} in C order"
            )
    _check_columns(table, wanted, request)
    batches = partial(_batches, table, wanted, request.key, answers)
    return Input("row", rows_in(table.files), lambda: numbered(batches, wanted, request.key, read, answers.nothing))


def _check_columns(table: Table, wanted: Sequence[str], request: Request) -> None:
    if request.key is not None and request.key not in table.columns:
        raise ConfigError(f"key={request.key}: {table.name} has no such column{suggestion(request.key, table.columns)}")
    absent = [name for name in wanted if name not in table.columns]
    if absent and len(table.columns) == 1 and table.is_text:
        form = Form(request.separator, request.encoding, request.decimal, "")
        open_one(request.source, "input", form)  # which tells of another separator
    if absent:
        more = f" nor {listing(absent[1:], 5)}" if len(absent) > 1 else ""
        raise ConfigError(
            f"{table.name} has no column '{absent[0]}'{more}, which the model learned from"
            f"{suggestion(absent[0], table.columns)}"
        )


def _batches(
    table: Table, wanted: Sequence[str], key: str | None, answers: Answers, on_odd: Callable[[int, str], None]
) -> "Iterator[pa.RecordBatch]":
    """Read the wanted columns and the key, in batches of no more rows than a block may have."""
    columns, rows = list(dict.fromkeys([*wanted, *([key] if key else [])])), at_once(answers)
    is_short = isinstance(answers.learned, TablePreprocessing)  # images, texts and arrays may make long lines
    for batch in table.batches(columns, on_odd, AHEAD if is_short else None):
        yield from (batch.slice(first, rows) for first in range(0, batch.num_rows, rows))


def numbered(
    batches: "Callable[[Callable[[int, str], None]], Iterator[pa.RecordBatch]]",
    wanted: Sequence[str],
    key: str | None,
    read: Callable[[Any], Read],
    nothing: Read,
) -> Iterator[Block]:
    """Yield rows in their order; one that has not as many cells as the header is among them, unreadable.

    Parameters
    ----------
    read, nothing : return what the model reads in some rows, and in no row
    """
    import pyarrow as pa

    odd: dict[int, str] = {}
    start, kind = 0, pa.string()
    for batch in batches(odd.__setitem__):
        keys = _plain(batch.column(key)) if key else None
        kind = keys.type if keys is not None else kind
        block = _with_odd(start, Block(pa.nulls(batch.num_rows), keys, read(batch.select(wanted))), odd)
        yield block
        start = block.places[-1].as_py() + 1
    if odd:
        keys = pa.nulls(0, kind) if key else None
        yield _with_odd(start, Block(pa.nulls(0), keys, nothing), odd, last=True)


def _with_odd(start: int, block: Block, odd: dict[int, str], *, last: bool = False) -> Block:
    """Return the block with its rows numbered, and with the odd rows before its last one, which are taken out of `odd`.

    Parameters
    ----------
    start : the number of the first row that was in no block yet
    last : whether all that are left belong to this block
    """
    import pyarrow as pa

    read = block.read
    numbers = _numbers_of(len(read.notes), start, odd)
    if not odd:
        return Block(pa.array(numbers), block.keys, read)
    before = sorted(number for number in odd if last or number < numbers[-1])
    found = np.concatenate([numbers, np.array(before, np.int64)])
    order = np.argsort(found)
    features = _with_blanks(read.features, len(before))
    notes = [*read.notes, *(odd.pop(number) for number in before)]
    keys = None if block.keys is None else pa.concat_arrays([block.keys, pa.nulls(len(before), block.keys.type)])
    unreadable = np.concatenate([read.unreadable, np.ones(len(before), bool)])
    return Block(
        pa.array(found[order]),
        None if keys is None else keys.take(pa.array(order)),
        Read(features[order], unreadable[order], [notes[place] for place in order]),
    )


def _numbers_of(rows: int, start: int, odd: Mapping[int, str]) -> Integers:
    """Return the numbers of so many rows, int64, from `start` on, without those of odd ones."""
    numbers = np.arange(start, start + rows + len(odd))
    return numbers[~np.isin(numbers, list(odd))][:rows] if odd else numbers


def _with_blanks(features: Any, rows: int) -> Any:
    """Return the features with so many rows of zeros, or of empty texts, below them."""
    return np.concatenate([features, np.zeros((rows, *features.shape[1:]), features.dtype)]) if rows else features


def _plain(column: "pa.Array") -> "pa.Array":
    """Return the column; categories become what they stand for, so that all blocks have one type."""
    import pyarrow as pa

    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _numbers(answers: Answers, batch: "pa.RecordBatch") -> Read:
    """Read every column as numbers; a cell that is none makes its row unreadable."""
    found = [cells.numbers(column) for column in batch.columns]
    read = answers.read(np.stack([values for values, _ in found], axis=1))
    for place, bad in enumerate(values for _, values in found):
        for row in np.flatnonzero(bad):
            read.notes[row] = f"{batch.schema.names[place]}={batch.column(place)[row].as_py()}: no number"
    return read


def rows_in(files: Sequence[Path]) -> int | None:
    """Return how many rows files have: those of Parquet, and the lines of text that is not packed, without a header."""
    found = [_rows_of(file) for file in files]
    return None if None in found else sum(rows for rows in found if rows is not None)


def _rows_of(file: Path) -> int | None:
    import pyarrow.parquet as parquet

    with open(file, "rb") as stream:
        start = stream.read(len(ARROW))
        if is_parquet(file, start):
            return int(parquet.read_metadata(file).num_rows)
        if not start.isascii() or start == ARROW or file.suffix.lower() in ARROW_NAMES:
            return None
        stream.seek(0)
        lines = 0
        while block := stream.read(COUNTED_BYTES):
            lines += block.count(b"\n")
    return lines if start.startswith(b"{") else max(1, lines - 1)
