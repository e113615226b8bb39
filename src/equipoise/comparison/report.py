"""A comparison as CSV and JSON."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from equipoise.comparison.compare import Comparison, Row, Table
from equipoise.comparison.repetitions import Difference

# Columns of the CSV, as the attributes are called.
SPREAD = ("runs", "units", "mean", "deviation", "low", "high", "between_splits", "between_seeds")
DIFFERENCE = (
    "label",
    "difference",
    "low",
    "high",
    "pairs",
    "better",
    "test",
    "p",
    "comparisons",
    "effect",
    "between_splits",
    "between_seeds",
)


def as_csv(comparison: Comparison) -> str:
    """Return one line for each data set, configuration and metric."""
    file = io.StringIO()
    differences = [f"{reference}_{key}" for reference in ("baseline", "control") for key in DIFFERENCE]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["dataset", "configuration", "metric", *SPREAD, "rank", "on_front", *differences])
    for table in comparison.tables:
        for row in table.rows:
            for name, spread in row.spreads.items():
                line = [table.dataset, row.configuration.label, name, *(getattr(spread, key) for key in SPREAD)]
                if name == comparison.metric:
                    line += [row.rank, row.on_front, *_flat(row.to_baseline), *_flat(row.to_control)]
                writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in line])
    return file.getvalue()


def as_json(comparison: Comparison) -> str:
    """Return everything, with the ids of the runs; what is not defined is null."""

    def row(found: Row) -> dict[str, Any]:
        configuration = found.configuration
        return {
            "configuration": configuration.label,
            "settings": [dict(one) for one in configuration.settings],
            "rule": configuration.rule,
            "runs": [run.id for run in configuration.runs.values()],
            "metrics": {name: asdict(spread) for name, spread in found.spreads.items()},
            "rank": found.rank,
            "to_baseline": asdict(found.to_baseline) if found.to_baseline else None,
            "to_control": asdict(found.to_control) if found.to_control else None,
            "on_front": found.on_front,
        }

    def dataset(table: Table) -> dict[str, Any]:
        return {
            "dataset": table.dataset,
            "test_over_train": table.test_over_train,
            "rows": [row(found) for found in table.rows],
            "notes": table.notes,
            "by_rule": table.by_rule,
        }

    ranking = comparison.ranking
    whole = {
        "metric": comparison.metric,
        "split": comparison.split,
        "datasets": [dataset(table) for table in comparison.tables],
        "overall": [{"configuration": one.label, **asdict(one)} for one in comparison.overall],
        "left_out": comparison.left_out,
        "ranking": None
        if ranking is None
        else {**asdict(ranking), "ranks": dict(zip(comparison.ranked, ranking.ranks.tolist(), strict=True))},
    }
    return json.dumps(_without_nan(whole), indent=1)


def _flat(found: Difference | None) -> list[Any]:
    if found is None:
        return [""] * len(DIFFERENCE)
    named = {
        **asdict(found),
        "label": found.reference,
        "difference": found.mean,
        "p": "" if found.p is None else found.p,
    }
    return [named[key] for key in DIFFERENCE]


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
