"""What a model was worth after fewer epochs, beside what it is worth at the end: tables for a terminal and a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from equipoise.reports.evidence import CHOOSING, JUDGING, ByRule, Evidence

PREFERRED = "balanced_accuracy"


@dataclass(frozen=True)
class ByLength:
    """A table of one metric, a row for each number of epochs, a column for each decision rule."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def by_length(evidence: Evidence) -> Iterator[ByLength]:
    """Yield the table of the validation split, which is for choosing, then that of the test split; none if not asked.

    Their metric is balanced accuracy; where a sample has any number of labels, the first one of the decision rules.
    """
    if not evidence.earlier:
        return
    last: dict[int | str, tuple[ByRule, ByRule]] = {len(evidence.history): (evidence.rules, evidence.validation_rules)}
    lengths = {**evidence.earlier, **last}
    for split, place, purpose in (("Validation", 1, CHOOSING), ("Test", 0, JUDGING)):
        found = {epochs: both[place] for epochs, both in lengths.items() if both[place]}
        if not found:
            continue
        rules = list(last[len(evidence.history)][place])
        names = list(found[len(evidence.history)][rules[0]])
        metric = PREFERRED if PREFERRED in names else names[0]
        rows = [
            [named, *(f"{by_rule[rule][metric]:.3f}" if rule in by_rule else "–" for rule in rules)]
            for named, by_rule in ((_named(epochs, evidence.best), by_rule) for epochs, by_rule in found.items())
        ]
        title = f"{split} split by epochs and decision rule, {metric.replace('_', ' ')}: {purpose}"
        yield ByLength(title, ["epochs", *rules], rows)


def _named(epochs: int | str, best: int) -> str:
    return f"{epochs:,}" if isinstance(epochs, int) else f"{epochs} ({best:,})"
