"""What all charts of the pages share: colours, marks, their data, and what isolates a configuration.

The charts of a comparison are written with Altair. Those of a run are written as Vega-Lite itself: to import Altair
takes 0.4 s, longer than all that a run shows. Tests check them against Altair's schema.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.reports.page import Chart

if TYPE_CHECKING:
    import altair

Spec: TypeAlias = dict[str, Any]  # a part of Vega-Lite
# One for each loss: what the colour of the weighting does not tell.
SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
INK = "ink"  # a layer whose name has this word is drawn in the colour of the text, on light and on dark paper
FAINT = 0.12
FEW = 3  # entries of a legend, which stand below each other
LONGEST = 120  # characters of a name in a chart


def chart(drawn: "altair.TopLevelMixin", caption: str, widest: int = 0) -> Chart:
    """Return an Altair chart as a block of a page.

    It is not checked against Vega-Lite's schema: that would take longer than all the rest, and tests do it. A chart
    takes a millisecond if each channel is written as an object, `altair.X("mean:Q")`, and five if it is a text.

    Parameters
    ----------
    widest : as of `Chart`
    """
    spec: dict[str, Any] = drawn.to_dict(validate=False)
    spec.pop("config", None)  # the page has one for all
    spec.pop("$schema", None)
    if spec.get("width") == "container":
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return Chart(spec, caption, widest)


def png(drawn: Chart, width: int) -> bytes:
    """Return a chart as a PNG on white paper, for a page that cannot draw it.

    Parameters
    ----------
    width : pixels
    """
    import vl_convert

    spec = {key: value for key, value in drawn.spec.items() if key != "autosize"}
    found: bytes = vl_convert.vegalite_to_png({**spec, "width": width, "background": "white"}, scale=1.5)
    return found


def data(rows: Sequence[Mapping[str, Any]]) -> "altair.Data":
    """Return rows as the data of a chart; numbers that are not finite must be None."""
    import altair

    return altair.Data(values=list(rows))  # type: ignore[no-untyped-call]


def columns(**values: Floats | Integers) -> "altair.Data":
    """Return what `csv` does, for Altair."""
    import altair

    return altair.Data(**csv(**values))  # type: ignore[no-untyped-call]


def csv(**values: Floats | Integers) -> Spec:
    """Return columns of numbers as the data of a chart: as CSV, a third of the size of rows.

    Parameters
    ----------
    values : name to numbers of shape (n,); what is not finite is left empty, and the browser reads it as null
    """
    cells = [[f"{value:.5g}" if np.isfinite(value) else "" for value in column.tolist()] for column in values.values()]
    text = "\n".join([",".join(values), *map(",".join, zip(*cells, strict=True))])
    return {"values": text, "format": {"type": "csv", "parse": dict.fromkeys(values, "number")}}


def named(names: Sequence[str]) -> "altair.Parameter":
    """Return the parameter `names`: in the data, a class is its place in it, so that any name will do."""
    import altair

    return altair.param(name="names", value=_short(names))


def name_axis(**options: Any) -> Spec:
    """Return an axis of places in `names` that shows the names."""
    return {"labelExpr": "names[datum.value]", "title": None, "ticks": False, "domain": False, **options}


def field(name: str, title: str | None = None, **more: Any) -> Spec:
    """Return a channel of numbers."""
    return {"field": name, "type": "quantitative", "title": name if title is None else title, **more}


def told(**shown: str) -> list[Spec]:
    """Return a tooltip: names of fields to their titles, after a colon the format of a number; without one, a text."""
    found = []
    for name, text in shown.items():
        title, colon, form = text.partition(":")
        kind = {"type": "quantitative", "format": form} if colon else {"type": "nominal"}
        found.append({"field": name, "title": title, **kind})
    return found


def series(names: Sequence[str], looks: Sequence[str | list[int]], **legend: Any) -> Spec:
    """Return a channel that gives each place in `names`, the field `series`, its look; legends of one title are one."""
    places = list(range(len(names)))
    alone = {"columns": 1, "labelLimit": 320} if len(places) <= FEW else {}
    shown = {"title": None, "labelExpr": f"{list(names)!r}[datum.value]", **alone, **legend}
    scale = {"domain": places, "range": list(looks)[: len(places)]}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": shown}


def drawn(spec: Spec, caption: str, names: Sequence[str] = (), widest: int = 0) -> Chart:
    """Return a chart that is written as Vega-Lite itself, without Altair.

    Parameters
    ----------
    names : what the places in the data stand for
    widest : as of `Chart`
    """
    params = [{"name": "names", "value": _short(names)}] if names else []
    whole = {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}, **spec}
    return Chart({**whole, "params": [*params, *spec.get("params", [])]}, caption, widest)


def _short(names: Sequence[str]) -> list[str]:
    return [name if len(name) <= LONGEST else name[:LONGEST] + "…" for name in names]


def colors(names: Sequence[str], of: Mapping[str, str]) -> "altair.Scale":
    """Return the scale that gives each name its colour, as `#rrggbb`."""
    import altair

    return altair.Scale(domain=list(names), range=[of[name] for name in names])


def isolated(field: str = "configuration", opacity: float = 1.0) -> tuple["altair.Parameter", Any]:
    """Return the parameter that the page's legend sets, and the opacity that follows it."""
    import altair

    parameter = altair.param(name="isolated", value=None)
    shown = f"isolated == null || isolated == datum[{field!r}]"
    return parameter, altair.when(shown).then(altair.value(opacity)).otherwise(altair.value(FAINT * opacity))
