"""Where the jobs of a sweep run: Hydra's launchers, one YAML each in conf/hydra/launcher."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from pydantic import ValidationError

from equipoise.config.messages import explained
from equipoise.core.paths import project_root
from equipoise.core.schema import ConfigError
from equipoise.sweeps.launchers import ray_jobs, submitit_jobs

IN_THIS_PROCESS = "basic"  # Hydra's own, which needs no YAML
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


def check(name: str) -> None:
    """See that the package behind the launcher is installed.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise ConfigError(f"hydra/launcher={name} needs a package that is not installed here: make setup EXTRA=sweeps")


def read_options(composed: Mapping[str, Any]) -> Options | None:
    """The checked options of a launcher of ours, from `hydra.launcher`; None of Hydra's own and joblib's.

    Raises
    ------
    ConfigError
        With a line for each that is wrong.
    """
    section = OPTIONS.get(composed.get("engine", ""))
    if section is None:
        return None
    typed = {key: value for key, value in composed.items() if key != "_target_"}
    try:
        return section.model_validate(typed)
    except ValidationError as error:
        raise ConfigError(explained(error, typed, "hydra.launcher")) from None


def forget_schemas() -> None:
    """Other plugins that are installed may bring launchers of the same names, whose schemas Hydra would hold ours to."""
    Plugins.instance()  # they are registered when they are first looked for
    known = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for name in PACKAGES:
        known.pop(f"{name}.yaml", None)


def reach(options: Options | None, sweep: str, tracking: str) -> list[str]:
    """Reach the cluster that the jobs of a sweep are for, if it is one, and see that they can log there; returns what is to be known of it.

    Parameters
    ----------
    tracking : `local` or `server`

    Raises
    ------
    ConfigError
        If it does not answer, its machines would have to write into a file of this one, or it has the sweep already.
    """
    notes: list[str] = []
    if isinstance(options, submitit_jobs.SlurmOptions):
        submitit_jobs.check()
        others = submitit_jobs.other_hosts(options)
    elif isinstance(options, ray_jobs.Options) and options.address != ray_jobs.ON_THIS_MACHINE:
        ray_jobs.connect(options)
        others, notes = ray_jobs.other_hosts(), ray_jobs.lacking(options)
    else:
        return []
    if others and tracking == "local":
        raise ConfigError(
            f"tracking=local is a file of this machine, and the cluster runs jobs on {', '.join(others[:3])}{' …' * (len(others) > 3)} too: "
            "let them log to a server, with tracking=server (docs/scale.md)"
        )
    if isinstance(options, ray_jobs.Options):
        ray_jobs.hold(sweep)
    host = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", "")).hostname
    if others and host in ("localhost", "127.0.0.1", "::1"):
        notes = [
            *notes,
            f"MLFLOW_TRACKING_URI names {host}, which on {others[0]} is another machine than this one, unless a tunnel leads here",
        ]
    return notes


def threads(composed: Mapping[str, Any], jobs: int) -> int | None:
    """What `trainer.threads=auto` is for each of so many jobs: the cores through those that share them; None: all of them.

    Parameters
    ----------
    composed : `hydra.launcher`

    Raises
    ------
    ConfigError
        If the number of workers is none.
    """
    options = read_options(composed)
    if isinstance(options, ray_jobs.Options):
        return options.num_cpus
    if isinstance(options, submitit_jobs.SlurmOptions):
        return options.cpus_per_task or 1
    cores = submitit_jobs.cores()
    if "n_jobs" in composed:
        workers = composed["n_jobs"]
        if not isinstance(workers, int) or workers == 0:
            raise ConfigError(
                f"hydra.launcher.n_jobs={workers}: must be a whole number of workers, or -1 for one a core"
            )
        return max(1, cores // min(jobs, workers if workers > 0 else max(1, cores + 1 + workers)))
    return max(1, cores // min(jobs, submitit_jobs.at_once(options))) if options else None


def set_environment() -> None:
    """What processes inherit that run jobs: where the code is, and that nothing is reported to anybody."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(project_root() / "src"), os.environ.get("PYTHONPATH")))
    )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
