"""A comparison in the terminal."""

from equipoise.comparison import display, verdict
from equipoise.comparison.compare import Comparison, Table
from equipoise.core import terminal


def print_comparison(comparison: Comparison, source: str, said: str) -> None:
    """Print the verdict, one table with its notes per data set, and what holds over all of them.

    Parameters
    ----------
    said : the verdict that stands first
    """
    terminal.say(f"\n{source}", style="bold")
    terminal.say(said)
    for table in comparison.tables:
        terminal.console.print()
        if len(comparison.tables) > 1:
            terminal.say(verdict.of_table(table, comparison.metric))
        _print_table(table, comparison.metric)
    if comparison.overall:
        headings, rows = display.overall_columns(comparison)
        terminal.console.print()
        terminal.print_table(display.overall_title(comparison), _broken(headings), rows)
    for line in (*display.overall_lines(comparison), *display.ranking_lines(comparison)):
        terminal.console.print(line)


def _print_table(table: Table, metric: str) -> None:
    """Print the table without the columns that are too many for the width, and its notes."""
    title = display.title(table)
    for cells in display.narrowed(table, metric):
        headings, rows, left_out = cells
        if len(terminal.tables(title, _broken(headings), rows, terminal.console.width)) == 1:
            break
    terminal.print_table(title, _broken(headings), rows)
    if left_out:
        terminal.console.print(f"Columns that are too many for this width are on the page: {', '.join(left_out)}.")
    for note in table.notes:
        terminal.console.print(note)
    headings, rows = display.rules(table, metric)
    if rows:
        terminal.console.print()
        terminal.print_table(display.rules_title(table, metric), headings, rows)


def _broken(headings: list[str]) -> list[str]:
    return [heading.replace(" ", "\n") for heading in headings]
