"""A comparison as headings, rows and sentences: what the terminal and the page show."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from equipoise.comparison.compare import PANEL, Comparison, Table
from equipoise.comparison.repetitions import CORRECTED, PERMUTATION, WILCOXON, Difference, Spread
from equipoise.comparison.significance import ALPHA
from equipoise.comparison.splits import TITLES
from equipoise.core.errors import listing
from equipoise.metrics.orientation import orientation

ABSENT = "–"
# What the pairs of each test are.
PAIRS = {CORRECTED: "splits", PERMUTATION: "seeds", WILCOXON: "data\u00a0sets"}

# Columns, besides other metrics, that a narrow terminal leaves to the page.
_DISPENSABLE = ("runs", "SD\u00a0splits", "SD\u00a0seeds", "mean rank", "on front")

Column = tuple[str, list[str]]  # its heading and its cells
Cells = tuple[list[str], list[list[str]]]  # headings, and rows


def columns(table: Table, metric: str) -> Cells:
    """Return headings and one row per configuration, without the columns that have no content."""
    others = [name for name in PANEL if name != metric]
    found: list[Column] = [
        ("configuration", [row.configuration.label for row in table.rows]),
        ("runs", [str(row.spreads[metric].runs) for row in table.rows]),
        (words(metric), [_spread(row.spreads[metric]) for row in table.rows]),
        *_deviations([row.spreads[metric] for row in table.rows]),
        ("mean rank", [_number(row.rank, ".1f") for row in table.rows]),
        *_differences("baseline", [row.to_baseline for row in table.rows]),
        *_differences("post-hoc", [row.to_control for row in table.rows]),
        *((words(name), [_mean(row.spreads.get(name)) for row in table.rows]) for name in others),
        ("on front", ["●" if row.on_front else "" for row in table.rows]),
    ]
    return _as_rows([(heading, cells) for heading, cells in found if any(cell not in ("", ABSENT) for cell in cells)])


def narrowed(table: Table, metric: str) -> Iterator[tuple[list[str], list[list[str]], list[str]]]:
    """Yield headings, rows and the columns that are left out: all first, then ever fewer of them.

    Means, paired differences and p stay; of the differences, the last to go is in how many pairs they are better.
    """
    headings, rows = columns(table, metric)
    dispensable = [heading for heading in headings if heading in _DISPENSABLE or heading in map(words, PANEL)]
    dispensable = [heading for heading in dispensable if heading != words(metric)]
    for count in range(len(dispensable) + 1):
        left_out = dispensable[len(dispensable) - count :]
        kept = [index for index, heading in enumerate(headings) if heading not in left_out]
        yield [headings[index] for index in kept], [[row[index] for index in kept] for row in rows], left_out
    heads, cells = [headings[index] for index in kept], [[row[index] for index in kept] for row in rows]
    yield (
        [heading.partition(" (better")[0] for heading in heads],
        [[cell.partition(" (")[0] if cell[:1] in "+-" else cell for cell in row] for row in cells],
        [*left_out, "better in"],
    )


def _as_rows(columns: Sequence[Column]) -> Cells:
    return [heading for heading, _ in columns], [
        list(row) for row in zip(*(cells for _, cells in columns), strict=True)
    ]


def _deviations(spreads: Sequence[Spread]) -> list[Column]:
    """Standard deviations between splits and between seeds; none unless there are several of both."""
    found = {
        "SD\u00a0splits": [one.between_splits for one in spreads],
        "SD\u00a0seeds": [one.between_seeds for one in spreads],
    }
    if any(np.isnan(values).all() for values in found.values()):
        return []
    return [(heading, [_number(value, ".3f") for value in values]) for heading, values in found.items()]


def _differences(name: str, differences: Sequence[Difference | None]) -> list[Column]:
    """Paired differences and their p; to the baseline, under the name of the reference if there is only one."""
    if not any(differences):
        return []
    references = {one.reference for one in differences if one}
    shown = references.pop() if len(references) == 1 and name == "baseline" else name
    pairs = " or ".join(sorted({PAIRS[one.test] for one in differences if one}))
    found = [(f"−\u00a0{shown} (better\u00a0in {pairs})", [_difference(one) for one in differences])]
    if any(one.p is not None for one in differences if one):  # otherwise a note says how many pairs a test needs
        found.append(("p", [_p(one) for one in differences]))
    return found


def title(table: Table) -> str:
    """Return the title of the table."""
    return f"{table.dataset}: {TITLES[table.split]}; mean ± SD of the runs; paired differences{scope(table)}"


def rules(table: Table, metric: str) -> Cells:
    """Return headings and one row per configuration: its mean by each decision rule; no rows for the test split.

    The configuration with the best rule is first; the best mean of all is marked.
    """
    means = np.array([[*found.values()] for found in table.by_rule.values()])
    if not means.size or np.isnan(means).all():
        return [], []
    scores = np.where(np.isnan(means), -np.inf, orientation(metric) * means)
    labels, best = list(table.by_rule), scores.max()
    rows = [
        [
            labels[row],
            *(_number(value, ".3f") + " ●" * bool(score == best) for value, score in zip(*of_row, strict=True)),
        ]
        for row in np.argsort(-scores.max(axis=1), kind="stable")
        for of_row in [(means[row], scores[row])]
    ]
    return ["configuration", *table.by_rule[labels[0]]], rows


def rules_title(table: Table, metric: str) -> str:
    """Return the title of the table of decision rules."""
    return f"{table.dataset}: {TITLES[table.split]}; {words(metric)} by decision rule, mean of the runs; ● the best"


def scope(table: Table) -> str:
    """Return what p and intervals cover, as the end of a title, if that is the training noise on one split."""
    tests = {found.test for row in table.rows for found in (row.to_baseline, row.to_control) if found}
    return "; p: training noise on this split" if tests == {PERMUTATION} else ""


def intervals(table: Table) -> Cells:
    """Return headings and one row per configuration and metric: its mean, interval and standard deviations."""
    found = [(row.configuration.label, name, spread) for row in table.rows for name, spread in row.spreads.items()]
    spreads = [spread for _, _, spread in found]
    return _as_rows(
        [
            ("configuration", [label for label, _, _ in found]),
            ("metric", [words(name) for _, name, _ in found]),
            ("over", [_repetitions(one) for one in spreads]),
            ("mean", [f"{one.mean:.4f}" for one in spreads]),
            ("low", [_number(one.low, ".4f") for one in spreads]),
            ("high", [_number(one.high, ".4f") for one in spreads]),
            ("SD of the runs", [_number(one.deviation, ".4f") for one in spreads]),
            ("SD between splits", [_number(one.between_splits, ".4f") for one in spreads]),
            ("SD between seeds", [_number(one.between_seeds, ".4f") for one in spreads]),
        ]
    )


def difference_intervals(table: Table) -> Cells:
    """Return headings and one row per paired difference: its interval, its test and its effect size."""
    found = [(row.configuration.label, one) for row in table.rows for one in (row.to_baseline, row.to_control) if one]
    differences = [one for _, one in found]
    columns = [
        ("configuration", [label for label, _ in found]),
        ("minus", [one.reference for one in differences]),
        ("difference", [f"{one.mean:+.4f}" for one in differences]),
        ("low", [_number(one.low, "+.4f") for one in differences]),
        ("high", [_number(one.high, "+.4f") for one in differences]),
        ("pairs", [f"{one.pairs} {PAIRS[one.test]}" for one in differences]),
        ("better in", [str(one.better) for one in differences]),
        ("p (Holm)", [_p(one) for one in differences]),
        ("effect (rank-biserial)", [f"{one.effect:+.2f}" for one in differences]),
        ("SD between splits", [_number(one.between_splits, ".4f") for one in differences]),
        ("SD between seeds", [_number(one.between_seeds, ".4f") for one in differences]),
    ]
    if any(one.posterior for one in differences):
        columns.append(("P(below, equal, above)", [_posterior(one) for one in differences]))
    return _as_rows(columns)


def overall_columns(comparison: Comparison) -> Cells:
    """Return headings and one row per configuration that every data set has; no row for one data set."""
    found = comparison.overall
    return _as_rows(
        [
            ("configuration", [one.label for one in found]),
            (f"{words(comparison.metric)}, mean", [f"{one.mean:.3f}" for one in found]),
            *_differences("baseline", [one.to_baseline for one in found]),
            *_differences("post-hoc", [one.to_control for one in found]),
        ]
    )


def overall_title(comparison: Comparison) -> str:
    """Return the title of the table over several data sets."""
    return f"Over {len(comparison.tables)} data sets: means, and paired differences, one per data set"


def overall_lines(comparison: Comparison) -> list[str]:
    """Return what a reader must know of the table over several data sets, one sentence each."""
    differences = [one for row in comparison.overall for one in (row.to_baseline, row.to_control) if one]
    families = {one.reference: one.comparisons for one in differences}
    lines = []
    if families:
        parts = ", ".join(f"{count} with {reference}" for reference, count in families.items())
        lines.append(
            "p is of Wilcoxon's signed-rank test over the data sets, after Holm's correction, "
            f"one family for each reference; comparisons: {parts}."
        )
    for needed in sorted({one.needed for one in differences if one.p is None}):
        lines.append(
            f"Too few data sets to test (n < {needed}): over {len(comparison.tables)} no difference could reach "
            f"significance; over {needed} one could."
        )
    if comparison.left_out:
        lines.append(f"Omitted, since a data set lacks them: {listing(comparison.left_out, 6)}.")
    return lines


def ranking_lines(comparison: Comparison) -> list[str]:
    """Return what the picture of mean ranks over several data sets shows, in sentences; none for one data set."""
    ranking = comparison.ranking
    if ranking is None:
        if len(comparison.tables) > 1:
            return ["Over several data sets, Friedman's test needs three configurations that all of them have."]
        return []
    ordered = sorted(zip(ranking.ranks, comparison.ranked, strict=True))
    lines = [
        f"Over {len(comparison.tables)} data sets: Friedman chi square {ranking.chi_square:.3f}, "
        f"df {len(ordered) - 1}, p {ranking.p:.4g}; mean ranks more than {ranking.critical_difference:.2f} apart are "
        "shown to differ (Nemenyi).",
        "Mean ranks: " + ", ".join(f"{label} {rank:.2f}" for rank, label in ordered) + ".",
    ]
    if ranking.p > ALPHA:
        lines.append(
            "Friedman's test does not show that the configurations differ, "
            "so no difference between two mean ranks counts as shown."
        )
    return lines


def words(metric: str) -> str:
    """Return the metric's name as a reader knows it."""
    return metric.replace("_", " ").replace("f1", "F1").replace("mcc", "MCC")


