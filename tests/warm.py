"""Commands in processes that need not import TensorFlow, MLflow and their like again: forks of one that has.

A command's process is its own in all else: it imports this project afresh, from the folder of its script, and has its
own folder, environment, streams and end. What a fork cannot show is what the libraries do at their import: it takes no
time, is in no wrong order and says nothing. All forks of one process share the seed of its hashes, too. Tests of what
is imported when start their own interpreters, and so do the README's first commands, the first run of DVC's stages, and
the jobs of every launcher, whose bits are compared with those of forks.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
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
# Read by the command, and set once TensorFlow is started, or Ray imported, in the tests' own; a fork takes up its path.
FREE = ("TF_CONFIG", "TF_CPP_MIN_LOG_LEVEL", "PYTHONBREAKPOINT", "PYTHONPATH")
STARTED = dict(os.environ)
LONGEST = 1 << 20  # bytes of a request: its environment is most of it
# Asks for a fork, lends it the streams, and ends as it does; an empty answer: to be an interpreter itself.
ASKS = """
import json, os, signal, socket, sys
words, environment = sys.argv[2:], dict(os.environ)
request = {"words": words, "folder": os.getcwd(), "environment": environment, "alone": False}
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as told:
    told.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    told.connect(sys.argv[1])
    socket.send_fds(told, [json.dumps(request).encode()], [1, 2])
    pid = told.recv(32)
    if not pid:
        os.execv(sys.executable, [sys.executable, *words])
    code = int(told.recv(32))
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def run(
    words: Sequence[str], folder: Path, limit: float, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Return what `python SCRIPT …`, `python -m MODULE …` or `python -c CODE …` ends in; the words follow `python`.

    Raises
    ------
    subprocess.TimeoutExpired
        If it takes more than so many seconds; it is killed then.
    """
    command, given = [sys.executable, *words], dict(os.environ if environment is None else environment)
    if not is_heeded(given):
        return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=limit)
    process = Fork(words, folder, given)
    try:
        output, errors = process.communicate(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.wait(), output, errors)


@functools.cache
def programs() -> Path:
    """Return a folder whose `python` is a fork, for the path of what calls it by its name: a shell, DVC, MLflow."""
    folder = Path(tempfile.mkdtemp(prefix="equipoise-"))  # pytest's own has too long a name for a socket
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "asks.py").write_text(ASKS)
    call = shlex.join([sys.executable, "-IS", str(folder / "asks.py"), str(folder / "socket")])
    (folder / "python").write_text(f'#!/bin/sh\nexec {call} "$@"\n')
    (folder / "python").chmod(0o755)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(folder / "socket"))
    listener.listen()
    threading.Thread(target=_hand_on, args=(listener, _forking()), daemon=True).start()
    return folder


def _hand_on(listener: socket.socket, forking: socket.socket) -> None:
    while True:
        asked, _ = listener.accept()
        with asked:
            text, streams, _, _ = socket.recv_fds(asked, LONGEST, 2)
            if is_heeded(json.loads(text)["environment"]):
                socket.send_fds(forking, [text], [*streams, asked.fileno()])
            for descriptor in streams:
                os.close(descriptor)


def is_heeded(environment: Mapping[str, str]) -> bool:
    """Whether a fork would heed this environment, as an interpreter that starts does."""
    names = [name for name in {*environment, *STARTED} if name.startswith(HEEDED_AT_ONCE) and name not in FREE]
    is_measured = any(name.startswith("COVERAGE") for name in names)
    is_same = all(environment.get(name, "") == STARTED.get(name, "") for name in names)
    return sys.platform == "linux" and is_same and not is_measured


class Fork:
    """A command's process, to be used as a `subprocess.Popen` whose output and errors are kept."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], alone: bool = False) -> None:
        """Start it, in a session of its own if it is to be alone; see `run`."""
        self.args = [sys.executable, *words]
        self.returncode: int | None = None
        self._streams = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed at the process's end
        self._said = ("", "")
        self._told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"words": list(words), "folder": str(folder), "environment": dict(environment), "alone": alone}
        with theirs:
            passed = [*(stream.fileno() for stream in self._streams), theirs.fileno()]
            socket.send_fds(_forking(), [json.dumps(request).encode()], passed)
        self.pid = int(self._told.recv(32))

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; negative: the signal that has ended it."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(32))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._told.close()
            for stream in self._streams:
                stream.seek(0)
            output, errors = (stream.read().decode() for stream in self._streams)
            self._said = (output, errors)
            for stream in self._streams:
                stream.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return its exit code, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return its output and errors, once it has ended."""
        self.wait(timeout)
        return self._said

    def send_signal(self, sent: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _forking() -> socket.socket:
    """Return the socket of a process that has imported the libraries; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    environment, passed = {**STARTED, **QUIET, "PYTHONPATH": ""}, theirs.fileno()
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
        process.kill()  # or it would wait for a fork of the tests' own process that has the socket, too
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
            told.send(f"{pid}".encode())
            _, status = os.waitpid(pid, 0)
            told.send(f"{os.waitstatus_to_exitcode(status)}".encode())
        os._exit(0)
    os.close(answer)
    for descriptor, name in ((output, "stdout"), (errors, "stderr")):
        stream = getattr(sys, name)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
        # What was opened on the null device would seek in a pipe.
        how = {"encoding": stream.encoding, "errors": stream.errors, "buffering": 1 if name == "stderr" else -1}
        setattr(sys, name, open(stream.fileno(), "w", closefd=False, **how))  # noqa: SIM115 - as long as the process
    return json.loads(text)


def _become(words: list[str], folder: str, environment: dict[str, str], alone: bool) -> None:
    """Do what an interpreter does that is given these words."""
    if alone:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = [str(Path(part).absolute()) for part in environment.get("PYTHONPATH", "").split(":") if part]
    sys.orig_argv[1:] = words
    if words[0] == "-c":
        sys.argv[:], sys.path[0] = ["-c", *words[2:]], ""
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(words[1], main.__dict__)
        return
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
    with contextlib.suppress(ImportError, AttributeError):  # in another MLflow it may lie elsewhere
        # MLflow reads all that is installed to name a model's packages, once in a process: 0.4 seconds.
        importlib.import_module("mlflow.utils.requirements_utils")._init_packages_to_modules_map()
    gc.freeze()
    _become(**_fork_when_asked(socket.socket(fileno=int(sys.argv[1]))))
