"""Set docs/paper/paper.md as docs/paper/paper.pdf: python docs/paper/pdf.py

markdown-it reads the Markdown, which becomes Typst's markup; Typst is a package with its own fonts. The same pages and
pictures give the same bytes: no date is written.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

HERE = Path(__file__).parent
WORD = 0.3  # of the width of a letter beside the root of a cell's length
SPECIAL = "\\#*_`$<>@[]~/=-+"
STYLE = """#set document(title: [{title}], author: "The developers of Equipoise", date: none)
#set page(paper: "a4", margin: (x: 2.3cm, y: 2.4cm), numbering: "1")
#set text(font: "Libertinus Serif", size: 10.5pt, lang: "en")
#set par(justify: true, leading: 0.6em)
#set heading(numbering: "1.1")
#show heading: set block(above: 1.4em, below: 0.8em)
#show table: set text(size: 8.5pt)
#show table: set par(justify: false)
#show raw: set text(font: "DejaVu Sans Mono", size: 0.85em)
#align(center, text(size: 17pt, weight: "bold")[{title}])
#v(0.8em)
"""


def main() -> int:
    """Write the PDF beside the Markdown; return the exit code."""
    import typst

    source = HERE / "paper.typ"
    source.write_text(markup((HERE / "paper.md").read_text()))
    try:
        # The root is docs/, since figures lie in docs/study. No font of this machine is asked for.
        (HERE / "paper.pdf").write_bytes(typst.compile(source, root=HERE.parent, ignore_system_fonts=True))
    finally:
        source.unlink()
    return 0


def markup(text: str) -> str:
    """Return Markdown as Typst's markup; the first heading is the title."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    title = _inline(tokens[1].children or [])
    return STYLE.replace("{title}", title) + "".join(_blocks(tokens[3:]))


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    lists: list[str] = []
    for token in tokens:
        match token.type:
            case "heading_open":
                yield "\n" + "=" * (int(token.tag[1]) - 1) + " "
            case "inline":
                yield _inline(token.children or [])
            case "paragraph_close":
                yield "\n" if token.hidden else "\n\n"
            case "bullet_list_open" | "ordered_list_open":
                lists.append("- " if token.type.startswith("bullet") else "+ ")
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
                yield "\n"
            case "list_item_open":
                yield "  " * (len(lists) - 1) + lists[-1]
            case "table_open":
                yield "\n#table(columns: " + _columns(tokens, token) + ", stroke: none, inset: (x: 4pt, y: 3pt), "
                yield "table.hline(stroke: 0.8pt),\n"
            case "thead_open":  # repeated on the next page
                yield "table.header("
            case "thead_close":
                yield "table.hline(stroke: 0.4pt)),\n"
            case "th_open" | "td_open":
                yield "["
            case "th_close" | "td_close":
                yield "], "
            case "table_close":
                yield "table.hline(stroke: 0.8pt))\n\n"
            case "heading_close":
                yield "\n"
            case "fence" | "code_block":
                yield f"```\n{token.content}```\n\n"


def _columns(tokens: Sequence[Token], table: Token) -> str:
    """Return the widths of a table's columns, each by the root of its longest cell, and wide enough for its words."""
    begin, longest, place = tokens.index(table), dict[int, float](), 0
    for token in tokens[begin:]:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            place = 0
        elif token.type == "inline":
            word = max(map(len, token.content.split()), default=0)
            longest[place] = max(longest.get(place, 1.0), len(token.content) ** 0.5, WORD * word)
            place += 1
    widths = [f"{width:.1f}fr" for width in longest.values()]
    return f"({', '.join(widths)})"


def _inline(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        match token.type:
            case "text":
                parts.append("".join(f"\\{letter}" if letter in SPECIAL else letter for letter in token.content))
            case "code_inline":
                parts.append(f"#raw({_quoted(token.content)})")
            case "strong_open" | "strong_close":
                parts.append("#strong[" if token.type.endswith("open") else "]")
            case "em_open" | "em_close":
                parts.append("#emph[" if token.type.endswith("open") else "]")
            case "softbreak":
                parts.append(" ")
            case "html_inline" if token.content == "<br>":
                parts.append(" #linebreak() ")
            case "link_open":
                href = str(token.attrs["href"])
                # A link to a page of the site leads nowhere in print.
                parts.append(f"#link({_quoted(href)})[" if href.startswith("http") else "#[")
            case "link_close":
                parts.append("]")
            case "image":
                path = "/" + str(token.attrs["src"]).removeprefix("../")
                parts.append(
                    f"#figure(image({_quoted(path)}, width: 100%), caption: [{_inline(token.children or [])}])"
                )
    return "".join(parts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


if __name__ == "__main__":
    sys.exit(main())
