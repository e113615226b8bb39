"""What tests take for a command's own process is one: a fork with its words, folder, environment, streams and end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import warm
from processes import LIMIT, Processes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("tensorflow")]  # which writes into the environment

TELLS = """
import json, os, sys
assert __name__ == "__main__"
ours = [name for name in sys.modules if name.split(".")[0] in ("equipoise", "warm", "helpers")]
print(json.dumps([sys.argv, os.getcwd(), os.environ.get("MINE"), sys.path[0], "tensorflow" in sys.modules, ours]))
sys.stdout.reconfigure(errors="replace")
print("said", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "tells.py").write_text(TELLS)
    return tmp_path / "tells.py"


def test_a_command_has_its_own_words_folder_environment_streams_and_end(script: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    given = {**os.environ, "MINE": "ü"}
    for words, path in (([str(script), "a b"], str(tmp_path)), (["-c", TELLS, "a b"], "")):
        found = warm.run(words, tmp_path / "elsewhere", LIMIT, given)
        assert (found.returncode, found.stderr) == (3, "said\n")
        argv = [words[0], "a b"]
        assert json.loads(found.stdout) == [argv, str(tmp_path / "elsewhere"), "ü", path, True, []]


def test_what_only_a_new_interpreter_would_heed_is_given_to_one(script: Path, tmp_path: Path) -> None:
    assert warm.is_heeded(os.environ) or "COVERAGE_PROCESS_CONFIG" in os.environ
    assert not warm.is_heeded({**os.environ, "PYTHONHASHSEED": "1"})
    assert warm.is_heeded({**os.environ, "TF_CONFIG": "{}"}) == warm.is_heeded(os.environ)
    found = warm.run([str(script)], tmp_path, LIMIT, {**os.environ, "PYTHONIOENCODING": "ascii"})
    assert json.loads(found.stdout)[-2:] == [False, []], "TensorFlow is not imported there"


def test_it_can_be_waited_for_and_killed(tmp_path: Path, processes: Processes) -> None:
    (tmp_path / "waits.py").write_text("import time; open('here', 'w').close(); time.sleep(1000)")
    process = processes.start([sys.executable, str(tmp_path / "waits.py")], cwd=tmp_path)
    processes.until((tmp_path / "here").exists, process)
    assert process.poll() is None
    assert os.getsid(process.pid) == process.pid
    process.kill()
    assert processes.said(process) == ("", "")
    assert process.returncode == process.poll() == -signal.SIGKILL


def test_it_can_be_called_by_its_name(script: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{warm.programs()}:{os.environ['PATH']}", "MINE": "ü", "PYTHONPATH": "lib"}
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "beside.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")

    def called(command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        given = {**environment, **more}
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=given, capture_output=True, text=True)

    found = called("python tells.py 'a b'")
    assert (found.returncode, found.stderr) == (3, "said\n")
    is_forked = warm.is_heeded(os.environ)
    assert json.loads(found.stdout) == [["tells.py", "a b"], str(tmp_path), "ü", str(tmp_path), is_forked, []]
    assert json.loads(called("python tells.py", PYTHONIOENCODING="ascii").stdout)[-2:] == [False, []]
    assert called("python -c 'import beside'").returncode == 128 + signal.SIGKILL, "as a shell says it"
