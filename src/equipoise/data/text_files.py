"""Texts in a column of a CSV or Parquet file, or in the .txt files of a folder with one folder a class.

They are read in blocks: once to learn the words of the training texts, and once to write their ids, so that memory
holds a block. With `tokens=none` they are read once, and memory holds all of them.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from equipoise.core.errors import ConfigError, counted, suggestion
from equipoise.core.schema import Floats, Integers, Name, Names
from equipoise.data import texts
from equipoise.data.images.dataset import content_of as content_of_files
from equipoise.data.images.folders import TEXTS, is_unlabelled, listed
from equipoise.data.labels import Spelled, in_order
from equipoise.data.paths import existing_file, existing_folder, is_folder, is_there
from equipoise.data.remote import local
from equipoise.data.tables.dataset import FileOptions, Roles, check_roles, columns_of_table, rows_of, tables_of
from equipoise.data.tables.files import AUTO, Table
from equipoise.data.tables.opening import content_of, form_of, open_one
from equipoise.data.texts import TextPreprocessing
from equipoise.data.types import SPLITS, Dataset, Loaded, Preprocessing, Raw, RowWeights
from equipoise.data.words import Learning, WordOptions, WordPreprocessing, splitter

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_TEXTS = 4096
AHEAD = 1 << 21  # bytes of a block of a CSV, of which Arrow reads 32 ahead
BLOCK_FILES = 256
MOST_FILE_BYTES = 64 << 20
COLUMN = "text"  # where a table holds texts if files held those that were learned of


class TextFiles(FileOptions):
    """Where texts and their labels stand: in a table, or, without names of columns, in a folder with a folder a class.

    Attributes
    ----------
    text, target : columns of a table
    missing_labels : texts in the label column that mean "no label"
    time : a column by which rows are divided
    on_empty : what to do with a text that holds no word
    """

    text: Name | None
    target: Name | None
    missing_labels: Names
    time: Name | None
    on_empty: Literal["error", "skip"]


@dataclass(frozen=True)
class Texts:
    """Texts that can be read again and again.

    Attributes
    ----------
    count : how many there are
    column : the column that holds them; `COLUMN` of files
    blocks : read them in blocks, each with the number of its first text
    place : say where a text stands, by its number
    """

    count: int
    column: str
    blocks: Callable[[], Iterator[tuple[int, list[str]]]]
    place: Callable[[int], str]


def text(least: int = 2, *, files: TextFiles, words: WordOptions, weights: RowWeights) -> Raw:
    """Texts in a column of a CSV or Parquet file, or .txt files in one folder a class, and each text's class.

    Parameters
    ----------
    least : classes that there must be; 1 where samples are judged, and not learned from
    """
    files = files.model_copy(update={"path": local(files.path, "dataset.path")})
    if files.text is None and is_folder(files.path):
        return _of_folder(least, files, words, weights)
    return _of_tables(least, files, words, weights)


def _of_tables(least: int, files: TextFiles, words: WordOptions, weights: RowWeights) -> Raw:
    for option, what in (("text", "texts"), ("target", "classes")):
        if getattr(files, option) is None:
            if not is_there(files.path):
                existing_file(files.path, "dataset.path")  # which tells of the nearest name
            raise ConfigError(f"dataset.{option} is missing: name the column of {files.path} that holds the {what}")
    tables, column = tables_of(files), files.text or ""
    roles = Roles((files.target or "",), files.missing_labels, option="dataset.target", least=least)
    if least > 1:
        roles = replace(roles, group=files.group, split_column=files.split_column, time=files.time)
    if least > 1 or weights.weight in tables[0].columns:
        roles = replace(roles, weight=weights.weight)
    check_roles(tables, roles)
    for table in tables:
        if column not in table.columns:
            near = suggestion(column, table.columns, "dataset.text")
            raise ConfigError(f"dataset.text={column}: {table.name} has no such column{near}")
    if column in roles.columns:
        other = next(option for option, name in roles.typed if name == column)
        raise ConfigError(f"dataset.text={column} names the column that {other} names: choose another")
    raw = rows_of(tables, roles, content_of(tables), _unread)
    found = Texts(len(raw.labels), column, lambda: _in_tables(tables, column), lambda row: _row(tables, raw.files, row))
    return _read(raw, found, words, files.on_empty)


def _unread(_rows: Mapping[str, Integers], _folder: Path) -> Loaded:
    raise AssertionError("its texts are not known yet")


def _of_folder(least: int, files: TextFiles, words: WordOptions, weights: RowWeights) -> Raw:
    options = {**vars(files), "weight": weights.weight}
    for option in ("target", "test_path", "group", "split_column", "time", "weight"):
        if least > 1 and options[option] is not None:
            raise ConfigError(
                f"dataset.{option}={options[option]}: dataset.path={files.path} is a folder, whose folders say "
                "the class and the split of each text: leave it out"
            )
    root = existing_folder(files.path, "dataset.path")
    folders, notes = listed(root, least, TEXTS)
    names = in_order({folder.name for folder in folders})
    sizes = [len(folder.paths) for folder in folders]
    labels = np.repeat([names.index(folder.name) for folder in folders], sizes)
    given = np.repeat(np.array([folder.split for folder in folders], dtype=np.int8), sizes)
    paths = np.concatenate([folder.paths for folder in folders])
    raw = Raw(names, labels, 1, content_of_files(root, folders), _unread, None, given, tuple(notes))
    found = Texts(
        len(paths),
        COLUMN,
        lambda: _in_files(root, paths, files.encoding),
        lambda row: str(root / os.fsdecode(paths[row])),
    )
    return _read(raw, found, words, files.on_empty)


def lacks_classes(dataset: Dataset, option: str) -> str | None:
    """Return what a file or folder of texts lacks for a model to be judged on it; None if it has all labels."""
    path, options = local(str(getattr(dataset, option)), f"dataset.{option}"), vars(dataset)
    if options["text"] is None and is_folder(path):
        root = existing_folder(path, f"dataset.{option}")
        return f"{root} holds texts, and no folder for each class" if is_unlabelled(root, TEXTS) else None
    held = open_one(path, f"dataset.{option}", form_of(dataset)).columns
    return None if options["target"] in held else f"{path} has no '{options['target']}' (dataset.target)"


def columns_beside(dataset: Dataset, columns: Sequence[str], other: str | None) -> Mapping[str, Spelled]:
    """Read columns of the table with the test rows as they are written; files have none."""
    options = vars(dataset)
    option = other or ("test_path" if options["test_path"] else "path")
    path = local(str(options[option]), f"dataset.{option}")
    if options["text"] is None and is_folder(path):
        raise ConfigError(f"slices={columns[0]}: {path} is a folder of texts, which has no columns")
    return columns_of_table(dataset, columns, other, (options["target"],))


def _in_tables(tables: Sequence[Table], column: str) -> Iterator[tuple[int, list[str]]]:
    start = 0
    for table in tables:
        for batch in table.batches([column], None, AHEAD):
            for first in range(0, batch.num_rows, BLOCK_TEXTS):
                block = _texts_of(batch.column(0).slice(first, BLOCK_TEXTS), table.name, column)
                yield start, block
                start += len(block)


def _texts_of(values: "pa.Array", table: str, column: str) -> list[str]:
    """Return the texts of a block, the empty one where there is none."""
    import pyarrow as pa

    values = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        raise ConfigError(f"dataset.text={column}: the column of {table} holds {values.type}, and no texts")
    return [value or "" for value in values.to_pylist()]


def _row(tables: Sequence[Table], sizes: Sequence[int], row: int) -> str:
    """Say where a row stands: rows are counted from 0, as everywhere."""
    for table, size in zip(tables, sizes, strict=True):
        if row < size:
            return f"row {row} of {table.name}"
        row -= size
    raise AssertionError("there is no such row")


def _in_files(root: Path, paths: Any, encoding: str) -> Iterator[tuple[int, list[str]]]:
    for start in range(0, len(paths), BLOCK_FILES):
        yield start, [_content(root / os.fsdecode(path), encoding) for path in paths[start : start + BLOCK_FILES]]


def _content(file: Path, encoding: str) -> str:
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            raise ConfigError(f"{file} has more than {MOST_FILE_BYTES >> 20} MiB: divide it into several texts")
        return file.read_text(encoding="utf-8-sig" if encoding == AUTO else encoding)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeError:
        read = "UTF-8" if encoding == AUTO else encoding
        raise ConfigError(f"{file} is not {read} text: name its encoding, such as dataset.encoding=cp1252") from None


def _read(raw: Raw, found: Texts, options: WordOptions, on_empty: str) -> Raw:
    """Return the rows with their texts, as ids of words or as they are."""
    if options.tokens == "none":

        def whole(rows: Mapping[str, Integers], folder: Path) -> Loaded:
            loaded = texts.written(_encoded(found), rows, folder)
            return replace(loaded, preprocessing=TextPreprocessing(column=found.column))

        def again(learned: Preprocessing) -> Loaded:
            return Loaded({"test": _encoded(found)}, texts.SHAPE, preprocessing=learned)

        return replace(raw, dimensions=len(texts.SHAPE), load=whole, again=again, texts=True)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _learned(found, rows, folder, options, on_empty)

    def encode(learned: Preprocessing) -> Loaded:
        blocks = [learned.apply(block) for _, block in found.blocks()]
        return Loaded({"test": np.concatenate(blocks)}, blocks[0].shape[1:], preprocessing=learned)

    return replace(raw, load=load, again=encode, words=True)


def _encoded(found: Texts) -> texts.Texts:
    return texts.encoded((each for _, block in found.blocks() for each in block), f"the texts of '{found.column}'")


def _learned(found: Texts, rows: Mapping[str, Integers], folder: Path, options: WordOptions, on_empty: str) -> Loaded:
    """Learn the words of the training texts, and write the ids of each split's texts into the folder."""
    in_train, wanted = (
        _marked(found.count, members) for members in (rows["train"], np.concatenate(list(rows.values())))
    )
    split, learning = splitter(options.unit, lower=options.lower), Learning(options)
    empty = np.zeros(found.count, dtype=bool)
    for start, block in found.blocks():
        divided = [split(each) for each in block]
        stop = start + len(block)
        empty[start:stop] = [not words for words in divided]
        train = in_train[start:stop] & ~empty[start:stop]
        learning.add([words for words, is_in in zip(divided, train, strict=True) if is_in])
    notes = _empty_ones(found, np.flatnonzero(empty & wanted), options.unit, on_empty)
    rows = {name: members[~empty[members]] for name, members in rows.items()}
    for name, members in rows.items():
        if not len(members):
            raise ConfigError(f"no text of the {name} split holds a {options.unit}")
    learned = learning.learned(found.column)
    features = _written(found, learned, rows, folder)
    return Loaded(features, learned.shape, (*notes, *learning.notes()), rows, preprocessing=learned)


