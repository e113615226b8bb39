"""The files of a comparison: a page, CSV and JSON, in a folder of the project and beside a sweep's summary run."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from equipoise.comparison import report, splits, stored
from equipoise.comparison.compare import PANEL, Comparison
from equipoise.comparison.comparison_page import MOST_DATASETS, Context, as_page
from equipoise.comparison.repetitions import Place
from equipoise.core.errors import listing
from equipoise.core.paths import project_root
from equipoise.reports.page import Fact, Link
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store

UNFINISHED, JOBS, COMMANDS = "jobs_unfinished", "jobs", "commands"  # tags of a sweep's summary run
STEMS = {splits.TEST: "comparison", splits.VALIDATION: "validation"}
VERSIONS = ("tensorflow", "keras", "mlflow")  # tags of a run
COMMIT = "mlflow.source.git.commit"
REPORT = "evaluation/report.html"
MOST_LINKED = 6  # runs
MOST_COMMANDS = 3


def folder(name: str) -> Path:
    """Return where the files of a comparison lie.

    Parameters
    ----------
    name : id of the sweep, or a name of other runs
    """
    return project_root() / "outputs" / "comparison" / name


def texts(store: Store, comparison: Comparison, source: str, said: str, sweep: str | None) -> dict[str, str]:
    """Return the files by their names, the page last.

    Parameters
    ----------
    source : where the runs come from, as it was typed
    said : the verdict
    sweep : id of the sweep that the runs are of; None if they were chosen in another way
    """
    stem = STEMS[comparison.split]
    return {
        f"{stem}.csv": report.as_csv(comparison),
        f"{stem}.json": report.as_json(comparison),
        f"{stem}.html": as_page(comparison, _context(store, comparison, source, said, sweep)).as_html(),
    }


def write(found: Mapping[str, str], where: Path) -> str:
    """Write the files; return the line that says where they are."""
    where.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (where / name).write_text(text, encoding="utf-8")
    return f"Written to {where / list(found)[-1]}, .csv and .json"


def missing(store: Store, sweep: str) -> str:
    """Return which part of a sweep's jobs has no finished run, as its summary run says; "" if it says nothing of it."""
    for summary in store.runs(kind="sweep", sweep_id=sweep):
        if int(summary.data.tags.get(UNFINISHED, 0)):
            return f"{summary.data.tags[UNFINISHED]} of {summary.data.tags[JOBS]} jobs"
    return ""


def _context(store: Store, comparison: Comparison, source: str, said: str, sweep: str | None) -> Context:
    """Read from the store what the page shows besides the comparison."""
    drawn = comparison.tables[:MOST_DATASETS] if comparison.split == splits.TEST else ()
    alone = drawn if len(drawn) == 1 else ()
    curves = {table.dataset: stored.curves(store, table.rows, f"val/{_curve(comparison)}") for table in drawn}
    return Context(
        source,
        said,
        [*_commands(store, sweep), *_provenance(comparison), *_links(store, comparison, sweep)],
        {table.dataset: stored.confusions(store, table) for table in alone},
        curves,
        _curve(comparison),
    )


def _curve(comparison: Comparison) -> str:
    """Return the metric whose curves are shown: the compared one, which most runs log by epoch, or the first of all."""
    return comparison.metric if comparison.metric in ("macro_f1", "log_loss", "accuracy") else PANEL[0]


def _commands(store: Store, sweep: str | None) -> Iterator[Fact]:
    found = store.runs(kind="sweep", sweep_id=sweep) if sweep else []
    typed = found[-1].data.tags.get(COMMANDS, "").splitlines() if found else []
    if typed:
        yield "Command" if len(typed) == 1 else "Commands", typed[-MOST_COMMANDS:]


def _runs(comparison: Comparison) -> list[Logged]:
    return [run for table in comparison.tables for row in table.rows for run in row.configuration.runs.values()]


def _provenance(comparison: Comparison) -> Iterator[Fact]:
    runs = _runs(comparison)
    commits = sorted({run.tags[COMMIT][:10] for run in runs if COMMIT in run.tags})
    if commits:
        yield "Commit", listing(commits, 3)
    versions = [
        f"{name} {listing(sorted(of), 3)}"
        for name in VERSIONS
        if (of := {run.tags[name] for run in runs if name in run.tags})
    ]
    if versions:
        yield "Versions", ", ".join(versions)
    yield "Trained", time.strftime("%Y-%m-%d %H:%M", time.localtime(max(run.started for run in runs) / 1000))


def _links(store: Store, comparison: Comparison, sweep: str | None) -> Iterator[Fact]:
    """Yield where the runs are: in MLflow, and the reports of the first configuration's."""
    experiments = sorted({run.experiment_id for run in _runs(comparison)})
    if sweep and len(experiments) == 1:
        address = store.page(experiments[0], view=sweep)
        yield "In MLflow", [Link("its runs", address)] if address.startswith("http") else address
    best = next((row.configuration for row in comparison.tables[0].rows if row.configuration.rule is None), None)
    runs = list(best.runs.items() if best else ())[:MOST_LINKED]
    links = [Link(_place(place), address) for place, run in runs if (address := _report(store, run))]
    if best and links:
        yield f"Reports of {best.label}", links


def _place(place: Place) -> str:
    named = zip(("split", "fold", "seed"), place, strict=True)
    return ", ".join(f"{name} {value}" for name, value in named if value not in ("", "None"))


def _report(store: Store, run: Logged) -> str:
    """Return the address of a run's report, or of the run if a server keeps it; "" if it has none."""
    place = stored.artifacts(store, run)
    if place is None:
        return "" if store.is_local else store.page(run.experiment_id, run=run.id)
    return (place / REPORT).as_uri() if (place / REPORT).is_file() else ""
