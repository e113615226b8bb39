"""What all charts of the pages share, written with Altair: colours, marks, and what isolates a configuration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.reports.page import Chart

if TYPE_CHECKING:
    import altair

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
    """Return columns of numbers as the data of a chart: as CSV, a third of the size of rows.

    Parameters
    ----------
    values : name to numbers of shape (n,); what is not finite is left empty, and the browser reads it as null
    """
    import altair

    cells = [[f"{value:.5g}" if np.isfinite(value) else "" for value in column.tolist()] for column in values.values()]
    text = "\n".join([",".join(values), *map(",".join, zip(*cells, strict=True))])
    parse = altair.CsvDataFormat(type="csv", parse=dict.fromkeys(values, "number"))
    return altair.Data(values=text, format=parse)  # type: ignore[no-untyped-call]


def named(names: Sequence[str]) -> "altair.Parameter":
    """Return the parameter `names`: in the data, a class is its place in it, so that any name will do."""
    import altair

    return altair.param(name="names", value=[name if len(name) <= LONGEST else name[:LONGEST] + "…" for name in names])


def name_axis(**options: Any) -> "altair.Axis":
    """Return an axis of places in `names` that shows the names."""
    import altair

    look = {"labelExpr": "names[datum.value]", "title": None, "ticks": False, "domain": False, **options}
    return altair.Axis(**look)


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
