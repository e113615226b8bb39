"""Where a run comes from, as tags: the commit of the code, and the process that carries the run out."""

import getpass
import json
import os
import socket
import subprocess
from collections.abc import Mapping

import psutil

from equipoise.core.paths import code_root, installed

USER = "mlflow.user"
GIT = "EQUIPOISE_GIT"  # in the environment of a job that was sent the code: the tags of its commit, as JSON


def process_tags() -> dict[str, str]:
    """Return the user, the host, the process and when it started, by which `is_alive` knows it."""
    process = psutil.Process()
    return {
        USER: user(),
        "host": socket.gethostname(),
        "pid": str(process.pid),
        "process_start": f"{process.create_time():.2f}",
    }


def user() -> str:
    """Return who logs: the user of the tracking server, or of the system if it knows one."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number only
        return "unknown"


def git_tags() -> dict[str, str]:
    """Return the commit and whether the tree differs from it; nothing outside a git checkout, or if installed.

    A job that was sent the code was sent these tags along with it.
    """
    if GIT in os.environ:
        return dict(json.loads(os.environ[GIT]))
    if installed():
        return {}  # the environment may lie in a checkout of something else

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(code_root()), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {
            "mlflow.source.git.commit": git("rev-parse", "HEAD"),
            "git_dirty": str(bool(git("status", "--porcelain"))).lower(),
        }
    except (OSError, subprocess.CalledProcessError):
        return {}


def is_alive(tags: Mapping[str, str]) -> bool:
    """Return whether the process with these tags still exists on this host."""
    try:
        process = psutil.Process(int(tags["pid"]))
        return abs(process.create_time() - float(tags["process_start"])) < 1
    except psutil.NoSuchProcess:
        return False
