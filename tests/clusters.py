"""Real clusters on loopback: Slurm, and two Ray nodes, of which one takes itself for a machine of its own."""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from processes import Process, Processes, ended_after
from servers import free_port

ELSEWHERE = "elsewhere"  # the other node's host name


class RayCluster:
    """A head, and a node with another host name that does not see the project."""

    def __init__(self, project: Path, folder: Path, processes: Processes) -> None:
        # Ray takes 127.0.0.1 for the machine's address in the network, and 127.0.0.2 for what it is.
        self.address = f"127.0.0.2:{free_port()}"
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._logs, self._processes = folder, processes
        ray = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--num-cpus=1",
            "--object-store-memory=80000000",
            "--block",
        ]
        port = self.address.split(":")[1]
        self._head = self._start(
            [
                *ray,
                "--head",
                f"--port={port}",
                "--node-ip-address=127.0.0.2",
                "--include-dashboard=false",
                f"--temp-dir={folder}",
            ]
        )
        self._until("Ray runtime started", self._head)
        apart = ["unshare", "--mount", "--uts", *_as_root(), "sh", "-c"]
        alone = 'hostname "$1" && mount -t tmpfs none "$2" && shift 2 && exec "$@"'
        self._node = self._start(
            [
                *apart,
                alone,
                "sh",
                ELSEWHERE,
                str(project),
                *ray,
                f"--address={self.address}",
                "--node-ip-address=127.0.0.3",
            ]
        )
        self._until("Ray runtime started", self._node, 2)

    def _start(self, command: list[str]) -> Process:
        with open(self._logs / "ray.log", "ab") as log:
            return self._processes.start(command, env={**os.environ, **self.environment}, stdout=log, stderr=log)

    def _until(self, said: str, process: Process, times: int = 1) -> None:
        self._processes.until(lambda: (self._logs / "ray.log").read_text().count(said) >= times, process)

    def lose_the_node(self) -> None:
        os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait()


def _as_root() -> list[str]:
    """Return the flag that lets a user mount within what is unshared."""
    return ["--map-root-user"] if os.geteuid() else []


@contextlib.contextmanager
def ray_cluster(project: Path) -> Iterator[RayCluster]:
    if shutil.which("unshare") is None:
        pytest.skip("a node that is a machine of its own needs Linux's unshare")
    # A short path: sockets lie in it.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder, ended_after() as processes:
        yield RayCluster(project, Path(folder), processes)


@contextlib.contextmanager
def slurm(hidden: Path | None = None) -> Iterator[Mapping[str, str]]:
    """Start Slurm with one node; yield the environment that its commands need.

    Parameters
    ----------
    hidden : a folder of which the node's jobs see nothing; None: they see all of this machine
    """
    if shutil.which("slurmctld") is None:
        pytest.skip("needs Debian's slurm-wlm: make system")
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder, host, user = Path(name), socket.gethostname().split(".")[0], getpass.getuser()
        for part in ("spool", "state"):
            (folder / part).mkdir()
        (folder / "key").write_bytes(secrets.token_bytes(128))
        (folder / "key").chmod(0o400)
        settings = {
            "ClusterName": "here",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": free_port(),
            "SlurmdPort": free_port(),
            "AuthInfo": f"socket={folder}/munge",
            "SlurmUser": user,
            "SlurmdUser": user,
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool",
            "SlurmctldPidFile": folder / "slurmctld.pid",
            "SlurmdPidFile": folder / "slurmd.pid",
            "SlurmctldLogFile": folder / "slurmctld.log",
            "SlurmdLogFile": folder / "slurmd.log",
            "ProctrackType": "proctrack/linuxproc",  # without control groups
            "TaskPlugin": "task/none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "SlurmdParameters": "config_overrides",
            "MpiDefault": "none",
        }
        lines = [f"{key}={value}" for key, value in settings.items()]
        lines += [
            f"NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16384 State=UNKNOWN",
            "PartitionName=all Nodes=ALL Default=YES State=UP",
        ]
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        environment = {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        files = {
            part: f"{folder}/munge{ending}"
            for part, ending in (("socket", ""), ("pid-file", ".pid"), ("log-file", ".log"), ("seed-file", ".seed"))
        }
        munged = [
            "munged",
            "--foreground",
            "--force",
            f"--key-file={folder}/key",
            *(f"--{part}={file}" for part, file in files.items()),
        ]
        known = {**os.environ, **environment}

        def is_idle() -> bool:
            return "idle" in subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, env=known).stdout

        with ended_after() as processes, open(folder / "daemons.log", "ab") as log:
            munge = processes.start(munged, env=known, stdout=log, stderr=log)
            processes.until((folder / "munge").exists, munge)
            node = ["slurmd", "-D"]
            if hidden is not None:
                alone = 'mount -t tmpfs none "$1" && shift && exec "$@"'
                node = ["unshare", "--mount", *_as_root(), "sh", "-c", alone, "sh", str(hidden), *node]
            daemons = [
                processes.start(command, env=known, stdout=log, stderr=log) for command in (["slurmctld", "-D"], node)
            ]
            processes.until(is_idle, *daemons)
            yield environment
