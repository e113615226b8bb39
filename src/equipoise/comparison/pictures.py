"""The pictures of a comparison as Matplotlib figures. No pyplot, no state.

A configuration has the colour of its weighting in all of them; its mark and its dash tell the rest, the loss above all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from equipoise.comparison.compare import FRONT, Row, Table
from equipoise.comparison.configurations import Configuration
from equipoise.comparison.display import words
from equipoise.comparison.repetitions import Difference
from equipoise.comparison.significance import Ranking
from equipoise.core.colors import INK, MUTED, weighting_color
from equipoise.core.schema import Floats

MARKS, DASHES = "osD^vPX*<>hp", ("-", "--", "-.", ":")
MOST_DRAWN = 24  # configurations
MOST_MARKED = 500  # runs, each of which has a mark of its own
MOST_NAMED = 30  # classes, each of which is named
# The evidence for a difference, and how its line, its mark and the mark's filling show it.
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


def differences_figure(table: Table, metric: str) -> Figure | None:
    """Draw each configuration's paired difference to its baseline with its interval; return None without any.

    Line and mark show what the test says of it.
    """
    rows = [(row.configuration, row.to_baseline) for row in table.rows if row.to_baseline][:MOST_DRAWN]
    if not rows:
        return None
    figure = Figure((8, 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (configuration, found) in enumerate(reversed(rows)):
        look, ends = LOOKS[_evidence(found)], [found.low, found.mean, found.high]
        axes.plot(ends, [place] * 3, markevery=[1], color=_color(configuration), **look)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=":")
    names = [f"{_short(one.label)} − {_short(found.reference)}" for one, found in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    # A title of the figure, not of the axes, which are narrow beside long names.
    figure.suptitle(f"{words(metric)}: paired differences", x=0.01, ha="left", fontsize=10)
    looks = [look for look in LOOKS if any(_evidence(found) == look for _, found in rows)]
    handles = [Line2D([], [], color=INK, **LOOKS[look]) for look in looks]
    figure.legend(handles, looks, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    _plain(axes)
    return figure


def _evidence(found: Difference) -> str:
    if found.p is None:
        return TOO_FEW if found.needed else UNDEFINED
    return SHOWN if found.is_shown else NOT_SHOWN


def recall_profile(rows: Sequence[Row]) -> Figure | None:
    """Draw recall over the classes from head to tail, one line per configuration.

    Return None without per-class metrics.
    """
    found = [(row.configuration, *_by_class(row.configuration, "recall")) for row in rows]
    if not found or not len(found[0][1]):
        return None
    figure = Figure((9, 4.2), layout="constrained")
    axes = figure.subplots()
    classes, kinds = found[0][1], _kinds(rows)
    named = len(classes) <= MOST_NAMED
    for configuration, _, recall in found:
        mark, dash = kinds[_kind(configuration)]
        (line,) = axes.plot(range(len(recall)), recall, dash, marker=mark if named else None, markersize=4)
        line.set(color=_color(configuration), linewidth=1.6, label=_short(configuration.label))
    if named:
        axes.set_xticks(range(len(classes)), classes, rotation=0 if max(map(len, classes)) <= 4 else 90)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="class, from head to tail", ylabel="recall", ylim=(0, 1.03))
    _legend(axes)
    return figure


def scatter_figure(rows: Sequence[Row]) -> Figure | None:
    """Draw the metrics that can disagree against each other; return None if a configuration lacks one of them."""
    if not all(name in row.spreads for row in rows for name in FRONT):
        return None
    figure = Figure((10, 4.2), layout="constrained")
    panels, kinds = figure.subplots(1, 2), _kinds(rows)
    runs = sum(len(row.configuration.runs) for row in rows)
    for axes, name in zip(panels, FRONT[1:], strict=True):
        for row in rows:
            (mark, _), color = kinds[_kind(row.configuration)], _color(row.configuration)
            first, second = row.configuration.values(FRONT[0]), row.configuration.values(name)
            shared = sorted(first.keys() & second.keys())
            if runs <= MOST_MARKED:
                across, up = ([values[place] for place in shared] for values in (first, second))
                axes.plot(across, up, mark, color=color, alpha=0.18, markersize=4)
            means = row.spreads[FRONT[0]].mean, row.spreads[name].mean
            axes.plot(*means, mark, color=color, markersize=9, label=_short(row.configuration.label))
        axes.set(xlabel=words(FRONT[0]), ylabel=words(name))
        _plain(axes)
    _legend(panels[-1])
    return figure


def minority_figure(rows: Sequence[Row]) -> Figure | None:
    """Draw mean recall of the rarer half of the classes against mean precision of the more frequent half.

    Return None without per-class metrics.
    """
    figure = Figure((7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    kinds = _kinds(rows)
    for row in rows:
        (mark, _), color = kinds[_kind(row.configuration)], _color(row.configuration)
        classes, recall = _by_class(row.configuration, "recall")
        _, precision = _by_class(row.configuration, "precision")
        half = len(classes) // 2
        if half == 0:
            return None
        means = np.nanmean(precision[:half]), np.nanmean(recall[-half:])
        axes.plot(*means, mark, color=color, markersize=9, label=_short(row.configuration.label))
    axes.set(xlabel="precision, mean of the more frequent half of the classes", ylabel="recall, mean of the rarer half")
    axes.locator_params(nbins=5)
    _plain(axes)
    _legend(axes)
    return figure


def critical_difference_diagram(ranking: Ranking, labels: Sequence[str]) -> Figure:
    """Draw mean ranks on a line, with bars that join those not shown to differ (Demsar 2006)."""
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
        ends, height = [ranks[start] - 0.04, ranks[end] + 0.04], -0.5 * (number + 1)
        axes.plot(ends, [height] * 2, color=MUTED, linewidth=4, solid_capstyle="butt")
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
    """Return the classes from head to tail, and the metric's mean over the runs, float64 (classes,)."""
    runs = list(configuration.runs.values())
    counts = {key.removeprefix("count/"): value for key, value in runs[0].metrics.items() if key.startswith("count/")}
    classes = sorted(counts, key=lambda name: -counts[name])
    cells = [[run.metrics.get(f"test/{metric}/{name}", np.nan) for name in classes] for run in runs]
    values = np.array(cells).reshape(len(runs), len(classes))
    defined = (~np.isnan(values)).sum(axis=0)
    means: Floats = np.where(defined > 0, np.nansum(values, axis=0) / np.maximum(defined, 1), np.nan)
    return classes, means


def _legend(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _color(configuration: Configuration) -> str:
    """Return the colour of the weighting; of configurations that trained the same bits, the first one's."""
    run = next(iter(configuration.runs.values()))
    return weighting_color(configuration.settings[0].get("weighting.name", run.params.get("weighting.name", "")))


def _kind(configuration: Configuration) -> tuple[str, ...]:
    """Return what sets a configuration apart besides its weighting."""
    run = next(iter(configuration.runs.values()))
    settings = configuration.settings[0]
    others = (f"{key}={value}" for key, value in settings.items() if key not in ("weighting.name", "loss.name"))
    return (settings.get("loss.name", run.params.get("loss.name", "")), *others)


def _kinds(rows: Sequence[Row]) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return the mark and dash of each kind, whatever the order of the rows: a dot and a line for class weights."""
    kinds = sorted({_kind(row.configuration) for row in rows}, key=lambda kind: (kind[0] != "class_weight", kind))
    return {kind: (MARKS[place % len(MARKS)], DASHES[place % len(DASHES)]) for place, kind in enumerate(kinds)}


def _short(label: str) -> str:
    return (label if len(label) <= 40 else label[:39] + "…").replace("$", r"\$")  # no formula
