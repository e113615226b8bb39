"""Carry out what a command line asks for: a run, a sweep, a race, or a worker's part in a run that another one logs."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from equipoise.config.model import Config, epochs_of
from equipoise.config.naming import experiment_of, ignored_variables
from equipoise.core import interruption
from equipoise.core.errors import ConfigError, complain, interrupted
from equipoise.core.paths import project_root
from equipoise.core.process import cores
from equipoise.core.terminal import console, say
from equipoise.sweeps import planning, race_plan
from equipoise.sweeps.launchers import choose
from equipoise.training.cluster import read_cluster

if TYPE_CHECKING:
    from equipoise.tracking.store import Store


def carry_out(words: Sequence[str], hydra: Callable[[Sequence[str]], int]) -> int:
    """Check every job, then hand over to Hydra; return the exit code.

    Parameters
    ----------
    hydra : has Hydra read the words and carry out their jobs; returns an exit code
    """
    takes_part, reached, becomes = False, choose.Reached(), "nothing had begun"
    try:
        plan = planning.plan(words, announce=partial(console.print, soft_wrap=True))
        if not plan.shows_config:
            # Here and not in the jobs: data that are wrong, or a server that refuses, are a user's mistake, too.
            takes_part = _takes_part(plan)
            if not takes_part:
                reached = _reach(plan)
            planning.prepare_all(plan)
        interruption.listen()
        choose.set_environment()
        becomes = "the chief ends the run" if takes_part else "a run that had begun is logged as KILLED"
        launch = partial(hydra, planning.words_for_hydra(words, plan))
        if takes_part:
            return _take_part(plan.jobs[0])
        return _run_sweep(plan, plan.sweep, reached, launch) if plan.sweep else launch()
    except ConfigError as error:
        return complain(error)
    except KeyboardInterrupt as interrupt:
        return interrupted(interrupt, becomes)


def _run_sweep(plan: planning.Plan, sweep: planning.Sweep, reached: choose.Reached, launch: Callable[[], int]) -> int:
    from equipoise.core.bars import jobs_bar
    from equipoise.core.terminal import told_once, warn
    from equipoise.runs import background
    from equipoise.runs.stacks import expected
    from equipoise.sweeps.jobs import check_search, labels, save_views
    from equipoise.sweeps.progress import followed
    from equipoise.sweeps.summary import summarised
    from equipoise.tracking.store import open_store

    for note in reached.notes:
        warn(note)
    elsewhere = sweep.launcher != choose.IN_THIS_PROCESS
    store = open_store(project_root(), plan.jobs[0].tracking.name, needed=False)
    store.check_experiments({experiment_of(job.dataset) for job in plan.jobs})
    if plan.searching and store.answers:
        check_search(store, sweep.id, plan.jobs)
    if plan.racing:
        return _run_race(plan, plan.racing, sweep, store, launch)
    # The trials of a search are not known yet.
    jobs = plan.jobs[:1] * (plan.searching.n_trials * plan.repetitions) if plan.searching else plan.jobs
    of_trials = "trial" if plan.repetitions == 1 else "job"
    names = [f"{of_trials} {number}" for number in range(len(jobs))] if plan.searching else labels(jobs)
    epochs = [epochs_of(job) for job in jobs]
    following = followed(sweep.folder, names, epochs) if elsewhere else jobs_bar(len(jobs))
    # A trial that was told to the search must be a run that is there.
    at_once = elsewhere or plan.searching or len(jobs) == 1 or cores() == 1
    with (
        told_once(),
        expected(jobs),
        summarised(store, plan, sweep) as state,
        following,
        nullcontext() if at_once else background.beside(len(jobs)),
    ):
        code = launch()
    if store.answers:
        views = save_views(store, sweep.id)
        say("To compare its runs in MLflow:")
        for experiment, view in views:
            say(f"  {store.page(experiment, view=view)}")
    return 1 if state.unfinished else code


def _run_race(
    plan: planning.Plan, planned: race_plan.Planned, sweep: planning.Sweep, store: "Store", launch: Callable[[], int]
) -> int:
    from psutil import Process

    from equipoise.core.terminal import told_once
    from equipoise.runs import background
    from equipoise.sweeps import race, race_report
    from equipoise.sweeps.summary import summarised

    if not store.answers:
        raise ConfigError(
            "the race reads its results from the store, which does not answer; start it, or tracking=local"
        )
    began = Process().create_time()
    elsewhere = sweep.launcher != choose.IN_THIS_PROCESS
    found = race.Race(store, sweep, planned, began)
    found.begin()
    with (
        told_once(),
        race.under_way(found),
        summarised(store, plan, sweep),
        nullcontext() if elsewhere or cores() == 1 else background.beside(race.MOST_JOBS),
    ):
        code = launch()
    return code or race_report.show(found)


def _takes_part(plan: planning.Plan) -> bool:
    """Return whether this process is a worker of a run that another one, the chief, logs."""
    several = [config for config in plan.jobs if config.trainer.strategy == "multi_worker"]
    if not several:
        return False
    if plan.sweep:
        raise ConfigError(
            "trainer.strategy=multi_worker: its workers train one run at a time; leave -m out, "
            "or use trainer.strategy=mirrored"
        )
    cluster = read_cluster()
    if len(cluster.workers) > several[0].trainer.batch_size:
        raise ConfigError(
            f"{len(cluster.workers)} workers cannot share a batch of trainer.batch_size={several[0].trainer.batch_size}"
        )
    return not cluster.is_chief


def _take_part(config: Config) -> int:
    from equipoise.runs.run import take_part

    try:
        take_part(config)
    except OSError as error:  # a worker that is gone, or a cache that cannot be read
        print(f"error: {error}; the same command in every worker goes on where this one stopped", file=sys.stderr)
        return 1
    console.print("Trained; the chief logs the run.", soft_wrap=True)
    return 0


def _reach(plan: planning.Plan) -> choose.Reached:
    """Ask the server and the launcher before anything is written; return what the launcher answers.

    A server refuses a user or an experiment now. One that is down does not stop the run.
    """
    for note in ignored_variables(job.dataset for job in plan.jobs):
        print(f"warning: {note}", file=sys.stderr)
    where, sweep = plan.jobs[0].tracking.name, plan.sweep
    if where == "server":
        from equipoise.tracking.store import open_store

        store = open_store(project_root(), where, needed=False)
        store.check_experiments({experiment_of(config.dataset) for config in plan.jobs})
    return choose.reach(sweep.launcher_options, sweep.id, where) if sweep else choose.Reached()
