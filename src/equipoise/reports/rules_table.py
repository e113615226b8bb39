"""The metrics of each decision rule, as headings and rows of text."""

from equipoise.reports.evidence import ByRule

ABSENT = "–"


def rules_table(by_rule: ByRule) -> tuple[list[str], list[list[str]]]:
    """Return headings and a row for each rule; a rule may lack a metric that another has, such as the size of sets."""
    names = list(dict.fromkeys(name for found in by_rule.values() for name in found))
    rows = [
        [rule, *(f"{found[name]:.3f}" if name in found else ABSENT for name in names)]
        for rule, found in by_rule.items()
    ]
    return ["decision rule", *names], rows
