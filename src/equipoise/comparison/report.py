"""A comparison as text, CSV, JSON and one self-contained page."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from equipoise.comparison.compare import FRONT, PANEL, Comparison, Row, Table
from equipoise.comparison.configurations import Configuration
from equipoise.comparison.repetitions import CORRECTED, PERMUTATION, WILCOXON, Difference, Spread
from equipoise.comparison.significance import ALPHA, Ranking
from equipoise.core.colors import INK, MUTED, weighting_color
from equipoise.core.schema import Floats, listing
from equipoise.reports import html

# What tells configurations of one weighting apart, the loss above all; their colour is that of the weighting.
MARKS, DASHES = "osD^vPX*<>hp", ("-", "--", "-.", ":")
MOST_DRAWN = 24
MOST_MARKED = 500  # runs, of which each gets a mark of its own
ABSENT = "–"
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
# What the pairs of each test are.
PAIRS = {CORRECTED: "splits", PERMUTATION: "seeds", WILCOXON: "data\u00a0sets"}
# How the evidence for a difference looks: what it is, the line, the mark and its filling; its colour is that of the weighting.
SHOWN, NOT_SHOWN, TOO_FEW, UNDEFINED = (
    "shown to differ",
    "not shown to differ",
    "too few pairs to test",
    "test not defined",
)
LOOKS: dict[str, dict[str, Any]] = {
    SHOWN: {"linewidth": 2.5, "marker": "o"},
    NOT_SHOWN: {"linewidth": 2, "marker": "o", "markerfacecolor": "white"},
    TOO_FEW: {"linewidth": 1.2, "marker": "x", "linestyle": "--"},
    UNDEFINED: {"linewidth": 1.2, "marker": "+", "linestyle": ":"},
}


def columns(table: Table, metric: str) -> tuple[list[str], list[list[str]]]:
    """Headings and one row a configuration, as terminal and page show them; columns without any content are left out."""
    others = [name for name in PANEL if name != metric]
    found: list[tuple[str, list[str]]] = [
        ("configuration", [row.configuration.label for row in table.rows]),
        ("runs", [str(row.spreads[metric].runs) for row in table.rows]),
        (_words(metric), [_spread(row.spreads[metric]) for row in table.rows]),
        *_deviations([row.spreads[metric] for row in table.rows]),
        ("mean rank", [_number(row.rank, ".1f") for row in table.rows]),
    ]
    for name, differences in (
        ("baseline", [row.to_baseline for row in table.rows]),
        ("post-hoc", [row.to_control for row in table.rows]),
    ):
        found += _difference_columns(name, differences)
    found += [(_words(name), [_mean(row.spreads.get(name)) for row in table.rows]) for name in others]
    if any(row.on_front for row in table.rows):
        found.append(("on front", ["●" if row.on_front else "" for row in table.rows]))
    kept = [(heading, values) for heading, values in found if any(value not in ("", ABSENT) for value in values)]
    return [heading for heading, _ in kept], [list(row) for row in zip(*(values for _, values in kept), strict=True)]


def _deviations(spreads: Sequence[Spread]) -> list[tuple[str, list[str]]]:
    """Between splits and between seeds, where there are several of both; otherwise that of the runs says it."""
    columns = [
        ("SD\u00a0splits", [one.between_splits for one in spreads]),
        ("SD\u00a0seeds", [one.between_seeds for one in spreads]),
    ]
    if any(np.isnan(values).all() for _, values in columns):
        return []
    return [(heading, [_number(value, ".3f") for value in values]) for heading, values in columns]


def _difference_columns(name: str, differences: Sequence[Difference | None]) -> list[tuple[str, list[str]]]:
    """To the baseline, under the name of the reference if there is but one, or to the post-hoc control."""
    if not any(differences):
        return []
    references = {one.reference for one in differences if one}
    shown = references.pop() if len(references) == 1 and name == "baseline" else name
    pairs = " or ".join(sorted({PAIRS[one.test] for one in differences if one}))
    columns = [(f"−\u00a0{shown} (better\u00a0in {pairs})", [_difference(one) for one in differences])]
    if any(one.p is not None for one in differences if one):  # else a note says how many pairs a test needs
        columns.append(("p", [_p(one) for one in differences]))
    return columns


def title(table: Table) -> str:
    """What stands above the table."""
    return f"{table.dataset}: test split, mean ± SD of the runs; paired differences{_scope(table)}"


def _scope(table: Table) -> str:
    """What p and intervals do not go beyond, where that is one split."""
    tests = {found.test for row in table.rows for found in (row.to_baseline, row.to_control) if found}
    return "; p: training noise on this split" if tests == {PERMUTATION} else ""


def overall_columns(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings and one row a configuration that every data set has; none for one data set."""
    found = comparison.overall
    columns = [
        ("configuration", [one.label for one in found]),
        (f"{_words(comparison.metric)}, mean", [f"{one.mean:.3f}" for one in found]),
    ]
    for name, differences in (
        ("baseline", [one.to_baseline for one in found]),
        ("post-hoc", [one.to_control for one in found]),
    ):
        columns += _difference_columns(name, differences)
    return [heading for heading, _ in columns], [
        list(row) for row in zip(*(values for _, values in columns), strict=True)
    ]


