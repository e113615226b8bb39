"""A job as it is sent to another process or machine, and what comes back."""

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

from equipoise.core.errors import ConfigError
from equipoise.sweeps.launchers.sent_plugins import Files, unpack

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class Ended:
    """A job that ran to its end, whether it succeeded or failed."""

    returned: JobReturn
    said: str  # what it wrote to its terminal


@dataclass(frozen=True)
class Lost:
    """A job whose process or machine disappeared before the job ended."""

    reason: str
    log: str = ""  # path of a file with its output


@dataclass(frozen=True)
class Job:
    """A job that runs as under Hydra's own launcher, in the process that calls it."""

    context: HydraContext
    function: TaskFunction
    config: DictConfig  # composed for this job
    singletons: Any  # Hydra's singletons in the process that sends the job
    directory: str  # start of relative paths, if the machine has it
    environment: Mapping[str, str]
    spoken: str  # name of the file in the job's folder that holds its terminal output
    only_on: str | None  # the only host that the job can log from; None if every host can
    plugins: Files | None = None  # of the user's own options, for a machine that may not have them

    def __call__(self) -> Ended:
        if self.only_on not in (None, socket.gethostname()):
            raise ConfigError(
                f"tracking=local is a file of {self.only_on}, and this job came to {socket.gethostname()}: "
                "use tracking=server"
            )
        os.environ.update(self.environment)
        if os.path.isdir(self.directory):
            os.chdir(self.directory)
        if self.plugins:
            unpack(self.plugins)
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
        """Return what submitit queues again when the job is pre-empted: the same job, which resumes its own run."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
