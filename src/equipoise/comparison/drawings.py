"""The charts of a comparison, written with Altair. A configuration looks the same in all of them (`looks`).

In the data a configuration is its place in the parameter `names`, so that names are written once and any will do.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.comparison.by_class import Gains, halves
from equipoise.comparison.compare import FRONT, Row, Table
from equipoise.comparison.display import words
from equipoise.comparison.looks import Look
from equipoise.comparison.repetitions import Difference
from equipoise.comparison.significance import Ranking
from equipoise.comparison.stored import Confusion, Curve
from equipoise.core.schema import Floats
from equipoise.metrics.orientation import orientation
from equipoise.reports import charts
from equipoise.reports.charts import INK
from equipoise.reports.page import Chart

if TYPE_CHECKING:
    import altair

STEP = 24  # pixels of a row
SQUARE = 420
MOST_POINTS = 150  # of a curve
MOST_NUMBERED = 12  # columns of cells that hold numbers
MOST_RUNS = 1000  # each of which has a mark of its own
# Less and more than the baseline: small differences let light and dark paper through.
DIVERGING = ("rgb(194, 80, 10)", "rgba(194, 80, 10, 0.04)", "rgba(22, 104, 178, 0.04)", "rgb(22, 104, 178)")
STRONG = 0.75  # of the largest difference: above it the cell is so dark that its number is white
EVIDENCE = UNTESTED, NOT_SHOWN, SHOWN = ("not tested", "not shown to differ", "shown to differ")
HOW_SHOWN = "A filled mark is shown to differ, a hollow one is not; a dashed line or no line is not tested"


def forest(table: Table, metric: str, of_each: Mapping[str, Look]) -> Chart | None:
    """Draw each configuration's difference to its baseline with its interval; return None without any."""
    found = [(row.configuration.label, row.to_baseline) for row in table.rows if row.to_baseline]
    if not found:
        return None
    references = list(dict.fromkeys(one.reference for _, one in found))
    drawn = [of_each[label] for label, _ in found]
    labels = [
        look.name if len(references) == 1 else f"{look.name} − {one.reference}"
        for look, (_, one) in zip(drawn, found, strict=True)
    ]
    against = references[0] if len(references) == 1 else "its baseline"
    better = "higher" if orientation(metric) > 0 else "lower"
    return differences(
        drawn,
        [one for _, one in found],
        f"{table.dataset}: {words(metric)} minus that of {against}, paired, with 95 % intervals. {HOW_SHOWN}",
        labels=labels,
        title=f"difference, {better} is better",
    )


def differences(
    drawn: Sequence[Look], found: Sequence[Difference], caption: str, *, labels: Sequence[str], title: str
) -> Chart:
    """Draw differences with their intervals, and what their tests say of them.

    Parameters
    ----------
    labels : of the rows
    title : of the axis
    """
    import altair as alt

    base = _configured(_columns(found), drawn).transform_calculate(evidence=f"{list(EVIDENCE)}[datum.evidence]")
    parameter, opacity = charts.isolated()
    y = alt.Y("place", type="ordinal", axis=charts.name_axis(labelExpr="labels[datum.value]", labelOverlap=False))
    dash = alt.when(f"datum.evidence === '{UNTESTED}'").then(alt.value([5, 4])).otherwise(alt.value([1, 0]))
    fill = alt.when(f"datum.evidence === '{SHOWN}'").then(_color(drawn)).otherwise(alt.value("transparent"))
    shared = {"y": y, "color": _color(drawn), "opacity": opacity}
    intervals = base.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low", type="quantitative"), x2=alt.X2("high"), strokeDash=dash, **shared
    )
    points = base.mark_point(size=110, strokeWidth=2.2).encode(
        x=alt.X("mean", type="quantitative", title=title),
        **shared,
        shape=_shape(drawn),
        fill=fill,
        tooltip=[
            _field("configuration"),
            _field("mean", "+.4f", "difference"),
            _field("low", "+.4f"),
            _field("high", "+.4f"),
            _field("p", ".3g"),
            _field("pairs"),
            _field("evidence"),
        ],
    )
    zero = alt.Chart(charts.columns(zero=np.zeros(1)), name=f"{INK}_zero").mark_rule(strokeDash=[4, 3])
    layers = alt.layer(zero.encode(x=alt.X("zero", type="quantitative")), intervals, points)
    return charts.chart(
        layers.properties(width="container", height=STEP * len(found)).add_params(
            parameter, _names(drawn), alt.param(name="labels", value=list(labels))
        ),
        caption,
    )


