"""Self-contained HTML pages: their frame, tables and pictures. Nothing is fetched from anywhere.

Knows nothing of what the pages are about.
"""

import base64
import hashlib
import html
import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 1080px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.2rem; margin-top: 2.2rem; border-top: 1px solid #ddd; padding-top: 1rem; }
p, li { max-width: 46rem; } .lead { font-size: 1.05rem; }
.warning { border-left: 4px solid #d1701f; padding-left: .7rem; }
nav a { display: inline-block; margin-right: 1rem; }
.scroll { overflow-x: auto; margin: 1rem 0; }
.scroll svg, .scroll img { max-width: 100%; height: auto; min-width: 600px; }
table { border-collapse: separate; border-spacing: 0; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { cursor: pointer; border-bottom: 2px solid #999; background: #fff; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
th:first-child, td:first-child { max-width: 15rem; white-space: normal; }
tr:hover td { background: #f3f7fb; }
small, figcaption { color: #666; } figure { margin: 0; }
summary { cursor: pointer; } pre { font-size: .82rem; line-height: 1.4; }
"""
# A click on a heading sorts by its column, downwards first; numbers sort by their value.
SORT = """
document.querySelectorAll("th").forEach(head => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex, down = head.dataset.down !== "yes";
  const value = row => {
    const text = row.cells[column].textContent, number = parseFloat(text.replace("−", "-"));
    return isNaN(number) ? text : number;
  };
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  [...body.rows].sort((a, b) => order(value(a), value(b)) * (down ? -1 : 1)).forEach(row => body.append(row));
  head.dataset.down = down ? "yes" : "no";
}));
"""
# A click on a button copies the code behind it; what is selected can be copied by hand where a browser forbids it.
COPY = """
document.querySelectorAll("button.copy").forEach(button => button.addEventListener("click", () => {
  const selection = getSelection();
  selection.selectAllChildren(button.nextElementSibling);
  if (document.execCommand("copy")) button.textContent = "Copied";
}));
"""


@dataclass(frozen=True)
class Part:
    """One section: a question or a subject, and HTML that answers it."""

    title: str
    body: Sequence[str]


def document(title: str, lead: Sequence[str], parts: Sequence[Part]) -> str:
    """Return the whole page: its title, its lead, links to the parts, and the parts."""
    links = " ".join(f'<a href="#part{number}">{html.escape(part.title)}</a>' for number, part in enumerate(parts))
    sections = [
        f'<h2 id="part{number}">{html.escape(part.title)}</h2>\n' + "\n".join(part.body)
        for number, part in enumerate(parts)
    ]
    name = html.escape(title)
    body = "\n".join([f"<h1>{name}</h1>", *lead, f"<nav>{links}</nav>", *sections])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{META}<title>{name}</title><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n<script>{SORT}{COPY}</script>\n</body></html>\n"
    )


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text; its kind may be `lead` or `warning`."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that a click on a heading sorts, and that scrolls by itself where the screen is narrower."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def code(text: str, title: str) -> str:
    """Return code that a click on its title opens, with a button that copies it."""
    button = '<button type="button" class="copy">Copy</button>'
    body = f'<div class="scroll"><pre>{html.escape(text)}</pre></div>'
    return f"<details><summary>{html.escape(title)}</summary>{button}{body}</details>"


def picture(figure: "Figure", caption: str) -> str:
    """Return the figure as SVG inside the page, its text as text."""
    import matplotlib

    file = io.StringIO()
    # A fixed salt gives the same figure the same bytes; the caption keeps ids of several figures apart.
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": caption, "font.family": "sans-serif"}),
        warnings.catch_warnings(),
    ):
        # The browser has fonts of its own.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # Ids must be unique in a document, and every figure counts its own from one.
    prefix = "figure-" + hashlib.sha256(caption.encode()).hexdigest()[:12]
    drawing = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", drawing)
    label = html.escape(caption, quote=True)
    return _figure(drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1), caption)


def image(png: bytes, caption: str) -> str:
    """Return a PNG inside the page."""
    label, data = html.escape(caption, quote=True), base64.b64encode(png).decode()
    return _figure(f'<img alt="{label}" src="data:image/png;base64,{data}">', caption)


def _figure(drawing: str, caption: str) -> str:
    return f'<figure><div class="scroll">{drawing}</div><figcaption>{html.escape(caption)}</figcaption></figure>'
