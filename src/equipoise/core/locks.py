"""One process at a time, and a name for the one that others wait for."""

import contextlib
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from equipoise.core.schema import ConfigError


class InUseError(ConfigError):
    """A folder that another process writes into."""


@contextlib.contextmanager
def locked(file: Path, seconds: float) -> Iterator[None]:
    """One process at a time; who waits for too long is told for whom."""
    owner = file.with_suffix(".owner")
    try:
        with FileLock(
            file, timeout=seconds, thread_local=False
        ):  # whoever ends a run may be another thread than began it
            with contextlib.suppress(OSError):  # a full disk; nobody but a message reads it
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                owner.write_text(
                    f"process {os.getpid()} on {socket.gethostname()} since {since} ({shlex.join(sys.argv)})",
                    encoding="utf-8",
                )
            yield
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.exists() else "one that is not known"
        raise InUseError(f"{file.parent} is in use by another process, {who}: wait for it, or end it") from None
