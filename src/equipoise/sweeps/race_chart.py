"""Draw a race over its repetitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from equipoise.comparison.looks import Look, cut
from equipoise.core.colors import weighting_color
from equipoise.core.schema import Floats
from equipoise.reports import charts
from equipoise.reports.charts import INK, SYMBOLS
from equipoise.reports.page import Chart

if TYPE_CHECKING:
    import altair

DASHES = ((1, 0), (7, 3), (2, 2), (9, 3, 2, 3))
MOST_POINTS = 200  # of a line


@dataclass(frozen=True)
class Line:
    """One candidate.

    Attributes
    ----------
    differences : to the baseline, one a repetition, in order
    is_dropped : whether it left the race after the last of them
    """

    name: str
    weighting: str
    differences: Floats
    is_dropped: bool


def looks(names: Sequence[tuple[str, str]]) -> list[Look]:
    """Return the looks of candidates, by name and weighting: marks tell those of one colour apart."""
    seen: dict[str, int] = {}
    found = []
    for name, weighting in names:
        place = seen[weighting] = seen.get(weighting, -1) + 1
        found.append(Look(cut(name), weighting_color(weighting), SYMBOLS[place % len(SYMBOLS)]))
    return found


def race_chart(lines: Sequence[Line], metric: str, baseline: str) -> Chart:
    """Draw each candidate's mean difference to the baseline after each repetition; a cross ends a dropped one."""
    import altair as alt

    drawn = looks([(line.name, line.weighting) for line in lines])
    base = alt.Chart(_points(lines)).transform_calculate(configuration="names[datum.place]")
    parameter, opacity = charts.isolated()
    names = [look.name for look in drawn]
    colors = alt.Scale(domain=names, range=[look.color for look in drawn])
    dashes = alt.Scale(domain=names, range=[DASHES[SYMBOLS.index(look.symbol) % 4] for look in drawn])
    x = alt.X("repetition", type="quantitative", title="repetitions", axis=alt.Axis(tickMinStep=1, grid=False))
    y = alt.Y("mean", type="quantitative", title="mean difference so far")
    shared = {
        "x": x,
        "y": y,
        "color": alt.Color("configuration", type="nominal", scale=colors, legend=None),
        "opacity": opacity,
    }
    curves = base.mark_line(strokeWidth=2).encode(
        strokeDash=alt.StrokeDash("configuration", type="nominal", scale=dashes, legend=None), **shared
    )
    ends = base.transform_filter("datum.ends > 0").mark_point(size=160, strokeWidth=3, shape="M-1,-1L1,1M-1,1L1,-1")
    touched = base.mark_point(size=90, opacity=0).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("configuration", type="nominal"),
            alt.Tooltip("repetition", type="nominal", title="repetitions"),
            alt.Tooltip("mean", type="quantitative", format="+.4f", title="mean difference"),
        ],
    )
    zero = alt.Chart(charts.columns(zero=np.zeros(1)), name=f"{INK}_zero").mark_rule(strokeDash=[4, 3])
    crosses = [ends.encode(**shared)] if any(line.is_dropped for line in lines) else []
    layers = alt.layer(zero.encode(y=alt.Y("zero", type="quantitative")), curves, *crosses, touched)
    return charts.chart(
        layers.properties(width="container", height=340).add_params(parameter, charts.named(names)),
        f"{metric} minus that of {baseline}, mean of the repetitions so far; a cross ends a candidate that left the "
        "race",
    )


def _points(lines: Sequence[Line]) -> "altair.Data":
    """Return the mean after each repetition, and whether the line ends there, dropped."""
    place, repetition, mean, ends = [], [], [], []
    for number, line in enumerate(lines):
        count = len(line.differences)
        kept = np.unique(np.linspace(0, max(count - 1, 0), min(count, MOST_POINTS)).round().astype(int))
        so_far = np.cumsum(line.differences) / np.arange(1, count + 1)
        for index in kept:
            place.append(number)
            repetition.append(index + 1)
            mean.append(so_far[index])
            ends.append(int(line.is_dropped and index == count - 1))
    return charts.columns(
        place=np.array(place), repetition=np.array(repetition), mean=np.array(mean), ends=np.array(ends)
    )
