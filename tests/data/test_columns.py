"""The record of a table's columns encodes rows of text, of a data frame, of Arrow and of Python as the same bits."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data import preprocessing
from equipoise.data.prepare import prepare
from equipoise.data.tables.columns import CategoricalColumn, NumericColumn, TablePreprocessing
from helpers import composed_dataset

ROWS = 150


@pytest.fixture(scope="module")
def typed() -> pa.Table:
    """Every type that a column of a Parquet file may have; `answer` is None or the text None."""
    generator = np.random.default_rng(0)
    return pa.table(
        {
            "whole": pa.array(generator.integers(-9, 9, ROWS)),
            "counted": pa.array([None if i % 7 == 0 else i % 5 for i in range(ROWS)], pa.int32()),
            "short": pa.array(generator.normal(size=ROWS).astype(np.float32)),
            "long": pa.array(generator.normal(size=ROWS)),
            "price": pa.array(
                [Decimal(int(cents)) / 1000 for cents in generator.integers(0, 10**7, ROWS)], pa.decimal128(12, 3)
            ),
            "flag": pa.array([None if i % 11 == 0 else i % 3 == 0 for i in range(ROWS)], pa.bool_()),
            "answer": pa.array(
                ["None" if i % 5 == 0 else "NA" if i % 5 == 1 else "yes" if i % 2 else None for i in range(ROWS)]
            ),
            "colour": pa.array(["red" if i % 3 else "blue" for i in range(ROWS)]).dictionary_encode(),
            "y": pa.array(["ab"[i % 2] for i in range(ROWS)]),
        }
    )


def learned_of(table: pa.Table, folder: Path) -> tuple[TablePreprocessing, set[bytes]]:
    """What is learned of a Parquet file, and its prepared rows."""
    from pyarrow import parquet

    parquet.write_table(table, folder / "t.parquet")
    data = prepare(
        composed_dataset("dataset=csv", f"dataset.path='{folder}/t.parquet'", "dataset.target=y"), folder / "cache"
    )
    found = preprocessing.read(data.folder)
    assert isinstance(found, TablePreprocessing)
    return found, {
        row.tobytes()
        for name in ("train", "validation", "test")
        for row in np.ascontiguousarray(data.split(name).features)
    }


def as_text(table: pa.Table) -> dict[str, list[str | None]]:
    """Each cell as Python writes it."""
    return {
        name: [None if value is None else str(value) for value in table[name].to_pylist()]
        for name in table.column_names
    }


def test_typed_rows_are_encoded_alike_however_they_are_given(typed: pa.Table, tmp_path: Path) -> None:
    learned, rows = learned_of(typed, tmp_path)
    found = learned.apply(typed)
    assert {row.tobytes() for row in found} == rows
    frame = typed.to_pandas()
    short_as_text = {**as_text(typed), "short": [str(value) for value in frame["short"]]}
    forms: dict[str, Any] = {
        "batch": typed.to_batches()[0],
        "data frame": frame,
        "nullable data frame": frame.convert_dtypes(),
        "Python": typed.to_pydict(),
        "objects": frame.astype(object),
        "text": short_as_text,
        "lower-case truths": {
            **short_as_text,
            "flag": [None if word is None else word.lower() for word in short_as_text["flag"]],
        },
        "truths as numbers": {
            **typed.to_pydict(),
            "flag": [None if word is None else int(word) for word in typed["flag"].to_pylist()],
        },
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(learned.apply(form), found, err_msg=name)
    one_by_one = np.concatenate(
        [learned.apply({name: [value] for name, value in row.items()}) for row in typed.slice(0, 30).to_pylist()]
    )
    np.testing.assert_array_equal(one_by_one, found[:30])


def test_codes_and_truths_of_a_csv_that_a_reader_took_for_numbers(tmp_path: Path) -> None:
    learned = TablePreprocessing(
        columns=(
            CategoricalColumn(name="code", type="string", missing=(), categories=("007", "010", "A12")),
            CategoricalColumn(name="flag", type="string", missing=(), categories=("FALSE", "TRUE")),
            CategoricalColumn(name="level", type="string", missing=(), categories=("1", "01", "2")),
        )
    )
    text = learned.apply({"code": ["007", "010"], "flag": ["TRUE", "FALSE"], "level": ["1", "2"]})
    np.testing.assert_array_equal(text, [[1, 0, 0, 0, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(
        learned.apply(pd.DataFrame({"code": [7, 10], "flag": [True, False], "level": [1.0, 2.0]})), text
    )
    assert learned.apply({"code": ["7"], "flag": ["true"], "level": ["02"]}).sum() == 0, "text is what it is"


def test_a_csv_that_pandas_reads_is_read_as_it_stands(tmp_path: Path) -> None:
    n = 90
    columns = {
        "flag": [("true", "false", "")[i % 3] for i in range(n)],
        "code": [f"{i % 4:03d}" for i in range(n)],
        "mixed": [("A12", "007", "n/a")[i % 3] for i in range(n)],
        "answer": [("yes", "None", "no", "<NA>")[i % 4] for i in range(n)],
        "level": [("1.0", "2.0", "high")[i % 3] for i in range(n)],
        "price": [f'"${i * 1000:,}.50"' for i in range(n)],
        "share": [f"{i}%" for i in range(n)],
        "gap": ["n/a" if i == 3 else str(i * 7 % 11) for i in range(n)],
        "dash": ["-" if i == 4 else str(i / 8) for i in range(n)],
        "padded": [f" {('red', 'blue')[i % 2]} " for i in range(n)],
        "y": [("a", "b")[i % 2] for i in range(n)],
    }
    file = tmp_path / "t.csv"
    file.write_text(
        "\n".join([",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]) + "\n"
    )
    data = prepare(composed_dataset("dataset=csv", f"dataset.path='{file}'", "dataset.target=y"), tmp_path / "cache")
    learned = preprocessing.read(data.folder)
    text = learned.apply(columns | {"price": [cell.strip('"') for cell in columns["price"]]})
    rows = {
        row.tobytes()
        for name in ("train", "validation", "test")
        for row in np.ascontiguousarray(data.split(name).features)
    }
    assert {row.tobytes() for row in text} == rows
    np.testing.assert_array_equal(learned.apply(pd.read_csv(file)), text)
    for row in range(0, n, 7):  # few rows, of which pandas knows less
        np.testing.assert_array_equal(
            learned.apply(pd.read_csv(file, skiprows=range(1, row + 1), nrows=2)), text[row : row + 2], err_msg=str(row)
        )


def test_unknown_values_are_told_row_by_row() -> None:
    number = {
        "type": "string",
        "decimal": ".",
        "unit": "",
        "missing": ("unknown",),
        "mean": 0.0,
        "deviation": 1.0,
        "low": -2.0,
        "high": 2.0,
        "constant": False,
    }
    learned = TablePreprocessing(
        columns=(
            NumericColumn(name="age", indicator=True, **number),
            CategoricalColumn(name="city", type="string", missing=("", "NA"), categories=("bonn", "rome")),
        )
    )
    rows = {
        "age": ["1.5", "n/a", "old", "1e99", "inf", "500", "unknown"],
        "city": ["bonn", "berlin", " rome ", "", "NA", None, "bonn"],
        "more": range(7),
    }
    assert learned.unknown(rows) == [
        "",
        "age: missing; city=berlin: not seen in training",
        "age=old: no number, read as missing",
        "age=1e99: too large for float32, read as missing; city: missing",
        "age=inf: infinite, read as missing; city: missing",
        "age=500: far outside the training rows; city: missing",
        "age: missing",
    ]
    np.testing.assert_array_equal(
        learned.apply(rows)[:, :2], [[1.5, 0], [0, 1], [0, 1], [0, 1], [0, 1], [500, 0], [0, 1]]
    )
    with pytest.raises(
        ConfigError, match="there is no column 'city', which the model learned from; did you mean 'City'"
    ):
        learned.apply({"age": [1], "City": ["bonn"]})


def test_a_table_may_have_no_rows() -> None:
    learned = TablePreprocessing(
        columns=(CategoricalColumn(name="city", type="string", missing=(), categories=("bonn", "rome")),)
    )
    assert learned.apply({"city": []}).shape == (0, 2)
    assert learned.unknown(pd.DataFrame({"city": []})) == []
