"""Self-contained pages: a header, a verdict, and the questions with their text, tables and charts.

Nothing is fetched from anywhere. This module knows nothing of what the pages are about: one template draws them all,
so that they look alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

from equipoise.core.state import kept
from equipoise.reports import vega

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = "templates"
WIDE = 9  # columns: on paper, a table with more of them turns its sheet


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text; its kind may be `warning` or `small`."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table that a click on a heading sorts; on a narrow screen it scrolls by itself."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @property
    def is_wide(self) -> bool:
        return len(self.headings) > WIDE


@dataclass(frozen=True)
class Chart:
    """A chart that the browser draws.

    Attributes
    ----------
    spec : Vega-Lite; with the width `container` it takes the width that there is
    caption : what it shows, in a sentence; screen readers read it
    widest : pixels that it takes at most; 0: all that there are
    """

    spec: dict[str, Any]
    caption: str
    widest: int = 0


@dataclass(frozen=True)
class Beside:
    """Charts beside each other where the screen is wide enough."""

    charts: Sequence[Chart]


@dataclass(frozen=True)
class Legend:
    """Buttons, of which each isolates one configuration in all charts of the page.

    Attributes
    ----------
    entries : name, colour, and a Vega symbol
    """

    entries: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Code:
    """Code that a click on its title opens, with a button that copies it."""

    text: str
    title: str


Block: TypeAlias = Text | Table | Chart | Beside | Legend | Code


@dataclass(frozen=True)
class Link:
    """A link of the header."""

    text: str
    address: str


Fact: TypeAlias = tuple[str, str | Sequence[str | Link]]  # its name, and its value or values


@dataclass(frozen=True)
class Part:
    """One section: a question, and what answers it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes
    ----------
    kind : what sort of page it is, above the title: "Run", "Comparison"
    verdict : the answer in a sentence or a few, each a paragraph
    facts : of the header: data set, samples, command, commit, versions, date, links
    """

    kind: str
    title: str
    verdict: Sequence[str]
    facts: Sequence[Fact]
    notes: Sequence[Text]
    parts: Sequence[Part]

    def as_html(self) -> str:
        """Return the page as one HTML file."""
        has_charts = any(isinstance(block, Chart | Beside) for part in self.parts for block in part.blocks)
        template = kept(_Template).template
        return template.render(page=self, vega=vega.compressed() if has_charts else "")


class _Template:
    """The compiled template, which takes longer to compile than to fill in."""

    def __init__(self) -> None:
        self.template = _environment().get_template("page.html")


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("equipoise.reports", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = files("equipoise.reports") / TEMPLATES
    # These two are the page's own, and no text of a user: they are not escaped.
    environment.globals["style"] = (folder / "page.css").read_text(encoding="utf-8")
    environment.globals["script"] = (folder / "page.js").read_text(encoding="utf-8")
    environment.tests["wordy"] = lambda value: isinstance(value, str)
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment
