"""The description of a run on MLflow's page: its headline with the interval, and where its report is. Markdown."""

import numpy as np

from equipoise.core.errors import printable
from equipoise.reports.evidence import Evidence
from equipoise.reports.run_page import REPORT
from equipoise.tracking.run import Run

NOTE = "mlflow.note.content"
TOLD = ("balanced_accuracy", "macro_f1")  # the headline's metrics, as far as a run has them
# Of rules that leave rows or classes open.
LEFT_OPEN = {"coverage": "of rows are given a class", "set_coverage": "of sets hold the class"}
OF_LABELS = {"set_coverage": "of labels are in their sets"}
WORDS = {"balanced_accuracy": "Balanced accuracy", "macro_f1": "macro F1"}


def log_note(log: Run, evidence: Evidence) -> None:
    """Describe the run by what it is worth, and link its report."""
    page, file = log.page(REPORT), f"`{log.folder / REPORT}`"
    where = f"[Report]({page}), as a file: {file}" if page else f"Report: {file}"
    log.set_tag(NOTE, f"{headline(evidence)}\n\n{where}")


def headline(evidence: Evidence) -> str:
    """Return a sentence: the metrics by which runs are compared, each with its 95 % interval, and the worst class."""
    found, intervals = evidence.evaluation.summary, evidence.intervals
    told = [
        f"{WORDS[name]} {found[name]:.3f}" + (f" ({intervals[name]})" if name in intervals else "")
        for name in TOLD
        if name in found
    ]
    recall = evidence.evaluation.per_class["recall"]
    known = np.flatnonzero(~np.isnan(recall))
    if len(known):
        worst = known[np.argmin(recall[known])]
        name = printable(evidence.data.classes[worst]).replace("`", "'")
        told.append(f"lowest recall {recall[worst]:.3f}, of `{name}`")
    left_open = OF_LABELS if evidence.labels.ndim == 2 else LEFT_OPEN
    told += [f"{found[name]:.1%} {what}" for name, what in left_open.items() if name in found]
    first, *others = told
    rest = f"; {'; '.join(others)}" if others else ""
    return f"**{first}**{rest}. On {len(evidence.labels):,} test samples, with 95 % intervals."
