"""What a command says in the terminal: messages, warnings and tables, and what is left of them under --quiet."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from equipoise.core.errors import printable
from equipoise.core.state import kept

WIDTH = 132  # columns where there is no terminal, unless COLUMNS gives another number
LEAST_NAME = 24  # columns for the name of a row, if it is that long
WARNING, NOTE = "warning: ", "note: "
GAP = 2  # blanks between two columns of a table; half of it at either end

# No markup: brackets in a path or a class name are part of it.
console = Console(
    highlight=False, markup=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH
)
errors = Console(stderr=True, highlight=False, markup=False)


class _Messages:
    """The warnings and notes that were shown, so that repetitions can be omitted."""

    def __init__(self) -> None:
        self._shown: set[str] | None = None

    @contextlib.contextmanager
    def without_repetitions(self) -> Iterator[None]:
        self._shown = set()
        try:
            yield
        finally:
            self._shown = None

    def takes(self, message: str) -> bool:
        """Return whether to show the message, and remember that it was shown."""
        if self._shown is None:
            return True
        is_new = message not in self._shown
        self._shown.add(message)
        return is_new


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """Show each warning and note once while the body runs: the jobs of a sweep have most of theirs in common."""
    with kept(_Messages).without_repetitions():
        yield


def warn(message: str) -> None:
    """Show one line that the user should not miss."""
    if kept(_Messages).takes(message):
        errors.print(Text.assemble((WARNING, "yellow"), printable(message)), soft_wrap=True)


def note(message: str) -> None:
    """Show one line about what was chosen for the user, where nothing is wrong."""
    if kept(_Messages).takes(message):
        console.print(f"{NOTE}{printable(message)}", soft_wrap=True)


def retell(line: str) -> None:
    """Show a line that another process has shown."""
    if line.startswith(WARNING):
        warn(line.removeprefix(WARNING))
    elif line.startswith(NOTE):
        note(line.removeprefix(NOTE))
    else:
        (errors if line.startswith("error:") else console).print(line, soft_wrap=True)


@contextlib.contextmanager
def quietly(is_quiet: bool = True) -> Iterator[None]:
    """Show only warnings, errors and what is said aloud, if it is to be quiet."""
    before = console.quiet
    console.quiet = before or is_quiet
    try:
        yield
    finally:
        console.quiet = before


@contextlib.contextmanager
def aloud() -> Iterator[None]:
    """Show the result, which the body prints on the console, under --quiet too."""
    before = console.quiet
    console.quiet = False
    try:
        yield
    finally:
        console.quiet = before


def say(line: str, style: str | None = None) -> None:
    """Show one line of the result, under --quiet too."""
    with aloud():
        console.print(line, style=style, soft_wrap=True)


@contextlib.contextmanager
def written_to(file: TextIO) -> Iterator[None]:
    """Write to the file what the body would show in the terminal."""
    # A stream of the process is not named, so that the console follows where the process writes later.
    standard = (sys.stdout, sys.stderr)
    before = [None if one.file in standard else one.file for one in (console, errors)]
    console.file = errors.file = file
    try:
        yield
    finally:
        console.file, errors.file = before  # type: ignore[assignment]  # None: the stream of the process


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain table, text to the left and numbers to the right, in parts where the terminal is narrow."""
    for number, table in enumerate(tables(title, headings, rows, console.width)):
        # By itself: as the table's own it would be broken to the width of a narrow table.
        console.print(f"{title} (continued)" if number else title, style="italic")
        table.title = None
        console.print(table)


def tables(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[Table]:
    """Return the table in as many parts as the width needs, so that no number is cut; each repeats the column of names.

    Only names are broken into lines: to LEAST_NAME columns if the table then fits in one part, otherwise to a third of
    the width.
    """
    widths = [
        max(cell_len(line) for cell in column for line in cell.split("\n"))
        for column in zip(headings, *rows, strict=True)
    ]
    name, others = widths[0], sum(widths[1:]) + GAP * (len(widths) - 1)
    room = width - GAP
    if name + others > room:
        name = room - others if room - others >= LEAST_NAME else min(name, max(LEAST_NAME, width // 3))
    parts: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        if parts[-1] and name + sum(GAP + widths[one] for one in (*parts[-1], column)) > room:
            parts.append([])
        parts[-1].append(column)
    return [
        _table(title if number == 0 else f"{title} (continued)", headings, rows, [0, *part], name)
        for number, part in enumerate(parts)
    ]


def _table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], columns: Sequence[int], name: int
) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        numeric = column > 0 and any(
            row[column][:1].isdigit() or row[column][:1] in "+-−" for row in rows if row[column]
        )
        width = name if column == 0 else None
        table.add_column(
            headings[column], justify="right" if numeric else "left", no_wrap=column > 0, overflow="fold", width=width
        )
    for row in rows:
        table.add_row(*(Text(row[column]) for column in columns))
    return table