def _columns(found: Sequence[Difference]) -> "altair.Data":
    """Return a row for each difference: its place, its numbers, and the place of what its test says."""
    return charts.columns(
        place=np.arange(len(found)),
        **{name: np.array([getattr(one, name) for one in found]) for name in ("mean", "low", "high", "pairs")},
        p=np.array([np.nan if one.p is None else one.p for one in found]),
        evidence=np.array([EVIDENCE.index(_evidence(one)) for one in found]),
    )


def runs(rows: Sequence[Row], metric: str, of_each: Mapping[str, Look]) -> Chart:
    """Draw the metric of every run, and each configuration's mean with its interval."""
    import altair as alt

    drawn = [of_each[row.configuration.label] for row in rows]
    values = [list(row.configuration.values(metric).values()) for row in rows]
    places = np.repeat(np.arange(len(rows)), [len(one) for one in values])
    parameter, faint = charts.isolated(opacity=0.45)
    _, opacity = charts.isolated()
    y = alt.Y("place", type="ordinal", axis=charts.name_axis(labelOverlap=False))
    x = alt.X("value", type="quantitative", title=words(metric), scale=alt.Scale(zero=False))
    dots = _configured(charts.columns(place=places, value=np.concatenate(values)[: len(places)]), drawn)
    dots = dots.mark_tick(thickness=2, size=13).encode(
        x=x, y=y, color=_color(drawn), opacity=faint, tooltip=[_field("configuration"), _field("value", ".4f")]
    )
    spreads = [row.spreads[metric] for row in rows]
    means = _configured(
        charts.columns(
            place=np.arange(len(rows)),
            **{name: np.array([getattr(one, name) for one in spreads]) for name in ("mean", "low", "high")},
        ),
        drawn,
    )
    lines = means.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low", type="quantitative"), x2=alt.X2("high"), y=y, color=_color(drawn), opacity=opacity
    )
    marks = means.mark_point(size=110, filled=True).encode(
        x=alt.X("mean", type="quantitative"),
        y=y,
        color=_color(drawn),
        shape=_shape(drawn),
        opacity=opacity,
        tooltip=[_field("configuration"), *(_field(name, ".4f") for name in ("mean", "low", "high"))],
    )
    layers = dots + lines + marks if len(places) <= MOST_RUNS else lines + marks
    return charts.chart(
        layers.properties(width="container", height=STEP * len(rows)).add_params(parameter, _names(drawn)),
        f"{words(metric)} of every run, a stroke each, and their mean with its 95 % interval",
    )


def heat_map(
    columns: Sequence[str], drawn: Sequence[Look], values: Floats, caption: str, *, title: str, what: str
) -> Chart:
    """Draw differences to the baseline by configuration and column.

    Parameters
    ----------
    values : float64 (configurations, columns)
    title : of the columns' axis
    what : the difference, as the tooltip names it
    """
    import altair as alt

    rows, count = values.shape
    parameter, opacity = charts.isolated()
    base = _configured(
        charts.columns(
            place=np.repeat(np.arange(rows), count), column=np.tile(np.arange(count), rows), gain=values.ravel()
        ),
        drawn,
    ).transform_calculate(name="columns[datum.column]")
    x = alt.X("column", type="ordinal", axis=_column_axis(columns, title))
    y = alt.Y("place", type="ordinal", axis=charts.name_axis(labelOverlap=False))
    cells = base.mark_rect().encode(
        x=x,
        y=y,
        color=alt.Color("gain", type="quantitative", scale=_diverging(values), legend=_gradient(what)),
        opacity=opacity,
        tooltip=[_field("configuration"), _field("name", title=title), _field("gain", "+.3f", what)],
    )
    layers = [cells]
    if count <= MOST_NUMBERED:
        layers += _numbers(base.transform_filter("width > 480"), "gain", _limit(values), {"x": x, "y": y})
    return charts.chart(
        alt.layer(*layers)
        .properties(width="container", height=(STEP + 2) * rows)
        .add_params(parameter, _names(drawn), alt.param(name="columns", value=list(columns))),
        caption,
    )


