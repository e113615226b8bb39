"""One job of a command line, carried out and told: a run by itself, a job of a sweep or a trial of a search."""

import json
from functools import partial
from pathlib import Path
from typing import NoReturn

from hydra.errors import CompactHydraException

from equipoise.config.model import Config, epochs_of
from equipoise.config.naming import run_name
from equipoise.core import bars
from equipoise.core.errors import ConfigError, counted
from equipoise.core.paths import project_root
from equipoise.core.terminal import console, errors, say
from equipoise.methods.models import estimator
from equipoise.reports.console import headline, print_earlier, print_evaluation, print_rules
from equipoise.reports.run_page import REPORT
from equipoise.runs import resume
from equipoise.runs.run import NEVER_PREDICTED, Finished, run
from equipoise.runs.session import Session, Settled
from equipoise.sweeps import jobs, search
from equipoise.tracking.artifacts import INTERVALS, interval_ends, read_intervals
from equipoise.tracking.outbox import read_journal
from equipoise.tracking.run import Pruned, outer_run, reason
from equipoise.tracking.store import Store, open_store

NO_MEMORY = ("failed to map segment", "annot allocate memory")  # as the system's loader says it


def run_job(config: Config, folder: Path, searching: search.Settings | None) -> dict[str, float] | None:
    """Carry out the job and print what came out of it.

    Parameters
    ----------
    folder : that Hydra has made for it
    searching : how the search goes that this is a trial of, if it is one

    Returns
    -------
    In a search, what it goes by: the trial's metrics, or nothing if it was pruned.
    """
    with bars.job(run_name(config), epochs_of(config)) as of_bar:
        return _run_job(config, folder, searching, of_bar)


def _run_job(
    config: Config, folder: Path, searching: search.Settings | None, of_bar: bars.Job | None
) -> dict[str, float] | None:
    in_a_sweep = config.sweep != "auto"
    try:
        store = open_store(project_root(), config.tracking.name, needed=False)
        watch = search.watch(project_root(), searching, config) if searching else None
        trial = search.trial() if searching else None
        claim = partial(jobs.claimed, trial=trial) if in_a_sweep else resume.claimed
        tags = {jobs.TRIAL: trial} if trial else {}
        with Session(store, folder, claim=claim, adopt=outer_run(store), tags=tags, watch=watch) as session:
            found = run(config, session, show=None if in_a_sweep else partial(_show, config))
    except Pruned as pruned:
        console.print(f"{run_name(config)}: pruned {pruned}", soft_wrap=True)
        return {}
    except Exception as error:
        _fail(error, config, folder)
    if isinstance(found, Settled):
        if of_bar:
            of_bar.needs_work = False
        console.print(f"{run_name(config)} {found.reason}", soft_wrap=True)
        if found.pruned:
            return {}
        if not (searching and found.run):
            return None
        points = store.points(found.run, search.watched(searching, config))
        return search.outcome(points, read_intervals(store, found.run), searching, config)
    outcome = None
    if in_a_sweep and searching:
        ends = interval_ends(json.loads((found.folder / INTERVALS).read_text(encoding="utf-8")))
        outcome = search.outcome(read_journal(found.folder), ends, searching, config)
    if in_a_sweep:
        _print_line(found, config, outcome)
    if found.evidence.model:
        console.print(found.evidence.model, soft_wrap=True)
    if not in_a_sweep:
        _say_where(found, store, f"{run_name(config)}: {headline(found.evidence.evaluation)}" if console.quiet else "")
    return outcome


def _fail(error: Exception, config: Config, folder: Path) -> NoReturn:
    """Tell what went wrong in one line, and end the job."""
    in_a_sweep, outside = config.sweep != "auto", _from_outside(error)
    if not (in_a_sweep or outside or isinstance(error, ConfigError)):
        raise error  # pragma: no cover - a defect of ours
    # In a sweep Hydra would tell the first failure alone, after the last job.
    what_next = "; the same command goes on where this one stopped" if outside else ""
    which = f"  ({run_name(config)})" if in_a_sweep else ""
    errors.print(f"error: {reason(error)}{what_next}{which}", soft_wrap=True)
    if not in_a_sweep:
        # Not an error that Hydra would tell once more. What had not begun leaves nothing.
        raise SystemExit(2 if resume.remove_unused(folder) and not outside else 1) from None
    raise CompactHydraException("the run failed for the reason above") from None  # no traceback for a user's mistake


def _from_outside(error: Exception) -> bool:
    """Return whether a full disk or want of memory is what failed, the latter also where a library is loaded."""
    unloaded = isinstance(error, ImportError) and any(phrase in str(error) for phrase in NO_MEMORY)
    return unloaded or isinstance(error, OSError | MemoryError)


def _print_line(finished: Finished, config: Config, outcome: dict[str, float] | None) -> None:
    """Print what came out; of a trial what the search goes by, and nothing of the test split, which does not choose."""
    if outcome is not None:
        shown = [f"{key} {value:.3f}" for key, value in outcome.items() if not key.endswith(search.ERROR)]
    else:
        evaluation = finished.evidence.evaluation
        never = [note.partition(";")[0] for note in evaluation.notes if note.startswith(NEVER_PREDICTED)]
        shown = [headline(evaluation), *never]
    console.print("  ".join([_done(finished, config), *shown]), soft_wrap=True)


def _show(config: Config, finished: Finished) -> None:
    """Print the tables of a run by itself."""
    evidence = finished.evidence
    console.print(f"\n{_done(finished, config)}, {finished.data.counts.sum()} training samples", soft_wrap=True)
    print_evaluation(evidence.evaluation, evidence.intervals, evidence.weights, finished.data.head_to_tail)
    print_rules(evidence.validation_rules, evidence.rules, config.decision.name)
    print_earlier(evidence)


def _done(finished: Finished, config: Config) -> str:
    epochs = counted(finished.epochs, "epoch", "epochs") + (
        ", stopped early" if finished.epochs < epochs_of(config) else ""
    )
    trained = epochs if estimator(config.model.name) is None else "fitted"
    return f"{run_name(config)}: {trained} on {finished.device}"


def _say_where(finished: Finished, store: Store, line: str) -> None:
    if line:
        say(line)
    if (finished.folder / REPORT).exists():
        say(f"Report: {finished.folder / REPORT}")
    if finished.is_uploaded:
        jobs.save_overview(store, finished.experiment_id)
        say(f"Logged as run {finished.run_id}. To open it in MLflow:")
        say(f"  {store.page(finished.experiment_id, finished.run_id)}")
