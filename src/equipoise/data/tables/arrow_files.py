"""Files that say the type of each column: Parquet, Arrow (Feather), and the folders that Hugging Face's datasets write.

A whole number that such a folder calls a class label is read as the class's name.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core.errors import ConfigError, listing
from equipoise.data.other_formats import foot
from equipoise.data.tables.files import BLOCK_ROWS, Table, check_unique, first_line
from equipoise.data.types import split_place

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET, ARROW, STREAM = b"PAR1", b"ARROW1\0\0", b"\xff\xff\xff\xff"
PARQUET_NAMES, ARROW_NAMES = (".parquet", ".pq"), (".arrow", ".feather", ".ipc", ".arrows")
STATE, SPLITS_FILE = "state.json", "dataset_dict.json"  # of a folder of datasets, and of one with splits
METADATA, CLASS_LABEL = b"huggingface", "ClassLabel"

# From the columns to read to their batches.
Read = Callable[[Sequence[str]], "Iterator[pa.RecordBatch]"]


def is_parquet(file: Path, start: bytes) -> bool:
    """Return whether a file that begins with these bytes is Parquet; a column of CSV may be called PAR1."""
    return file.suffix.lower() in PARQUET_NAMES or (start.startswith(PARQUET) and foot(file) == PARQUET)


def open_parquet(file: Path) -> Table:
    """Open a Parquet file.

    Raises
    ------
    ConfigError
        If it is none, or is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        schema = parquet.read_schema(file)
        names = tuple(schema.names)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no Parquet file: {first_line(error)}") from None

    def read(columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        yield from parquet.ParquetFile(file).iter_batches(BLOCK_ROWS, columns=list(columns))

    check_unique(names, file)
    return _table(file, schema, read)


def open_arrow(file: Path) -> Table:
    """Open an Arrow file, also called Feather or IPC, or a stream of Arrow, of which one block is held at a time.

    Raises
    ------
    ConfigError
        If it is none, or is damaged.
    """
    import pyarrow as pa

    with open(file, "rb") as start:
        is_file = start.read(len(ARROW)) == ARROW

    @contextmanager
    def opened(columns: Sequence[str] | None) -> "Iterator[Any]":
        wanted = pa.ipc.IpcReadOptions(included_fields=None if columns is None else [names.index(c) for c in columns])
        with pa.OSFile(str(file)) as source:
            opener = pa.ipc.open_file if is_file else pa.ipc.open_stream
            with opener(source, options=wanted) as reader:
                yield reader

    names: list[str] = []
    try:
        with opened(None) as reader:
            schema = reader.schema
            names += schema.names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ConfigError(f"{file} is no Arrow file: {first_line(error)}") from None

    def read(columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        with opened(columns) as reader:
            found = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
            for batch in found:
                whole = batch.select(list(columns))
                whole.validate(full=True)  # of a damaged file, Arrow would read beyond its end
                yield from (whole.slice(first, BLOCK_ROWS) for first in range(0, whole.num_rows, BLOCK_ROWS))

    check_unique(names, file)
    return _table(file, schema, read)


def _table(file: Path, schema: "pa.Schema", read: Read) -> Table:
    """Return a table of a file, with the names of its class labels, and text of one type."""
    import pyarrow as pa

    labels = _class_labels(schema)
    types = {field.name: _type(field.type, labels.get(field.name)) for field in schema}

    def batches(columns: Sequence[str], *_: Any) -> "Iterator[pa.RecordBatch]":
        try:
            for batch in read(columns):
                arrays = [
                    _named(batch.column(c), labels[c], c, file) if c in labels else batch.column(c) for c in columns
                ]
                yield as_types(pa.RecordBatch.from_arrays(arrays, names=list(columns)), types)
        except (pa.ArrowException, OSError, UnicodeError, KeyError) as error:
            raise ConfigError(f"{file} cannot be read: {first_line(error)}") from None

    return Table(
        str(file), tuple(schema.names), batches, categorical=_pandas_categories(schema), types=types, files=(file,)
    )


def as_types(batch: "pa.RecordBatch", types: "Mapping[str, pa.DataType]") -> "pa.RecordBatch":
    """Return the batch with columns of these types.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a time is too far away for a finer unit.
    """
    import pyarrow as pa

    arrays = [
        column if column.type == types[name] else _cast(column, types[name])
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _cast(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(kind, safe=pa.types.is_timestamp(kind))  # else a time would wrap to another one


def _type(kind: "pa.DataType", labels: Sequence[str] | None) -> "pa.DataType":
    """Return the type that a column is given: plain text for text of any kind, and for class labels."""
    import pyarrow as pa

    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return pa.string() if is_text or labels is not None else kind


def _class_labels(schema: "pa.Schema") -> dict[str, list[str]]:
    """Return the names of the classes of each whole-number column that Hugging Face's datasets call a class label."""
    import pyarrow as pa

    try:
        features = json.loads((schema.metadata or {})[METADATA])["info"]["features"]
        named = {str(key): list(map(str, found["names"])) for key, found in features.items() if _is_label(found)}
    except (KeyError, TypeError, ValueError, AttributeError):  # none, or damaged
        return {}
    return {name: labels for name, labels in named.items() if _is_integer(schema, name, pa)}


def _is_label(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == CLASS_LABEL


def _is_integer(schema: "pa.Schema", name: str, pa: Any) -> bool:
    place = schema.get_field_index(name)
    return place >= 0 and bool(pa.types.is_integer(schema.field(place).type))


def _named(column: "pa.Array", labels: Sequence[str], name: str, file: Path) -> "pa.Array":
    """Return the names of class labels; -1, which stands for none, is null."""
    import pyarrow as pa
    import pyarrow.compute as compute

    place = compute.if_else(compute.equal(column, -1), pa.scalar(None, column.type), column)
    most = compute.max(place).as_py()
    if most is not None and (most >= len(labels) or compute.min(place).as_py() < 0):
        raise ConfigError(
            f"{file}: the class label '{name}' has the number {most if most >= len(labels) else 'below -1'}, "
            f"and its {len(labels)} classes are numbered from 0: {listing(labels)}"
        )
    return pa.array(labels, pa.string()).take(place)


def _pandas_categories(schema: "pa.Schema") -> frozenset[str]:
    """Return the columns that were a `Categorical`; where categories are numbers, Parquet stores only the numbers."""
    try:
        described = schema.pandas_metadata["columns"]
        return frozenset(str(column["name"]) for column in described if column["pandas_type"] == "categorical")
    except (TypeError, KeyError, ValueError):  # none, or a damaged one
        return frozenset()


def is_saved(folder: Path) -> bool:
    """Return whether a folder was written by `save_to_disk` of Hugging Face's datasets."""
    return (folder / STATE).is_file() or (folder / SPLITS_FILE).is_file()


def saved_parts(folder: Path, option: str) -> tuple[list[tuple[Path, int, list[Path]]], list[str]]:
    """Return the folder of each split, with 1 + the split's place, or 0 for the only one, and its files; and notes.

    Raises
    ------
    ConfigError
        If none is a training split, a name leads elsewhere, or a file is not there.
    """
    if not (folder / SPLITS_FILE).is_file():
        return [(folder, 0, _data_files(folder))], []
    names = _plain(_json(folder / SPLITS_FILE).get("splits", []), folder / SPLITS_FILE)
    known = sorted({split_place(name): name for name in names if split_place(name)}.items())
    if [place for place, _ in known][:1] != [1]:
        raise ConfigError(
            f"{option}: {folder} has the splits {listing(names) or 'none'}, and none is called train: name one of "
            f"them, such as {option}={folder / (names or ['train'])[0]}, which is divided here"
        )
    others = [name for name in names if name not in dict(known).values()]
    them = "split is" if len(others) == 1 else "splits are"
    notes = [f"{folder}: the {listing(others)} {them} not read: neither train, validation nor test"] if others else []
    found = [(folder / name, place if len(known) > 1 else 0, _data_files(folder / name)) for place, name in known]
    return found, notes


def _data_files(folder: Path) -> list[Path]:
    state = _json(folder / STATE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise ConfigError(
            f"{folder} stores an order of its rows beside them: write it again, after .flatten_indices(), "
            "with save_to_disk"
        )
    named = [file.get("filename") for file in state.get("_data_files", []) if isinstance(file, dict)]
    files = [folder / name for name in _plain(named, folder / STATE)]
    absent = [file.name for file in files if not file.is_file()]
    if absent or not files:
        raise ConfigError(f"{folder} lacks {listing(absent) or 'data'}, which its {STATE} should name: copy it whole")
    return files


def _plain(names: Sequence[Any], file: Path) -> list[str]:
    """Return the names that a file of a folder of datasets tells, if each is that of something in the folder."""
    found = list(map(str, names))
    outside = [name for name in found if name in ("", ".", "..") or set(name) & set("/\\\0")]
    if outside:
        raise ConfigError(
            f"{file} names {listing(list(map(repr, outside)), 3)}, and a name must be that of what lies beside it: "
            "write the folder again, with save_to_disk"
        )
    return found


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {first_line(error)}") from None
    return found if isinstance(found, dict) else {}
