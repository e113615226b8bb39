"""Files and folders with rows to be predicted, read in blocks, so that they may be larger than memory.

What a model learned from says what it takes: rows of a table, images, texts, or arrays of numbers.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.schema import ConfigError, Integers, for_shell, listing, suggestion
from equipoise.data import cells
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.arrays.ts_files import read_ts
from equipoise.data.images.decoding import KNOWN, looks_like_an_image
from equipoise.data.images.folders import SUFFIXES
from equipoise.data.paths import existing_file, existing_folder
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.tables.files import PARQUET_NAMES, Table, open_table
from equipoise.serving.answers import MOST_BYTES, Answers, Read
from equipoise.serving.request import Request
from equipoise.serving.served_form import COLUMNS, IMAGE, TEXT

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, IMAGES = 16_384, 256  # in a block at most
COUNTED_BYTES = 1 << 24
TEXT_NAMES = (".txt", ".text")
TAKES: Mapping[str, str] = {
    "table": "rows of a table, in a CSV or Parquet file",
    "image": f"images: a folder, or a CSV or Parquet file with a column '{IMAGE}' of their paths",
    "text": f"texts: a CSV or Parquet file with a column '{TEXT}', a folder of .txt files, or one with a text a line",
    "array": "arrays: an npz file, or a CSV or Parquet file with a number a column",
    "series": "series: a .ts file, or an npz file of padded ones with their mask",
}


@dataclass(frozen=True)
class Block:
    """Rows that follow each other.

    Attributes
    ----------
    places : their numbers, int64 (n,) from 0, or the paths of their files
    keys : (n,); None if no key is named
    """

    places: "pa.Array"
    keys: "pa.Array | None"
    read: Read


@dataclass(frozen=True)
class Input:
    """Rows to be predicted.

    Attributes
    ----------
    place : what tells a row: `row` or `path`
    rows : how many there are, nearly; None if only reading can tell
    """

    place: str
    rows: int | None
    blocks: Callable[[], Iterator[Block]]


def open_input(request: Request, answers: Answers) -> Input:
    """Open the file or folder that is to be read.

    Raises
    ------
    ConfigError
        If it is not there, or not what the model takes.
    """
    kind, path = answers.learned.kind, request.source
    if Path(path).expanduser().is_dir():
        if kind not in ("image", "text"):
            raise _wrong(path, "is a folder", kind)
        if request.key is not None:
            raise ConfigError(f"key={request.key}: a folder has no columns; the output has each file's path")
        return _of_folder(existing_folder(path, "input"), answers)
    file = existing_file(path, "input")
    suffix = file.suffix.lower()
    if suffix == ".npz" and kind in ("array", "series"):
        return _of_npz(file, answers, request)
    if suffix == ".ts" and kind == "series":
        return _of_ts(file, answers, request)
    if suffix in TEXT_NAMES and kind == "text":
        return _of_lines(file, answers, request)
    if kind == "series" or suffix in (".npz", ".ts") or suffix in SUFFIXES:
        raise _wrong(path, "is no such file", kind)
    return _of_table(file, answers, request)


def _wrong(path: str, what: str, kind: str) -> ConfigError:
    return ConfigError(f"input={path} {what}; the model takes {TAKES[kind]}")


def _of_table(file: Path, answers: Answers, request: Request) -> Input:
    """Read a CSV or Parquet file by what the model learned from: columns by name, or all columns as numbers."""
    learned = answers.learned
    read: Callable[[Any], Read]
    least = 1 if type(learned) in COLUMNS or isinstance(learned, TablePreprocessing) else 2
    table = open_table(file, request.separator, "separator", least)
    if isinstance(learned, TablePreprocessing):
        wanted, read = [column.name for column in learned.columns], answers.read
    elif type(learned) in COLUMNS:
        name = COLUMNS[type(learned)]
        wanted, read = [name], lambda batch: answers.read(batch.column(0).to_pylist())
    else:
        wanted, read = [name for name in table.columns if name != request.key], partial(_numbers, answers)
        needed = int(np.prod(answers.shape))
        if len(wanted) != needed:
            raise ConfigError(
                f"{table.name} has {len(wanted)} columns of numbers; the model takes {needed}, "
                f"a sample of shape {answers.shape} in C order"
            )
    _check_columns(table, wanted, request)
    return Input("row", _rows_in(file), lambda: _blocks_of(table, wanted, request.key, read, answers.nothing))


def _check_columns(table: Table, wanted: Sequence[str], request: Request) -> None:
    if request.key is not None and request.key not in table.columns:
        raise ConfigError(f"key={request.key}: {table.name} has no such column{suggestion(request.key, table.columns)}")
    absent = [name for name in wanted if name not in table.columns]
    if absent and len(table.columns) == 1 and table.is_text:
        open_table(Path(table.name), request.separator, "separator")  # which tells of another separator
    if absent:
        more = f" nor {listing(absent[1:], 5)}" if len(absent) > 1 else ""
        raise ConfigError(
            f"{table.name} has no column '{absent[0]}'{more}, which the model learned from"
            f"{suggestion(absent[0], table.columns)}"
        )


def _blocks_of(
    table: Table, wanted: Sequence[str], key: str | None, read: Callable[[Any], Read], nothing: Read
) -> Iterator[Block]:
    """Read rows in their order; one that has not as many cells as the header is among them, unreadable.

    Parameters
    ----------
    read, nothing : return what the model reads in some rows, and in no row
    """
    import pyarrow as pa

    odd: dict[int, str] = {}
    columns, start, kind = list(dict.fromkeys([*wanted, *([key] if key else [])])), 0, pa.string()
    for batch in table.batches(columns, odd.__setitem__):
        for part in (batch.slice(first, ROWS) for first in range(0, batch.num_rows, ROWS)):
            keys = _plain(part.column(key)) if key else None
            kind = keys.type if keys is not None else kind
            block = _with_odd(start, Block(pa.nulls(part.num_rows), keys, read(part.select(wanted))), odd)
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


def _rows_in(file: Path) -> int | None:
    """Return how many rows a Parquet file has, or the lines of a CSV that is not packed below its header."""
    import pyarrow.parquet as parquet

    with open(file, "rb") as stream:
        start = stream.read(4)
        if start == b"PAR1" or file.suffix.lower() in PARQUET_NAMES:
            return int(parquet.read_metadata(file).num_rows)
        if not start.isascii():
            return None
        stream.seek(0)
        lines = 0
        while block := stream.read(COUNTED_BYTES):
            lines += block.count(b"\n")
    return max(1, lines - 1)


def _of_folder(root: Path, answers: Answers) -> Input:
    """Read the images, or the .txt files, of a folder and of those in it, in the order of their paths."""
    is_text = answers.learned.kind == "text"
    files = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.startswith(".") and _is_wanted(os.path.join(folder, name), is_text=is_text)
    )
    if not files:
        raise ConfigError(f"input={root} holds no {'.txt files' if is_text else f'{KNOWN} files'}")

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        for first in range(0, len(files), IMAGES):
            chosen = files[first : first + IMAGES]
            paths = [os.path.relpath(path, root).encode(errors="replace") for path in chosen]
            yield Block(pa.array(paths).cast(pa.string()), None, _of_files(root, chosen, answers))

    return Input("path", len(files), blocks)


def _is_wanted(path: str, *, is_text: bool) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if is_text:
        return suffix in TEXT_NAMES
    if suffix in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return looks_like_an_image(file.read(16))
    except OSError:
        return False


def _of_files(root: Path, paths: Sequence[str], answers: Answers) -> Read:
    """Read the content of each file; one that cannot be read does not affect the others."""
    found: list[str | bytes] = []
    why: dict[int, str] = {}
    for place, path in enumerate(paths):
        try:
            found.append(_content(root, Path(path), is_text=answers.learned.kind == "text"))
        except ConfigError as error:
            found.append("")
            why[place] = str(error)
    read = answers.read(found)
    read.unreadable[list(why)] = True
    return Read(read.features, read.unreadable, [why.get(place, note) for place, note in enumerate(read.notes)])


def _content(root: Path, file: Path, *, is_text: bool) -> str | bytes:
    """Return the text, or the bytes, of a file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is a link that leaves the folder.
    """
    try:
        if not file.resolve().is_relative_to(root):
            raise ConfigError(f"is a link that leaves {root}")
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"is no file of at most {MOST_BYTES >> 20} MiB")
        data = file.read_bytes()
        return data.decode("utf-8-sig") if is_text else data
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise ConfigError("is not UTF-8 text") from None


def _of_lines(file: Path, answers: Answers, request: Request) -> Input:
    """Read a text a line."""
    if request.key is not None:
        raise ConfigError(f"key={request.key}: {file} has no columns, but a text a line")

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        start = 0
        try:
            with open(file, encoding="utf-8-sig") as lines:
                while chosen := [line.rstrip("\n") for line, _ in zip(lines, range(ROWS), strict=False)]:
                    yield Block(pa.array(np.arange(start, start + len(chosen))), None, answers.read(chosen))
                    start += len(chosen)
        except UnicodeError:
            raise ConfigError(f"{file} is not UTF-8 text: convert it, for example with iconv -t utf-8") from None

    return Input("row", _rows_in(file), blocks)


def _of_npz(file: Path, answers: Answers, request: Request) -> Input:
    """Read an array of samples, each of the shape that the model takes, or of as many numbers."""
    name = _array(file, answers, request)
    samples = npz_files.header(file, name)[0]
    if samples == 0:
        raise ConfigError(f"{file}: the array '{name}' has no samples")
    if request.key is not None and request.key not in npz_files.members(file):
        raise ConfigError(
            f"key={request.key}: {file} has no such array{suggestion(request.key, npz_files.members(file))}"
        )
    keys = None if request.key is None else npz_files.whole(file, request.key, name, samples)

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        for start, block in npz_files.blocks(file, name):
            for first in range(0, len(block), ROWS):
                part = block[first : first + ROWS].reshape(-1, *answers.shape)
                numbers = np.arange(start + first, start + first + len(part))
                yield Block(pa.array(numbers), None if keys is None else pa.array(keys[numbers]), answers.read(part))

    return Input("row", samples, blocks)


def _array(file: Path, answers: Answers, request: Request) -> str:
    """Return the name of the array with the samples: the typed one, or the only one that they can be."""
    names = npz_files.members(file)
    if request.array is not None and request.array not in names:
        raise ConfigError(f"array={request.array}: {file} has no such array{suggestion(request.array, names)}")
    shapes = {}
    for name in names if request.array is None else [request.array]:
        try:
            shapes[name] = npz_files.header(file, name)
        except ConfigError:
            if request.array is not None:
                raise
    size = int(np.prod(answers.shape))
    fitting = [name for name, shape in shapes.items() if len(shape) > 1 and int(np.prod(shape[1:])) == size]
    if not fitting:
        held = listing([f"'{name}' {shape}" for name, shape in shapes.items()] or names, 5)
        raise ConfigError(
            f"{file} has no array of samples of shape {answers.shape}, which the model takes; it has {held}"
        )
    if len(fitting) > 1:
        typed = " or ".join(for_shell(f"array={name}") for name in fitting[:4])
        raise ConfigError(f"{file} has several arrays that the model takes: name one by {typed}")
    return fitting[0]


def _of_ts(file: Path, answers: Answers, request: Request) -> Input:
    """Read a .ts file of series, each as long as it is; labels, if it has any, are not read."""
    if request.key is not None:
        raise ConfigError(f"key={request.key}: {file} has no columns; the output has each series's number")
    assert isinstance(answers.learned, SeriesPreprocessing)
    samples, _ = read_ts(file, needs_labels=False)

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        for first in range(0, len(samples), ROWS):
            part = samples[first : first + ROWS]
            yield Block(pa.array(np.arange(first, first + len(part))), None, answers.read(part))

    return Input("row", len(samples), blocks)
