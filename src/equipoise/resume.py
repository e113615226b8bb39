"""Which run the same command goes on with, and who may write in a run's folder."""

import contextlib
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from equipoise import checkpoints
from equipoise.config import Config, config_sha256
from equipoise.data.prepared import Prepared
from equipoise.options import ConfigError
from equipoise.tracking import Store

LOCK, OWNER = ".lock", ".owner.json"  # in the run's folder


@dataclass(frozen=True)
class Begun:
    """A run that was interrupted."""

    id: str
    folder: Path


def interrupted(store: Store, config: Config, data_sha256: str) -> Begun | None:
    """The newest run of this config on these data, in the same sweep or in none, if it was interrupted.

    A run is KILLED by a signal or by the next command that finds its process gone; it may have no checkpoint yet.
    One that FAILED was interrupted if it left a checkpoint, as it does if its disk was full; one that cannot but
    fail again, such as one that diverged, leaves none.
    """
    sweep = None if config.sweep == "auto" else config.sweep
    tags = {"config_sha256": config_sha256(config), "data_sha256": data_sha256}
    same = [run for run in store.runs(**tags) if "kind" not in run.data.tags and run.data.tags.get("sweep_id") == sweep]
    if not same:
        return None
    newest = same[-1]
    folder = Path(newest.data.tags.get("folder", ""))
    if "folder" not in newest.data.tags or not folder.is_dir():
        return None
    cut_off = newest.info.status == "KILLED" or (newest.info.status == "FAILED" and checkpoints.saved(folder))
    return Begun(str(newest.info.run_id), folder) if cut_off else None


def made_by(config: Config, data: Prepared) -> dict[str, str]:
    """What a checkpoint must agree in to be gone on with: another version may train other bits."""
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"config_sha256": config_sha256(config), "data_sha256": data.data_sha256, **versions}


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder as this process's own; its checkpoints stay only if what ends the run comes from outside.

    The lock goes with the process, however it ends.

    Raises
    ------
    ConfigError
        If another process writes in it, which is named.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(f"another run is being written in {folder}, {_owner(folder)}: wait for it, or end it") from None
    try:
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S"), "command": shlex.join(sys.argv)}
        (folder / OWNER).write_text(json.dumps(owner))
        yield
        checkpoints.remove(folder)
    except ConfigError:  # the same command would end in the same way
        checkpoints.remove(folder)
        raise
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / OWNER).read_text())
    except (OSError, ValueError):  # it is just being written
        return "by another process"
    return f"by process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
