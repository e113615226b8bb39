"""Locks that admit one process at a time and name the process that the others wait for."""

import contextlib
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from equipoise.core.errors import ConfigError


class InUseError(ConfigError):
    """A folder into which another process writes."""


@contextlib.contextmanager
def locked(file: Path, seconds: float) -> Iterator[None]:
    """Hold a lock during the body; a process that waits for too long is told for which one."""
    owner = file.with_suffix(".owner")
    try:
        # The thread that ends a run may not be the one that began it.
        with FileLock(file, timeout=seconds, thread_local=False):
            with contextlib.suppress(OSError):  # a full disk; only a message needs the name
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                owner.write_text(
                    f"process {os.getpid()} on {socket.gethostname()} since {since} ({shlex.join(sys.argv)})",
                    encoding="utf-8",
                )
            yield
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.exists() else "whose name is not known"
        raise InUseError(f"{file.parent} is in use by another process, {who}: wait for it, or end it") from None
