"""Where the jobs of a sweep run: Hydra's launchers, one YAML each in conf/hydra/launcher."""

import os
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from equipoise.options import ConfigError
from equipoise.paths import project_root

IN_THIS_PROCESS = "basic"  # Hydra's own, which needs no YAML
PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "ray": "hydra_ray_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "submitit_slurm": "hydra_submitit_launcher",
}

# Ours are whole; that Hydra finds the plugin's own config of the same name beside them changes nothing.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def check(name: str) -> None:
    """See that the launcher's plugin is installed.

    Raises
    ------
    ConfigError
        With the command that installs it.
    """
    if name in PLUGINS and find_spec(f"hydra_plugins.{PLUGINS[name]}") is None:
        raise ConfigError(f"hydra/launcher={name} needs a package that is not installed here: make setup EXTRA=sweeps")


def threads(name: str, launcher: Mapping[str, Any], jobs: int) -> int | None:
    """What `trainer.threads=auto` is for each of so many jobs: the cores through those that share them; None: all of them.

    Parameters
    ----------
    launcher : its composed options
    """
    if name == "ray":
        return max(1, int(launcher["ray"]["remote"]["num_cpus"] or 1))
    if name == "submitit_slurm":
        return int(launcher["cpus_per_task"] or 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if name == "joblib":
        workers = int(launcher["n_jobs"])
        return max(1, cores // min(jobs, workers if workers > 0 else max(1, cores + 1 + workers)))
    return max(1, cores // jobs) if name == "submitit_local" else None


def set_environment() -> None:
    """What processes inherit that run jobs: where the code is, and that nothing is reported to anybody."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(project_root() / "src"), os.environ.get("PYTHONPATH"))))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
