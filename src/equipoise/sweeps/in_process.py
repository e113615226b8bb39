"""A sweep whose jobs are done one after the other in this process, as a script or a notebook asks for it.

The plan, the claims of jobs and the summary run are those of `python src/train.py -m`; Hydra's main is not needed, and
no other process is started, which would import a script anew.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.errors import CompactHydraException

from equipoise.config.model import Config
from equipoise.config.naming import VARIED, experiment_of, ignored_variables, told_apart
from equipoise.core.bars import jobs_bar
from equipoise.core.errors import ConfigError
from equipoise.core.paths import project_root
from equipoise.core.terminal import told_once, warn
from equipoise.runs.stacks import expected
from equipoise.sweeps import planning
from equipoise.sweeps.jobs import Unfinished, save_views
from equipoise.sweeps.launchers import choose
from equipoise.sweeps.planning import Plan, Sweep
from equipoise.sweeps.run_job import run_job
from equipoise.sweeps.summary import summarised
from equipoise.tracking.store import Store, open_store


@dataclass(frozen=True)
class Swept:
    """A sweep that is over.

    Attributes
    ----------
    jobs : all of them, in order
    unfinished : those without a finished run, and why
    """

    store: Store
    sweep: Sweep
    jobs: tuple[Config, ...]
    unfinished: tuple[Unfinished, ...]


def planned_sweep(overrides: Sequence[str]) -> tuple[Plan, Sweep]:
    """Return the checked jobs of the overrides, which are those that follow `-m` on the command line.

    Raises
    ------
    ConfigError
        With one line for each mistake; or if it is a search, or for another launcher than this process.
    """
    plan = planning.plan(["-m", *overrides])
    if plan.sweep is None:
        raise ConfigError("give overrides alone, such as weighting=none,balanced, and no flags")
    if plan.searching or plan.sweep.launcher != choose.IN_THIS_PROCESS:
        raise ConfigError(
            "a search, or a launcher other than this process, needs the command line: "
            f"{plan.sweep.command}; its runs can be compared here afterwards"
        )
    if any(job.trainer.strategy == "multi_worker" for job in plan.jobs):
        raise ConfigError("trainer.strategy=multi_worker: its workers train one run at a time, by the command line")
    return plan, plan.sweep


def carry_out(plan: Plan, sweep: Sweep) -> Swept:
    """Do the jobs that are not done yet; a job that fails is told, and does not keep the others from being done."""
    for note in ignored_variables(job.dataset for job in plan.jobs):
        warn(note)
    store = open_store(project_root(), plan.jobs[0].tracking.name, needed=False)
    store.check_experiments({experiment_of(job.dataset) for job in plan.jobs})
    planning.prepare_all(plan)
    named = _named_by(told_apart(sweep.grid, plan.jobs))
    bar, stacks = jobs_bar(len(plan.jobs)), expected(plan.jobs)
    with told_once(), named, stacks, summarised(store, plan, sweep) as state, bar:
        for number, job in enumerate(plan.jobs):
            folder = sweep.folder / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(CompactHydraException):  # it was told, and is among the unfinished
                run_job(job.model_copy(update={"sweep": sweep.id}), folder, None)
    if store.answers:
        save_views(store, sweep.id)
    return Swept(store, sweep, plan.jobs, tuple(state.unfinished))


@contextlib.contextmanager
def _named_by(varied: Sequence[str]) -> Iterator[None]:
    """Within it runs are named by what the sweep varies."""
    before = os.environ.get(VARIED)
    os.environ[VARIED] = ",".join(varied)
    try:
        yield
    finally:
        os.environ.pop(VARIED)
        if before is not None:
            os.environ[VARIED] = before
