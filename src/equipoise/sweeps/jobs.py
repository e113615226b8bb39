"""The jobs of a sweep in the store: which are done, which are not and why, and which process runs which.

The digest of its config identifies a job; a run of it counts if it has the present code and the same data. The process
that holds a job's lock runs it, and the lock ends with the process: two launchers of one sweep share the work, and a
job whose process was killed is free again.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from equipoise.comparison import configurations
from equipoise.config import identity
from equipoise.config.model import REPETITION, Config, config_sha256, flat
from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder
from equipoise.core.terminal import console
from equipoise.data.prepare import prepare
from equipoise.runs import resume
from equipoise.runs.resume import Begun
from equipoise.runs.session import Settled
from equipoise.tracking import history, views
from equipoise.tracking.store import Store, outages

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

SUPERSEDED = "superseded_in"  # tag: the sweep that a finished run has left because other code or data replaced it
NEWEST = "outputs/newest_view"  # file in the project: experiment and key of the view that `make ui` opens
TRIAL = "trial"  # tag: the number of the trial in its search
LOST = "lost"  # tag: why a job's process or machine disappeared before the job ended
LOCK, REFUSED = "lock", "refused"  # endings of a job's files
MOST_CHARACTERS = 500  # of a reason
# Conditions on the run that others are compared with, best first: plain cross-entropy, no weights, the first run.
BASELINES = (
    "tags.weighting = 'none' and tags.function = 'cross_entropy'",
    "tags.weighting = 'none'",
    "tags.weighting LIKE '%'",
)


@dataclass(frozen=True)
class Unfinished:
    """A job that has no finished run, and why."""

    label: str
    reason: str


@contextlib.contextmanager
def claimed(
    store: Store, config: Config, data_sha256: str, trial: str | None = None
) -> Iterator[Settled | Begun | None]:
    """Hold a job of a sweep for this process; yield why there is nothing to do, or the run to resume, or None.

    Unfinished runs of the job are deleted, except the one to resume. Finished runs by other code or on other data leave
    the sweep. So no job is counted twice.

    Parameters
    ----------
    trial : the number of the trial in its search, if it is one
    """
    key = config_sha256(config)
    lock, refusal = _lock(store, config.sweep, key), _file(store, config.sweep, key, REFUSED)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield Settled(f"is being done {_owner(store, config.sweep, key)}")
        return
    try:
        refusal.unlink(missing_ok=True)
        yield _left_to_do(store, config, data_sha256, trial)
    except ConfigError as error:  # perhaps before there was a run to record it
        refusal.write_text(str(error)[:MOST_CHARACTERS], encoding="utf-8")
        raise
    finally:
        lock.release()


def _left_to_do(store: Store, config: Config, data_sha256: str, trial: str | None) -> Settled | Begun | None:
    """Return why there is nothing to do for the job that this process holds, or the run to resume, or None."""
    if not store.answers:  # nobody knows which jobs are done, and repeating one loses nothing
        return None
    every = store.runs(sweep_id=config.sweep, config_sha256=config_sha256(config))
    # A pruned trial is not unfinished; the same values again make another trial.
    same = [run for run in every if "pruned" not in run.data.tags]
    pruned = [run for run in every if "pruned" in run.data.tags and run.data.tags.get(TRIAL, "") == trial]
    if pruned:
        return Settled(f"was pruned {pruned[-1].data.tags['pruned']} already", pruned=True)
    finished = [run for run in same if run.info.status == "FINISHED"]
    done = [run for run in finished if not identity.changed(run.data.tags, config, data_sha256)]
    if done:
        run_id = str(done[-1].info.run_id)
        return Settled(f"is finished in this sweep already (run {run_id})", run_id)
    for run in finished:
        store.client.set_tag(run.info.run_id, SUPERSEDED, config.sweep)
        store.client.delete_tag(run.info.run_id, "sweep_id")
    left = [run.info.run_id for run in same if run.info.status != "FINISHED"]
    for run in same:
        if run.info.status == "RUNNING":  # its process, maybe on another host, has lost the lock
            store.client.set_terminated(run.info.run_id, "KILLED")
    begun = resume.interrupted(store, config, data_sha256) if left else None
    for run_id in left:
        if begun is None or run_id != begun.id:
            store.client.delete_run(run_id)
    return begun


def save_overview(store: Store, experiment: str) -> None:
    """Save the view of all runs in an experiment that a single run has joined; skip it if the store is down."""
    with contextlib.suppress(*outages()):
        baseline = _baseline(store, experiment, views.FINISHED)
        _save(store, experiment, None, [views.of_experiment(_named(baseline))], baseline)


def save_views(store: Store, sweep: str) -> list[tuple[str, str]]:
    """Save the views of a sweep in the experiments of its runs.

    Returns
    -------
    For each experiment, its id and the key of the view to open first.
    """
    runs = history.sweep_runs(store, sweep, ())
    opened = []
    for experiment in dict.fromkeys(run.experiment_id for run in runs):
        members = [run for run in runs if run.experiment_id == experiment]
        repetition = [key for key in REPETITION if len({run.params.get(key) for run in members}) > 1]
        baseline = _baseline(store, experiment, views.condition_of_sweep(sweep))
        of_sweep = views.of_sweep(sweep, configurations.varied_params(members), repetition, _named(baseline))
        _save(store, experiment, sweep, of_sweep, baseline)
        save_overview(store, experiment)
        opened.append((experiment, of_sweep[0].key))
    if store.is_local and opened:
        file = store.root / NEWEST
        file.parent.mkdir(exist_ok=True)
        file.write_text("/".join(opened[0]) + "\n", encoding="utf-8")
    return opened


def _save(
    store: Store, experiment: str, sweep: str | None, shown: Sequence[views.View], baseline: "MlflowRun | None"
) -> None:
    """Save views of an experiment's runs, or of a sweep's runs in it, with every metric that any of these has."""
    metrics, runs = history.metrics_of_any(store, experiment, sweep)
    classes = list(history.as_logged(baseline, ["count/"]).class_counts) if baseline else []
    keyed = [name for name in classes if f"test/recall/{name}" in metrics]
    for view in shown:
        store.tag_experiment(experiment, *views.tag(replace(view, classes=keyed), metrics, runs))


def _named(run: "MlflowRun | None") -> tuple[str, str] | None:
    return (run.info.run_id, run.info.run_name) if run else None


def _baseline(store: Store, experiment: str, condition: str) -> "MlflowRun | None":
    for best in BASELINES:
        found = store.client.search_runs(
            [experiment], f"{condition} and {best}", order_by=["attributes.start_time ASC"], max_results=1
        )
        if found:
            return found[0]
    return None


def await_others(store: Store, sweep: str, jobs: Sequence[Config], patience: float | None) -> None:
    """Wait for the jobs that other processes are running.

    Parameters
    ----------
    patience : seconds to wait; None waits without end and tells the user
    """
    end = time.monotonic() + (patience or 0)
    for job, label in zip(jobs, labels(jobs), strict=True):
        key = config_sha256(job)
        lock = _lock(store, sweep, key)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if patience is None:
                console.print(f"waiting for {label}, which is being done {_owner(store, sweep, key)}", soft_wrap=True)
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=-1 if patience is None else max(0.0, end - time.monotonic()))
        lock.release()


def unfinished(store: Store, sweep: str, jobs: Sequence[Config]) -> list[Unfinished]:
    """Return the jobs that have no finished run in the sweep."""
    done = {
        (run.tags.get("config_sha256"), run.tags.get("code_sha256")) for run in history.sweep_runs(store, sweep, [])
    }
    others = store.search(f"tags.sweep_id = '{sweep}' and attributes.status != 'FINISHED'")
    reasons = {run.data.tags.get("config_sha256"): _why(run) for run in others}
    keyed = zip(map(config_sha256, jobs), map(identity.code_sha256, jobs), labels(jobs), strict=True)
    refusals = {key: _file(store, sweep, key, REFUSED) for key in map(config_sha256, jobs)}
    reasons |= {key: file.read_text(encoding="utf-8") for key, file in refusals.items() if file.exists()}
    return [Unfinished(label, reasons.get(key, "not begun")) for key, code, label in keyed if (key, code) not in done]


def check_search(store: Store, sweep: str, jobs: Sequence[Config]) -> None:
    """Refuse to continue a search if its trials would come out differently now: they guide the next ones.

    Parameters
    ----------
    jobs : jobs that together hold every option which a trial can have

    Raises
    ------
    ConfigError
        If the code of a finished trial has changed, or its data.
    """
    data = set(data_digests(jobs))
    for run in history.sweep_runs(store, sweep, []):
        changed = identity.changed_for_any(run.tags, jobs, data if len(data) == 1 else ())
        if changed:
            raise ConfigError(f"sweep={sweep}: {changed} since its trial {run.id}; sweep=new begins another search")


def data_digests(jobs: Sequence[Config]) -> list[str]:
    """Return the digest of each job's prepared data."""
    datasets = {job.dataset.model_dump_json(): job.dataset for job in jobs}
    digests = {key: prepare(dataset, cache_folder()).data_sha256 for key, dataset in datasets.items()}
    return [digests[job.dataset.model_dump_json()] for job in jobs]


