"""What the study found: docs/study/, tables and critical-difference diagrams, and pipelines/study/runs.parquet, every run as MLflow has it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equipoise import logged
from equipoise.comparison import Comparison, Row, compare, wanted
from equipoise.comparison_report import critical_difference_diagram, ranking_lines
from equipoise.configurations import dataset_title
from equipoise.logged import Logged
from equipoise.paths import project_root
from equipoise.store import Store, open_store

SWEEP = "study"
METRICS = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall", "log_loss")


def main() -> int:
    """Write all of it; returns the exit code."""
    store = open_store(project_root())
    runs = logged.sweep_runs(store, SWEEP, [*wanted(None), "count/"])
    comparisons = {metric: compare(runs, metric) for metric in METRICS}
    folder = project_root() / "docs" / "study"
    folder.mkdir(exist_ok=True)
    ranked = {metric: found for metric, found in comparisons.items() if found.ranking}
    for metric, found in ranked.items():
        assert found.ranking is not None
        critical_difference_diagram(found.ranking, [_method(label) for label in found.ranked]).savefig(folder / f"{metric}.png", dpi=110)
    parts = ["# Results of the study", "<!-- Written by pipelines/study/report.py -->", _datasets(runs), _ranks(ranked), _diagrams(ranked), _rules(runs)]
    parts += [_means(comparisons[metric]) for metric in METRICS]
    (folder / "results.md").write_text("\n\n".join(part for part in parts if part) + "\n")
    _export(store, Path(__file__).parent / "runs.parquet")
    return 0


def _datasets(runs: Sequence[Logged]) -> str:
    """Of the training split with the first seed."""
    first = {dataset_title(run): run for run in reversed(runs)}
    lines = []
    for name, run in sorted(first.items()):
        counts = sorted(value for key, value in run.metrics.items() if key.startswith("count/"))
        lines.append([name, run.params["model.name"], str(len(counts)), f"{sum(counts):.0f}", f"{counts[0]:.0f}", f"{counts[-1] / counts[0]:.1f}"])
    return "## Data\n\n" + _table(["data set", "model", "classes", "training samples", "of the rarest class", "imbalance ratio"], lines)


def _method(label: str) -> str:
    """The weighting where the loss is plain, and else the loss, which has no weights here."""
    loss, _, weighting = label.partition(" · ")
    return weighting if loss == "class_weight" else loss


def _ranks(comparisons: dict[str, Comparison]) -> str:
    """Methods by metric: mean over the data sets, and mean rank."""
    if not comparisons:
        return ""
    cells: dict[str, dict[str, str]] = {}
    for metric, found in comparisons.items():
        assert found.ranking is not None
        means = {label: np.mean([row.spreads[metric].mean for row in _rows(found, label)]) for label in found.ranked}
        for rank, label in sorted(zip(found.ranking.ranks, found.ranked, strict=True)):
            cells.setdefault(_method(label), {})[metric] = f"{means[label]:.3f} · {rank:.1f}"
    table = _table(["method", *comparisons], [[name, *(of_each.get(metric, "–") for metric in comparisons)] for name, of_each in cells.items()])
    told = "\n".join(f"- {metric}: {ranking_lines(found)[0]}" for metric, found in comparisons.items())
    return f"## Means over the data sets, and mean ranks, 1 the best\n\n{table}\n\n{told}"


def _rows(comparison: Comparison, label: str) -> list[Row]:
    """A configuration's on each data set."""
    return [row for table in comparison.tables for row in table.rows if label in row.configuration.labels]


def _diagrams(comparisons: dict[str, Comparison]) -> str:
    return "\n\n".join(f"![Mean ranks by {metric}; what a bar joins does not differ]({metric}.png)" for metric in comparisons)


def _rules(runs: Sequence[Logged]) -> str:
    """What each decision rule makes of the models that plain cross-entropy trained without weights: means over the data sets."""
    plain = [run for run in runs if run.tags["weighting"] == "none" and run.tags["function"] == "cross_entropy"]
    metrics = ("balanced_accuracy", "macro_f1", "mcc", "worst_class_recall")
    lines = []
    for rule in ("argmax", "logit_adjusted", "tuned"):
        of_each: dict[str, list[list[float]]] = {}
        for run in plain:
            of_each.setdefault(dataset_title(run), []).append([run.metrics[f"decision/{rule}/{metric}"] for metric in metrics])
        means = np.mean([np.mean(values, axis=0) for values in of_each.values()], axis=0)
        lines.append([rule, *(f"{value:.3f}" for value in means)])
    return "## Decision rules on plain cross-entropy, mean over the data sets\n\n" + _table(["decision", *metrics], lines)


def _means(comparison: Comparison) -> str:
    """Methods by data set, the best of each in bold."""
    metric = comparison.metric
    found = {table.dataset: {_method(label): row.spreads[metric] for row in table.rows for label in row.configuration.labels} for table in comparison.tables}
    best = {table.dataset: list(map(_method, table.rows[0].configuration.labels)) for table in comparison.tables}
    lines = []
    for name in dict.fromkeys(name for spreads in found.values() for name in spreads):
        shown = {dataset: f"{spreads[name].mean:.3f} ± {spreads[name].deviation:.3f}" if name in spreads else "–" for dataset, spreads in found.items()}
        lines.append([name, *(f"**{text}**" if name in best[dataset] else text for dataset, text in shown.items())])
    return f"## {metric} on the test split, mean ± standard deviation\n\n" + _table(["method", *found], lines)


def _table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))


def _export(store: Store, file: Path) -> None:
    """Every run of the study with its params, metrics and tags, as a table."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    mlflow.search_runs(search_all_experiments=True, filter_string=f"tags.sweep_id = '{SWEEP}'").to_parquet(file)


if __name__ == "__main__":
    sys.exit(main())
