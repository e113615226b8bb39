"""The commands of docs/questions.md and what they print, all in one process, which starts TensorFlow once.

A recipe takes minutes, so it is composed and checked here and not run, and what is quoted of it must stand at its head.
"""

import json
import re
import shlex

import pytest

import warm
from equipoise.sweeps.planning import plan
from helpers import REPOSITORY, copy_project
from processes import LIMIT
from quotes import blocks, stands_in

pytestmark = pytest.mark.slow

PAGE = (REPOSITORY / "docs" / "questions.md").read_text()
QUESTIONS = re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
# Another processor, other last bits: a few of 500 test samples may change their class.
TOLERANCE = 0.03
# Intervals are not quoted, and cost more than the training.
QUICKER = {"src/train.py": ["evaluation.resamples=0"]}
RUN_ALL = """
import json, os, runpy, sys
os.dup2(1, 2)  # told where it belongs
for words in json.loads(sys.argv[1]):
    sys.argv, sys.path[0] = words, os.path.dirname(os.path.abspath(words[0]))
    code = 0
    try:
        exec(words[1]) if words[0] == "-c" else runpy.run_path(words[0], run_name="__main__")
    except SystemExit as leave:
        code = leave.code or 0
    print(f"\\n=== {code}", flush=True)
"""


def is_recipe(command: str) -> bool:
    return "experiment=" in command


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and output of every command that is no recipe."""
    project = copy_project(tmp_path_factory.mktemp("questions"), with_store=True)
    (project / "examples").symlink_to(REPOSITORY / "examples")
    commands = list(
        dict.fromkeys(line for _, answer in QUESTIONS for line in blocks(answer, "sh") if not is_recipe(line))
    )
    words = [shlex.split(command)[1:] for command in commands]
    typed = json.dumps([[*line, *QUICKER.get(line[0], [])] for line in words])
    found = warm.run(["-c", RUN_ALL, typed], project, LIMIT)
    assert found.returncode == 0, found.stdout
    parts = re.split(r"^=== (\d+)\n", found.stdout, flags=re.MULTILINE)
    return {
        command: (int(code), output) for command, output, code in zip(commands, parts[::2], parts[1::2], strict=False)
    }


def test_every_question_has_a_command_and_what_came_out() -> None:
    assert len(QUESTIONS) == PAGE.count("\n### "), "none is passed over"
    assert f"{len(QUESTIONS)} of them" in (REPOSITORY / "README.md").read_text()
    for question, answer in QUESTIONS:
        assert question.endswith("?")
        assert blocks(answer, "sh"), question
        assert blocks(answer, "text"), question


def test_the_commands_print_what_is_quoted(outputs: dict[str, tuple[int, str]]) -> None:
    for question, answer in QUESTIONS:
        printed, tolerance = "", 0.0
        quoted = blocks(answer, "text")
        *before, last = blocks(answer, "sh")
        for command in [*before, last]:
            if is_recipe(command):
                printed += head_of(command)
                continue
            code, output = outputs[command]
            refused = command == last and any(line.startswith("error:") for line in quoted)
            assert code == (2 if refused else 0), f"{command}\n{output}"
            printed += output
            tolerance = max(tolerance, TOLERANCE if "src/train.py" in command or "src/compare.py" in command else 0.0)
        for line in quoted:
            assert stands_in(line, printed, tolerance), f"{question}\n{line}\nnot in\n{printed}"


def head_of(command: str) -> str:
    """The comment at the head of a recipe whose jobs all compose."""
    found = plan(command.split()[2:])
    assert found is not None
    assert found.jobs
    (name,) = re.findall(r"experiment=(\w+)", command)
    return (REPOSITORY / "conf" / "experiment" / f"{name}.yaml").read_text()
