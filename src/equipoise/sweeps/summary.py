"""The summary run of a sweep: opened before any job, closed with a table of the results, however the sweep ends."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from equipoise.comparison import compare, display, files, splits, verdict
from equipoise.comparison.compare import PANEL, Comparison
from equipoise.comparison.console import print_comparison
from equipoise.config import identity
from equipoise.config.model import CONTROL, Config, config_sha256
from equipoise.config.naming import experiment_of
from equipoise.core.commands import command
from equipoise.core.errors import listing
from equipoise.core.terminal import console, say, warn
from equipoise.sweeps import descriptions, search_report
from equipoise.sweeps.descriptions import NOTE
from equipoise.sweeps.jobs import Unfinished, await_others, data_digests, labels, unfinished
from equipoise.sweeps.planning import Plan, Sweep
from equipoise.sweeps.to_baseline import log_differences
from equipoise.tracking import history
from equipoise.tracking.artifacts import log_sweep_texts
from equipoise.tracking.history import Logged
from equipoise.tracking.run import Description, Run, outer_run, start_run
from equipoise.tracking.store import Store, open_store

SEVERAL_DATASETS = "sweeps"  # the experiment of a sweep over several data sets
COMMIT = "mlflow.source.git.commit"
VERSIONS = ("tensorflow", "keras")  # packages, which are tags of a run as well
MODEL_TRAINING = (
    "workflowType=machine_learning"  # of an address in MLflow: without it, its pages are of language models
)
PATIENCE = 10  # seconds that interrupted workers have to end
MOST_CHARACTERS = 7500  # of a tag


@dataclass
class State:
    """How a sweep stands.

    Attributes
    ----------
    said : the verdict; "" without a finished run, and of a race, whose verdict comes later
    """

    runs: Sequence[Logged] = ()
    compared: Comparison | None = None
    unfinished: Sequence[Unfinished] = ()
    said: str = ""


@dataclass(frozen=True)
class _Summary:
    """The open summary run of a sweep."""

    store: Store
    run: Run
    sweep: Sweep
    split: str  # whose metrics are compared: validation in a search, which the test split must not guide
    jobs: Sequence[Config]  # none for a search or a race, whose jobs are not known beforehand
    commands: Sequence[str]  # that have run the sweep so far, oldest first

    def page(self, name: str) -> str:
        """Return the address of a file that was logged to the run, on a server."""
        run = f"{self.store.uri}/#/experiments/{self.run.experiment_id}/runs/{self.run.id}"
        return f"{run}/artifacts/{name}?{MODEL_TRAINING}"


@contextlib.contextmanager
def summarised(store: Store, plan: Plan, sweep: Sweep) -> Iterator[State]:
    """Keep the summary run open while the body runs the jobs; fill, print and log the yielded state at the end."""
    if not store.answers:  # the runs wait in their folders, and so does their table
        yield State()
        warn(
            "no table of the sweep: the same command again makes it "
            f"when the store is back and has the runs ({command('sync')})"
        )
        return
    state = State()
    with _begun(store, plan, sweep) as summary:
        summary.run.set_tag(NOTE, _note(summary, state))
        _tell_earlier(summary)
        patience: float | None = PATIENCE
        try:
            yield state
            patience = None
        finally:
            await_others(store, sweep.id, summary.jobs, patience)
            # Opening the store closes the runs of processes that are gone.
            open_store(store.root, "local" if store.is_local else "server")
            _fill(state, summary)
            if plan.searching:
                state.said = search_report.show(store, sweep.id, plan.searching, sweep.flags)
            elif state.compared and not plan.racing:  # whose verdict comes once the summary run is closed
                missing = f"{len(state.unfinished)} of {len(summary.jobs)} jobs" if state.unfinished else ""
                state.said = verdict.headline(state.compared, missing)
                log_differences(store, sweep.id, state.runs)
            _log(summary, state)
            if not (plan.searching or plan.racing):
                _print(summary, state)
                _publish(summary, state)
    if state.unfinished:
        store.client.set_terminated(summary.run.id, "FAILED")


@contextlib.contextmanager
def _begun(store: Store, plan: Plan, sweep: Sweep) -> Iterator[_Summary]:
    """Open the summary run: the outer run if there is one, or the sweep's earlier summary, or a new run."""
    names = {experiment_of(job.dataset) for job in plan.jobs}
    experiment = names.pop() if len(names) == 1 else SEVERAL_DATASETS
    earlier = store.runs(kind="sweep", sweep_id=sweep.id)
    typed = earlier[-1].data.tags.get("commands", "").splitlines() if earlier else []
    commands = list(dict.fromkeys([*typed, sweep.command]))
    tags = {"kind": "sweep", "sweep_id": sweep.id, "commands": "\n".join(commands)[-MOST_CHARACTERS:]}
    description = Description(experiment, f"sweep {sweep.id}", sweep.grid, tags)
    split = splits.VALIDATION if plan.searching else splits.TEST
    adopted = outer_run(store) or (earlier[-1].info.run_id if earlier else None)
    sweep.folder.mkdir(parents=True, exist_ok=True)
    with start_run(store, description, sweep.folder, adopt=adopted) as run:
        for other in earlier:
            if other.info.run_id != run.id:
                store.client.delete_run(other.info.run_id)
        yield _Summary(store, run, sweep, split, () if plan.is_open else plan.jobs, commands)


