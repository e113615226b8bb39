"""The charts of a search."""

from collections.abc import Mapping, Sequence

import numpy as np

from equipoise.core.colors import MUTED
from equipoise.core.schema import Booleans, Floats
from equipoise.reports import charts
from equipoise.reports.charts import INK
from equipoise.reports.page import Chart

BLUE = "#2478c0"  # of the best
STEP = 24  # pixels of a row


def history(numbers: Sequence[int], values: Floats, metric: str, sign: int) -> Chart:
    """Draw each finished trial's metric, and the best one up to it.

    Parameters
    ----------
    sign : 1 if higher is better, else -1
    """
    import altair as alt

    best = sign * np.maximum.accumulate(sign * values)
    base = alt.Chart(charts.columns(trial=np.array(numbers), value=values, best=best))
    x = alt.X("trial", type="quantitative", axis=alt.Axis(tickMinStep=1, grid=False))
    y = alt.Y("value", type="quantitative", title=metric, scale=alt.Scale(zero=False))
    dots = base.mark_point(size=45, filled=True, color=MUTED).encode(
        x=x,
        y=y,
        tooltip=[alt.Tooltip("trial", type="nominal"), alt.Tooltip("value", type="quantitative", title=metric)],
    )
    steps = base.mark_line(interpolate="step-after", strokeWidth=2.2, color=BLUE)
    layers = alt.layer(steps.encode(x=x, y=alt.Y("best", type="quantitative")), dots)
    return charts.chart(
        layers.properties(width="container", height=260), f"{metric} of each trial, and the best so far in blue"
    )


def importances(shares: Mapping[str, float], metric: str) -> Chart:
    """Draw the part of the metric's variance over the trials that each option explains."""
    import altair as alt

    base = alt.Chart(charts.columns(place=np.arange(len(shares)), share=np.array(list(shares.values()))))
    x = alt.X(
        "share",
        type="quantitative",
        title="share of the variance",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%"),
    )
    bars = base.mark_bar(color=BLUE, height={"band": 0.62}).encode(
        x=x,
        y=alt.Y("place", type="ordinal", axis=charts.name_axis(labelOverlap=False)),
        tooltip=[alt.Tooltip("share", type="quantitative", format=".1%")],
    )
    return charts.chart(
        bars.properties(width="container", height=STEP * len(shares)).add_params(charts.named(list(shares))),
        f"What {metric} depends on: the share of its variance over the trials that each option explains (fANOVA)",
    )


def front(values: Floats, on_front: Booleans, numbers: Sequence[int], metrics: Sequence[str]) -> Chart:
    """Draw two metrics of each finished trial, and number the trials that no other beats in both.

    Parameters
    ----------
    values : of shape (trials, 2)
    on_front : whether no other trial beats this one in both metrics, of shape (trials,)
    """
    import altair as alt

    numbered = np.array(numbers)
    data = charts.columns(trial=numbered, across=values[:, 0], up=values[:, 1], best=on_front.astype(np.int64))
    base = alt.Chart(data)
    x = alt.X("across", type="quantitative", title=metrics[0], scale=alt.Scale(zero=False))
    y = alt.Y("up", type="quantitative", title=metrics[1], scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("trial", type="nominal"),
        alt.Tooltip("across", type="quantitative", title=metrics[0]),
        alt.Tooltip("up", type="quantitative", title=metrics[1]),
    ]
    color = alt.when("datum.best > 0").then(alt.value(BLUE)).otherwise(alt.value(MUTED))
    dots = base.mark_point(size=60, filled=True).encode(x=x, y=y, color=color, tooltip=tooltip)
    line = base.transform_filter("datum.best > 0").mark_line(color=BLUE, strokeWidth=1.2).encode(x=x, y=y)
    text = base.transform_filter("datum.best > 0").mark_text(dy=-10, fontSize=10).properties(name=f"{INK}_trial")
    layers = alt.layer(line, dots, text.encode(x=x, y=y, text=alt.Text("trial", type="nominal")))
    return charts.chart(
        layers.properties(width="container", height=320),
        f"{metrics[0]} against {metrics[1]}; blue trials, with their numbers, are beaten by none in both",
        560,
    )
