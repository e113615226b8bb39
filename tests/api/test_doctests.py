"""Every example in the library's docstrings does what it says, and every public name has one."""

import doctest
import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import equipoise
import warm
from equipoise.core.paths import ROOT
from helpers import REPOSITORY, imported_modules
from processes import LIMIT

# Modules whose examples need TensorFlow.
SLOW = ("equipoise.api.audit", "equipoise.losses")
MARKS = "equipoise.core.plugins"
# Modules whose examples start TensorFlow as a run does, in a process of their own.
ALONE = ("equipoise.api.run", "equipoise.api.sweep")
MODULES = sorted(
    {*(f"equipoise.api.{file.stem}" for file in (REPOSITORY / "src/equipoise/api").glob("[a-z]*.py")), *SLOW, MARKS}
)


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODULES if name not in ALONE],
    ids=str,
)
def test_examples(name: str, request: pytest.FixtureRequest) -> None:
    if name in SLOW:
        request.getfixturevalue("tensorflow")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for found in examples(import_module(name)):
        runner.run(found)
    assert runner.summarize(verbose=False).failed == 0


RUNNER = """
import doctest, sys
from importlib import import_module
from equipoise.core import terminal

runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
with terminal.written_to(sys.stderr):  # what a run shows is no part of an example
    for name in sys.argv[1:]:
        for found in doctest.DocTestFinder(exclude_empty=True).find(import_module(name)):
            runner.run(found)
sys.exit(runner.summarize(verbose=False).failed or not runner.tries)
"""


@pytest.mark.slow
def test_examples_that_run(tmp_path: Path) -> None:
    environment = {**os.environ, ROOT: str(tmp_path), "PYTHONPATH": "src"}
    found = warm.run(["-c", RUNNER, *ALONE], REPOSITORY, LIMIT, environment)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "epochs on cpu" in found.stderr


def test_every_public_name_has_an_example() -> None:
    functions = [getattr(equipoise, name) for name in equipoise.__all__ if name not in ("ConfigError", "losses")]
    for function in functions:
        assert ">>> " in (inspect.getdoc(function) or ""), function


def test_type_checkers_see_every_public_name() -> None:
    stub = (REPOSITORY / "src/equipoise/__init__.pyi").read_text()
    for name in equipoise.__all__:
        assert f" {name} as {name}\n" in stub
        assert f'"{name}"' in stub
    assert sorted(equipoise.__all__) == dir(equipoise) == sorted(set(equipoise.__all__))
    with pytest.raises(AttributeError, match="no attribute 'wieghts'"):
        _ = equipoise.wieghts  # type: ignore[attr-defined]


def test_the_import_costs_nothing() -> None:
    """0.3 s would be a third of a second too slow for a notebook; it takes a few milliseconds."""
    program = "import time; start = time.perf_counter(); import equipoise; print(time.perf_counter() - start)"
    command = [sys.executable, "-X", "importtime", "-c", program]
    found = subprocess.run(command, cwd=REPOSITORY / "src", capture_output=True, text=True, check=True)
    assert not imported_modules(found.stderr) & {
        "tensorflow",
        "keras",
        "mlflow",
        "numpy",
        "pandas",
        "hydra",
        "pydantic",
    }
    assert float(found.stdout) < 0.3
