"""What all charts of the pages share, written with Altair: colours, marks, and what isolates a configuration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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


def chart(drawn: "altair.TopLevelMixin", caption: str) -> Chart:
    """Return an Altair chart as a block of a page.

    It is not checked against Vega-Lite's schema: that would take longer than all the rest, and tests do it.
    """
    spec: dict[str, Any] = drawn.to_dict(validate=False)
    spec.pop("config", None)  # the page has one for all
    spec.pop("$schema", None)
    if spec.get("width") == "container":
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return Chart(spec, caption)


def data(rows: Sequence[Mapping[str, Any]]) -> "altair.Data":
    """Return rows as the data of a chart; numbers that are not finite must be None."""
    import altair

    return altair.Data(values=list(rows))  # type: ignore[no-untyped-call]


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
