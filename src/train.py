"""Train: one run, or with -m a sweep. `python src/train.py --help` lists the groups and options."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from equipoise import command_line
from equipoise.config import Config, validate
from equipoise.data.prepare import prepare
from equipoise.data.sources import title_of
from equipoise.options import ConfigError
from equipoise.paths import cache_folder, project_root


def main() -> int:
    """Check every job of the command line, then hand over to Hydra; returns the exit code."""
    try:
        plan = command_line.plan(sys.argv[1:])
        if plan and not plan.shows_config:
            # Here and not in the jobs: what is wrong with the data, or who may not use the server, is a user's mistake, too.
            _check_server(plan.jobs)
            command_line.prepare_all(plan)
        if plan and plan.sweep:
            _adopt_summary(plan.sweep, plan.jobs[0])
    except ConfigError as error:
        return _complain(error)
    signal.signal(signal.SIGTERM, _terminate)
    sys.argv += plan.handed_over if plan else ()
    try:
        code = _run_hydra()
    except KeyboardInterrupt as interrupt:
        print("interrupted: a run that had begun is logged as KILLED", file=sys.stderr)
        return 128 + (signal.SIGTERM if interrupt.args else signal.SIGINT)
    if plan and plan.sweep:
        _summarise(plan, plan.sweep)
    return code


def _run_hydra() -> int:
    try:
        train()
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1
    return 0


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def train(composed: DictConfig) -> dict[str, float] | None:
    """One job, already checked by `main`; checked again because a launcher may run it in another process.

    Returns
    -------
    In a search, what it goes by: the trial's metrics, or nothing if it was pruned.
    """
    from equipoise import evaluation, experiment, search, sweep, tracking
    from equipoise.naming import run_name
    from equipoise.outbox import read_journal
    from equipoise.terminal import console, print_evaluation, print_rules, print_summary_line

    config = validate(OmegaConf.to_container(composed, resolve=True))  # type: ignore[arg-type]
    folder = Path(HydraConfig.get().runtime.output_dir)
    searching = command_line.search_settings(HydraConfig.get().sweeper) if config.sweep != "auto" else None
    try:
        store = tracking.open_store(project_root(), config.tracking.name, needed=False)
        data = prepare(config.dataset, cache_folder())
        done = sweep.finished(store, config, data.data_sha256) if config.sweep != "auto" and store.answers else None
        if done:
            console.print(f"{run_name(config)} is finished in this sweep already (run {done})")
            return search.outcome(store.points(done, search.watched(searching, config)), searching, config) if searching else None
        watch = search.watch(project_root(), searching, config) if searching else None
        finished = experiment.run(config, data, store, folder, tracking.outer_run(store), watch)
    except tracking.Pruned as pruned:
        console.print(f"{run_name(config)}: given up {pruned}")
        return {}
    except ConfigError as error:
        # In a sweep Hydra would tell the first failure alone, after the last job.
        print(f"error: {error}", file=sys.stderr)
        raise CompactHydraException("the run failed for the reason above") from None  # no traceback for a user's mistake
    except OSError as error:  # such as a disk that is full
        print(f"error: {error.strerror or error}: {error.filename or folder}; the same command goes on where this one stopped", file=sys.stderr)
        raise CompactHydraException("the run failed for the reason above") from None
    epochs = f"{finished.epochs} epochs" + (", stopped early" if finished.epochs < config.trainer.epochs else "")
    console.print(f"\n{run_name(config)}: {epochs} on {finished.device}, {finished.data.counts.sum()} training samples")
    if config.sweep != "auto":
        print_summary_line(finished.evaluation)
        return search.outcome(read_journal(finished.folder), searching, config) if searching else None
    print_evaluation(finished.evaluation, finished.intervals, finished.weights, finished.data.head_to_tail)
    print_rules(finished.by_rule, config.decision.name)
    if (finished.folder / evaluation.REPORT).exists():
        console.print(f"Report: {finished.folder / evaluation.REPORT}", soft_wrap=True)
    if finished.is_uploaded:
        console.print(f"Logged as run {finished.run_id}. To open it in MLflow:")
        console.print(f"  {store.page(finished.experiment_id, finished.run_id)}", soft_wrap=True)
    return None


def _check_server(jobs: Sequence[Config]) -> None:
    """A server that refuses the user, or the experiments, does so before anything is written. One that is down does not."""
    if jobs[0].tracking.name == "server":
        from equipoise import tracking

        store = tracking.open_store(project_root(), "server", needed=False)
        store.check_experiments({title_of(config.dataset) for config in jobs})


def _adopt_summary(sweep_id: str, job: Config) -> None:
    """The run that `mlflow run` has opened is the summary of the sweep; no job must find it, and write into it."""
    from equipoise import tracking

    if "MLFLOW_RUN_ID" in os.environ:
        store = tracking.open_store(project_root(), job.tracking.name)
        tracking.adopt_summary(store, sweep_id, tracking.outer_run(store))


def _summarise(plan: command_line.Plan, sweep_id: str) -> None:
    from equipoise import search_results, sweep, tracking

    try:
        store = tracking.open_store(project_root(), plan.jobs[0].tracking.name)
    except ConfigError as error:  # the runs are done, and will be uploaded
        print(f"warning: no table of the sweep: {error}", file=sys.stderr)
        return
    if plan.searching:
        search_results.show(store, sweep_id, plan.searching)
    else:
        sweep.print_sweep(store, sweep_id, plan.jobs)
    print("To compare its runs in MLflow:")
    for experiment, view in sweep.save_views(store, sweep_id):
        print(f"  {store.page(experiment, view=view)}")


def _complain(error: ConfigError) -> int:
    for line in str(error).splitlines():
        print(line if line.startswith(" ") else f"error: {line}", file=sys.stderr)
    return 2


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt("SIGTERM")


if __name__ == "__main__":
    sys.exit(main())
