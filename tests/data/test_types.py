"""What is said of a dataset whatever its kind."""

from pathlib import Path

from data_files import quoted
from equipoise.data.types import title_of
from helpers import composed_dataset


def test_experiments_are_named_after_the_data(tmp_path: Path) -> None:
    assert title_of(composed_dataset("dataset=tabular", "dataset.id=glass")) == "tabular-glass"
    assert (
        title_of(
            composed_dataset("dataset=csv", f"dataset.path={quoted(tmp_path / 'my data.csv.gz')}", "dataset.target=y")
        )
        == "csv-my_data"
    )
    assert title_of(composed_dataset("dataset=digits_lt")) == "digits_lt"
    assert title_of(composed_dataset("dataset=digits_lt", "dataset.title=mine")) == "mine"
