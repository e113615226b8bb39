"""Weights of single rows, from files of every kind to the prepared samples; and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.config.checks import check_together
from equipoise.core.errors import ConfigError
from equipoise.data.all_rows import all_rows
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.types import Masses
from helpers import composed, composed_dataset

SIZES = {"cat": 60, "dog": 30, "emu": 10}


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    y = np.repeat(list(SIZES), list(SIZES.values()))
    return pd.DataFrame({"x": generator.normal(size=100).round(3), "y": y, "pnr": generator.random(100).round(3) + 0.5})


def of_csv(file: Path, *more: str) -> Any:
    return composed_dataset("dataset=csv", f"dataset.path='{file}'", "dataset.target=y", "dataset.weight=pnr", *more)


def check(data: Prepared, weights: Any, labels: Any) -> None:
    """Every sample has the weight of its own row, and classes have the sums."""
    for name in ("train", "validation", "test"):
        samples = data.split(name)
        assert samples.weights is not None
        assert samples.rows is not None
        np.testing.assert_array_equal(samples.weights, weights[samples.rows])
    train = data.split("train").rows
    expected = [weights[train][labels[train] == name].sum() for name in data.classes]
    assert data.masses is not None
    np.testing.assert_allclose(data.masses.sums, expected)


@pytest.mark.parametrize("kind", ["csv", "comma", "parquet", "npz"])
def test_weights_come_with_their_rows_and_are_no_feature(tmp_path: Path, table: pd.DataFrame, kind: str) -> None:
    file, cache = tmp_path / f"a.{kind}", tmp_path / "cache"
    if kind == "npz":
        np.savez(file, x=table[["x"]].to_numpy(), y=table["y"].to_numpy(str), pnr=table["pnr"].to_numpy())
        dataset = composed_dataset("dataset=npz", f"dataset.path='{file}'", "dataset.weight=pnr")
    elif kind == "parquet":
        table.to_parquet(file)
        dataset = of_csv(file)
    else:
        table.to_csv(file, index=False, sep=";", decimal="," if kind == "comma" else ".")
        dataset = of_csv(file, "dataset.separator=';'", "dataset.decimal=comma" if kind == "comma" else "seed=0")
    data = prepare(dataset, cache)
    assert data.shape == (1,)
    check(data, table["pnr"].to_numpy(), table["y"].to_numpy())
    again = all_rows(dataset, cache)
    check(again, table["pnr"].to_numpy(), table["y"].to_numpy())
    assert len(again.split("train").labels) == 100


def test_without_the_option_nothing_changes(tmp_path: Path, table: pd.DataFrame) -> None:
    table.drop(columns="pnr").to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "b.csv", index=False)
    bare, weighted = (
        prepare(of_csv(tmp_path / name, *more), tmp_path / "cache")
        for name, more in (("a.csv", ["dataset.weight=null"]), ("b.csv", []))
    )
    assert bare.split("train").weights is None
    assert bare.masses is None
    assert np.array_equal(bare.split("train").features, weighted.split("train").features)
    assert bare.data_sha256 != weighted.data_sha256
    assert bare.prior.tolist() == weighted.prior.tolist(), "rows are counted"
    by_weight = prepare(of_csv(tmp_path / "b.csv", "dataset.count=weight"), tmp_path / "cache")
    assert by_weight.masses is not None
    assert by_weight.folder == weighted.folder, "what is counted changes no array"
    np.testing.assert_allclose(by_weight.prior, by_weight.masses.sums / by_weight.masses.total)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            "-1",
            r"dataset\.weight=pnr: row 17 of .*a\.csv has '-1' there, and a row weight is a finite number, not below",
        ),
        ("", r"row 17 of .*a\.csv has no value there"),
        ("many", r"row 17 of .*a\.csv has 'many' there"),
        ("inf", r"row 17 of .*a\.csv has 'inf' there"),
        ('"0,5"', r"row 17 of .*a\.csv has '0,5' there.*; for a decimal comma, dataset\.decimal=comma"),
    ],
)
def test_what_is_no_weight_is_told_by_file_column_and_row(
    tmp_path: Path, table: pd.DataFrame, value: str, said: str
) -> None:
    lines = table.to_csv(index=False).splitlines()
    lines[17] = ",".join([*lines[17].split(",")[:2], value])
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=said):
        prepare(of_csv(tmp_path / "a.csv"), tmp_path / "cache")


def test_a_second_file_is_named_with_its_own_row(tmp_path: Path, table: pd.DataFrame) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)
    table.assign(pnr=[*table["pnr"][:-1], -2]).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ConfigError, match=r"row 100 of .*b\.csv has '-2.0'"):
        prepare(of_csv(tmp_path / "a.csv", f"dataset.test_path='{tmp_path / 'b.csv'}'"), tmp_path / "cache")


def test_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    cache, file = tmp_path / "cache", tmp_path / "a.csv"
    table.assign(pnr=0).to_csv(file, index=False)
    with pytest.raises(ConfigError, match=r"every row of .*a\.csv has the weight 0"):
        prepare(of_csv(file), cache)
    with pytest.raises(ConfigError, match=r"dataset\.weight=pmr: .*no such column; did you mean .*pnr"):
        prepare(of_csv(file, "dataset.weight=pmr"), cache)
    with pytest.raises(ConfigError, match="named twice"):
        prepare(of_csv(file, "dataset.group=pnr"), cache)
    with pytest.raises(ConfigError, match=r"dataset\.count=weight: the rows of dataset=tabular have no weights: name"):
        check_together(composed("dataset=tabular", "model=mlp", "dataset.count=weight"))
    np.savez(
        tmp_path / "a.npz", x=np.eye(6), y=[0, 1] * 3, w=np.eye(6), v=np.ones(6), x_test=np.eye(6), y_test=[0, 1] * 3
    )
    of_npz = ["dataset=npz", f"dataset.path='{tmp_path / 'a.npz'}'"]
    with pytest.raises(ConfigError, match="one label a sample"):
        prepare(composed_dataset(*of_npz, "dataset.weight=w"), cache)
    own = [*of_npz, "dataset.test_features=x_test", "dataset.test_target=y_test", "dataset.weight=v"]
    with pytest.raises(ConfigError, match=r"dataset\.test_features=x_test: give dataset\.test_weight too"):
        prepare(composed_dataset(*own), cache)
    with pytest.raises(ConfigError, match=r"dataset\.test_weight=v has no effect without dataset\.test_features"):
        prepare(composed_dataset(*of_npz, "dataset.test_weight=v"), cache)


def test_shards_keep_the_weights(tmp_path: Path, table: pd.DataFrame) -> None:
    from equipoise.data.write_shards import write_shards

    table.to_csv(tmp_path / "a.csv", index=False)
    data = prepare(of_csv(tmp_path / "a.csv"), tmp_path / "cache")
    write_shards(data, tmp_path / "shards", 2, "pnr")
    shards = ["dataset=tfrecord", f"dataset.path='{tmp_path / 'shards'}'"]
    read = prepare(composed_dataset(*shards, "dataset.weight=pnr"), tmp_path / "cache")
    assert read.data_sha256 == data.data_sha256
    assert read.masses is not None
    assert data.masses is not None
    assert read.masses.sums.tolist() == data.masses.sums.tolist()
    bare = prepare(composed_dataset(*shards), tmp_path / "cache")
    assert bare.split("train").weights is None
    assert any("row weights 'pnr', which are not read; dataset.weight=pnr reads them" in note for note in bare.notes)
    with pytest.raises(ConfigError, match="holds the row weights 'pnr'"):
        prepare(composed_dataset(*shards, "dataset.weight=other"), tmp_path / "cache")


def test_another_file_to_judge_on_brings_its_weights(tmp_path: Path, table: pd.DataFrame) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)
    table.assign(pnr=[0, *table["pnr"][1:]]).to_csv(tmp_path / "b.csv", index=False)
    table.drop(columns="pnr").to_csv(tmp_path / "c.csv", index=False)
    seen = prepare(of_csv(tmp_path / "a.csv"), tmp_path / "cache")
    other, bare = (
        with_test_file(seen, of_csv(tmp_path / "a.csv", f"dataset.test_path='{tmp_path / name}'"), tmp_path / "cache")
        for name in ("b.csv", "c.csv")
    )
    assert other.split("test").weights.tolist() == table["pnr"][1:].tolist(), "the row of weight 0 is left out"
    assert bare.split("test").weights is None
    assert bare.split("train").weights is not None


def test_masses_by_hand() -> None:
    by_class = Masses.of(np.array([0, 1, 1]), np.array([2.0, 3.0, 4.0]), 2)
    assert (by_class.sums.tolist(), by_class.squares.tolist(), by_class.total) == ([2, 7], [4, 25], 9)
    by_label = Masses.of(np.array([[1, 0], [1, 1], [0, 0]]), np.array([2.0, 3.0, 4.0]), 2)
    assert (by_label.sums.tolist(), by_label.squares.tolist(), by_label.total) == ([5, 3], [13, 9], 9)