def gains_map(found: Gains, of_each: Mapping[str, Look], dataset: str) -> Chart:
    """Draw recall minus that of the baseline, by configuration and class."""
    what = "group of ranks" if found.is_grouped else "class"
    drawn = [of_each[row.configuration.label] for row in found.rows]
    caption = (
        f"{dataset}: recall of each {what} minus that of the baseline, mean of the runs, head to tail: blue is a gain, "
        "orange a loss"
    )
    return heat_map(
        found.classes, drawn, found.gains, caption, title=f"{what}, from head to tail", what="recall − baseline"
    )


def mistakes(label: str, found: Confusion, baseline: Confusion, order: Sequence[str]) -> Chart:
    """Draw a confusion matrix minus that of the baseline: of each true class, the share that moved."""
    import altair as alt

    apart = confusion_difference(found, baseline, order)
    size = len(order)
    rows, columns = np.indices(apart.shape)
    base = alt.Chart(charts.columns(true=rows.ravel(), predicted=columns.ravel(), moved=apart.ravel()))
    base = base.transform_calculate(actual="names[datum.true]", answer="names[datum.predicted]")
    x = alt.X("predicted", type="ordinal", axis=charts.name_axis(title="predicted", labelAngle=_angle(order)))
    y = alt.Y("true", type="ordinal", axis=charts.name_axis(title="true class", labelOverlap=False))
    cells = base.mark_rect().encode(
        x=x,
        y=y,
        color=alt.Color("moved", type="quantitative", scale=_diverging(apart), legend=None),
        tooltip=[
            _field("actual", title="true class"),
            _field("answer", title="predicted"),
            _field("moved", "+.3f", "share − baseline"),
        ],
    )
    numbers = _numbers(base.transform_filter("abs(datum.moved) >= 0.01"), "moved", _limit(apart), {"x": x, "y": y})
    shown = alt.layer(cells, *numbers)
    return charts.chart(
        shown.properties(width="container", height=min(SQUARE, 60 + 30 * size)).add_params(charts.named(order)),
        f"{label} minus the baseline: more on the diagonal is better, more beside it are new mistakes; mean of "
        f"{found.runs} run{'s' * (found.runs != 1)}",
        SQUARE + 80,
    )


def confusion_difference(found: Confusion, baseline: Confusion, order: Sequence[str]) -> Floats:
    """Return shares minus those of the baseline, float64 (classes, classes), in this order of the classes."""
    both = [np.zeros((len(order), len(order))) for _ in range(2)]
    for target, one in zip(both, (found, baseline), strict=True):
        places = [order.index(name) for name in one.classes]
        target[np.ix_(places, places)] = one.shares
    apart: Floats = both[0] - both[1]
    return apart


def bands(found: Mapping[str, Curve], of_each: Mapping[str, Look], metric: str) -> Chart:
    """Draw a validation metric by epoch: the mean of the runs, and the band from the lowest to the highest run."""
    import altair as alt

    drawn = [of_each[label] for label in found]
    kept = [np.unique(np.linspace(0, len(one.epochs) - 1, MOST_POINTS).round().astype(int)) for one in found.values()]
    columns = {
        name: np.concatenate([getattr(one, name)[which] for one, which in zip(found.values(), kept, strict=True)])
        for name in ("epochs", "mean", "low", "high")
    }
    places = np.repeat(np.arange(len(drawn)), [len(which) for which in kept])
    parameter, faint = charts.isolated(opacity=0.16)
    _, opacity = charts.isolated()
    base = _configured(charts.columns(place=places, **columns), drawn)
    x = alt.X("epochs", type="quantitative", title="epoch", scale=alt.Scale(nice=False), axis=alt.Axis(tickMinStep=1))
    band = base.mark_area().encode(
        x=x,
        y=alt.Y("low", type="quantitative", title=f"{words(metric)}, validation", scale=alt.Scale(zero=False)),
        y2=alt.Y2("high"),
        color=_color(drawn),
        opacity=faint,
        detail=alt.Detail("configuration", type="nominal"),
    )
    # Of one epoch there is no line to be seen, but a point.
    lines = base.mark_line(strokeWidth=2, point=max(map(len, kept)) == 1).encode(
        x=x,
        y=alt.Y("mean", type="quantitative"),
        color=_color(drawn),
        opacity=opacity,
        detail=alt.Detail("configuration", type="nominal"),
        strokeDash=_dash(drawn),
    )
    touched = base.mark_point(size=90, opacity=0).encode(
        x=x,
        y=alt.Y("mean", type="quantitative"),
        tooltip=[
            _field("configuration"),
            _field("epochs", title="epoch"),
            *(_field(name, ".4f") for name in ("mean", "low", "high")),
        ],
    )
    return charts.chart(
        (band + lines + touched).properties(width="container", height=300).add_params(parameter, _names(drawn)),
        f"{words(metric)} of the validation split by epoch: the mean of a configuration's runs, in a band from the "
        "lowest run to the highest",
    )


