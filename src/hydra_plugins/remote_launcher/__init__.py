"""Hydra's launcher for jobs in other processes and on other machines; it reports a lost job and keeps the rest."""

import contextlib
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


class RemoteLauncher(Launcher):
    """The launcher that conf/hydra/launcher/ray.yaml, submitit_local.yaml and submitit_slurm.yaml name."""

    def __init__(self, **composed: Any) -> None:
        self.composed = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in composed.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from equipoise.config.composing import SharedCompositions

        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.loader = SharedCompositions(hydra_context.config_loader, in_turn=False)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from equipoise.sweeps.launchers import choose, ray_jobs, submitit_jobs
        from equipoise.sweeps.launchers.sent_plugins import packed

        options = choose.read_options(self.composed)
        assert options is not None
        assert self.config is not None
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self.folder = Path(str(self.config.hydra.sweep.dir))
        self.folder.mkdir(parents=True, exist_ok=True)
        numbered = enumerate(job_overrides, initial_job_idx)
        on_ray = options if isinstance(options, ray_jobs.Options) else None
        self.sent = packed() if options.leaves_this_machine else None
        jobs = [self._job(number, overrides, on_ray) for number, overrides in numbered]
        if isinstance(options, ray_jobs.Options):
            outcomes = ray_jobs.run(jobs, options)
        else:
            outcomes = submitit_jobs.run(jobs, options)
        returned = {place: self._returned(jobs[place], outcome) for place, outcome in outcomes}
        return [returned[place] for place in range(len(jobs))]

    def _job(self, number: int, overrides: Sequence[str], on_ray: Any) -> Any:
        from equipoise.sweeps.launchers.job import Job
        from equipoise.sweeps.progress import SPOKEN

        assert self.hydra_context is not None
        assert self.task_function is not None
        config = self.loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            config.hydra.sweep.dir = str(self.folder_there(on_ray))
        return Job(
            context=self.hydra_context,
            function=self.task_function,
            config=config,
            singletons=Singleton.get_state(),
            directory=os.getcwd(),
            environment=_environment(on_ray),
            spoken=SPOKEN,
            only_on=socket.gethostname() if config.tracking.name == "local" else None,
            plugins=self.sent,
        )

    def folder_there(self, on_ray: Any) -> Path:
        """Return the sweep's folder on the machine that runs a job."""
        from equipoise.core.paths import project_root

        if not (on_ray and on_ray.folder):
            return self.folder
        inside = (
            self.folder.relative_to(project_root())
            if self.folder.is_relative_to(project_root())
            else Path(self.folder.name)
        )
        return Path(on_ray.folder) / inside

    def _returned(self, job: Any, outcome: Any) -> JobReturn:
        """Return a job's result for Hydra; write its messages where the terminal finds them, unless they are there."""
        from equipoise.sweeps.launchers.job import Ended
        from equipoise.sweeps.progress import SPOKEN

        here = self.folder / str(job.config.hydra.job.num)
        if isinstance(outcome, Ended):
            if not (here / SPOKEN).exists():
                here.mkdir(parents=True, exist_ok=True)
                (here / SPOKEN).write_text(outcome.said, encoding="utf-8")
            return outcome.returned
        _say_lost(job.config, outcome)
        # Unresolved: a word such as `dataset.split_seed='${seed}'` is no reference here.
        overrides = OmegaConf.to_container(job.config.hydra.overrides.task, resolve=False)
        return JobReturn(
            overrides=overrides,  # type: ignore[arg-type]  # a list of texts
            status=JobStatus.FAILED,
            _return_value=CompactHydraException("the job was lost for the reason above"),
        )


def _say_lost(composed: DictConfig, lost: Any) -> None:
    from equipoise.config.model import validate
    from equipoise.config.naming import VARIED, run_name
    from equipoise.core.paths import project_root
    from equipoise.core.terminal import warn
    from equipoise.sweeps.jobs import lose
    from equipoise.tracking.store import open_store, outages

    os.environ[VARIED] = composed.hydra.job.env_set.get(VARIED, "")  # for the run's name
    job = composed.copy()
    with open_dict(job):
        del job["hydra"]
    config = validate(OmegaConf.to_container(job, resolve=True))  # type: ignore[arg-type]
    warn(f"{run_name(config)} is lost: {lost.reason}" + (f"; what it wrote: {lost.log}" if lost.log else ""))
    with contextlib.suppress(*outages()):
        lose(open_store(project_root(), config.tracking.name, needed=False), config, lost.reason)


def _environment(on_ray: Any) -> dict[str, str]:
    """Return the variables that a job gets in addition to its machine's environment.

    They may hold a password, so they do not go into Ray's `runtime_env`, which is logged.
    """
    from equipoise.core.paths import ROOT, project_root
    from equipoise.sweeps.launchers.ray_jobs import ON_THIS_MACHINE
    from equipoise.tracking.provenance import GIT, git_tags

    if not on_ray:
        return {}  # submitit and Slurm pass on this process's environment; variables here would be written to disk
    servers = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")}
    if on_ray.address == ON_THIS_MACHINE:
        return servers
    return {**servers, ROOT: on_ray.folder or str(project_root()), GIT: json.dumps(git_tags())}
