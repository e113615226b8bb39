"""The processes that train one model together, as each finds them in its environment variable TF_CONFIG.

TensorFlow defines it: {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}, the same in
every process but for the index. The chief, or worker 0 where none is named so, logs the run; the others write nothing.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from equipoise.config.messages import explained
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Section

VARIABLE = "TF_CONFIG"
PATIENCE = 600  # seconds to wait for workers that have not come
REMINDER = 30  # seconds between saying for whom
JOINING = 60  # seconds for TensorFlow to connect those that are there
EXAMPLE = (
    """export TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]}, """
    """"task": {"type": "worker", "index": 0}}'"""
)

_Addresses = Annotated[tuple[Annotated[str, Field(pattern=r"^[^\s/]+:\d+$")], ...], Field(strict=False)]


class _Jobs(Section):
    chief: Annotated[_Addresses, Field(max_length=1)] = ()
    worker: _Addresses = ()


class _Task(Section):
    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _Described(Section):
    cluster: _Jobs
    task: _Task
    rpc_layer: Literal["grpc"] = "grpc"


@dataclass(frozen=True)
class Cluster:
    """All workers, the chief first, and which of them this process is."""

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def read_cluster() -> Cluster:
    """Return what TF_CONFIG says.

    Raises
    ------
    ConfigError
        If it is not set, or not what TensorFlow reads.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        raise ConfigError(
            f"trainer.strategy=multi_worker needs {VARIABLE} in the environment of each worker: {EXAMPLE}"
        )
    try:
        described = json.loads(text)
        found = _Described.model_validate(described)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{VARIABLE} is no valid JSON ({error}); it must be like: {EXAMPLE}") from None
    except ValidationError as error:
        wrong = explained(error, described).splitlines()[0]
        raise ConfigError(f"{VARIABLE}: {wrong}; it must be like: {EXAMPLE}") from None
    workers = (*found.cluster.chief, *found.cluster.worker)
    own = {"chief": found.cluster.chief, "worker": found.cluster.worker}[found.task.type]
    if found.task.index >= len(own):
        raise ConfigError(
            f"{VARIABLE}: task {found.task.type} {found.task.index} is none of the {len(own)} "
            f"in cluster.{found.task.type}"
        )
    if len(set(workers)) < len(workers):
        raise ConfigError(f"{VARIABLE}: the same address stands twice in the cluster")
    return Cluster(workers, found.task.index + (len(found.cluster.chief) if found.task.type == "worker" else 0))


@contextlib.contextmanager
def met(cluster: Cluster) -> Iterator[None]:
    """Wait for the other workers; within it TensorFlow connects with them, or the process is ended.

    TensorFlow itself would wait for an hour without a word, even for a worker that has died meanwhile.

    Raises
    ------
    ConfigError
        If the port that TF_CONFIG gives this worker cannot be had.
    ConnectionError
        If one does not come.
    """
    port = int(cluster.workers[cluster.index].rpartition(":")[2])
    try:
        listening = socket.create_server(("", port))  # by which the others know that this one is there
    except OSError as error:
        raise ConfigError(
            f"{VARIABLE}: worker {cluster.index} cannot listen on port {port}: {error.strerror or error}"
        ) from None
    with listening:
        _await_others(cluster)
    timer = threading.Timer(JOINING, _give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _await_others(cluster: Cluster) -> None:
    begin = reminded = time.monotonic()
    missing = {number: address for number, address in enumerate(cluster.workers) if number != cluster.index}
    while missing := {number: address for number, address in missing.items() if not _answers(address)}:
        now, who = time.monotonic(), ", ".join(f"worker {number} ({address})" for number, address in missing.items())
        if now - begin > PATIENCE:
            raise ConnectionError(f"{who} did not come within {PATIENCE} seconds")
        if now - reminded > REMINDER:
            print(f"still waiting for {who}", flush=True)
            reminded = now
        time.sleep(0.5)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def _give_up() -> None:
    os.write(
        2,
        f"error: a worker went away before all were connected: "
        f"TensorFlow has waited for it for {JOINING} seconds\n".encode(),
    )
    os._exit(1)
