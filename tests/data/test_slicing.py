"""Columns by which test samples are sliced: of the file that they come from, row by row, features or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.core.errors import ConfigError
from equipoise.data.prepare import prepare
from equipoise.data.slicing import MISSING, SlicedColumn, sliced
from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables
from helpers import composed_dataset


@pytest.fixture
def frame() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": generator.normal(size=200).round(3),
            "country": generator.choice(["DE", "FR", "", " IT "], 200),
            "stars": generator.choice([1, 2, 10], 200),
            "age": generator.integers(18, 90, 200),
            "share": [f"{value:.3f}".replace(".", ",") for value in generator.random(200)],
            "zip": generator.choice([10115, 20095, 80331, *range(90000, 90009)], 200),
            "id": [f"row {number}" for number in range(200)],
            "y": ["ok", "ok", "ok", "fraud"] * 50,
        }
    )


def words(file: Path, *more: str) -> list[str]:
    dropped = "dataset.drop=[country,share,id]"
    return ["dataset=csv", f"dataset.path='{file}'", "dataset.target=y", dropped, "dataset.categorical=[zip]", *more]


def names_of(column: SlicedColumn) -> list[str]:
    return [column.names[code] for code in column.codes]


def test_each_test_row_has_the_value_of_its_own_row(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Of a CSV with blank cells, and of the same table as Parquet with missing ones."""
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.replace("", None).to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        dataset = composed_dataset(*words(tmp_path / name))
        rows = prepare(dataset, tmp_path / "cache").split("test").rows
        assert rows is not None
        found = sliced(dataset, ["country", "stars", "age", "zip"], rows, None)
        assert found["country"].names == ("DE", "FR", "IT", MISSING)
        expected = frame["country"].str.strip().replace("", MISSING)
        assert names_of(found["country"]) == expected.iloc[rows].tolist()
        assert found["stars"].names == ("1", "2", "10"), "few numbers are each a slice, in the order of their values"
        assert names_of(found["stars"]) == frame["stars"].astype(str).iloc[rows].tolist()
        assert names_of(found["zip"]) == frame["zip"].astype(str).iloc[rows].tolist(), "categories, as the config says"
        ages = frame["age"].iloc[rows]
        low, middle, high = np.quantile(ages, [0.25, 0.5, 0.75], method="higher")
        ranges = ("below {0}", "{0} to below {1}", "{1} to below {2}", "{2} and more")
        assert found["age"].names == tuple(text.format(low, middle, high) for text in ranges)
        by_hand = pd.cut(ages, [-np.inf, low, middle, high, np.inf], right=False, labels=found["age"].names)
        assert names_of(found["age"]) == by_hand.tolist()
        assert found["age"].note == "age: its numbers are divided at the quartiles of the test rows."
        assert found["country"].note == ""


def test_numbers_with_commas_many_equal_ones_and_missing_ones(tmp_path: Path) -> None:
    many = pd.DataFrame({"share": [*(f"0,{n}" for n in range(10, 26)), "", "-"], "zeros": [0] * 6 + list(range(12))})
    many["y"] = ["a", "b"] * 9
    many.to_csv(tmp_path / "t.csv", index=False)
    dataset = composed_dataset("dataset=csv", f"dataset.path='{tmp_path / 't.csv'}'", "dataset.target=y")
    found = sliced(dataset, ["share", "zeros"], np.arange(18), None)
    assert found["share"].names == ("below 0.14", "0.14 to below 0.18", "0.18 to below 0.22", "0.22 and more", MISSING)
    assert np.bincount(found["share"].codes).tolist() == [4, 4, 4, 4, 2]
    # The quartiles are 0, 3 and 7; nothing lies below 0.
    assert found["zeros"].names == ("below 3", "3 to below 7", "7 and more")
    assert np.bincount(found["zeros"].codes).tolist() == [9, 4, 5]


