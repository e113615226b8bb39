"""What a DVC stage checks before it takes its step: the whole config, or the dataset alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from equipoise.core.errors import ConfigError
from equipoise.runs.dvc import checked_config
from equipoise.runs.stage import checked_dataset, run_stage
from helpers import REPOSITORY, composed


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "csw"},
        {"labels": "sparce"},
        {"lables": "sparse"},
        {"split_seed": None},
        {"title": "\ud800"},
        {"title": "???"},
    ],
)
def test_the_dataset_alone_is_checked_in_the_same_words_as_with_the_rest(dataset: dict[str, Any]) -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["dataset"] |= dataset
    told = []
    for check in (checked_config, checked_dataset):
        with pytest.raises(ConfigError) as refused:
            check(params)
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_params_yaml_without_a_dataset() -> None:
    with pytest.raises(ConfigError, match="dataset is missing"):
        checked_dataset({"seed": 0})


def test_another_section_is_nothing_to_preparing() -> None:
    params = composed("dataset=digits_lt").model_dump(mode="json")
    assert checked_dataset({**params, "loss": {"name": "nonsense"}}).name == "digits_lt"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (("weighting", "name"), "balnced", "weighting"),
        (("trainer", "epochs"), 0, "trainer.epochs=0"),
        (("loss", "gama"), 2, "there is no such option"),
        (("cost",), {"0": {"12": 1}}, "12"),
    ],
)
def test_a_stage_checks_params_yaml(
    key: tuple[str, ...],
    value: object,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    *path, last = key
    section = params
    for part in path:
        section = section[part]
    section[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.setattr("equipoise.runs.stage.PARAMS", tmp_path / "params.yaml")
    assert run_stage(checked_config, lambda _: pytest.fail("nothing may run")) == 2
    assert told in capsys.readouterr().err


def test_data_that_dvc_would_not_watch_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("x,y\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in range(60)))
    config = composed("dataset=csv", f"dataset.path={table}", "dataset.target=y", "model=mlp")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    monkeypatch.setattr("equipoise.runs.stage.PARAMS", tmp_path / "params.yaml")
    for check in (checked_config, checked_dataset):
        assert run_stage(check, lambda _: pytest.fail("nothing may run")) == 2
        assert "dvc add data/raw/table.csv" in capsys.readouterr().err


def test_images_in_a_temporary_workspace_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their prepared data would outlive them."""
    for name in "ab":
        (tmp_path / "data/raw/pictures" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("L", (4, 4), number * 9 + ord(name)).save(tmp_path / f"data/raw/pictures/{name}/{number}.png")
    config = composed("dataset=image_directory", f"dataset.path={tmp_path}/data/raw/pictures", "model=linear")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    monkeypatch.setattr("equipoise.runs.stage.PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr("equipoise.runs.stage.RAW", tmp_path / "data" / "raw")
    monkeypatch.setattr("equipoise.runs.stage.ARTIFACTS", tmp_path / "artifacts")
    assert run_stage(checked_config, lambda _: None) == 0
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert run_stage(checked_config, lambda _: pytest.fail("nothing may run")) == 2
    assert "without --queue" in capsys.readouterr().err


def test_files_that_options_by_class_are_read_from_lie_where_dvc_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.runs import stage
    from equipoise.runs.dvc import class_files

    raw = tmp_path / "raw"
    raw.mkdir()
    monkeypatch.setattr(stage, "RAW", raw)
    (raw / "w.csv").write_text("class,weight\n" + "".join(f"{digit},{digit + 1}\n" for digit in range(10)))
    (tmp_path / "w.csv").write_text((raw / "w.csv").read_text())
    typed = f"weighting.weights='{raw}/w.csv'"
    params = composed("dataset=digits_lt", "weighting=manual", typed).model_dump(mode="json")
    params["weighting"]["weights"] = str(raw / "w.csv")
    config = checked_config(params)
    assert class_files(params, config) == {"weighting.weights": str(raw / "w.csv")}
    assert config.weighting.model_dump()["weights"]["9"] == 10
    params["weighting"]["weights"] = str(tmp_path / "w.csv")
    with pytest.raises(ConfigError, match=r"weighting\.weights=.*: the pipeline depends on data/raw, so put it there"):
        checked_config(params)
