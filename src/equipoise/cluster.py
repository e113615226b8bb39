"""The processes that train one model together, as each finds them in its environment variable TF_CONFIG.

TensorFlow defines it: {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}, the same in
every process but for the index. The chief, or worker 0 where none is named so, logs the run; the others write nothing.
"""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from equipoise.options import ConfigError, Section

VARIABLE = "TF_CONFIG"
EXAMPLE = """export TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'"""

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
    """What TF_CONFIG says.

    Raises
    ------
    ConfigError
        If it is not set, or not what TensorFlow reads.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        raise ConfigError(f"trainer.strategy=multi_worker needs {VARIABLE} in the environment of each worker: {EXAMPLE}")
    try:
        found = _Described.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{VARIABLE}{f' at {where}' if where else ''}: {first['msg']}; it must be like: {EXAMPLE}") from None
    workers = (*found.cluster.chief, *found.cluster.worker)
    own = {"chief": found.cluster.chief, "worker": found.cluster.worker}[found.task.type]
    if found.task.index >= len(own):
        raise ConfigError(f"{VARIABLE}: task {found.task.type} {found.task.index} is none of the {len(own)} in cluster.{found.task.type}")
    if len(set(workers)) < len(workers):
        raise ConfigError(f"{VARIABLE}: the same address stands twice in the cluster")
    return Cluster(workers, found.task.index + (len(found.cluster.chief) if found.task.type == "worker" else 0))
