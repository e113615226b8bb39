"""Train: one run, or with -m a sweep. `python src/train.py --help` lists the groups and options."""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from equipoise.config import command_line
from equipoise.core import process
from equipoise.core.clock import clock, imports_counted
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, complain
from equipoise.core.paths import config_folder
from equipoise.core.typed import whole, without_quiet


def main(words: Sequence[str]) -> int:
    """Check every job of the command line, then hand over to Hydra; return the exit code.

    Help and the like, and a name that is wrong, are answered without the schema of the options.
    """
    process.begin()
    os.environ["EQUIPOISE_PROGRAM"] = command("train")  # for the page of help in conf/
    words, is_quiet = without_quiet(whole(words))
    try:
        typed = command_line.read(words)
        if typed.is_answered:
            return _run_hydra(words)
        typed.check_names()
    except ConfigError as error:
        return complain(error)

    from equipoise.core.terminal import quietly
    from equipoise.sweeps import carry_out

    clock.begin_process()  # and end its start, which are those imports
    with quietly(is_quiet):
        return carry_out.carry_out(words, _run_hydra)


def _run_hydra(words: Sequence[str]) -> int:
    sys.argv[1:] = words  # which Hydra reads there
    told = () if os.environ.get("HYDRA_FULL_ERROR") == "1" else (CompactHydraException, OSError)
    # Else Hydra prints its traceback, also of a folder that cannot be made, and leaves.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        train()
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    except told as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
def train(composed: DictConfig) -> dict[str, float] | None:
    """Carry out one job. `main` has checked it; it is checked again because a launcher may run it in another process.

    Returns
    -------
    In a search, what it goes by: the trial's metrics, or nothing if it was pruned.
    """
    from equipoise.config.model import validate
    from equipoise.sweeps import planning, race_plan
    from equipoise.sweeps.launchers import choose
    from equipoise.sweeps.progress import spoken
    from equipoise.sweeps.run_job import run_job

    process.begin()  # a launcher's worker has not been through `main`
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    config = validate(OmegaConf.to_container(composed, resolve=True))  # type: ignore[arg-type]
    elsewhere = (
        settings.mode == RunMode.MULTIRUN and settings.runtime.choices["hydra/launcher"] != choose.IN_THIS_PROCESS
    )
    searching = planning.search_settings(settings.sweeper) if config.sweep != "auto" else None
    elsewhere = (
        elsewhere or settings.sweeper._target_ == race_plan.TARGET
    )  # which has many jobs, and tells what they show
    with spoken(folder) if elsewhere else nullcontext(), imports_counted() if config.trainer.profile else nullcontext():
        return run_job(config, folder, searching)
