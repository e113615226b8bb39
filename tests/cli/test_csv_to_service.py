"""The commands of docs/csv_to_service.md in their order, as a user types them, and what they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import REPOSITORY, copy_project, typed
from processes import ended_after
from quotes import blocks, stands_in
from servers import answers, free_port

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "csv_to_service.md").read_text()
CHAPTERS = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
SERVER = "mlflow models serve"
# Another processor, other last bits, and other weights after them; a few of 1,078 rows may change their class.
TOLERANCE = 0.05
MINUTES = re.compile(r"minutes=\d+")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("story") / "equipoise")
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    for chapter in CHAPTERS:
        lines = blocks(chapter[1], "yaml")
        if lines:
            (folder / lines[0].removeprefix("# ")).write_text("\n".join(lines))
    return folder


def asked(server: str, request: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Start the server on a port that is free, send it the request once it answers, and end it."""
    port = str(free_port())
    words = server.replace("5001", port)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""}
    with ended_after() as processes:
        started = processes.start(
            ["bash", "-c", words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        processes.until(lambda: answers(f"http://127.0.0.1:{port}/ping"), started)
        return typed(request.replace("5001", port), folder)


def cut_short(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Type the command, but cut a race to 0.3 minutes, or to 2 where its first repetition takes longer."""
    found = typed(MINUTES.sub("minutes=0.3", command), folder)
    if "no repetition was finished" in found.stderr:
        found = typed(MINUTES.sub("minutes=2", command), folder)
    return found


def test_every_chapter_has_commands_and_what_came_out() -> None:
    assert len(CHAPTERS) == PAGE.count("\n## ") >= 6
    assert PAGE.count("```sh") == len(re.findall(r"^```sh$", PAGE, re.MULTILINE))
    scripts = re.findall(r"^python src/(\w+)\.py", PAGE, re.MULTILINE)
    assert list(dict.fromkeys(scripts)) == ["decide", "train", "evaluate", "register", "predict"]


def test_the_commands_print_what_is_quoted(project: Path) -> None:
    for title, body in CHAPTERS:
        printed, commands = "", blocks(body, "sh")
        for place, command in enumerate(commands):
            if SERVER in command:
                found = asked(command, commands[place + 1], project)
            elif place and SERVER in commands[place - 1]:
                continue
            else:
                found = cut_short(command, project)
            assert found.returncode == 0, f"{command}\n{found.stdout}\n{found.stderr}"
            printed += found.stdout + found.stderr
        # How far a race comes, and so all that it says, is a matter of time.
        is_race = any("decide.py" in command for command in commands)
        quoted = ["Verdict: ", "Train it on all rows: python src/train.py "] if is_race else blocks(body, "text")
        for line in quoted:
            assert stands_in(line, printed, TOLERANCE), f"{title}\n{line}\nnot in\n{printed}"