def overall_title(comparison: Comparison) -> str:
    """What stands above the table over several data sets."""
    return f"Over {len(comparison.tables)} data sets: means, and paired differences, one a data set"


def overall_lines(comparison: Comparison) -> list[str]:
    """What is to be said of the table over several data sets."""
    differences = [one for row in comparison.overall for one in (row.to_baseline, row.to_control) if one]
    families = {one.reference: one.comparisons for one in differences}
    lines = []
    if families:
        parts = ", ".join(f"{count} with {reference}" for reference, count in families.items())
        lines.append(
            f"p is of Wilcoxon's signed-rank test over the data sets, after Holm's correction, one family for each reference; comparisons: {parts}."
        )
    for needed in sorted({one.needed for one in differences if one.p is None}):
        lines.append(
            f"Too few data sets to test (n < {needed}): over {len(comparison.tables)} no difference could reach significance; over {needed} one could."
        )
    if comparison.left_out:
        lines.append(f"Left out, since a data set lacks them: {listing(comparison.left_out, 6)}.")
    return lines


def ranking_lines(comparison: Comparison) -> list[str]:
    """What the picture of mean ranks over several data sets says, in sentences; nothing for one data set."""
    ranking = comparison.ranking
    if ranking is None:
        if len(comparison.tables) > 1:
            return ["Over several data sets, Friedman's test needs three configurations that all of them have."]
        return []
    ordered = sorted(zip(ranking.ranks, comparison.ranked, strict=True))
    lines = [
        f"Over {len(comparison.tables)} data sets: Friedman chi square {ranking.chi_square:.3f}, df {len(ordered) - 1}, p {ranking.p:.4g}; "
        f"mean ranks more than {ranking.critical_difference:.2f} apart are shown to differ (Nemenyi).",
        "Mean ranks: " + ", ".join(f"{label} {rank:.2f}" for rank, label in ordered) + ".",
    ]
    if ranking.p > ALPHA:
        lines.append(
            "Friedman's test does not show that the configurations differ, so no pair of mean ranks is read as shown to differ."
        )
    return lines


def as_csv(comparison: Comparison) -> str:
    """One line for each data set, configuration and metric."""
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
    """Everything, with the ids of the runs; what is not defined is null."""

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
        }

    ranking = comparison.ranking
    whole = {
        "metric": comparison.metric,
        "datasets": [dataset(table) for table in comparison.tables],
        "overall": [{"configuration": one.label, **asdict(one)} for one in comparison.overall],
        "left_out": comparison.left_out,
        "ranking": None
        if ranking is None
        else {**asdict(ranking), "ranks": dict(zip(comparison.ranked, ranking.ranks.tolist(), strict=True))},
    }
    return json.dumps(_without_nan(whole), indent=1)


def as_html(comparison: Comparison, source: str) -> str:
    """One page: over all data sets first, then each of them.

    Parameters
    ----------
    source : where the runs come from, as it was typed
    """
    lead = [
        html.paragraph(
            f"{source}. Headline metric: {_words(comparison.metric)}; every interval is a 95 % interval for the mean, "
            "over splits or folds; of one split, over its seeds.",
            kind="lead",
        )
    ]
    parts = []
    if comparison.overall:
        shown = [html.paragraph(line) for line in (overall_title(comparison) + ".", *overall_lines(comparison))]
        shown.append(html.table(*overall_columns(comparison)))
        shown += map(html.paragraph, ranking_lines(comparison))
        if comparison.ranking is not None:
            diagram = critical_difference_diagram(comparison.ranking, comparison.ranked)
            shown.append(html.picture(diagram, "Mean ranks; a bar joins ranks that are not shown to differ"))
        parts.append(html.Part("Over all data sets", shown))
    for table in comparison.tables:
        several = len(comparison.tables) > 1
        shown = (
            [html.paragraph(title(table) + ".")]
            + [html.paragraph(note) for note in table.notes]
            + [html.table(*columns(table, comparison.metric))]
        )
        parts.append(html.Part(f"{table.dataset}: what is known" if several else "What is known", shown))
        parts.append(
            html.Part(f"{table.dataset}: pictures" if several else "Pictures", _pictures(table, comparison.metric))
        )
        parts.append(
            html.Part(
                f"{table.dataset}: all intervals" if several else "All intervals", _intervals(table, comparison.metric)
            )
        )
    return html.document(f"Comparison of {', '.join(table.dataset for table in comparison.tables)}", lead, parts)


