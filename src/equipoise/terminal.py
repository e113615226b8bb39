"""What a run shows in the terminal: a live bar while it trains, then its tables."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TextIO

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from equipoise.comparison import Comparison
from equipoise.intervals import Interval
from equipoise.metrics import Evaluation
from equipoise.options import Integers, printable
from equipoise.weighting import ClassWeights

# Of more classes than this the table shows the most and the least frequent ones.
MOST_ROWS = 40
SUMMARY = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "micro_f1",
    "hamming_loss",
    "g_mean",
    "mcc",
    "worst_class_recall",
    "expected_cost",
    "recall_many",
    "recall_medium",
    "recall_few",
    "log_loss",
    "log_loss_corrected",
    "ece",
)

# A pipe has no width; 80 columns would cut the tables.
# No markup: brackets in a path or a class name are meant.
console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 132)
errors = Console(stderr=True, highlight=False, markup=False)


def warn(message: str) -> None:
    """One line that the user should not miss."""
    errors.print(Text.assemble(("warning:", "yellow"), f" {printable(message)}"), soft_wrap=True)


@contextlib.contextmanager
def written_to(file: TextIO) -> Iterator[None]:
    """Write to a file what the body would show."""
    before = console.file, errors.file
    console.file = errors.file = file
    try:
        yield
    finally:
        console.file, errors.file = before


@contextlib.contextmanager
def progress_bar(epochs: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """A live bar; call what it yields with each epoch's metrics. Not on a terminal, only its end is printed."""
    columns = (BarColumn(16), MofNCompleteColumn(), TextColumn("epochs  {task.fields[metrics]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=epochs, metrics="")

        def advance(metrics: Mapping[str, float]) -> None:
            text = f"loss {metrics['train/loss']:.4f}  val/balanced_accuracy {metrics['val/balanced_accuracy']:.3f}"
            progress.update(task, advance=1, metrics=text)

        yield advance


def print_evaluation(evaluation: Evaluation, intervals: Mapping[str, Interval], weights: ClassWeights, head_to_tail: Integers) -> None:
    """The per-class table, head first, beside the summary metrics with their 95 % intervals."""
    per_class = _table("Test split by class, head to tail")
    per_class.add_column("class")
    for heading in ("n train", "weight", "precision", "recall", "F1", "AP", "by chance"):
        per_class.add_column(heading, justify="right")
    for index in shown_classes(head_to_tail):
        if index is None:
            per_class.add_row(*["…"] * 8)
            continue
        values = (evaluation.per_class[key][index] for key in ("precision", "recall", "f1", "average_precision", "prevalence"))
        numbers = ["–" if value != value else f"{value:.3f}" for value in values]
        per_class.add_row(Text(weights.classes[index]), str(weights.counts[index]), f"{weights.weights[index]:.4g}", *numbers)
    summary = _table("Test split as a whole")
    summary.add_column("metric")
    summary.add_column("value", justify="right")
    summary.add_column("95 %")
    for name in SUMMARY:
        if name in evaluation.summary:
            low_high = "{:.3f} to {:.3f}".format(*intervals[name]) if name in intervals else ""
            summary.add_row(name, f"{evaluation.summary[name]:.3f}", low_high)
    console.print(Columns([per_class, summary]))


def print_rules(by_rule: Mapping[str, Mapping[str, float]], configured: str) -> None:
    """What each decision rule makes of the same model, the configured one marked."""
    names = list(next(iter(by_rule.values())))
    rows = [[f"{rule} (configured)" if rule == configured else rule, *(f"{metrics[name]:.3f}" for name in names)] for rule, metrics in by_rule.items()]
    print_table("Test split by decision rule, of the same model", ["rule", *names], rows)


def print_summary_line(evaluation: Evaluation) -> None:
    """The headline metrics alone, as one of many jobs prints them."""
    shown = ("balanced_accuracy", "macro_f1", "mcc")
    console.print("  ".join(f"{name} {evaluation.summary[name]:.3f}" for name in shown if name in evaluation.summary))


def print_comparison(comparison: Comparison, source: str) -> None:
    """A table a data set with what is to be said of it, and what holds over all of them."""
    from equipoise import comparison_report

    console.print(f"\n{source}", style="bold")
    for table in comparison.tables:
        headings, rows = comparison_report.columns(table, comparison.metric)
        print_table(comparison_report.title(table), [heading.replace(" ", "\n") for heading in headings], rows)
        for note in table.notes:
            console.print(note)
    if comparison.overall:
        headings, rows = comparison_report.overall_columns(comparison)
        print_table(comparison_report.overall_title(comparison), [heading.replace(" ", "\n") for heading in headings], rows)
    for line in (*comparison_report.overall_lines(comparison), *comparison_report.ranking_lines(comparison)):
        console.print(line)


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table, text to the left and numbers to the right."""
    table = _table(title)
    for column, heading in enumerate(headings):
        numeric = any(row[column][:1].isdigit() or row[column][:1] in "+-" for row in rows if row[column])
        # Only the first column, which says what a row is, may be broken into lines.
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=column > 0, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def shown_classes(head_to_tail: Integers) -> list[int | None]:
    """The class indices of a table's rows; of many, the most and the least frequent, with None between them."""
    order: list[int | None] = [int(index) for index in head_to_tail]
    half = MOST_ROWS // 2
    return order if len(order) <= MOST_ROWS else [*order[:half], None, *order[-half:]]
