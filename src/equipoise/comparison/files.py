"""The files of a comparison: a page, CSV and JSON, in a folder of the project and beside a sweep's summary run."""

from collections.abc import Mapping
from pathlib import Path

from equipoise.comparison import report, splits
from equipoise.comparison.compare import Comparison
from equipoise.core.paths import project_root
from equipoise.tracking.store import Store

UNFINISHED, JOBS = "jobs_unfinished", "jobs"  # tags of a sweep's summary run
STEMS = {splits.TEST: "comparison", splits.VALIDATION: "validation"}


def folder(name: str) -> Path:
    """Return where the files of a comparison lie.

    Parameters
    ----------
    name : id of the sweep, or a name of other runs
    """
    return project_root() / "outputs" / "comparison" / name


def texts(comparison: Comparison, source: str, said: str) -> dict[str, str]:
    """Return the files by their names, the page last.

    Parameters
    ----------
    source : where the runs come from, as it was typed
    said : the verdict
    """
    stem = STEMS[comparison.split]
    return {
        f"{stem}.csv": report.as_csv(comparison),
        f"{stem}.json": report.as_json(comparison),
        f"{stem}.html": report.as_html(comparison, source, said),
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