def _intervals(table: Table, metric: str) -> list[str]:
    named = [
        "configuration",
        "metric",
        "over",
        "mean",
        "low",
        "high",
        "SD of the runs",
        "SD between splits",
        "SD between seeds",
    ]
    rows = [
        [row.configuration.label, _words(name), _repetitions(spread), f"{spread.mean:.4f}"]
        + [
            _number(value, ".4f")
            for value in (spread.low, spread.high, spread.deviation, spread.between_splits, spread.between_seeds)
        ]
        for row in table.rows
        for name, spread in row.spreads.items()
    ]
    body = [html.table(named, rows)]
    differences = [
        (row.configuration.label, found) for row in table.rows for found in (row.to_baseline, row.to_control) if found
    ]
    if differences:
        named = [
            "configuration",
            "minus",
            "difference",
            "low",
            "high",
            "pairs",
            "better in",
            "p (Holm)",
            "effect (rank-biserial)",
        ]
        named += ["SD between splits", "SD between seeds"]
        posterior = any(found.posterior for _, found in differences)
        lines = [
            [
                label,
                found.reference,
                f"{found.mean:+.4f}",
                _number(found.low, "+.4f"),
                _number(found.high, "+.4f"),
                f"{found.pairs} {PAIRS[found.test]}",
                str(found.better),
                _p(found),
            ]
            + [f"{found.effect:+.2f}", _number(found.between_splits, ".4f"), _number(found.between_seeds, ".4f")]
            + ([_posterior(found)] if posterior else [])
            for label, found in differences
        ]
        body.append(html.paragraph(f"Paired differences of {_words(metric)}:"))
        body.append(html.table([*named, *(["P(below, equal, above)"] if posterior else [])], lines))
    return body


def _pictures(table: Table, metric: str) -> list[str]:
    drawn = [row for row in table.rows if row.configuration.rule is None][:MOST_DRAWN]
    body = []
    if len(drawn) < sum(row.configuration.rule is None for row in table.rows):
        body.append(html.paragraph(f"The {MOST_DRAWN} configurations with the best {_words(metric)} are drawn."))
    if any(row.to_baseline for row in table.rows):
        body.append(
            html.picture(
                differences_figure(table, metric),
                f"{table.dataset}: paired differences of {_words(metric)}, mean with 95 % interval{_scope(table)}",
            )
        )
    profile = recall_profile(drawn)
    if profile:
        body.append(
            html.picture(
                profile, f"{table.dataset}: recall of each class, most frequent in training first, mean of the runs"
            )
        )
    if all(name in row.spreads for row in drawn for name in FRONT):
        body.append(
            html.picture(
                scatter_figure(drawn),
                f"{table.dataset}: balanced accuracy against macro F1 and MCC; bold marks are means, faint ones runs",
            )
        )
    trade = minority_figure(drawn)
    if trade:
        body.append(
            html.picture(
                trade,
                f"{table.dataset}: rarer half of the classes by recall, more frequent half by precision; means of the runs",
            )
        )
    return body


