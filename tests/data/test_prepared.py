"""Prepared data: whether two preparations share the rows of a split, however these are scaled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.data.prepare import prepare
from helpers import composed_dataset


@pytest.mark.parametrize(
    ("named", "shared"),
    [
        ((), {"validation": False, "test": False}),
        (("validation",), {"validation": True, "test": False}),
        (("test",), {"validation": False, "test": True}),
        (("validation", "test"), {"validation": True, "test": True}),
    ],
)
def test_rows_of_a_table_are_known_by_their_number(
    tmp_path: Path, named: tuple[str, ...], shared: dict[str, bool]
) -> None:
    """The training rows differ, and with them the scale of all features."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"x": generator.normal(size=200), "y": np.arange(200) % 2})
    table["part"] = ""
    for number, name in enumerate(named):
        table.loc[40 * number : 40 * number + 39, "part"] = name
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    words = ["dataset=csv", f"dataset.path={path}", "dataset.target=y", "dataset.split_column=part"]
    words = words if named else [*words[:3], "dataset.drop=[part]"]
    first, second = (
        prepare(composed_dataset(*words, f"dataset.split_seed={seed}"), tmp_path / "cache") for seed in (0, 1)
    )
    assert {split: first.has_same_rows(second, split) for split in ("validation", "test")} == shared


def test_generated_rows_are_known_by_themselves(tmp_path: Path) -> None:
    first, second = (
        prepare(composed_dataset("dataset=synthetic", f"dataset.split_seed={seed}"), tmp_path) for seed in (0, 1)
    )
    assert not first.has_same_rows(second, "validation")
    assert first.has_same_rows(first, "validation")
