"""docs/study.md: the part that is written. Its first screen is the table to act on, then the verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from marked import filled, rewrite, table

from analysis import advice, decision, levels, optimizers, progress, words
from analysis.hypotheses import MOST_MISSING, NOT_RUN, Hypothesis, Judged, planned, verdict
from analysis.pooled import PRIMARY
from analysis.table import Study

COMMAND = "pipelines/study/report.py"
Found = Mapping[str, tuple[Hypothesis, tuple[Judged, ...], tuple[Judged, ...]]]
PICTURES = {
    "length.png": "Balanced accuracy, and the gain over no weights, against the length of training, on the families "
    "that have all lengths; bars: 95 % intervals of each mean, not of a difference between lines; green: ±0.01",
    "rarest.png": "The gain of weights, and free minus weights, against rows of the rarest class, a point a data "
    "set; bars: 95 % by the measurement of that data set alone; green: ±0.01",
    "families.png": "Each family's mean difference; bars: 95 % by measurement; black: the model's mean and the plain "
    "mean with their 95 % intervals; green: ±0.01",
    "synthetic.png": "Regret on synthetic data against rows of the rarest class; bars: 95 % intervals over draws; "
    "dashed: what the Bayes rule of the training prior loses",
}
READ_CELLS = (
    "Each line of a cell is estimated by itself: the third is not the second minus the first. Columns differ in their "
    "families, so compare within a column; linear and large networks and boosted trees have one seed."
)
PRIMARY_SETTING = (
    "Each claim is about small networks (AdamW with decay) after 300 epochs, unless it says otherwise. P is its "
    "probability; τ is the standard deviation over families; *families alike* is their plain mean."
)
SEVENTH = ["7. Rows and ratio", "at a given number of rows, the gain rises with the ratio"]


def write(page: Path, study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> None:
    """Put the written part in place of the last one."""
    rewrite(page, COMMAND, "\n\n".join(_parts(study, found, seventh, pictures)))


def is_complete(found: Found) -> bool:
    """Whether all claims of the hypotheses are judged."""
    return all(verdict(claims) != NOT_RUN for _, claims, _ in found.values())


def _parts(study: Study, found: Found, seventh: str, pictures: Sequence[str]) -> list[str]:
    parts = [f"{progress.told(study, planned(study))}."]
    if not is_complete(found):
        share = f"{1 - MOST_MISSING:.0%}"
        parts.append(f"Numbers still move as runs come in; a claim has a verdict once {share} of its runs are.")
    parts += [advice.written(study), *decision_tables(study), READ_CELLS, levels.written(study)]
    parts += [optimizers.written(study)]
    parts += ["## Verdicts", PRIMARY_SETTING, verdicts(found, seventh)]
    parts += [words.everywhere(found["3"][2])]
    parts += [f"![{PICTURES[name]}](study/{name})\n\n{PICTURES[name]}." for name in pictures]
    return [filled(part) for part in parts if part]


def decision_tables(study: Study, metrics: Sequence[str] = (PRIMARY, "macro_f1")) -> list[str]:
    """Return the tables to act on, one for what a mistake costs."""
    asked = ["rows in the rarest class", "ratio", *(learner.title for learner in decision.LEARNERS)]
    parts = []
    for metric in metrics:
        lines = decision.lines(study, metric)
        if metric == PRIMARY:
            lines += decision.synthetic_lines(study.table)
        heading, kept, left_out = decision.full(asked, lines)
        shown = table(heading, kept) if kept else "No cell has five families yet."
        parts += [f"**If {decision.METRIC_TITLES[metric]}**", shown, left_out if kept else ""]
    return parts


def verdicts(found: Found, seventh: str) -> str:
    """Return the table of the seven verdicts: expected beside found."""
    lines = [words.lines(hypothesis, claims) for hypothesis, claims, _ in found.values()]
    lines.append([*SEVENTH, seventh or words.EMPTY, "described" if seventh else "not run yet"])
    return table(["hypothesis", "expected", "found (mean over families, 95 % interval)", "verdict"], lines)
