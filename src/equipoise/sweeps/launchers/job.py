"""A job as it is sent to another process or machine, and what comes back of it."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from equipoise.core.schema import ConfigError

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class Ended:
    """A job that ran to its end, well or not."""

    returned: JobReturn
    said: str  # to its terminal


@dataclass(frozen=True)
class Lost:
    """A job whose process or machine was gone before its end."""

    reason: str
    log: str = ""  # a file with what it wrote


@dataclass(frozen=True)
class Job:
    """Runs a job as Hydra's own launcher does, in the process that calls it."""

    context: HydraContext
    function: TaskFunction
    config: DictConfig  # composed for this job
    singletons: Any  # Hydra's, of the process that sends it
    directory: str  # that relative paths start from, where the machine has it
    environment: Mapping[str, str]
    spoken: str  # the file in the job's folder that holds what it said to its terminal
    only_on: str | None  # the host whose file the runs are logged to, if it is one

    def __call__(self) -> Ended:
        if self.only_on not in (None, socket.gethostname()):
            raise ConfigError(
                f"tracking=local is a file of {self.only_on}, and this job came to {socket.gethostname()}: use tracking=server"
            )
        os.environ.update(self.environment)
        if os.path.isdir(self.directory):
            os.chdir(self.directory)
        setup_globals()
        Singleton.set_state(self.singletons)
        HydraConfig.instance().set_config(self.config)
        returned = run_job(
            task_function=self.function,
            config=self.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )
        file = Path(str(self.config.hydra.runtime.output_dir)) / self.spoken
        return Ended(returned, file.read_text(encoding="utf-8") if file.exists() else "")

    def checkpoint(self) -> "DelayedSubmission":
        """What submitit queues again when the job is pre-empted: the same, which goes on with its own run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
