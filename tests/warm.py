"""Commands in processes that need not import TensorFlow, MLflow and their like again: forks of one that has.

A command's process is its own in all else: it imports this project afresh, from the folder of its script, and has its
own folder, environment, streams and end. What a fork cannot show is what the libraries do at their import: it takes no
time, is in no wrong order and says nothing. Tests of what is imported when start their own interpreters, and so do the
README's commands, DVC's stages, every launcher's jobs, and what is killed.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

# What a run imports sooner or later.
LIBRARIES = (
    *("tensorflow", "keras", "sklearn.metrics", "pandas", "pyarrow.parquet", "matplotlib.backends.backend_agg"),
    *("mlflow", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store"),
    *("hydra.main", "jinja2", "pygments.lexers", "rich.progress"),
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true"}
# Variables that are read when an interpreter starts, or at an import: a fork would not heed another value.
HEEDED_AT_ONCE = ("PYTHON", "COVERAGE", "TF_", "KERAS_", "MPL", "OMP_", "OPENBLAS_", "CUDA_", "LC_", "LANG", "HOME")
STARTED = dict(os.environ)
LONGEST = 1 << 20  # bytes of a request: its environment is most of it


def run(
    words: Sequence[str], folder: Path, limit: float, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Return what `python SCRIPT …` or `python -m MODULE …` ends in, whose words are given from SCRIPT or -m on.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes more than so many seconds; it is killed then.
    """
    command, given = [sys.executable, *words], dict(os.environ if environment is None else environment)
    if not _is_heeded(given):
        return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=limit)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        request = {"words": list(words), "folder": str(folder), "environment": given}
        code = _code_of(request, (output.fileno(), errors.fileno()), limit)
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(command, code, output.read().decode(), errors.read().decode())


def _is_heeded(environment: Mapping[str, str]) -> bool:
    """Whether a fork would heed this environment, as an interpreter that starts does."""
    names = [name for name in {*environment, *STARTED} if name.startswith(HEEDED_AT_ONCE)]
    return not any(name.startswith("COVERAGE") for name in names) and all(
        environment.get(name, "") == STARTED.get(name, "") for name in names
    )


def _code_of(request: Mapping[str, Any], streams: tuple[int, int], limit: float) -> int:
    """Ask for a fork and wait for its end; negative: the signal that has ended it."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            socket.send_fds(_forking(), [json.dumps(request).encode()], [*streams, theirs.fileno()])
        pid = int(ours.recv(32))
        ours.settimeout(limit)
        try:
            return int(ours.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(request["words"], limit) from None


@functools.cache
def _forking() -> socket.socket:
    """Return the socket of a process that has imported the libraries; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    environment, passed = {**STARTED, **QUIET}, theirs.fileno()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(passed)],
            env=environment,
            pass_fds=[passed],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what TensorFlow says at its import
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def _fork_when_asked(asked: socket.socket) -> Any:
    """Fork for every request; return it in the fork, whose parent tells who asked how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, passed, _, _ = socket.recv_fds(asked, LONGEST, 3)
        if not text:
            os._exit(0)
        if not os.fork():
            break
        for descriptor in passed:
            os.close(descriptor)
    asked.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output, errors, answer = passed
    if pid := os.fork():
        with socket.socket(fileno=answer) as told:
            told.sendall(f"{pid}\n".encode())
            _, status = os.waitpid(pid, 0)
            told.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.close(answer)
    for descriptor, stream in ((output, 1), (errors, 2)):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    return json.loads(text)


def _become(words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what an interpreter does that is given these words."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.orig_argv[1:] = words
    if words[0] == "-m":
        sys.argv[:], sys.path[0] = words[1:], folder
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        return
    script = Path(words[0]).absolute()
    sys.argv[:], sys.path[0] = words, str(script.resolve().parent)
    sys.modules["__main__"] = main = ModuleType("__main__")
    main.__file__ = str(script)
    exec(compile(script.read_bytes(), script, "exec"), main.__dict__)


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()
    _become(**_fork_when_asked(socket.socket(fileno=int(sys.argv[1]))))
