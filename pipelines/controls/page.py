"""Write the results of `make controls` into docs/controls.md, as that command does.

Means, paired differences and intervals are those of `compare`, which knows each run by its method alone.
"""

import math
import sys
from collections.abc import Sequence
from typing import Literal

from grid import named_runs, read
from marked import rewrite, table

from equipoise.comparison.compare import Comparison, compare, wanted
from equipoise.comparison.configurations import dataset_title
from equipoise.comparison.display import words
from equipoise.comparison.repetitions import Difference
from equipoise.core.paths import project_root
from equipoise.tracking.history import Logged

NAME, BASELINE = "controls", "none"
METRICS = ("balanced_accuracy", "macro_f1", "mcc", "log_loss_corrected")
FREE = f"{BASELINE}, logit-adjusted post hoc"
AGAINST_FREE = "The same means, with the paired difference to the models without weights that are adjusted post hoc."


def main() -> int:
    """Write the page; return 1 if runs are missing, and write what there is."""
    runs, lacking = named_runs(NAME, wanted(METRICS[-1]))
    if not runs:
        print("no finished run: make controls")
        return 1
    rewrite(project_root() / "docs" / "controls.md", "make controls", told(runs, lacking))
    print("\n".join(["docs/controls.md is written", *(f"missing: {each}" for each in lacking)]))
    return bool(lacking)


def told(runs: Sequence[Logged], lacking: Sequence[str] = ()) -> str:
    """Return the tables of runs that are named by their method."""
    comparisons = [compare(runs, metric, baseline=BASELINE) for metric in METRICS]
    parts = [_data(runs)]
    if lacking:
        parts.append(f"Missing, and left out of what is said over all data sets: {'; '.join(lacking)}.")
    parts += _warned(comparisons)
    if len(comparisons[0].tables) > 1:
        parts += ["## Over all data sets", _over_datasets(comparisons, "to_baseline")]
        free = [found for found in comparisons if any(one.to_control for one in found.overall)]
        parts += ["## Against what is free", AGAINST_FREE, _over_datasets(free, "to_control")]
    for found in comparisons:
        parts += [f"## {words(found.metric)[0].upper()}{words(found.metric)[1:]}", _by_dataset(found)]
    return "\n\n".join(parts)


def _warned(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what the comparisons say of runs that do not match: other code, or places that a method lacks."""
    notes = [note for found in comparisons for table in found.tables for note in table.notes]
    return list(dict.fromkeys(note for note in notes if "code" in note or "omitted" in note))


def _data(runs: Sequence[Logged]) -> str:
    """Return the table of the data sets, by the training split of the first seed."""
    lines = []
    for name, run in sorted({dataset_title(run): run for run in reversed(runs)}.items()):
        counts = sorted(run.class_counts.values())
        sizes = (len(counts), sum(counts), counts[0], counts[-1] / counts[0])
        lines.append([name, *(f"{size:.0f}" for size in sizes)])
    return table(["data set", "classes", "training samples", "of the rarest class", "imbalance ratio"], lines)


def _over_datasets(comparisons: Sequence[Comparison], to: Literal["to_baseline", "to_control"]) -> str:
    """Return a row for each method: of each metric its mean, and its difference to a reference over the data sets."""
    cells: dict[str, list[str]] = {}
    for number, found in enumerate(comparisons):
        for one in found.overall:
            for label in one.labels:
                row = cells.setdefault(label, ["–"] * len(comparisons))
                row[number] = " · ".join([f"{one.mean:.3f}", *_told(getattr(one, to))])
    return table(["method", *(words(found.metric) for found in comparisons)], _rows(cells))


def _by_dataset(found: Comparison) -> str:
    """Return a row for each method: on each data set its mean, and its difference to the baseline over the splits."""
    cells: dict[str, list[str]] = {}
    for number, each in enumerate(found.tables):
        for one in each.rows:
            mean = one.spreads.get(found.metric)
            for label in one.configuration.labels:
                row = cells.setdefault(label, ["–"] * len(found.tables))
                row[number] = " · ".join([f"{mean.mean:.3f}" if mean else "–", *_told(one.to_baseline)])
    return table(["method", *(each.dataset for each in found.tables)], _rows(cells))


def _rows(cells: dict[str, list[str]]) -> list[list[str]]:
    """Return the rows in the order of the grid; the free control stands after the baseline."""
    grid = read(NAME)
    order = [BASELINE, FREE, *grid["methods"], *grid["decided"]]
    return [
        [label.replace(FREE, "none, post hoc"), *cells[label]]
        for label in sorted(cells, key=lambda label: order.index(label) if label in order else len(order))
    ]


def _told(difference: Difference | None) -> list[str]:
    """Return a difference with half its interval, in bold if it is shown, and in how many pairs it is better."""
    if difference is None:
        return []
    half = (difference.high - difference.low) / 2
    said = f"{difference.mean:+.3f}" + ("" if math.isnan(half) else f" ± {half:.3f}")
    return [f"**{said}**" if difference.is_shown else said, f"{difference.better}/{difference.pairs}"]


if __name__ == "__main__":
    sys.exit(main())
