"""A comparison as CSV, JSON and one self-contained page."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from equipoise.comparison import display, pictures
from equipoise.comparison.compare import Comparison, Row, Table
from equipoise.comparison.display import words
from equipoise.comparison.repetitions import Difference
from equipoise.comparison.splits import TITLES
from equipoise.reports import html

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


def as_html(comparison: Comparison, source: str, said: str) -> str:
    """Return one page: the verdict, what holds over all data sets, then each of them.

    Parameters
    ----------
    source : where the runs come from, as it was typed
    said : the verdict
    """
    headline = f"{words(comparison.metric)} of the {TITLES[comparison.split]}"
    verdict = html.paragraph(said, kind="lead")
    lead = html.paragraph(
        f"{source}. Headline metric: {headline}; every interval is a 95 % interval for the mean, "
        "over splits or folds; of one split, over its seeds."
    )
    parts = [html.Part("Over all data sets", _overall(comparison))] if comparison.overall else []
    for table in comparison.tables:
        of_dataset = f"{table.dataset}: " if len(comparison.tables) > 1 else ""
        for subject, body in (
            ("what is known", _known(table, comparison.metric)),
            ("pictures", _pictures(table, comparison.metric)),
            ("all intervals", _intervals(table, comparison.metric)),
        ):
            parts.append(html.Part(of_dataset + subject if of_dataset else subject.capitalize(), body))
    return html.document(
        f"Comparison of {', '.join(table.dataset for table in comparison.tables)}", [verdict, lead], parts
    )


def _overall(comparison: Comparison) -> list[str]:
    said = [f"{display.overall_title(comparison)}.", *display.overall_lines(comparison)]
    body = [
        *map(html.paragraph, said),
        html.table(*display.overall_columns(comparison)),
        *map(html.paragraph, display.ranking_lines(comparison)),
    ]
    if comparison.ranking is not None:
        diagram = pictures.critical_difference_diagram(comparison.ranking, comparison.ranked)
        body.append(html.picture(diagram, "Mean ranks; a bar joins ranks that are not shown to differ"))
    return body


def _known(table: Table, metric: str) -> list[str]:
    body = [
        html.paragraph(f"{display.title(table)}."),
        *map(html.paragraph, table.notes),
        html.table(*display.columns(table, metric)),
    ]
    headings, rows = display.rules(table, metric)
    if rows:
        body += [html.paragraph(f"{display.rules_title(table, metric)}."), html.table(headings, rows)]
    return body


def _intervals(table: Table, metric: str) -> list[str]:
    body = [html.table(*display.intervals(table))]
    headings, rows = display.difference_intervals(table)
    if rows:
        body += [html.paragraph(f"Paired differences of {words(metric)}:"), html.table(headings, rows)]
    return body


def _pictures(table: Table, metric: str) -> list[str]:
    configured = [row for row in table.rows if row.configuration.rule is None]
    drawn = configured[: pictures.MOST_DRAWN]
    body = []
    if len(drawn) < len(configured):
        body.append(html.paragraph(f"The pictures show the {len(drawn)} configurations with the best {words(metric)}."))
    for figure, caption in (
        (
            pictures.differences_figure(table, metric),
            f"paired differences of {words(metric)}, mean with 95 % interval{display.scope(table)}",
        ),
        (pictures.recall_profile(drawn), "recall of each class, most frequent in training first, mean of the runs"),
        (
            pictures.scatter_figure(drawn),
            "balanced accuracy against macro F1 and MCC; bold marks are means, faint ones runs",
        ),
        (
            pictures.minority_figure(drawn),
            "recall of the rarer half of the classes against precision of the more frequent half; means of the runs",
        ),
    ):
        if figure:
            body.append(html.picture(figure, f"{table.dataset}: {caption}"))
    return body


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
