"""The blocks of docs/extend.md, put into a copy of the project as it says, are in style, pass their tests and train."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from equipoise.core import plugins
from helpers import REPOSITORY, clone_of, copy_project, train, typed
from processes import LIMIT

pytestmark = pytest.mark.slow

# Wings whose tests may all know the options; "": tests of no wing. In others, files that name a registry know them.
AT_HOME = ("", "config", "methods")
REGISTRY = re.compile(r"\b(LOSSES|MODELS|STRATEGIES|DATASETS|DECISIONS|RULES|SHIPPED|REGISTRIES)\b|from options import")
# Wings that know no option, or know them by the wings below alone.
ELSEWHERE = ("cli", "metrics", "reports", "runs", "serving", "sweeps", "tracking")
# Of pages, timings, hostile words, weights that others trained, Hydra, hints and forks, whatever options there are.
OF_OTHERS = re.compile(r"test_(site|benchmarks|hostile|backbones|composing|hints|warm)\.py")
WHOLE = 1800  # seconds for the fast tests, which take some minutes
NAMES = ("capped", "generalized", "residual", "cautious", "cube_root", "wine")

PAGE = (REPOSITORY / "docs" / "extend.md").read_text()
BLOCK = re.compile(
    r"(In|At the end of) `([^`]+)`(?:, (above|in) `([^`]+)`)?(?:, [^`]*)?:\n\n```\w+\n(.*?)```", re.DOTALL
)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = clone_of(tmp_path_factory.mktemp("extended"))
    for where, name, place, anchor, text in BLOCK.findall(PAGE):
        if name.startswith("plugins/"):
            continue
        file = project / name
        if where == "At the end of":
            file.write_text(f"{file.read_text()}\n\n{text}")
        elif anchor:
            file.write_text(put(file.read_text(), place, anchor, text))
        else:
            assert not file.exists(), f"{name} is there already"
            file.write_text(text)
    # As `make params` and `make methods` do; some tests look at what git lists.
    for program in ("pipelines/compose.py", "pipelines/dependencies.py", "docs/methods.py"):
        run(project, program)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


def put(code: str, place: str, anchor: str, text: str) -> str:
    """Return the code with the text above the line that begins with the anchor, or at the end of its mapping."""
    before, line, after = re.split(rf"^({re.escape(anchor)}.*\n)", code, flags=re.MULTILINE)
    if place == "in":
        return before + line + after.replace("\n}", f"\n{text}}}", 1)
    # A function stands two lines apart from what follows, an import does not.
    return before + text + ("\n\n" if text.startswith("def") else "") + line + after


def run(project: Path, *words: str, limit: int = LIMIT) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    command = [sys.executable, *words]
    found = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=limit)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_every_block_is_used() -> None:
    commands = len(re.findall(r"^```sh$", PAGE, re.MULTILINE))
    assert len(BLOCK.findall(PAGE)) + commands == PAGE.count("```") / 2


def test_the_files_of_plugins_are_all_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    own = {name: text for _, name, _, _, text in BLOCK.findall(PAGE) if name.startswith("plugins/")}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    project = copy_project(tmp_path / "project")
    found = train(project, script="check.py", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    marked = re.findall(r"^@equipoise\.(\w+)\ndef (\w+)", "\n".join(own.values()), re.MULTILINE)
    assert {kind for kind, _ in marked} == set(plugins.KINDS)
    for kind, name in marked:
        option = f"dataset.sampling={name}" if kind == "sampling" else f"{kind}={name}"
        assert f"\n{option}: " in found.stdout


def test_added_code_is_in_style(extended: Path) -> None:
    for command in (["format", "--check", "."], ["check", "."]):
        run(extended, "-m", "ruff", *command)
    run(extended, "-m", "mypy")


def knows_options(file: Path) -> bool:
    """Whether a new option may change what a test file finds."""
    wing = "" if file.parent.name == "tests" else file.parent.name
    if OF_OTHERS.fullmatch(file.name):
        return False
    return wing not in ELSEWHERE and (wing in AT_HOME or REGISTRY.search(file.read_text()) is not None)


@pytest.mark.timeout(2 * WHOLE)
def test_the_fast_tests_pass_and_ask_for_what_was_added(extended: Path) -> None:
    files = [str(file.relative_to(extended)) for file in extended.glob("tests/**/test_*.py") if knows_options(file)]
    assert {name for _, name, *_ in BLOCK.findall(PAGE) if name.startswith("tests/")} <= set(files)
    found = run(extended, "-m", "pytest", "-q", "-rA", "-m", "not slow and not gpu", *files, limit=WHOLE)
    passed = set(re.findall(r"^PASSED \S+?::(.+)$", found, re.MULTILINE))
    written = set(re.findall(r"^def (test_\w+)", PAGE, re.MULTILINE))
    assert written <= passed, written - passed
    for name in NAMES:
        assert any(test.endswith((f"[{name}]", f"-{name}]", f"={name}]")) or f"_{name}_" in test for test in passed), (
            name
        )
    assert not any("skipped" in line for line in found.splitlines()[-1:])


def test_a_loss_without_a_test_is_named(extended: Path) -> None:
    """A new option whose test is missing fails a test that says which one it wants."""
    file = extended / "tests" / "methods" / "test_losses.py"
    text = file.read_text()
    file.write_text(text.replace("def oracle_generalized", "def another"))
    command = [sys.executable, "-m", "pytest", "-q", "-k", "every_loss_is_tested", str(file)]
    found = subprocess.run(command, cwd=extended, capture_output=True, text=True, timeout=LIMIT)
    file.write_text(text)
    assert found.returncode == 1
    assert "has no oracle_generalized for the loss function generalized" in found.stdout


def test_added_methods_train(extended: Path) -> None:
    weights, trained = (typed(command, extended).stdout for command in re.findall(r"```sh\n(.*)\n```", PAGE))
    assert "capped limit=2.0" in weights
    for loss in ("generalized", "custom"):
        assert re.search(rf"{loss} +1 +0\.\d+", trained), trained


def test_an_eleventh_weighting_has_a_colour_of_its_own(extended: Path) -> None:
    program = "from equipoise.core.colors import *; print(weighting_color('capped'), *WEIGHTINGS.values())"
    own, *others = run(extended, "-c", program).split()
    assert own not in others
