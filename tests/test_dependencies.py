"""params.yaml and dvc.yaml are what conf/ and the imports make of them."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from equipoise.config.model import CONTROL, Config
from equipoise.config.model import JUDGING as JUDGING_SECTIONS
from helpers import REPOSITORY, composed, copy_project

STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
PACKAGE = "src/equipoise"
PRINTS = ("core/terminal", "core/bars", "config/differences", "reports/console", "comparison/console", "runs/dvc_page")
PRINTING = {f"{PACKAGE}/{name}.py" for name in PRINTS}
RULES = ("biases", "constraints", "deciders", "label_shift", "prediction_sets", "rejection", "reservation")
JUDGING = (
    *("methods/tasks/judge_classes", "methods/tasks/judge_labels", "metrics/intervals", "metrics/probabilities"),
    *(f"methods/{rule}" for rule in RULES),
)
NEEDLESS_TO_TRAINING = PRINTING | {f"{PACKAGE}/{name}.py" for name in ("core/colors", *JUDGING)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the stages are made of."""
    copy_project(tmp_path)
    shutil.copytree(REPOSITORY / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


def ran(project: Path, program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, f"pipelines/{program}"]
    environment = {**os.environ, "PYTHONPATH": "src", **environment}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def imported(file: Path, without: set[str], found: set[Path]) -> set[Path]:
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
        for root in (file.parent, REPOSITORY / "src"):
            path = root.joinpath(*parts).with_suffix(".py")
            if path.is_file() and path not in found and relative(path) not in without:
                imported(path, without, found)
    return found


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def modules_in(path: str) -> set[str]:
    """The modules that a dependency stands for."""
    if path.endswith(".py"):
        return {path}
    return {relative(file) for file in (REPOSITORY / path).rglob("*.py") if file.name != "__init__.py"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_modules_that_its_program_imports_and_on_hardly_any_other(name: str) -> None:
    stage = STAGES[name]
    (program,) = (word for word in stage["cmd"].split() if word.endswith(".py"))
    assert program == f"pipelines/{name}.py"
    without = NEEDLESS_TO_TRAINING if name == "train" else PRINTING
    expected = {relative(path) for path in imported(REPOSITORY / program, without, set())}
    listed = [path for path in stage["deps"] if path.startswith("src/") or path.endswith(".py")]
    stood_for = [module for path in listed for module in modules_in(path)]
    assert expected <= set(stood_for), "make params writes them"
    assert len(set(stood_for)) == len(stood_for), "each of them once"
    unused = 0.1 if name == "train" else 0.25
    for path in listed:
        assert len(modules_in(path) - expected) <= unused * len(modules_in(path)), path
    assert stage["desc"]


def stands_for(name: str) -> set[str]:
    """All modules that a stage runs again for."""
    return {module for path in STAGES[name]["deps"] if path.startswith("src/") for module in modules_in(path)}


def wings(name: str) -> set[str]:
    return {module.split("/")[2] for module in stands_for(name)}


def test_training_depends_on_no_page_no_comparison_and_nothing_that_prints_or_judges() -> None:
    """A change of a report's style must not train a model again."""
    assert not wings("train") & {"reports", "comparison", "sweeps", "serving"}
    assert not stands_for("train") & NEEDLESS_TO_TRAINING


def test_training_depends_on_no_evaluation_and_evaluation_on_no_training() -> None:
    assert f"{PACKAGE}/runs/evaluate.py" not in stands_for("train")
    assert not stands_for("evaluate") & {
        f"{PACKAGE}/training/{name}.py" for name in ("fit", "graph", "engines/resident")
    }


def test_training_runs_again_for_every_option_that_trains_and_evaluation_for_every_one_that_judges() -> None:
    trains = {*Config.model_fields} - {*JUDGING_SECTIONS, *CONTROL}
    assert {"dataset", "trainer", "loss"} <= trains
    assert trains <= {*STAGES["train"]["params"]}
    assert {*JUDGING_SECTIONS, "dataset", "cost"} == {*STAGES["evaluate"]["params"]}
    assert not {*JUDGING_SECTIONS} & {*STAGES["train"]["params"]}


def test_preparing_depends_on_no_method_and_on_the_schema_of_the_dataset_alone() -> None:
    assert wings("prepare") == {"core", "config", "data", "runs"}
    of_config = {Path(module).stem for module in stands_for("prepare") if module.startswith(f"{PACKAGE}/config/")}
    assert of_config == {"dataset", "messages", "validation"}


def test_the_config_is_checked_as_a_whole_before_anything_is_prepared() -> None:
    assert {f"{PACKAGE}/config/checks.py", f"{PACKAGE}/methods/losses.py"} <= stands_for("conf")
    assert {"conf", "params.yaml", "data/raw"} <= set(STAGES["conf"]["deps"])
    assert set(STAGES["conf"]["outs"]) <= set(STAGES["prepare"]["deps"])
    assert "training" not in wings("conf")


def test_params_yaml_is_the_composed_default() -> None:
    assert yaml.safe_load((REPOSITORY / "params.yaml").read_text()) == composed().model_dump(mode="json")


@pytest.mark.slow
def test_an_edit_of_conf_that_params_yaml_lacks_is_told(project: Path) -> None:
    assert ran(project, "conf.py").returncode == 0
    left = (project / "artifacts" / "conf.txt").read_text()
    trainer = project / "conf" / "trainer" / "default.yaml"
    trainer.write_text(trainer.read_text().replace("epochs: 30", "epochs: 31"))
    refused = ran(project, "conf.py")
    assert refused.returncode == 2
    assert "make params" in refused.stderr
    assert ran(project, "conf.py", DVC_EXP_NAME="pale-lamb").returncode == 0, "dvc exp run composes afresh"
    assert ran(project, "compose.py").returncode == 0
    assert ran(project, "conf.py").returncode == 0
    assert "epochs: 31" in (project / "params.yaml").read_text()
    assert (project / "artifacts" / "conf.txt").read_text() == left, "no stage runs again for it"


def test_a_mistake_is_told_before_anything_is_prepared(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("labels: sparse", "labels: binary"))
    refused = ran(project, "conf.py")
    assert refused.returncode == 2
    assert "dataset.labels=binary needs two classes" in refused.stderr
    assert not (project / "artifacts").exists()


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
