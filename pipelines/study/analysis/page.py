"""docs/study.md: the part that is written. Its first screen is the table to act on, then the verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from marked import rewrite, table

from analysis import decision, words
from analysis.hypotheses import MOST_MISSING, NOT_RUN, Hypothesis, Judged, planned, verdict
from analysis.pooled import PRIMARY
from analysis.table import Study

COMMAND = "pipelines/study/report.py"
Found = Mapping[str, tuple[Hypothesis, tuple[Judged, ...], tuple[Judged, ...]]]
PICTURES = {
    "length.png": "The gain over no weights against the length of training: means over families with 95 % intervals",
    "rarest.png": "The gain of weights, and free minus weights, against rows of the rarest class, a point a data set",
    "families.png": "Each family's mean difference with the error of its measurement, and the mean of families",
    "synthetic.png": "Regret on synthetic data against rows of the rarest class; dashed: Bayes by the training prior",
}
SEVENTH = ["7. Rows and ratio", "at a given number of rows, the gain rises with the ratio"]


def write(page: Path, study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> None:
    """Put the written part in place of the last one."""
    rewrite(page, COMMAND, "\n\n".join(_parts(study, found, seventh, pictures)))


def is_complete(found: Found) -> bool:
    """Whether all claims of the hypotheses are judged."""
    return all(verdict(claims) != NOT_RUN for _, claims, _ in found.values())


def _parts(study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> list[str]:
    parts = [f"{words.progress(study, planned(study))}."]
    if not is_complete(found):
        share = f"{1 - MOST_MISSING:.0%}"
        parts.append(f"Numbers still move as runs come in; a claim has a verdict once {share} of its data sets are.")
    parts += decision_tables(study)
    parts += ["## Verdicts", verdicts(found, seventh)]
    parts += [f"![{PICTURES[name]}](study/{name})\n\n{PICTURES[name]}." for name in pictures]
    return [part for part in parts if part]


def decision_tables(study: Study, metrics: Sequence[str] = (PRIMARY, "macro_f1")) -> list[str]:
    """Return the tables to act on, one for what a mistake costs."""
    heading = ["rows in the rarest class", "ratio", *(learner.title for learner in decision.LEARNERS)]
    parts = []
    for metric in metrics:
        lines = decision.lines(study, metric)
        if metric == PRIMARY:
            lines += decision.synthetic_lines(study.table)
        is_empty = all(cell == decision.EMPTY for line in lines for cell in line[2:])
        shown = "No cell has five families yet." if is_empty else table(heading, lines)
        parts += [f"**If {decision.METRIC_TITLES[metric]}**", shown]
    return parts


def verdicts(found: Found, seventh: str) -> str:
    """Return the table of the seven verdicts: expected beside found."""
    lines = [words.lines(hypothesis, claims) for hypothesis, claims, _ in found.values()]
    lines.append([*SEVENTH, seventh or words.EMPTY, "described" if seventh else "not run yet"])
    return table(["hypothesis", "expected", "found (mean over families, 95 % interval)", "verdict"], lines)