def _tell_earlier(summary: _Summary) -> None:
    """Print how many jobs are finished already, and which run again because something has changed since."""
    sweep, jobs = summary.sweep, summary.jobs
    earlier = history.sweep_runs(summary.store, sweep.id, [])
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
        _warn_of_versions(summary, done, {key: label for key, (_, _, label) in keyed.items()})
    judged = []
    for one in done:
        job, _, label = keyed[one.tags["config_sha256"]]
        judged += [label] * identity.evaluation_changed(one.tags, job)
    if judged:
        warn(f"the code of evaluation has changed since these finished: {listing(judged, 6)}; sweep=new does all again")


def _warn_of_versions(summary: _Summary, done: Sequence[Logged], names: Mapping[str, str]) -> None:
    """Warn of jobs that finished under another commit or version than the present one."""
    commit = summary.store.client.get_run(summary.run.id).data.tags.get(COMMIT, "")
    here = {name: version(name) for name in VERSIONS} | {COMMIT: commit}
    for key, now in here.items():
        what = "git commit" if key == COMMIT else key
        others: dict[str, list[str]] = {}
        for one in done:
            if now and one.tags.get(key, now) != now:
                others.setdefault(one.tags[key], []).append(names[one.tags["config_sha256"]])
        for then, ended in others.items():
            which = listing(ended, 6)
            warn(f"finished at {what} {then[:10]}, and here is {now[:10]}: {which}; sweep=new does all again")


def _fill(state: State, summary: _Summary) -> None:
    """Compare the finished runs by the metric that the jobs monitor, if the split has it."""
    monitored = {job.trainer.monitor.removeprefix("val/") for job in summary.jobs}
    metric = monitored.pop() if len(monitored) == 1 else None
    split = summary.split
    state.runs = history.sweep_runs(summary.store, summary.sweep.id, compare.wanted(metric, split))
    if metric is not None and not any(splits.key(run, metric, split) in run.metrics for run in state.runs):
        metric = None
    state.compared = compare.compare(state.runs, metric, split) if state.runs else None
    state.unfinished = unfinished(summary.store, summary.sweep.id, summary.jobs)


def _print(summary: _Summary, state: State) -> None:
    if state.compared:
        print_comparison(state.compared, f"Sweep {summary.sweep.id}", state.said)
    if state.unfinished:
        missing = f"{len(state.unfinished)} of {len(summary.jobs)} jobs did not finish"
        warn(f"{missing}; the same command again does only these:")
        for job in state.unfinished:
            warn(f"  {job.label}: {job.reason}")


