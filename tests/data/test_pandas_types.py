"""The types of columns are those that pandas itself finds."""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.tables.pandas_types import PandasTypes

KINDS = {"b": "boolean", "i": "long", "u": "long", "f": "double", "O": "string"}
CELLS = [
    "1",
    "-7",
    "007",
    "1.5",
    "1e3",
    "NA",
    "",
    "n/a",
    "None",
    "true",
    "FALSE",
    "A12",
    "45%",
    "1,234",
    "-",
    "inf",
    " 2",
]


def by_pandas(frame: pd.DataFrame) -> str:
    column = frame["x"]
    truths = column.dtype == object and len(column.dropna()) and set(map(type, column.dropna())) == {bool}
    return "boolean" if truths else KINDS[column.dtype.kind]


@given(st.lists(st.sampled_from(CELLS), min_size=1, max_size=6), st.integers(1, 6))
def test_the_types_of_a_csv_are_those_of_pandas(cells: list[str], size: int) -> None:
    types = PandasTypes(of_text=True)
    for start in range(0, len(cells), size):
        types.add({"x": pa.array(cells[start : start + size])})
    text = "x,y\n" + "".join(f'"{cell}",0\n' for cell in cells)
    assert types.of("x") == by_pandas(pd.read_csv(io.StringIO(text)))


@pytest.mark.parametrize(
    "values", [[True, False], [True, None], [1, 2], [1, None], [1.5, None], ["NA", "x"], ["1", "2"]]
)
def test_the_types_of_a_parquet_file_are_those_of_pandas(values: list[object], tmp_path: Path) -> None:
    """There, text is text."""
    table = pa.table({"x": values})
    pq.write_table(table, tmp_path / "t.parquet")
    types = PandasTypes(of_text=False)
    types.add({"x": table["x"].combine_chunks()})
    assert types.of("x") == by_pandas(pd.read_parquet(tmp_path / "t.parquet"))
