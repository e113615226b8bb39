"""What the stage `train` leaves for DVC, and the page that DVC fills."""

import ast
import configparser
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.methods.saved_model import load_keras
from equipoise.reports import vega
from equipoise.runs import dvc_page, dvc_training
from helpers import REPOSITORY


def imported(file: Path) -> set[str]:
    """The names of the modules that a file imports, at its top or late."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return names | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


def test_the_stage_alone_loads_dvclive() -> None:
    files = [file for folder in ("src", "pipelines") for file in (REPOSITORY / folder).rglob("*.py")]
    ours = REPOSITORY / "src" / "equipoise" / "runs" / "dvc_training.py"
    assert [file for file in files if any(name.startswith("dvclive") for name in imported(file))] == [ours]
    through = [file for file in files if "equipoise.runs.dvc_training" in imported(file)]
    assert through == [REPOSITORY / "pipelines" / "train.py"]
    late = [node for node in ast.parse(ours.read_text()).body if isinstance(node, ast.ImportFrom | ast.Import)]
    assert not any("dvclive" in ast.unparse(node) for node in late), "not before it is needed"


def test_each_epoch_is_there_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_training, "LIVE", tmp_path / "live")
    for name in ("DVC_EXP_NAME", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "live" / "plots" / "metrics" / "val" / "macro_f1.tsv"
    for _ in range(2):  # the second time from the start: what an interrupted run had logged is told again
        with dvc_training.live_curves() as watch:
            watch(0, {"train/loss": 1.5, "val/macro_f1": 0.25})
            assert file.read_text() == "step\tmacro_f1\n0\t0.25\n"
            watch(1, {"train/loss": 0.5, "val/macro_f1": 0.5})
        assert file.read_text() == "step\tmacro_f1\n0\t0.25\n1\t0.5\n"
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == ["metrics.json", "plots"]


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_the_same_weights_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(dvc_training, "MODEL", tmp_path)
    inputs = keras.Input((3,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(inputs), name="small")
    model.compile("adam", "mse")
    written: list[Any] = []
    for _ in range(2):
        dvc_training.keep_model(model, np.zeros((2, 3), np.float32))
        written.append((tmp_path / "model.keras").read_bytes())
        time.sleep(2.1)  # a ZIP file counts in steps of two seconds
    assert written[0] == written[1]
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]
    again = load_keras(tmp_path / "model.keras", "the model")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_page_that_dvc_names_has_its_marks_and_all_that_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    config = configparser.ConfigParser()
    config.read(REPOSITORY / ".dvc" / "config")
    page = dvc_page.write_page()
    assert page == tmp_path / ".dvc" / config["plots"]["html_template"]
    text = page.read_text()
    assert [text.count(mark) for mark in ("{plot_divs}", "{refresh_tag}", "{scripts}")] == [1, 1, 0]
    assert vega.bundle() in text
    assert "/* style */" not in text
    assert [file.name for file in page.parent.iterdir()] == [page.name]
    assert f"PLOTS_PAGE := {page.relative_to(tmp_path)}\n" in (REPOSITORY / "Makefile").read_text()
