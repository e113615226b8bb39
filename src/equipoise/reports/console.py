"""A run's results in the terminal: its classes, its metrics, its decision rules, its slices and its gates."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.columns import Columns

from equipoise.core import terminal
from equipoise.core.schema import Integers
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.gates import Checked
from equipoise.metrics.intervals import Interval
from equipoise.metrics.slices import Slices
from equipoise.reports import slice_table
from equipoise.reports.class_rows import MOST_ROWS, shown_classes
from equipoise.reports.evidence import CHOOSING, JUDGING, ByRule, Evidence
from equipoise.reports.lengths import by_length
from equipoise.reports.rules_table import rules_table

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
    "coverage",
    "error_decided",
    "set_size",
    "set_coverage",
    "worst_class_set_coverage",
    "recall_many",
    "recall_medium",
    "recall_few",
    "log_loss",
    "log_loss_corrected",
    "ece",
)
BY_CLASS = ("precision", "recall", "f1", "average_precision", "prevalence")


def print_evaluation(
    evaluation: Evaluation, intervals: Mapping[str, Interval], weights: ClassWeights, head_to_tail: Integers
) -> None:
    """Print the table of the classes, head first, beside the summary metrics with their 95 % intervals."""
    rows = []
    for index in shown_classes(head_to_tail):
        if index is None:
            rows.append(["…"] * 8)
            continue
        values = [evaluation.per_class[name][index] for name in BY_CLASS]
        numbers = ["–" if np.isnan(value) else f"{value:.3f}" for value in values]
        rows.append([weights.label(index), str(weights.counts[index]), f"{weights.weights[index]:.4g}", *numbers])
    headings = ["class", "n train", "weight", "precision", "recall", "F1", "AP", "by chance"]
    whole = [
        [name, f"{evaluation.summary[name]:.3f}", str(intervals.get(name, ""))]
        for name in SUMMARY
        if name in evaluation.summary
    ]
    width = terminal.console.width
    per_class = terminal.tables("Test split by class, head to tail", headings, rows, width)
    overall = terminal.tables("Test split as a whole", ["metric", "value", "95 %"], whole, width)
    terminal.console.print(Columns([*per_class, *overall]))


def print_rules(validation: ByRule, test: ByRule, configured: str) -> None:
    """Print the metrics of each decision rule on the logits of the same model; the configured rule is marked.

    The validation split is what to choose a rule by; without validation samples there is none.
    """
    for split, by_rule, purpose in (("Validation split", validation, CHOOSING), ("Test split", test, JUDGING)):
        if by_rule:
            headings, cells = rules_table(by_rule)
            rows = [[f"{rule} (configured)" if rule == configured else rule, *row] for rule, *row in cells]
            terminal.print_table(f"{split} by decision rule, of the same model: {purpose}", headings, rows)


def print_earlier(evidence: Evidence) -> None:
    """Print what the model was worth after fewer epochs, if that was asked."""
    for table in by_length(evidence):
        terminal.print_table(table.title, table.headings, table.rows)


def print_slices(recalls: Slices) -> None:
    """Print the recalls by class and slice, the lowest first, and which of them differ by more than noise."""
    shown = recalls.with_samples
    left = f" (the lowest {MOST_ROWS} of {len(shown)})" if len(shown) > MOST_ROWS else ""
    terminal.print_table(f"Recall by class and slice{left}", slice_table.HEADINGS, slice_table.rows(shown[:MOST_ROWS]))
    for line in slice_table.told(recalls):
        terminal.console.print(line)


def print_gates(gates: Sequence[Checked]) -> None:
    """Print each gate with the value that was measured, and whether it is passed."""
    rows = [
        [str(one.gate), one.value, one.measured.interval or "–", "passed" if one.is_passed else "failed"]
        for one in gates
    ]
    terminal.print_table("Gates", ["gate", "value", "95 %", "result"], rows)


def headline(evaluation: Evaluation) -> str:
    """Return the headline metrics in a line, as each of many jobs shows them."""
    shown = ("balanced_accuracy", "macro_f1", "mcc")
    return "  ".join(f"{name} {evaluation.summary[name]:.3f}" for name in shown if name in evaluation.summary)