def lose(store: Store, config: Config, reason: str) -> None:
    """Close the run of a job whose process or machine has disappeared, as its launcher reports."""
    for run in store.runs(sweep_id=config.sweep, config_sha256=config_sha256(config)):
        if run.info.status in ("RUNNING", "KILLED"):
            store.client.set_tag(run.info.run_id, LOST, f"lost: {reason}"[:MOST_CHARACTERS])
            store.client.set_terminated(run.info.run_id, "KILLED")


def labels(jobs: Sequence[Config]) -> list[str]:
    """Return what sets each job apart from the others; a single job is called `the only job`."""
    shown = [[f"{key.removesuffix('.name')}={value}" for key, value in flat(job).items()] for job in jobs]
    shared = set.intersection(*map(set, shown)) if len(jobs) > 1 else {value for one in shown for value in one}
    return [" ".join(value for value in one if value not in shared) or "the only job" for one in shown]


def _why(run: Any) -> str:
    status = run.info.status
    if status == "FAILED":
        return str(run.data.tags.get("error"))
    return str(run.data.tags.get(LOST, "interrupted")) if status == "KILLED" else "still being done"


def _lock(store: Store, sweep: str, key: str) -> FileLock:
    file = _file(store, sweep, key, LOCK)
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file, thread_local=False)


def _file(store: Store, sweep: str, key: str, kind: str) -> Path:
    """Return the file of a job's lock, or of the reason why the job was refused last time."""
    return store.root / "outputs" / "locks" / sweep / f"{key[:16]}.{kind}"


def _owner(store: Store, sweep: str, key: str) -> str:
    for run in store.runs(sweep_id=sweep, config_sha256=key):
        if run.info.status == "RUNNING":
            return f"by process {run.data.tags.get('pid')} on {run.data.tags.get('host')}"
    return "by another process"
