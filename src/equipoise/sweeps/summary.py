"""The one summary run of a sweep: opened before any job, closed with the results as a table, however the sweep ends."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from equipoise.comparison import compare, report
from equipoise.comparison.compare import PANEL, Comparison
from equipoise.comparison.console import print_comparison
from equipoise.config import identity
from equipoise.config.model import CONTROL, Config, config_sha256
from equipoise.config.naming import experiment_of
from equipoise.core.schema import listing
from equipoise.core.terminal import console, warn
from equipoise.sweeps import search_report
from equipoise.sweeps.jobs import Unfinished, await_others, data_digests, labels, unfinished
from equipoise.sweeps.planning import Plan, Sweep
from equipoise.tracking import history
from equipoise.tracking import run as tracking
from equipoise.tracking.history import Logged
from equipoise.tracking.run import Run
from equipoise.tracking.store import Store, open_store

SEVERAL_DATASETS = "sweeps"  # the experiment of a summary over several
COMMIT, NOTE = "mlflow.source.git.commit", "mlflow.note.content"
VERSIONS = ("tensorflow", "keras")  # tags of a run, too
PATIENCE = 10  # seconds for workers to end that were interrupted
MOST_CHARACTERS = 7500  # of a tag


@dataclass
class State:
    """How a sweep stands."""

    runs: Sequence[Logged] = ()
    compared: Comparison | None = None
    unfinished: Sequence[Unfinished] = ()


@contextlib.contextmanager
def summarised(store: Store, plan: Plan, sweep: Sweep) -> Iterator[State]:
    """The summary run, open while the body runs the jobs; the state that it yields is filled, printed and logged at the end."""
    if not store.answers:  # the runs wait in their folders, and so does their table
        yield State()
        warn(
            "no table of the sweep: the same command again makes it when the store is back and has the runs (python src/sync.py)"
        )
        return
    jobs = () if plan.searching else plan.jobs  # the trials of a search are not known yet
    names = {experiment_of(job.dataset) for job in plan.jobs}
    experiment = names.pop() if len(names) == 1 else SEVERAL_DATASETS
    earlier = store.runs(kind="sweep", sweep_id=sweep.id)
    outer = tracking.outer_run(store)
    commands = list(
        dict.fromkeys([*(earlier[-1].data.tags.get("commands", "").splitlines() if earlier else []), sweep.command])
    )
    tags = {"kind": "sweep", "sweep_id": sweep.id, "commands": "\n".join(commands)[-MOST_CHARACTERS:]}
    sweep.folder.mkdir(parents=True, exist_ok=True)
    adopted = outer or (earlier[-1].info.run_id if earlier else None)
    with tracking.start_run(
        store, tracking.Description(experiment, f"sweep {sweep.id}", sweep.grid, tags), sweep.folder, adopt=adopted
    ) as run:
        for other in earlier:
            if other.info.run_id != run.id:
                store.client.delete_run(other.info.run_id)
        state = State()
        run.set_tag(NOTE, _note(sweep, commands, jobs, state))
        _tell_earlier(store, run, sweep, jobs)
        patience: float | None = PATIENCE
        try:
            yield state
            patience = None
        finally:
            await_others(store, sweep.id, jobs, patience)
            open_store(
                store.root, "local" if store.is_local else "server"
            )  # closes what a process was writing that is gone
            _fill(state, store, sweep, jobs)
            _log(run, sweep, commands, jobs, state)
            if plan.searching:
                search_report.show(store, sweep.id, plan.searching)
            else:
                _print(sweep, jobs, state)
    if state.unfinished:
        store.client.set_terminated(run.id, "FAILED")


def _tell_earlier(store: Store, run: Run, sweep: Sweep, jobs: Sequence[Config]) -> None:
    """Say how many jobs are finished already, and which are done again, as they would not come out the same."""
    earlier = history.sweep_runs(store, sweep.id, [])
    if not earlier:
        return
    keyed = dict(zip(map(config_sha256, jobs), zip(jobs, data_digests(jobs), labels(jobs), strict=True), strict=True))
    finished: dict[str, list[Logged]] = {}
    for one in earlier:
        if one.tags.get("config_sha256") in keyed:
            job, data_sha256, _ = keyed[one.tags["config_sha256"]]
            finished.setdefault(identity.changed(one.tags, job, data_sha256), []).append(one)
    done = finished.pop("", [])
    for changed, runs in finished.items():
        console.print(f"trained again: {changed} since run {listing([one.id for one in runs], 3)}", soft_wrap=True)
    if done:
        console.print(f"Sweep {sweep.id}: {len(done)} of {len(jobs)} jobs are finished already", soft_wrap=True)
        _warn_of_others(store, run, done, {key: label for key, (_, _, label) in keyed.items()})
    judged = [
        keyed[key][2]
        for one in done
        if identity.evaluation_changed(one.tags, keyed[key := one.tags["config_sha256"]][0])
    ]
    if judged:
        warn(f"the code of evaluation has changed since these finished: {listing(judged, 6)}; sweep=new does all again")


def _warn_of_others(store: Store, run: Run, done: Sequence[Logged], names: Mapping[str, str]) -> None:
    """Of jobs that were done under another commit or version than is here now."""
    here = {name: version(name) for name in VERSIONS} | {COMMIT: store.client.get_run(run.id).data.tags.get(COMMIT, "")}
    for key, now in here.items():
        what = "git commit" if key == COMMIT else key
        others: dict[str, list[str]] = {}
        for one in done:
            if now and one.tags.get(key, now) != now:
                others.setdefault(one.tags[key], []).append(names[one.tags["config_sha256"]])
        for then, ended in others.items():
            warn(
                f"finished at {what} {then[:10]}, and here is {now[:10]}: {listing(ended, 6)}; sweep=new does all again"
            )


def _fill(state: State, store: Store, sweep: Sweep, jobs: Sequence[Config]) -> None:
    """Compare the finished runs by what the jobs monitor, where that is a metric of the test split."""
    monitored = {job.trainer.monitor.removeprefix("val/") for job in jobs}
    metric = monitored.pop() if len(monitored) == 1 else None
    state.runs = history.sweep_runs(store, sweep.id, compare.wanted(metric))
    if not any(f"test/{metric}" in run.metrics for run in state.runs):
        metric = None
    state.compared = compare.compare(state.runs, metric) if state.runs else None
    state.unfinished = unfinished(store, sweep.id, jobs)


def _print(sweep: Sweep, jobs: Sequence[Config], state: State) -> None:
    if state.compared:
        print_comparison(state.compared, f"Sweep {sweep.id}")
    if state.unfinished:
        warn(f"{len(state.unfinished)} of {len(jobs)} jobs did not finish; the same command again does only these:")
        for job in state.unfinished:
            warn(f"  {job.label}: {job.reason}")


Rows = tuple[list[str], list[list[str | float | None]]]


def _log(run: Run, sweep: Sweep, commands: Sequence[str], jobs: Sequence[Config], state: State) -> None:
    tables = {"results.json": _results(state), "jobs.json": _jobs(state)}
    for path, (headings, rows) in tables.items():
        run.log_table({heading: [row[column] for row in rows] for column, heading in enumerate(headings)}, path)
    for name, count in (("jobs", len(jobs)), ("jobs_unfinished", len(state.unfinished))):
        run.set_tag(name, str(count))
    run.set_tag(NOTE, _note(sweep, commands, jobs, state)[:MOST_CHARACTERS])


def _results(state: State) -> Rows:
    """One row a configuration, as the terminal shows them, best first."""
    headings: list[str] = []
    rows: list[dict[str, str]] = []
    for table in state.compared.tables if state.compared else ():
        columns, cells = report.columns(table, state.compared.metric if state.compared else "")
        columns = [heading.replace("\u00a0", " ") for heading in columns]
        columns = [
            f"p of {before}" if heading == "p" else heading
            for before, heading in zip(["", *columns], columns, strict=False)
        ]
        headings = list(dict.fromkeys([*headings, "dataset", *columns]))
        rows += [{"dataset": table.dataset} | dict(zip(columns, row, strict=True)) for row in cells]
    return headings, [[row.get(heading) for heading in headings] for row in rows]


def _jobs(state: State) -> Rows:
    """One row a job, what sets it apart first; those without a finished run last, with the reason."""
    metrics = [name for name in PANEL if any(f"test/{name}" in run.metrics for run in state.runs)]
    settings = [
        {f"{key.removesuffix('.name')}={value}" for key, value in run.params.items() if not key.startswith(CONTROL)}
        for run in state.runs
    ]
    shared = set.intersection(*settings) if len(settings) > 1 else set()
    rows: list[list[str | float | None]] = []
    for run, mine in zip(state.runs, settings, strict=True):
        label = " ".join(sorted(mine - shared)) if shared else run.tags.get("mlflow.runName", run.id)
        rows.append([label, "FINISHED", None, *(run.metrics.get(f"test/{name}") for name in metrics), run.id])
    rows.sort(key=lambda row: str(row[0]))
    rows += [[job.label, "UNFINISHED", job.reason, *[None] * len(metrics), None] for job in state.unfinished]
    return ["job", "status", "reason", *metrics, "run"], rows


def _note(sweep: Sweep, commands: Sequence[str], jobs: Sequence[Config], state: State) -> str:
    """What MLflow shows as the run's description, in Markdown."""
    grid = " × ".join(f"`{key}={values}`" for key, values in sweep.grid.items()) or "one job"
    lines = [
        f"**Sweep {sweep.id}**: {len(jobs) or len(state.runs)} jobs, {grid}",
        "",
        *(f"    {command}" for command in commands),
        "",
    ]
    headings, rows = _results(state)
    if rows:
        lines += [
            _markdown(headings),
            _markdown(["---"] * len(headings)),
            *(_markdown(["" if cell is None else str(cell) for cell in row]) for row in rows),
            "",
        ]
    if state.unfinished:
        lines += [
            f"{len(state.unfinished)} of {len(jobs)} jobs did not finish:",
            "",
            *(f"- `{job.label}`: {job.reason}" for job in state.unfinished),
        ]
    return "\n".join(lines)


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