def differences_figure(table: Table, metric: str) -> Figure:
    """Each configuration's paired difference to its baseline with its interval; what the test says of it is the line and the mark."""
    rows = [(row.configuration, row.to_baseline) for row in table.rows if row.to_baseline][:MOST_DRAWN]
    figure = Figure((8, 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (configuration, found) in enumerate(reversed(rows)):
        axes.plot(
            [found.low, found.mean, found.high],
            [place] * 3,
            markevery=[1],
            color=_color(configuration),
            **LOOKS[_evidence(found)],
        )
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    axes.set_yticks(
        range(len(rows)), [f"{_short(one.label)} − {_short(found.reference)}" for one, found in reversed(rows)]
    )
    # Of the figure, not of the axes: beside long names those are narrow.
    figure.suptitle(f"{_words(metric)}: paired differences", x=0.01, ha="left", fontsize=10)
    looks = [look for look in LOOKS if any(_evidence(found) == look for _, found in rows)]
    figure.legend(
        [Line2D([], [], color=INK, **LOOKS[look]) for look in looks],
        looks,
        loc="outside lower left",
        ncols=3,
        frameon=False,
        fontsize=8,
    )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    _plain(axes)
    return figure


def _evidence(found: Difference) -> str:
    if found.p is None:
        return TOO_FEW if found.needed else UNDEFINED
    return SHOWN if found.is_shown else NOT_SHOWN


def recall_profile(rows: Sequence[Row]) -> Figure | None:
    """Recall over the classes from head to tail, a line a configuration; None without per-class metrics."""
    found = [(row.configuration, *_by_class(row.configuration, "recall")) for row in rows]
    if not found or not len(found[0][1]):
        return None
    figure = Figure((9, 4.2), layout="constrained")
    axes = figure.subplots()
    classes = found[0][1]
    kinds = _kinds(rows)
    for configuration, _, recall in found:
        mark, dash = kinds[_kind(configuration)]
        axes.plot(
            range(len(recall)),
            recall,
            dash,
            marker=mark if len(classes) <= 30 else None,
            color=_color(configuration),
            linewidth=1.6,
            markersize=4,
        )
        axes.lines[-1].set_label(_short(configuration.label))
    if len(classes) <= 30:
        axes.set_xticks(range(len(classes)), classes, rotation=0 if max(map(len, classes)) <= 4 else 90)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="class, from head to tail", ylabel="recall", ylim=(0, 1.03))
    _legend(axes)
    return figure


def scatter_figure(rows: Sequence[Row]) -> Figure:
    """The metrics that can disagree, against each other."""
    figure = Figure((10, 4.2), layout="constrained")
    panels, kinds = figure.subplots(1, 2), _kinds(rows)
    runs = sum(len(row.configuration.runs) for row in rows)
    for axes, name in zip(panels, FRONT[1:], strict=True):
        for row in rows:
            (mark, _), color = kinds[_kind(row.configuration)], _color(row.configuration)
            first, second = row.configuration.values(FRONT[0]), row.configuration.values(name)
            shared = sorted(first.keys() & second.keys())
            if runs <= MOST_MARKED:
                axes.plot(
                    [first[unit] for unit in shared],
                    [second[unit] for unit in shared],
                    mark,
                    color=color,
                    alpha=0.18,
                    markersize=4,
                )
            spreads = row.spreads
            axes.plot(
                spreads[FRONT[0]].mean,
                spreads[name].mean,
                mark,
                color=color,
                markersize=9,
                label=_short(row.configuration.label),
            )
        axes.set(xlabel=_words(FRONT[0]), ylabel=_words(name))
        _plain(axes)
    _legend(panels[-1])
    return figure


def minority_figure(rows: Sequence[Row]) -> Figure | None:
    """Mean recall of the rarer half of the classes against mean precision of the more frequent half."""
    figure = Figure((7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    kinds = _kinds(rows)
    for row in rows:
        (mark, _), color, label = (
            kinds[_kind(row.configuration)],
            _color(row.configuration),
            _short(row.configuration.label),
        )
        classes, recall = _by_class(row.configuration, "recall")
        _, precision = _by_class(row.configuration, "precision")
        half = len(classes) // 2
        if half == 0:
            return None
        axes.plot(
            np.nanmean(precision[:half]), np.nanmean(recall[-half:]), mark, color=color, markersize=9, label=label
        )
    axes.set(xlabel="precision, mean of the more frequent half of the classes", ylabel="recall, mean of the rarer half")
    axes.locator_params(nbins=5)
    _plain(axes)
    _legend(axes)
    return figure


def critical_difference_diagram(ranking: Ranking, labels: Sequence[str]) -> Figure:
    """Mean ranks on a line; bars join what is not shown to differ (Demsar 2006)."""
    order = np.argsort(ranking.ranks, kind="stable")
    ranks = ranking.ranks[order]
    count = len(labels)
    figure = Figure((9, 1.6 + 0.3 * count), layout="constrained")
    axes = figure.subplots()
    for place, (rank, index) in enumerate(zip(ranks, order, strict=True)):
        height = -(1.0 + place + 0.5 * len(ranking.cliques))
        axes.plot([rank, rank, count + 0.2], [0, height, height], color=MUTED, linewidth=1)
        axes.plot(rank, 0, "o", color=INK, markersize=6)
        axes.text(count + 0.25, height, f"{_short(labels[index])}  {rank:.2f}", va="center", fontsize=9)
    for number, (start, end) in enumerate(ranking.cliques):
        axes.plot(
            [ranks[start] - 0.04, ranks[end] + 0.04],
            [-0.5 * (number + 1)] * 2,
            color=MUTED,
            linewidth=4,
            solid_capstyle="butt",
        )
    axes.plot([1, 1 + ranking.critical_difference], [0.9, 0.9], color=INK, linewidth=2)
    axes.text(1, 1.05, f"critical difference {ranking.critical_difference:.2f}", fontsize=9, va="bottom")
    axes.set_xlim(0.8, count + 2.2)
    axes.set_ylim(-(1.6 + count + 0.5 * len(ranking.cliques)), 2)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, count + 1))
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    axes.set_title("mean rank, 1 the best", loc="left", fontsize=10)
    return figure


def _by_class(configuration: Configuration, metric: str) -> tuple[list[str], Floats]:
    """Classes from head to tail and the metric's mean over the runs, float64 (classes,)."""
    runs = list(configuration.runs.values())
    counts = {key.removeprefix("count/"): value for key, value in runs[0].metrics.items() if key.startswith("count/")}
    classes = sorted(counts, key=lambda name: -counts[name])
    values = np.array([[run.metrics.get(f"test/{metric}/{name}", np.nan) for name in classes] for run in runs]).reshape(
        len(runs), len(classes)
    )
    defined = (~np.isnan(values)).sum(axis=0)
    means: Floats = np.where(defined > 0, np.nansum(values, axis=0) / np.maximum(defined, 1), np.nan)
    return classes, means


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _color(configuration: Configuration) -> str:
    """Of configurations that trained the same bits, the first one's."""
    run = next(iter(configuration.runs.values()))
    return weighting_color(configuration.settings[0].get("weighting.name", run.params.get("weighting.name", "")))


def _kind(configuration: Configuration) -> tuple[str, ...]:
    """What a configuration is but for its weighting."""
    run = next(iter(configuration.runs.values()))
    others = (
        f"{key}={value}"
        for key, value in configuration.settings[0].items()
        if key not in ("weighting.name", "loss.name")
    )
    return (configuration.settings[0].get("loss.name", run.params.get("loss.name", "")), *others)


def _kinds(rows: Sequence[Row]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Mark and dash of each kind, whatever the order of the rows; of the plain cross-entropy a dot and a line."""
    kinds = sorted({_kind(row.configuration) for row in rows}, key=lambda kind: (kind[0] != "class_weight", kind))
    return {kind: (MARKS[place % len(MARKS)], DASHES[place % len(DASHES)]) for place, kind in enumerate(kinds)}


def _short(label: str) -> str:
    return (label if len(label) <= 40 else label[:39] + "…").replace("$", r"\$")  # no formula


def _words(metric: str) -> str:
    return metric.replace("_", " ").replace("f1", "F1").replace("mcc", "MCC")


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.3f}" if math.isnan(spread.deviation) else f"{spread.mean:.3f} ± {spread.deviation:.3f}"


def _repetitions(spread: Spread) -> str:
    """What the mean and its interval are over."""
    return f"{spread.units} splits" if spread.units > 1 else f"{spread.runs} seed{'s' * (spread.runs > 1)}"


def _mean(spread: Spread | None) -> str:
    return ABSENT if spread is None else f"{spread.mean:.3f}"


def _number(value: float, form: str) -> str:
    return ABSENT if math.isnan(value) else format(value, form)


def _difference(found: Difference | None) -> str:
    return "" if found is None else f"{found.mean:+.3f} ({found.better}/{found.pairs})"


def _p(found: Difference | None) -> str:
    if found is None:
        return ""
    if found.p is None:
        return f"n < {found.needed}" if found.needed else ABSENT
    return f"{found.p:.3f}" if found.p >= 0.001 else "<0.001"


def _posterior(found: Difference) -> str:
    return (
        ""
        if found.posterior is None
        else f"{found.posterior.below:.2f}, {found.posterior.within:.2f}, {found.posterior.above:.2f}"
    )


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
