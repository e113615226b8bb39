"""The header of a run's page: where the run comes from, and what was typed to make it."""

import re
from pathlib import Path

import pytest

from equipoise.core.paths import cache_folder
from equipoise.data.prepare import prepare
from equipoise.runs.facts import facts
from equipoise.tracking.run import Description, start_run
from equipoise.tracking.store import Store
from helpers import composed

TAGS = {"tensorflow": "2.20.0", "keras": "3.11.0"}


@pytest.fixture
def told(tmp_path: Path) -> dict[str, object]:
    config = composed("dataset=digits_lt", "weighting=balanced", "seed=3")
    folder = tmp_path / "run"
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(
        "- weighting=balanced\n- dataset.note='a b'\n- dataset.split_seed='${seed}'\n- sweep=s1\n"
    )
    store = Store(tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    with start_run(store, Description("e", "n", tags=TAGS), folder) as log:
        return {"id": log.id, **dict(facts(config, prepare(config.dataset, cache_folder()), log))}


def test_the_header_tells_data_configuration_command_versions_and_run(told: dict[str, object]) -> None:
    assert told["Data set"] == [
        "digits_lt",
        "351 train, 200 validation, 500 test samples",
        "10 classes, 104 to 5 training samples each",
    ]
    assert told["Configuration"] == [
        "weighting balanced",
        "loss class_weight",
        "model cnn",
        "decision argmax",
        "seed 3",
    ]
    assert told["Command"] == (
        "python src/train.py weighting=balanced 'dataset.note='\"'\"'a b'\"'\"'' "
        "'dataset.split_seed='\"'\"'${seed}'\"'\"''"
    )
    assert told["Versions"][:2] == ["tensorflow 2.20.0", "keras 3.11.0"]  # type: ignore[index]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d [+-]\d{4}", str(told["Date"]))
    assert told["Run"][0] == told["id"]  # type: ignore[index]
    assert re.fullmatch(r"[0-9a-f]{12}(, with changes)?", str(told["Commit"]))
