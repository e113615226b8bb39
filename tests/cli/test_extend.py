"""The blocks of docs/extend.md, put into a copy of the project as it says, are in style, pass their tests and train."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import REPOSITORY, copy_project
from processes import LIMIT

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "extend.md").read_text()
BLOCK = re.compile(
    r"(In|At the end of) `([^`]+)`(?:, (above|in) `([^`]+)`)?(?:, [^`]*)?:\n\n```\w+\n(.*?)```", re.DOTALL
)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("extended"))
    shutil.copytree(REPOSITORY / "tests", project / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", project)
    for where, name, place, anchor, text in BLOCK.findall(PAGE):
        file = project / name
        if where == "At the end of":
            file.write_text(f"{file.read_text()}\n\n{text}")
        elif anchor:
            file.write_text(put(file.read_text(), place, anchor, text))
        else:
            assert not file.exists(), f"{name} is there already"
            file.write_text(text)
    return project


def put(code: str, place: str, anchor: str, text: str) -> str:
    """Return the code with the text above the line that begins with the anchor, or at the end of its mapping."""
    before, line, after = re.split(rf"^({re.escape(anchor)}.*\n)", code, flags=re.MULTILINE)
    if place == "in":
        return before + line + after.replace("\n}", f"\n{text}}}", 1)
    # A function stands two lines apart from what follows, an import does not.
    return before + text + ("\n\n" if text.startswith("def") else "") + line + after


def run(project: Path, *words: str) -> str:
    found = subprocess.run([sys.executable, *words], cwd=project, capture_output=True, text=True, timeout=LIMIT)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_every_block_is_used() -> None:
    commands = len(re.findall(r"^```sh$", PAGE, re.MULTILINE))
    assert len(BLOCK.findall(PAGE)) + commands == PAGE.count("```") / 2


def test_added_code_is_in_style_and_passes_its_tests(extended: Path) -> None:
    for command in (["format", "--check", "."], ["check", "."]):
        run(extended, "-m", "ruff", *command)
    tests = re.findall(r"^def (test_\w+)", PAGE, re.MULTILINE)
    files = {name for _, name, *_ in BLOCK.findall(PAGE) if name.startswith("tests/")}
    chosen = run(
        extended,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-k",
        " or ".join([*tests, "is_tested", "capped", "generalized"]),
        *sorted(files),
    )
    listed = [
        "test_every_strategy_is_tested",
        "test_every_loss_is_tested",
        "test_every_loss_trains_the_same_bits_however_the_weights_are_put_in[generalized]",
    ]
    for test in [*tests, *listed]:
        assert re.search(rf"PASSED \S+::{re.escape(test)}$", chosen, re.MULTILINE), test


def test_added_methods_train(extended: Path) -> None:
    weights, trained = (run(extended, *shlex.split(command)[1:]) for command in re.findall(r"```sh\n(.*)\n```", PAGE))
    assert "capped limit=2.0" in weights
    for loss in ("generalized", "custom"):
        assert re.search(rf"{loss} +1 +0\.\d+", trained), trained
