"""params.yaml and dvc.yaml are what conf/ and the imports make of them."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from equipoise.runs.dvc import run_stage
from helpers import REPOSITORY, composed, copy_project

FILES = ("dvc.yaml", "pipelines/study/dvc.yaml")
STAGES = [(file, name) for file in FILES for name in yaml.safe_load((REPOSITORY / file).read_text())["stages"]]


def stage(file: str, name: str) -> dict:
    return yaml.safe_load((REPOSITORY / file).read_text())["stages"][name]


def imported(file: Path, found: set[Path]) -> set[Path]:
    """Add the project's modules behind a file's imports, read from its syntax, those for type checkers included."""
    found.add(file)
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = REPOSITORY.joinpath("src", *parts[:end])
            for path in (module.with_suffix(".py"), module / "__init__.py"):
                if path.is_file() and path not in found:
                    imported(path, found)
    return found


@pytest.mark.parametrize(("file", "name"), STAGES)
def test_a_stage_depends_on_the_modules_that_its_program_imports_and_on_no_other(file: str, name: str) -> None:
    found = stage(file, name)
    programs = [word for word in found["cmd"].split() if word.endswith(".py")]
    expected = {
        path.relative_to(REPOSITORY).as_posix()
        for program in programs
        for path in imported(REPOSITORY / program, set())
    }
    listed = [path for path in found["deps"] if path.endswith(".py")]
    assert set(listed) == expected, "make params writes them"
    assert len(set(listed)) == len(listed)
    assert found["desc"]


def test_training_depends_on_no_page_and_no_comparison() -> None:
    """A change of a report's style must not train a model again."""
    wings = {path.split("/")[2] for path in stage("dvc.yaml", "train")["deps"] if path.startswith("src/equipoise/")}
    assert not wings & {"reports", "comparison", "sweeps", "serving"}


def test_training_depends_on_no_evaluation_and_evaluation_on_no_training() -> None:
    assert not {"src/equipoise/runs/evaluate.py", "src/equipoise/reports/run_page.py"} & set(
        stage("dvc.yaml", "train")["deps"]
    )
    assert not {"src/equipoise/training/fit.py", "src/equipoise/data/feed.py"} & set(
        stage("dvc.yaml", "evaluate")["deps"]
    )


def test_params_yaml_is_the_composed_default() -> None:
    assert yaml.safe_load((REPOSITORY / "params.yaml").read_text()) == composed().model_dump(mode="json")


def test_an_edit_of_conf_that_params_yaml_lacks_is_told(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for name in ("compose.py", "composed.sha256"):
        (project / "pipelines").mkdir(exist_ok=True)
        (project / "pipelines" / name).write_bytes((REPOSITORY / "pipelines" / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": "src"}

    def compose(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "pipelines/compose.py", *words]
        return subprocess.run(command, cwd=project, env={**environment, **more}, capture_output=True, text=True)

    assert compose("--check").returncode == 0
    trainer = project / "conf" / "trainer" / "default.yaml"
    trainer.write_text(trainer.read_text().replace("epochs: 30", "epochs: 31"))
    refused = compose("--check")
    assert refused.returncode == 2
    assert "make params" in refused.stderr
    assert compose("--check", DVC_EXP_NAME="pale-lamb").returncode == 0, "dvc exp run composes afresh"
    assert compose().returncode == 0
    assert compose("--check").returncode == 0
    assert "epochs: 31" in (project / "params.yaml").read_text()


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
    monkeypatch.setattr("equipoise.runs.dvc.PARAMS", tmp_path / "params.yaml")
    assert run_stage(lambda config: pytest.fail("nothing may run")) == 2
    assert told in capsys.readouterr().err


def test_data_that_dvc_would_not_watch_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("x,y\n" + "".join(f"{number},{'ab'[number % 2]}\n" for number in range(60)))
    config = composed("dataset=csv", f"dataset.path={table}", "dataset.target=y", "model=mlp")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    monkeypatch.setattr("equipoise.runs.dvc.PARAMS", tmp_path / "params.yaml")
    assert run_stage(lambda config: pytest.fail("nothing may run")) == 2
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
    monkeypatch.setattr("equipoise.runs.dvc.PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr("equipoise.runs.dvc.RAW", tmp_path / "data" / "raw")
    monkeypatch.setattr("equipoise.runs.dvc.ARTIFACTS", tmp_path / "artifacts")
    assert run_stage(lambda config: None) == 0
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert run_stage(lambda config: pytest.fail("nothing may run")) == 2
    assert "without --queue" in capsys.readouterr().err


def test_the_defaults_of_mlflow_run_are_those_of_conf() -> None:
    project = yaml.safe_load((REPOSITORY / "MLproject").read_text())
    assert set(project["entry_points"]) == {"main", "sweep", "evaluate", "compare"}
    assert (REPOSITORY / project["python_env"]).is_file()
    for point in project["entry_points"].values():
        assert set(re.findall(r"{(\w+)}", point["command"])) == set(point["parameters"])
        assert all("default" in parameter for parameter in point["parameters"].values())
    groups = {
        name: parameter["default"]
        for name, parameter in project["entry_points"]["main"]["parameters"].items()
        if name != "overrides"
    }
    assert composed(*(f"{name}={value}" for name, value in groups.items())) == composed()
