"""The part of a page that a command writes, between two comments; the rest is written by hand."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- Written by {}: edits are lost -->", "<!-- The end of what is written by {} -->"

WIDTH = 120


def rewrite(page: Path, command: str, text: str) -> None:
    """Put the text in place of what the command wrote before."""
    before, begin, rest = page.read_text().partition(BEGIN.format(command))
    _, end, after = rest.partition(END.format(command))
    assert end, f"{page} has no place for what {command} writes"
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def filled(part: str) -> str:
    """Return a part whose lines are wrapped, but those of tables, pictures, headings and comments."""
    return "\n".join(
        line
        if line.startswith(("|", "!", "#", "<"))
        else textwrap.fill(
            line, WIDTH, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False
        )
        for line in part.split("\n")
    )


def table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))
