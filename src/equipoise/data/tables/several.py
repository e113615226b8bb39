"""Several files as one table, read one after the other, of which one block is held at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from equipoise.core.errors import ConfigError, listing
from equipoise.data.tables.arrow_files import as_types
from equipoise.data.tables.files import OnOdd, Table, first_line, is_index
from equipoise.data.tables.json_lines import NAMES, common_type

if TYPE_CHECKING:
    import pyarrow as pa


def as_one(tables: Sequence[Table], name: str, split: int = 0, notes: Sequence[str] = ()) -> Table:
    """Return the rows of all tables as those of one.

    A column has a type that holds the values of all files. A key that no line of a file of JSON Lines has is missing in
    each of them, as it is in a single line.

    Parameters
    ----------
    split : 1 + the place of the split that the table is, else 0

    Raises
    ------
    ConfigError
        If the files have not the same columns, or are of several kinds.
    """
    more = (*(note for table in tables for note in table.notes), *notes)
    if len(tables) == 1:
        return replace(tables[0], name=name, split=split, notes=more)
    columns = _columns(tables)
    types = _types(tables, columns)

    def batches(
        wanted: Sequence[str], on_odd: OnOdd | None = None, block_bytes: int | None = None
    ) -> "Iterator[pa.RecordBatch]":
        start = 0
        for table in tables:
            odd: list[int] = []
            rows = 0
            told = _shifted(on_odd, start, odd) if on_odd is not None else None
            own = [column for column in wanted if column in table.columns]
            for batch in table.batches(own, told, block_bytes):
                rows += batch.num_rows
                yield _brought(batch, wanted, types, table.name)
            start += rows + len(odd)

    return Table(
        name,
        columns,
        batches,
        tables[0].missing,
        tables[0].is_text,
        frozenset().union(*(table.categorical for table in tables)),
        types,
        tuple(file for table in tables for file in table.files),
        split,
        more,
    )


def _shifted(on_odd: OnOdd, start: int, odd: list[int]) -> OnOdd:
    """Return a function that counts a file's odd rows, and tells them by their number among all rows."""

    def told(row: int, what: str) -> None:
        odd.append(row)
        on_odd(start + row, what)

    return told


def _columns(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return the columns of all files, which must be the same but for an index."""
    first = tables[0]
    for table in tables:
        if table.is_text != first.is_text:
            raise ConfigError(f"{first.name} and {table.name} are of different kinds: name files of one kind")
    if all(_is_json(table) for table in tables):
        return tuple(dict.fromkeys(name for table in tables for name in table.columns))
    for table in tables:
        lacks = [name for name in first.columns if name not in table.columns and not is_index(name)]
        more = [name for name in table.columns if name not in first.columns and not is_index(name)]
        if lacks or more:
            told = [f"lacks {listing(lacks, 5)}"] * bool(lacks) + [f"has {listing(more, 5)} more"] * bool(more)
            raise ConfigError(
                f"{table.name} has not the columns of {first.name}: it {' and '.join(told)}; files that are read as "
                "one need the same columns, each under its name in the first line"
            )
    return tuple(name for name in first.columns if all(name in table.columns for table in tables))


def _is_json(table: Table) -> bool:
    return not table.is_text and any(suffix.lower() in NAMES for suffix in table.files[0].suffixes)


def _types(tables: Sequence[Table], columns: Sequence[str]) -> "Mapping[str, pa.DataType]":
    found: dict[str, pa.DataType] = {}
    for table in tables:
        for name in columns:
            kind = table.types.get(name)
            if kind is None:
                continue
            common = common_type(found.get(name, kind), kind)
            if common is None:
                raise ConfigError(
                    f"{table.name}: column '{name}' holds {kind}, and {found[name]} in the files before: "
                    "write it alike in all of them"
                )
            found[name] = common
    return found


def _brought(
    batch: "pa.RecordBatch", wanted: Sequence[str], types: "Mapping[str, pa.DataType]", name: str
) -> "pa.RecordBatch":
    """Return the batch of a table of this name with the wanted columns, in their order and types."""
    import pyarrow as pa

    held = batch.schema.names
    if not types:
        return batch
    arrays = [batch.column(each) if each in held else pa.nulls(batch.num_rows, types[each]) for each in wanted]
    try:
        return as_types(pa.RecordBatch.from_arrays(arrays, names=list(wanted)), types)
    except pa.ArrowInvalid as error:
        raise ConfigError(
            f"{name}: a value does not fit the type that its column has in other files ({first_line(error)}): write "
            "the column alike in all of them"
        ) from None