def test_the_file_is_the_one_that_the_test_rows_come_from(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    other = frame.assign(country="US").head(5)
    other.to_csv(tmp_path / "b.csv", index=False)
    dataset = composed_dataset(*words(tmp_path / "a.csv", f"dataset.test_path='{tmp_path / 'b.csv'}'"))
    rows = prepare(dataset, tmp_path / "cache").split("test").rows
    assert sliced(dataset, ["country"], rows, None)["country"].names == ("US",)
    assert sliced(dataset, ["country"], np.arange(200), "path")["country"].names == ("DE", "FR", "IT", MISSING)
    both = dataset.model_copy(update={"split_column": "x"})
    with pytest.raises(ConfigError, match="both give test rows"):
        sliced(both, ["country"], rows, None)
    with pytest.raises(ConfigError, match="its file has 5 rows, and had more when it was prepared"):
        sliced(dataset, ["country"], np.arange(6), None)


def test_a_table_of_the_package(tmp_path: Path) -> None:
    dataset = composed_dataset("dataset=tabular", "dataset.id=page_blocks")
    rows = prepare(dataset, tmp_path / "cache").split("test").rows
    assert rows is not None
    frame, _ = frame_of(shipped_tables(package_folder())["page_blocks"], package_folder())
    found = sliced(dataset, ["Height"], rows, None)["Height"]
    heights = frame["Height"].iloc[rows].to_numpy()
    assert found.names[0] == "below 7"
    assert (np.array(names_of(found)) == "below 7").tolist() == (heights < 7).tolist()


@pytest.mark.parametrize("kind", ["npz", "series"])
def test_an_array_of_an_npz_is_a_column(kind: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    site, labels = generator.choice(["north", "south"], 60), np.arange(60) % 2
    np.savez(tmp_path / "t.npz", x=generator.normal(size=(60, 6)), y=labels, site=site, few=np.arange(3))
    dataset = composed_dataset(f"dataset={kind}", f"dataset.path='{tmp_path / 't.npz'}'")
    rows = prepare(dataset, tmp_path / "cache").split("test").rows
    assert rows is not None
    assert names_of(sliced(dataset, ["site"], rows, None)["site"]) == site[rows].tolist()
    for name, why in (("few", "has 60 samples and 'few' has 3"), ("sites", "no such array; did you mean 'site'")):
        with pytest.raises(ConfigError, match=why):
            sliced(dataset, [name], rows, None)


def test_the_test_part_of_an_npz_has_columns_of_its_own_length(tmp_path: Path) -> None:
    parts: dict[str, Any] = {}
    for name, count in (("train", 40), ("test", 20)):
        parts |= {f"x_{name}": np.random.default_rng(count).normal(size=(count, 3)), f"y_{name}": np.arange(count) % 2}
    site = np.array(["n", "s", "s", "s"] * 5)
    np.savez(tmp_path / "t.npz", **parts, site=site)
    names = {"features": "x_train", "target": "y_train", "test_features": "x_test", "test_target": "y_test"}
    path = f"dataset.path='{tmp_path / 't.npz'}'"
    dataset = composed_dataset("dataset=npz", path, *(f"dataset.{key}={name}" for key, name in names.items()))
    rows = prepare(dataset, tmp_path / "cache").split("test").rows
    assert names_of(sliced(dataset, ["site"], rows, None)["site"]) == site.tolist()
    with pytest.raises(ConfigError, match="another file whose splits are arrays"):
        sliced(dataset, ["site"], rows, "path")


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ("contry", r"slices=contry: .*t.csv has no such column; did you mean 'country'\?"),
        ("y", "slices=y: that column holds the class"),
        ("id", "slices=id: the column has 200 values among the test rows; possible are 50: put them into groups"),
    ],
)
def test_a_column_that_cannot_be_sliced(column: str, why: str, tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigError, match=why):
        sliced(composed_dataset(*words(tmp_path / "t.csv")), [column], np.arange(200), None)


def test_data_without_columns_are_told_what_has_some(tmp_path: Path) -> None:
    (tmp_path / "s.ts").write_text("@data\n1,2:a\n2,3:b\n")
    series = composed_dataset("dataset=series", f"dataset.path='{tmp_path / 's.ts'}'")
    with pytest.raises(ConfigError, match=r"is a \.ts file, which has no columns; an npz may have"):
        sliced(series, ["site"], np.arange(2), None)
    for name in ("digits_lt", "image_directory"):
        dataset = composed_dataset(f"dataset={name}", *(["dataset.path=x"] if name == "image_directory" else []))
        with pytest.raises(
            ConfigError, match=rf"dataset={name} has no columns; slices are for dataset=csv, multilabel, npz"
        ):
            sliced(dataset, ["site"], np.arange(2), None)
