"""Choose where the jobs of a sweep run: Hydra's launchers, one YAML each in conf/hydra/launcher."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from pydantic import ValidationError

from equipoise.config.messages import explained
from equipoise.core.errors import ConfigError
from equipoise.core.paths import installed, project_root
from equipoise.core.process import cores
from equipoise.sweeps.launchers import ray_jobs, submitit_jobs

IN_THIS_PROCESS = "basic"  # Hydra's own launcher, which needs no YAML
MOST = 1024  # jobs at the same time
PACKAGES = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "ray": "ray",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}
Options = ray_jobs.Options | submitit_jobs.Options
OPTIONS: Mapping[str, type[Options]] = {
    "ray": ray_jobs.Options,
    "local": submitit_jobs.Options,
    "slurm": submitit_jobs.SlurmOptions,
}


@dataclass(frozen=True)
class Reached:
    """A cluster that the jobs of a sweep can run on."""

    notes: tuple[str, ...] = ()  # what the user should know about it
    held: Any = None  # reserves the sweep for this process as long as it is referred to


def check(name: str) -> None:
    """Check that the launcher's package is installed.

    Raises
    ------
    ConfigError
        If it is not, with the command that installs it.
    """
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise ConfigError(f"hydra/launcher={name} needs a package that is not installed here: make setup EXTRA=sweeps")


def read_options(composed: Mapping[str, Any]) -> Options | None:
    """Return the checked options of a remote launcher from `hydra.launcher`; None for Hydra's own and joblib's.

    Raises
    ------
    ConfigError
        With one line for each wrong option.
    """
    section = OPTIONS.get(composed.get("engine", ""))
    if section is None:
        return None
    try:
        return section.model_validate(composed)
    except ValidationError as error:
        raise ConfigError(explained(error, composed, "hydra.launcher")) from None


def forget_schemas() -> None:
    """Remove the schemas of other installed launchers of the same names; Hydra would check this project's by them."""
    Plugins.instance()  # registers them
    known = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for name in PACKAGES:
        known.pop(f"{name}.yaml", None)


def reach(options: Options | None, sweep: str, tracking: str) -> Reached:
    """Connect to the cluster that runs a sweep's jobs, if a cluster does, and check that the jobs can log from there.

    Parameters
    ----------
    tracking : `local` or `server`

    Raises
    ------
    ConfigError
        If the cluster does not answer, its machines cannot reach the store, or it runs the sweep already.
    """
    if isinstance(options, submitit_jobs.SlurmOptions):
        submitit_jobs.check()
        return Reached(tuple(_check_logging(submitit_jobs.other_hosts(options), tracking)))
    if isinstance(options, ray_jobs.Options) and options.leaves_this_machine:
        ray_jobs.connect(options)
        notes = [*ray_jobs.lacking(options), *_check_logging(ray_jobs.other_hosts(), tracking)]
        return Reached(tuple(notes), ray_jobs.hold(sweep))
    return Reached()


def _check_logging(others: Sequence[str], tracking: str) -> list[str]:
    """Check that jobs on other hosts can log to the store; return a warning if its address looks wrong there."""
    if others and tracking == "local":
        named = f"{', '.join(others[:3])}{' …' * (len(others) > 3)}"
        raise ConfigError(
            f"tracking=local is a file of this machine, and the cluster runs jobs on {named} too: "
            "let them log to a server, with tracking=server (docs/scale.md)"
        )
    host = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).hostname
    if others and host in ("localhost", "127.0.0.1", "::1"):
        return [
            f"MLFLOW_TRACKING_URI names {host}, which is another machine on {others[0]} than here, "
            "unless a tunnel leads here"
        ]
    return []


def threads(composed: Mapping[str, Any], jobs: int) -> int | None:
    """Return each job's share of the cores, which `trainer.threads=auto` takes; None if a job has all of them.

    Parameters
    ----------
    composed : `hydra.launcher`
    jobs : how many there are

    Raises
    ------
    ConfigError
        If the number of workers is invalid.
    """
    options = read_options(composed)
    if isinstance(options, ray_jobs.Options):
        return options.num_cpus
    if isinstance(options, submitit_jobs.SlurmOptions):
        return options.cpus_per_task or 1
    available = cores()
    if "n_jobs" in composed:
        workers = composed["n_jobs"]
        if not isinstance(workers, int) or workers == 0:
            raise ConfigError(
                f"hydra.launcher.n_jobs={workers}: must be a whole number of workers, or -1 for one a core"
            )
        return max(1, available // min(jobs, workers if workers > 0 else max(1, available + 1 + workers)))
    return max(1, available // min(jobs, submitit_jobs.at_once(options))) if options else None


def at_once(composed: Mapping[str, Any]) -> int:
    """Return how many jobs run at the same time; of a cluster, whose size changes, more than a race has.

    Parameters
    ----------
    composed : `hydra.launcher`
    """
    if "n_jobs" in composed:
        workers = int(composed["n_jobs"])
        return workers if workers > 0 else max(1, cores() + 1 + workers)
    options = read_options(composed)
    if isinstance(options, ray_jobs.Options) and options.address == ray_jobs.ON_THIS_MACHINE:
        return max(1, (options.cores or cores()) // options.num_cpus)
    if options is None:
        return 1
    return (
        MOST if isinstance(options, ray_jobs.Options | submitit_jobs.SlurmOptions) else submitit_jobs.at_once(options)
    )


def set_environment() -> None:
    """Set the variables that the processes of jobs inherit: where the code is, and that Ray reports no usage."""
    if not installed():
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(project_root() / "src"), os.environ.get("PYTHONPATH")))
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