def _spread(spread: Spread) -> str:
    return f"{spread.mean:.3f}" if math.isnan(spread.deviation) else f"{spread.mean:.3f} ± {spread.deviation:.3f}"


def _repetitions(spread: Spread) -> str:
    """Return what the mean and its interval are over."""
    return f"{spread.units} splits" if spread.units > 1 else f"{spread.runs} seed{'s' * (spread.runs > 1)}"


def _mean(spread: Spread | None) -> str:
    return ABSENT if spread is None else f"{spread.mean:.3f}"


def _number(value: float, form: str) -> str:
    return ABSENT if math.isnan(value) else format(value, form)


def _difference(found: Difference | None) -> str:
    return "" if found is None else f"{found.mean:+.3f} ({found.better}/{found.pairs})"


def interval(found: Difference) -> str:
    """Return a difference with its interval, if it has one."""
    bounds = "" if math.isnan(found.low) else f" ({found.low:+.3f} to {found.high:+.3f})"
    return f"{found.mean:+.3f}{bounds}"


def signed(value: float) -> str:
    """Return a difference; a dash where it is not defined."""
    return _number(value, "+.3f")


def p_of(found: Difference) -> str:
    """Return p as the end of a clause; "" if the difference was not tested."""
    if found.p is None:
        return ""
    return f", p = {found.p:.3f}" if found.p >= 0.001 else ", p < 0.001"


def _p(found: Difference | None) -> str:
    if found is None:
        return ""
    if found.p is None:
        return f"n < {found.needed}" if found.needed else ABSENT
    return f"{found.p:.3f}" if found.p >= 0.001 else "<0.001"


def _posterior(found: Difference) -> str:
    posterior = found.posterior
    return "" if posterior is None else f"{posterior.below:.2f}, {posterior.within:.2f}, {posterior.above:.2f}"
