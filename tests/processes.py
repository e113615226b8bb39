"""What tests start, and how they wait: until a state is reached or a process has ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil

import warm

# Seconds that a test may wait in all: less than the limit of a test in pyproject.toml, so that its processes are ended.
LIMIT = 800
BETWEEN_LOOKS = 0.05

Process = subprocess.Popen[str] | warm.Fork
Found = TypeVar("Found")


class Processes:
    """The processes of one test, or of one fixture."""

    def __init__(self) -> None:
        self._begun: list[Process] = []
        self._end = time.monotonic() + LIMIT

    def start(self, command: Sequence[str], **options: Any) -> Process:
        """Start a command in a session of its own; output and errors are kept unless an option says otherwise.

        A command of this project is a fork, see warm.py, if what it is given can be given to one.
        """
        environment = options.get("env", os.environ)
        is_ours = command[0] == sys.executable and command[1].endswith(".py")
        if is_ours and not options.keys() - {"cwd", "env"} and warm.is_heeded(environment):
            folder = options.get("cwd", Path.cwd())
            self._begun.append(warm.Fork(command[1:], folder, environment, alone=True))
            return self._begun[-1]
        given = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "start_new_session": True,
            **options,
        }
        self._begun.append(subprocess.Popen(command, **given))
        return self._begun[-1]

    def left(self) -> float:
        """Return the seconds until the test's limit."""
        return max(0.0, self._end - time.monotonic())

    def said(self, process: Process) -> tuple[str, str]:
        """Return a process's output and errors, once it has ended."""
        return process.communicate(timeout=self.left())

    def until(self, met: Callable[[], Found], *needed: Process) -> Found:
        """Return what `met` finds, as soon as that is true; fail if one of the needed processes ends before."""
        while True:
            ended = [process for process in needed if process.poll() is not None]
            if found := met():
                return found
            if ended:
                raise AssertionError(f"ended with {ended[0].returncode}: {self.said(ended[0])}")
            if not self.left():
                raise AssertionError(f"not met within {LIMIT} s")
            time.sleep(BETWEEN_LOOKS)

    def stop(self) -> None:
        """End all processes, and what they have started."""
        for process in self._begun:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextlib.contextmanager
def ended_after() -> Iterator[Processes]:
    """Yield processes that end with the body, whatever happens in it."""
    processes = Processes()
    try:
        yield processes
    finally:
        processes.stop()
