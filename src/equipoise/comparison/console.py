"""A comparison in the terminal."""

from equipoise.comparison import display
from equipoise.comparison.compare import Comparison
from equipoise.core import terminal


def print_comparison(comparison: Comparison, source: str) -> None:
    """Print one table with its notes per data set, and what holds over all of them."""
    terminal.console.print(f"\n{source}", style="bold")
    for table in comparison.tables:
        headings, rows = display.columns(table, comparison.metric)
        terminal.print_table(display.title(table), [heading.replace(" ", "\n") for heading in headings], rows)
        for note in table.notes:
            terminal.console.print(note)
        headings, rows = display.rules(table, comparison.metric)
        if rows:
            terminal.console.print()
            terminal.print_table(display.rules_title(table, comparison.metric), headings, rows)
    if comparison.overall:
        headings, rows = display.overall_columns(comparison)
        terminal.print_table(
            display.overall_title(comparison), [heading.replace(" ", "\n") for heading in headings], rows
        )
    for line in (*display.overall_lines(comparison), *display.ranking_lines(comparison)):
        terminal.console.print(line)
