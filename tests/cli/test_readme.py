"""The README's commands, all of them, in a project that starts from nothing but the files that git would clone."""

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from helpers import REPOSITORY, clone_of, typed
from processes import LIMIT, Processes
from quotes import blocks, stands_in
from servers import answers, free_port

pytestmark = pytest.mark.slow

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]
QUOTED = blocks((REPOSITORY / "docs/index.md").read_text(), "text")
FIRST = next(command for command in COMMANDS if command.startswith("python "))
TOLERANCE = 0.05  # another processor, other last bits, and other weights after them
RECIPE = "python src/train.py experiment=mnist_lt_control"
# As written they take minutes; these overrides cut grids down to two jobs, or jobs to an epoch, and leave the rest.
CUT_DOWN = {
    "python src/train.py -m loss=class_weight,sample_weight,custom weighting=balanced": " trainer.epochs=1",
    "python src/decide.py dataset=digits_lt model=mlp": " weighting=none,balanced trainer.epochs=1 minutes=0.25",
    RECIPE: " weighting=none,balanced seed=0 dataset.split_seed=0 trainer.epochs=1",
}
# This suite is what `make test` runs, the servers do not end, the site is built in test_site.py, and rows to predict
# are the user's: each has a test of its own, that of the last in test_csv_to_service.py.
APART = {"make test", "make ui", "make server", "make docs", "python src/predict.py input=rows.csv output=found.csv"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_of(tmp_path_factory.mktemp("clone") / "equipoise")


def shell(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """As typed by a user who has activated the project's environment, and nothing else."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS")
    }
    path = [part for part in environment["PATH"].split(":") if not part.startswith(str(REPOSITORY))]
    environment["PATH"] = ":".join([str(folder / ".venv/bin"), *path])
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT
    )


def test_the_readme_is_short_and_has_commands() -> None:
    assert len(README.splitlines()) < 150
    assert README.count("```sh") == len(BLOCKS), "no block is passed over"
    assert {command.split()[0] for command in COMMANDS} == {"make", "python"}
    scripts = {command.split("src/")[1].split(".py")[0] for command in COMMANDS if "src/" in command}
    assert scripts == {"train", "weights", "compare", "decide", "evaluate", "export", "predict", "register"}
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (REPOSITORY / picture).is_file(), picture
    assert set(CUT_DOWN) | APART <= set(COMMANDS), "an exception for a command that the README no longer has"


def test_the_commands_in_their_order(clone: Path) -> None:
    commands = [command for command in COMMANDS if command not in APART]
    assert commands[0] == "make train", "the first command of a new user"
    carried_out = shell("make -n train", clone).stdout.splitlines()[-1].split()
    (same,) = [command for command in commands if command.split() == carried_out]
    commands.remove(same)  # the first command does it already
    for command in commands:
        # In the clone's environment make's commands and the first that is typed; the others are the same in ours.
        is_typed = command.startswith("python ") and command != FIRST
        found = (typed if is_typed else shell)(command + CUT_DOWN.get(command, ""), clone)
        assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
        if command == commands[0]:
            missing = [line for line in QUOTED if not stands_in(line, found.stdout, TOLERANCE)]
            assert missing == [], "of what docs/index.md says that make train prints"
            assert len(QUOTED) > 40
    assert (clone / "mlflow.db").is_file()
    drawn = typed("python docs/pictures.py" + CUT_DOWN[RECIPE], clone)
    assert drawn.returncode == 0, drawn.stderr
    again = shell("make train ARGS='dataset=digits_lt model=linear trainer.epochs=1'", clone)
    assert again.returncode == 0
    assert "Installing" not in again.stdout, "the set-up is done once"
    assert "linear" in again.stdout
    cached = list((clone / ".venv").rglob("keras/__pycache__"))
    assert cached, "bytecode is compiled at install"


def test_make_test_runs_the_whole_suite(clone: Path) -> None:
    planned = shell("make -n test", clone)
    assert planned.returncode == 0
    command = planned.stdout.splitlines()[-1].split()
    assert command[:3] == ["python", "-m", "pytest"]
    assert not {"-m", "-k", "--ignore", "--deselect"} & set(command[3:])


def test_make_docs_builds_what_the_tests_of_the_site_build(clone: Path) -> None:
    planned = shell("make -n docs", clone)
    assert planned.returncode == 0
    assert "requirements/docs.txt" in planned.stdout
    assert "mkdocs build --strict" in planned.stdout.splitlines()[-2]


def test_make_ui_serves_the_runs(clone: Path, processes: Processes) -> None:
    """After the commands above: the page of a run's experiment answers on loopback."""
    environment = {**os.environ, "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}"}
    address = f"http://127.0.0.1:{free_port()}"
    command = ["make", "ui", f"PORT={address.rsplit(':', 1)[1]}", "RUN=1/abc"]
    process = processes.start(command, cwd=clone, env=environment, stderr=subprocess.STDOUT)
    processes.until(lambda: answers(f"{address}/health"), process)
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results": 10}',
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert b"mnist_lt" in answer.read()
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = processes.said(process)
    assert f"{address}/#/experiments/1/runs/abc" in output
