"""A comparison in the terminal."""

from equipoise.comparison.compare import Comparison
from equipoise.core import terminal


def print_comparison(comparison: Comparison, source: str) -> None:
    """A table a data set with what is to be said of it, and what holds over all of them."""
    from equipoise.comparison import report

    terminal.console.print(f"\n{source}", style="bold")
    for table in comparison.tables:
        headings, rows = report.columns(table, comparison.metric)
        terminal.print_table(report.title(table), [heading.replace(" ", "\n") for heading in headings], rows)
        for note in table.notes:
            terminal.console.print(note)
    if comparison.overall:
        headings, rows = report.overall_columns(comparison)
        terminal.print_table(
            report.overall_title(comparison), [heading.replace(" ", "\n") for heading in headings], rows
        )
    for line in (*report.overall_lines(comparison), *report.ranking_lines(comparison)):
        terminal.console.print(line)