def _publish(summary: _Summary, state: State) -> None:
    """Write the comparison's files, log them to the summary run, and describe the experiments by the verdict."""
    if not state.compared:
        return
    store, sweep = summary.store, summary.sweep.id
    texts = files.texts(store, state.compared, f"Sweep {sweep}", state.said, sweep)
    where = files.write(texts, files.folder(sweep))
    log_sweep_texts(store, sweep, {run.experiment_id for run in state.runs}, texts)
    say(f"{where}, and logged to the sweep's summary run")
    if not store.is_local:
        say(f"  {summary.page([*texts][-1])}")
    for experiment, said in _by_experiment(summary, state, state.compared).items():
        descriptions.describe(store, experiment, sweep, said)


def _by_experiment(summary: _Summary, state: State, compared: Comparison) -> dict[str, str]:
    """Return the verdicts on the data sets of each experiment; that over all of them is of the summary's experiment."""
    found: dict[str, list[str]] = {}
    for table in compared.tables if len(compared.tables) > 1 else ():
        runs = (run for row in table.rows for run in row.configuration.runs.values())
        for experiment in dict.fromkeys(run.experiment_id for run in runs):
            found.setdefault(experiment, []).append(verdict.of_table(table, compared.metric))
    found.setdefault(summary.run.experiment_id, []).insert(0, state.said)
    return {experiment: "\n\n".join(said) for experiment, said in found.items()}


Rows = tuple[list[str], list[list[str | float | None]]]


def _log(summary: _Summary, state: State) -> None:
    run = summary.run
    tables = {"results.json": _results(state), "jobs.json": _jobs(state, summary.split)}
    for path, (headings, rows) in tables.items():
        run.log_table({heading: [row[column] for row in rows] for column, heading in enumerate(headings)}, path)
    for name, count in ((files.JOBS, len(summary.jobs)), (files.UNFINISHED, len(state.unfinished))):
        run.set_tag(name, str(count))
    run.set_tag(NOTE, _note(summary, state)[:MOST_CHARACTERS])


def _results(state: State) -> Rows:
    """Return one row for each configuration, as the terminal shows them, best first."""
    headings: list[str] = []
    rows: list[dict[str, str]] = []
    for table in state.compared.tables if state.compared else ():
        columns, cells = display.columns(table, state.compared.metric if state.compared else "")
        columns = [heading.replace("\u00a0", " ") for heading in columns]
        columns = [
            f"p of {before}" if heading == "p" else heading
            for before, heading in zip(["", *columns], columns, strict=False)
        ]
        headings = list(dict.fromkeys([*headings, "dataset", *columns]))
        rows += [{"dataset": table.dataset} | dict(zip(columns, row, strict=True)) for row in cells]
    return headings, [[row.get(heading) for heading in headings] for row in rows]


def _jobs(state: State, split: str) -> Rows:
    """Return one row for each job, named by what sets it apart; jobs without a finished run stand last."""
    metrics = [name for name in PANEL if any(splits.key(run, name, split) in run.metrics for run in state.runs)]
    settings = [
        {f"{key.removesuffix('.name')}={value}" for key, value in run.params.items() if not key.startswith(CONTROL)}
        for run in state.runs
    ]
    shared = set.intersection(*settings) if len(settings) > 1 else set()
    rows: list[list[str | float | None]] = []
    for run, mine in zip(state.runs, settings, strict=True):
        label = " ".join(sorted(mine - shared)) if shared else run.tags.get("mlflow.runName", run.id)
        rows.append(
            [label, "FINISHED", None, *(run.metrics.get(splits.key(run, name, split)) for name in metrics), run.id]
        )
    rows.sort(key=lambda row: str(row[0]))
    rows += [[job.label, "UNFINISHED", job.reason, *[None] * len(metrics), None] for job in state.unfinished]
    return ["job", "status", "reason", *metrics, "run"], rows


def _note(summary: _Summary, state: State) -> str:
    """Return the run's description for MLflow, in Markdown."""
    sweep, jobs = summary.sweep, summary.jobs
    grid = " × ".join(f"`{key}={values}`" for key, values in sweep.grid.items()) or "one job"
    lines = [
        *([state.said, ""] if state.said else []),
        f"**Sweep {sweep.id}**: {len(jobs) or len(state.runs)} jobs, {grid}",
        "",
        *(f"    {command}" for command in summary.commands),
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
