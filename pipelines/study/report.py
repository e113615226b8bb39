"""The study's results: tables and critical-difference diagrams in docs/study/, and all runs in runs.parquet here.

Of weightings that are one vector under Adam, only one is tested and ranked: five entries for one method would make the
family larger, and Friedman's p smaller, than the data justify.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipoise.comparison.compare import Comparison, compare, wanted
from equipoise.comparison.configurations import dataset_title
from equipoise.comparison.display import overall_columns, overall_lines, ranking_lines
from equipoise.comparison.drawings import critical_difference
from equipoise.comparison.looks import looks, looks_over_datasets
from equipoise.core.paths import project_root
from equipoise.reports import charts
from equipoise.tracking import history
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store, open_store

SWEEP = "study"
PIXELS = 720  # of a picture's width
METRICS = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")
# These are `balanced` times a number, which Adam divides out, or nearly so: `balanced` stands for them.
REPRESENTED = ("inverse", "max_ratio", "median_frequency", "effective_number")


def main() -> int:
    """Write everything; return the exit code."""
    store = open_store(project_root())
    runs = history.sweep_runs(store, SWEEP, wanted(None))
    comparisons = {metric: compare(runs, metric) for metric in METRICS}
    representatives = [run for run in runs if run.tags["weighting"] not in REPRESENTED]
    ranked = {metric: compare(representatives, metric) for metric in METRICS}
    folder = project_root() / "docs" / "study"
    folder.mkdir(exist_ok=True)
    draw(ranked, folder)
    parts = [
        "# Results of the study",
        "<!-- Written by pipelines/study/report.py -->",
        _datasets(runs),
        over_datasets(comparisons, ranked),
        _rules(runs),
    ]
    parts += [_means(comparisons[metric]) for metric in METRICS]
    (folder / "results.md").write_text("\n\n".join(part for part in parts if part) + "\n")
    _export(store, Path(__file__).parent / "runs.parquet")
    return 0


def _datasets(runs: Sequence[Logged]) -> str:
    """Return the table of the data sets, by the training split with the first seed."""
    first = {dataset_title(run): run for run in reversed(runs)}
    lines = []
    for name, run in sorted(first.items()):
        counts = sorted(run.class_counts.values())
        lines.append(
            [
                name,
                run.params["model.name"],
                str(len(counts)),
                f"{sum(counts):.0f}",
                f"{counts[0]:.0f}",
                f"{counts[-1] / counts[0]:.1f}",
            ]
        )
    return "## Data\n\n" + _table(
        ["data set", "model", "classes", "training samples", "of the rarest class", "imbalance ratio"], lines
    )


def _method(label: str) -> str:
    """Return the weighting if the loss is plain cross-entropy, or else the loss, which has no weights here."""
    loss, _, weighting = label.partition(" · ")
    return weighting if loss == "class_weight" else loss


def draw(ranked: Mapping[str, Comparison], folder: Path) -> None:
    """Draw the diagrams of mean ranks."""
    for metric, found in ranked.items():
        if found.ranking:
            drawn = looks_over_datasets(looks(found), found.overall)
            named = [replace(look, name=_methods(one.labels)) for look, one in zip(drawn, found.overall, strict=True)]
            (folder / f"{metric}.png").write_bytes(charts.png(critical_difference(found.ranking, named), PIXELS))


def over_datasets(comparisons: Mapping[str, Comparison], ranked: Mapping[str, Comparison]) -> str:
    """Return the means of all methods, and the paired differences and mean ranks of those that stand for themselves."""
    parts = [_over_means(comparisons, ranked)]
    for metric, found in ranked.items():
        headings, rows = overall_columns(found)
        if not rows:
            continue
        named = [[_methods(one.labels), *row[1:]] for one, row in zip(found.overall, rows, strict=True)]
        told = "\n".join(f"- {_plain(line)}" for line in overall_lines(found))
        parts += [f"## {metric}: paired differences, one a data set", _table([*map(_plain, headings)], named), told]
        if found.ranking:
            picture = f"![Mean ranks by {metric}; a bar joins what is not shown to differ]({metric}.png)"
            parts += [f"- {ranking_lines(found)[0]}", picture]
    return "\n\n".join(part for part in parts if part)


def _over_means(comparisons: Mapping[str, Comparison], ranked: Mapping[str, Comparison]) -> str:
    cells: dict[str, dict[str, str]] = {}
    for metric, found in comparisons.items():
        ranks: dict[str, float] = {}
        ranking = ranked[metric].ranking
        if ranking:
            for one, rank in zip(ranked[metric].overall, ranking.ranks, strict=True):
                ranks |= dict.fromkeys(one.labels, rank)
        for label, mean in ((label, one.mean) for one in found.overall for label in one.labels):
            rank = f"{ranks[label]:.1f}" if label in ranks else "–"
            cells.setdefault(_method(label), {})[metric] = f"{mean:.3f} · {rank}"
    if not cells:
        return ""
    table = _table(
        ["method", *comparisons],
        [[name, *(of_each.get(metric, "–") for metric in comparisons)] for name, of_each in cells.items()],
    )
    others = ", ".join(f"`{name}`" for name in REPRESENTED)
    heading = "## Means over the data sets, and mean ranks, 1 the best"
    return f"{heading}\n\n{table}\n\n`balanced` is tested and ranked for {others} as well."


def _methods(labels: Sequence[str]) -> str:
    return " = ".join(map(_method, labels))


def _plain(text: str) -> str:
    """Return the text with plain spaces, and without the loss before a weighting, which is always cross-entropy."""
    return text.replace("class_weight · ", "").replace("\u00a0", " ")


def _rules(runs: Sequence[Logged]) -> str:
    """Return the results of each decision rule on the models of plain cross-entropy, as means over the data sets."""
    plain = [run for run in runs if run.tags["weighting"] == "none" and run.tags["function"] == "cross_entropy"]
    metrics = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall")
    lines = []
    for rule in ("argmax", "logit_adjusted", "tuned"):
        of_each: dict[str, list[list[float]]] = {}
        for run in plain:
            of_each.setdefault(dataset_title(run), []).append(
                [run.metrics[f"decision/{rule}/{metric}"] for metric in metrics]
            )
        means = np.mean([np.mean(values, axis=0) for values in of_each.values()], axis=0)
        lines.append([rule, *(f"{value:.3f}" for value in means)])
    return "## Decision rules on plain cross-entropy, mean over the data sets\n\n" + _table(
        ["decision", *metrics], lines
    )


def _means(comparison: Comparison) -> str:
    """Return the table of methods by data set, with the best of each data set in bold."""
    metric = comparison.metric
    found = {
        table.dataset: {_method(label): row.spreads[metric] for row in table.rows for label in row.configuration.labels}
        for table in comparison.tables
    }
    best = {table.dataset: list(map(_method, table.rows[0].configuration.labels)) for table in comparison.tables}
    lines = []
    for name in dict.fromkeys(name for spreads in found.values() for name in spreads):
        shown = {
            dataset: f"{spreads[name].mean:.3f} ± {spreads[name].deviation:.3f}" if name in spreads else "–"
            for dataset, spreads in found.items()
        }
        lines.append([name, *(f"**{text}**" if name in best[dataset] else text for dataset, text in shown.items())])
    return f"## {metric} on the test split, mean ± standard deviation\n\n" + _table(["method", *found], lines)


def _table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))


def _export(store: Store, file: Path) -> None:
    """Write every run of the study with its params, metrics and tags, as a table."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    mlflow.search_runs(search_all_experiments=True, filter_string=f"tags.sweep_id = '{SWEEP}'").to_parquet(file)


if __name__ == "__main__":
    sys.exit(main())