def _marked(count: int, members: Integers) -> Any:
    found = np.zeros(count, dtype=bool)
    found[members] = True
    return found


def _empty_ones(found: Texts, empty: Integers, unit: str, on_empty: str) -> list[str]:
    """Refuse texts without a word, or tell that they are left out."""
    if not len(empty):
        return []
    first, count = found.place(int(empty[0])), len(empty)
    if on_empty == "skip":
        told = counted(count, "text holds", "texts hold")
        return [
            f"{told} no {unit}, and {'is' if count == 1 else 'are'} left out (dataset.on_empty=skip), first {first}"
        ]
    more = f", nor do {count - 1:,} more" if count > 1 else ""
    raise ConfigError(f"{first} holds no {unit}{more}: write or remove it; dataset.on_empty=skip leaves such texts out")


def _written(found: Texts, learned: WordPreprocessing, rows: Mapping[str, Integers], folder: Path) -> dict[str, Floats]:
    """Write the ids of each split's texts block by block, so that memory holds no more than a block."""
    files = {name: folder / f"{name}_features.npy" for name in SPLITS}
    with contextlib.ExitStack() as opened:
        streams: dict[str, IO[bytes]] = {name: opened.enter_context(open(file, "wb")) for name, file in files.items()}
        for name, stream in streams.items():
            form = {"descr": "<f4", "fortran_order": False, "shape": (len(rows[name]), *learned.shape)}
            np.lib.format.write_array_header_1_0(stream, form)
        for start, block in found.blocks():
            ids = learned.apply(block)
            for name, members in rows.items():
                low, high = np.searchsorted(members, (start, start + len(block)))
                streams[name].write(ids[members[low:high] - start].tobytes())
    return {name: np.load(file, mmap_mode="r", allow_pickle=False) for name, file in files.items()}