def head_against_tail(rows: Sequence[Row], of_each: Mapping[str, Look]) -> Chart | None:
    """Draw recall of the rarer half of the classes against precision of the more frequent half; None without both."""
    found, points = halves(rows)
    if not found:
        return None
    return _scatter(
        [of_each[row.configuration.label] for row in found],
        points,
        ("precision, the more frequent half", "recall, the rarer half"),
        "Recall of the rarer half of the classes against precision of the more frequent half, means of the runs",
    )


def metrics_apart(rows: Sequence[Row], of_each: Mapping[str, Look], metric: str) -> Chart | None:
    """Draw two metrics that can disagree against each other; return None if a configuration lacks one of them."""
    found = [row for row in rows if all(name in row.spreads for name in (FRONT[0], metric))]
    if not found:
        return None
    return _scatter(
        [of_each[row.configuration.label] for row in found],
        np.array([[row.spreads[name].mean for name in (FRONT[0], metric)] for row in found]),
        (words(FRONT[0]), words(metric)),
        f"{words(FRONT[0]).capitalize()} against {words(metric)}, means of the runs",
    )


def _scatter(drawn: Sequence[Look], points: Floats, titles: tuple[str, str], caption: str) -> Chart:
    import altair as alt

    parameter, opacity = charts.isolated()
    base = _configured(charts.columns(place=np.arange(len(drawn)), across=points[:, 0], up=points[:, 1]), drawn)
    shown = base.mark_point(size=130, filled=True).encode(
        x=alt.X("across", type="quantitative", title=titles[0], scale=alt.Scale(zero=False)),
        y=alt.Y("up", type="quantitative", title=titles[1], scale=alt.Scale(zero=False)),
        color=_color(drawn),
        shape=_shape(drawn),
        opacity=opacity,
        tooltip=[_field("configuration"), _field("across", ".4f", titles[0]), _field("up", ".4f", titles[1])],
    )
    return charts.chart(shown.properties(width="container", height=300).add_params(parameter, _names(drawn)), caption)


def critical_difference(ranking: Ranking, drawn: Sequence[Look]) -> Chart:
    """Draw mean ranks, and bars that join those which are not shown to differ (Demsar 2006)."""
    import altair as alt

    order = np.argsort(ranking.ranks, kind="stable")
    sorted_ranks, cliques = ranking.ranks[order], list(ranking.cliques)
    ordered = [drawn[place] for place in order]
    count = len(ordered)
    parameter, opacity = charts.isolated()
    scale = alt.Scale(domain=[0.8, count + 0.2], nice=False)
    axis = charts.name_axis(labelExpr="datum.value < 0 ? '' : names[datum.value]", labelOverlap=False)
    y = alt.Y("place", type="ordinal", axis=axis)
    base = _configured(charts.columns(place=np.arange(count), rank=sorted_ranks), ordered)
    x = alt.X("rank", type="quantitative", title="mean rank, 1 the best", scale=scale)
    marks = base.mark_point(size=120, filled=True).encode(
        x=x,
        y=y,
        color=_color(ordered),
        shape=_shape(ordered),
        opacity=opacity,
        tooltip=[_field("configuration"), _field("rank", ".2f", "mean rank")],
    )
    layers = [marks]
    if cliques:
        places = -1.0 - np.arange(len(cliques))[::-1]
        ends = np.array([[sorted_ranks[start], sorted_ranks[end]] for start, end in cliques])
        bars = alt.Chart(charts.columns(place=places, start=ends[:, 0] - 0.04, end=ends[:, 1] + 0.04))
        layers.append(
            bars.mark_rule(strokeWidth=5, strokeCap="round")
            .properties(name=f"{INK}_clique")
            .encode(x=alt.X("start", type="quantitative", scale=scale), x2=alt.X2("end"), y=y)
        )
    return charts.chart(
        alt.layer(*layers)
        .properties(width="container", height=STEP * (count + len(cliques)))
        .add_params(parameter, _names(ordered)),
        f"Mean ranks over the data sets; a bar joins ranks that are not shown to differ: less than "
        f"{ranking.critical_difference:.2f} apart (Nemenyi)",
    )


