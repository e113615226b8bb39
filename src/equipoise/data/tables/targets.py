"""Columns of a table that are no features: the labels, groups and splits of its rows, read as they are written."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Integers
from equipoise.data.labels import Labels, Spelled, alike, answers, as_text, of_known, shown, understood
from equipoise.data.tables.files import Table

if TYPE_CHECKING:
    import pyarrow as pa


class _Texts:
    """A column's values as codes, 8 bytes a row, and the text of each code."""

    def __init__(self) -> None:
        self._place: dict[str | None, int] = {}
        self._codes: list[Integers] = []

    def add(self, column: "pa.Array", name: str) -> None:
        import pyarrow as pa

        if pa.types.is_nested(column.type):
            raise ConfigError(f"column '{name}' holds lists or structures, and one value a row is needed")
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        # NumPy's numbers know how many digits a float32 has.
        is_number = pa.types.is_floating(encoded.dictionary.type)
        distinct = encoded.dictionary.to_numpy(zero_copy_only=False) if is_number else encoded.dictionary.to_pylist()
        codes = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False).astype(np.int64)
        texts = [*(as_text(value) for value in distinct), *([None] if encoded.indices.null_count else [])]
        place = np.array([self._place.setdefault(text, len(self._place)) for text in texts], dtype=np.int64)
        self._codes.append(place[codes])

    def spelled(self) -> Spelled:
        return Spelled(tuple(self._place), np.concatenate([*self._codes, np.empty(0, np.int64)]))


def written(tables: Sequence[Table], columns: Sequence[str]) -> tuple[dict[str, Spelled], list[int]]:
    """Read these columns of all tables as they are written, and count the rows of each table."""
    found = {name: _Texts() for name in columns}
    sizes = []
    for table in tables:
        sizes.append(0)
        for batch in table.batches(columns):
            sizes[-1] += batch.num_rows
            for name in columns:
                found[name].add(batch.column(name), name)
    return {name: texts.spelled() for name, texts in found.items()}, sizes


def labels_of(
    found: Mapping[str, Spelled],
    targets: Sequence[str],
    table: str,
    missing: Sequence[str],
    known: Sequence[str] = (),
    least: int = 2,
) -> Labels:
    """Return the labels of one column, or of several columns as int64 (n, labels) of 0 and 1.

    Parameters
    ----------
    known : the classes, if they were learned from another table
    least : classes that there must be
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
    return understood(found[targets[0]], where, missing, least)


def check_trained(labels: Labels, tables: Sequence[Table], sizes: Sequence[int]) -> None:
    """Refuse a file of the test split that has a class of its own."""
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
        lacking = f"which {tables[0].name} has not{''.join(near[:1])}"
        option = "" if tables[0].split else "dataset.test_path: "
        others = listing([table.name for table in tables[1:]])
        raise ConfigError(f"{option}{others} has the class {listing(new)}, {lacking}")
