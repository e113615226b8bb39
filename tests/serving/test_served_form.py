"""The form of a served model: MLflow lets through what its signature says, as features of the same bits."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equipoise.data import preprocessing
from equipoise.data.prepare import prepare
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.methods.deciders import Biased
from equipoise.metrics.probabilities import OfClasses
from equipoise.serving.served_form import example, signature
from helpers import composed_dataset

DAYS = pd.date_range("2024-01-05 10:00", periods=80, freq="31h")
UNMOVED = OfClasses(None, np.array([0.5, 0.5]))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> TablePreprocessing:
    """Dates of every type, and a column of many categories."""
    folder = tmp_path_factory.mktemp("form")
    frame = pd.DataFrame(
        {
            "day": DAYS,
            "zoned": DAYS.tz_localize("Europe/Berlin"),
            "plain": [day.date() for day in DAYS],
            "text": DAYS.strftime("%d.%m.%Y"),
            "unix": DAYS.astype("int64") // 10**9,
            "city": [f"c{number % 30}" for number in range(80)],
            "y": ["a", "b"] * 40,
        }
    )
    frame.to_parquet(folder / "t.parquet")
    named = ["dataset.dates=[day,zoned,plain,text,unix]", "dataset.max_categories=20"]
    data = prepare(
        composed_dataset("dataset=csv", f"dataset.path='{folder}/t.parquet'", "dataset.target=y", *named),
        folder / "cache",
    )
    found = preprocessing.read(data.folder)
    assert isinstance(found, TablePreprocessing)
    return found


def test_the_signature_states_what_pandas_reads(learned: TablePreprocessing) -> None:
    kinds = {"day": "datetime", "zoned": "any", "plain": "datetime", "text": "string", "unix": "long", "city": "string"}
    assert learned.pandas == kinds


def test_rows_go_through_the_signature_to_the_same_bits(learned: TablePreprocessing) -> None:
    from mlflow.models.utils import _enforce_schema

    inputs = signature(learned, ["a", "b"], UNMOVED, Biased(np.zeros(2))).inputs
    typed = pd.DataFrame(
        {
            "day": DAYS[:2],
            "zoned": DAYS[:2].tz_localize("Europe/Berlin"),
            "plain": [day.date() for day in DAYS[:2]],
            "text": ["05.01.2024", "soon"],
            "unix": DAYS[:2].astype("int64") // 10**9,
            "city": ["c0", "nowhere"],
        }
    )
    text = {
        "day": ["2024-01-05 10:00", "2024-01-06T17:00:00"],
        "zoned": ["2024-01-05 10:00", "2024-01-06T16:00:00Z"],
        "plain": [date(2024, 1, 5), date(2024, 1, 6)],
        "text": ["05.01.2024", "soon"],
        "unix": [int(moment) for moment in typed["unix"]],
        "city": ["c0", "nowhere"],
    }
    found = learned.apply(_enforce_schema(typed, inputs))
    np.testing.assert_array_equal(found, learned.apply(typed))
    np.testing.assert_array_equal(found, learned.apply(text))
    assert learned.unknown(typed) == ["", "text=soon: no date, read as missing; city=nowhere: not seen in training"]


def test_the_example_is_a_row_that_the_model_takes(learned: TablePreprocessing) -> None:
    from mlflow.models.utils import _enforce_schema

    row = example(learned)
    inputs = signature(learned, ["a", "b"], UNMOVED, Biased(np.zeros(2))).inputs
    assert learned.unknown(_enforce_schema(row, inputs)) == [""]


def test_the_record_of_columns_is_read_as_it_was_written(learned: TablePreprocessing, tmp_path: Path) -> None:
    preprocessing.write(learned, tmp_path)
    assert preprocessing.read(tmp_path) == learned