def _evidence(found: Difference) -> str:
    return UNTESTED if found.p is None else SHOWN if found.is_shown else NOT_SHOWN


def _configured(data: "altair.Data", drawn: Sequence[Look]) -> "altair.Chart":
    """Return a chart whose data have the name of the configuration beside its place."""
    import altair as alt

    return alt.Chart(data).transform_calculate(configuration="names[datum.place]")


def _names(drawn: Sequence[Look]) -> "altair.Parameter":
    return charts.named([look.name for look in drawn])


def _color(drawn: Sequence[Look]) -> "altair.Color":
    import altair as alt

    scale = alt.Scale(domain=[look.name for look in drawn], range=[look.color for look in drawn])
    return alt.Color("configuration", type="nominal", scale=scale, legend=None)


def _shape(drawn: Sequence[Look]) -> "altair.Shape":
    import altair as alt

    scale = alt.Scale(domain=[look.name for look in drawn], range=[look.symbol for look in drawn])
    return alt.Shape("configuration", type="nominal", scale=scale, legend=None)


def _dash(drawn: Sequence[Look]) -> "altair.StrokeDash":
    """Return the dash of each mark, so that lines of one weighting can be told apart."""
    import altair as alt

    dashes = dict(zip(charts.SYMBOLS, ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3]) * 2, strict=True))
    scale = alt.Scale(domain=[look.name for look in drawn], range=[dashes[look.symbol] for look in drawn])
    return alt.StrokeDash("configuration", type="nominal", scale=scale, legend=None)


def _field(name: str, form: str = "", title: str = "") -> "altair.Tooltip":
    import altair as alt

    options: dict[str, Any] = {"title": title or name, **({"format": form} if form else {})}
    return alt.Tooltip(name, type="quantitative" if form else "nominal", **options)


def _numbers(base: "altair.Chart", what: str, limit: float, places: Mapping[str, Any]) -> "list[altair.Chart]":
    """Write the numbers of cells: in the colour of the text, and on dark cells in white."""
    import altair as alt

    number = alt.Text("number", type="nominal")
    text = base.transform_calculate(
        number=f"abs(datum.{what}) < 0.005 ? '0' : replace(format(datum.{what}, '+.2f'), '0.', '.')",
        strong=f"abs(datum.{what}) / {limit}",
    ).mark_text(fontSize=9.5)
    weak = text.transform_filter(f"datum.strong <= {STRONG}").properties(name=f"{INK}_{what}")
    strong = text.transform_filter(f"datum.strong > {STRONG}").encode(color=alt.value("white"))
    return [weak.encode(text=number, **places), strong.encode(text=number, **places)]


def _limit(values: Floats) -> float:
    """Return the largest difference, which has the full colour."""
    finite = values[np.isfinite(values)]
    return max(float(np.abs(finite).max()) if len(finite) else 0.0, 0.01)


def _diverging(values: Floats) -> "altair.Scale":
    import altair as alt

    limit = _limit(values)
    return alt.Scale(domain=[-limit, -limit / 1e6, limit / 1e6, limit], range=list(DIVERGING), interpolate="rgb")


def _gradient(title: str) -> "altair.Legend":
    import altair as alt

    return alt.Legend(title=title, orient="top", gradientLength=180, format="+.2f", tickCount=5)


def _column_axis(columns: Sequence[str], title: str) -> charts.Spec:
    return charts.name_axis(labelExpr="columns[datum.value]", title=title, labelAngle=_angle(columns))


def _angle(names: Sequence[str]) -> int:
    return 0 if max(map(len, names), default=0) <= 3 else -40
