"""A comparison in one sentence: what is highest, by how much, whether that is more than noise, and what is free.

The sentence is never surer than the tests of the comparison (`repetitions`): seeds of one split show training noise
alone, too few pairs show nothing, and p is after the correction for all comparisons with the same reference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.comparison.compare import Comparison, Overall, Row, Table
from equipoise.comparison.display import PAIRS, interval, p_of, words
from equipoise.comparison.repetitions import CORRECTED, PERMUTATION, ROUNDING, Difference
from equipoise.comparison.splits import TITLES
from equipoise.core.errors import listing
from equipoise.metrics.orientation import orientation


@dataclass(frozen=True)
class _Entry:
    """A configuration with what the sentence needs of it, on one data set or over several."""

    labels: tuple[str, ...]
    label: str
    mean: float
    to_baseline: Difference | None
    to_control: Difference | None
    is_control: bool


def headline(comparison: Comparison, missing: str = "") -> str:
    """Return the sentence that stands first: over all data sets if there are several, or that of the only one.

    Parameters
    ----------
    missing : what the comparison lacks, such as `1 of 6 jobs`
    """
    said = of_table(comparison.tables[0], comparison.metric) if len(comparison.tables) == 1 else overall(comparison)
    return f"{said.removesuffix('.')}; {missing} did not finish." if missing else said


def of_table(table: Table, metric: str) -> str:
    """Return the sentence of one data set."""
    lead = f"Verdict on {table.dataset} ({TITLES[table.split]}): "
    entries = [_of_row(row, metric) for row in table.rows]
    if any(math.isnan(row.rank) for row in table.rows):
        return f"{lead}there is none, since the configurations share no split and seed that they could be compared at."
    return f"{lead}{_told(entries, metric)}{_of_trees(table, metric)}."


def overall(comparison: Comparison) -> str:
    """Return the sentence over several data sets."""
    lead = f"Verdict over {len(comparison.tables)} data sets ({TITLES[comparison.split]}): "
    rows = [row for table in comparison.tables for row in table.rows]
    if not comparison.overall:
        return f"{lead}there is none, since no configuration is on all of them."
    if any(math.isnan(row.rank) for row in rows):
        return f"{lead}there is none, since on one of them the configurations share no split and seed."
    controls = {label for row in rows if row.configuration.rule for label in row.configuration.labels}
    return f"{lead}{_told([_of_overall(one, controls) for one in comparison.overall], comparison.metric)}."


def _of_trees(table: Table, metric: str) -> str:
    """Return how much better a boosted tree without any weights is than every Keras model; "" if it is not."""
    if table.trees is None or orientation(metric) * table.trees[1].mean <= ROUNDING:
        return ""
    label, found = table.trees
    return f"; a boosted tree without any weights does better than the best Keras model: {label}, {_difference(found)}"


def _of_row(row: Row, metric: str) -> _Entry:
    found = row.configuration
    return _Entry(
        found.labels,
        found.label,
        row.spreads[metric].mean,
        row.to_baseline,
        row.to_control,
        is_control=found.rule is not None,
    )


def _of_overall(found: Overall, controls: set[str]) -> _Entry:
    return _Entry(
        found.labels,
        found.label,
        found.mean,
        found.to_baseline,
        found.to_control,
        is_control=bool(controls & {*found.labels}),
    )


def _told(entries: Sequence[_Entry], metric: str) -> str:
    """Return the sentence without its lead; the entries are best first."""
    best = [one for one in entries if abs(one.mean - entries[0].mean) <= ROUNDING]
    references = {one.to_baseline.reference for one in entries if one.to_baseline}
    names = [_named(one, references) for one in best]
    if len(entries) == 1:
        return f"{names[0]} alone has {words(metric)} {best[0].mean:.3f}, and nothing is compared with it"
    end = "highest" if orientation(metric) > 0 else "lowest"
    verb = "is" if len(best) == 1 else "are alike"
    lead = f"{_joined(names)} {verb} {end} by {words(metric)} ({best[0].mean:.3f})"
    if not references:
        return (
            f"{lead}; whether that is more than noise is not known, since no baseline is compared: "
            "loss=custom weighting=none adds one"
        )
    if any(_is_baseline(one, references) for one in best):
        leader = next(one for one in best if _is_baseline(one, references))
        return f"{lead}{_runner_up(leader, best, entries)}{_control(leader, best, entries)}"
    leader = min(best, key=_sureness)
    found = leader.to_baseline
    if found is None:
        return f"{lead}; no baseline has its other settings, so that nothing is compared with it"
    of_whom = "" if len(best) == 1 else f"{leader.label}, "
    return f"{lead}: {of_whom}{_difference(found)}{_shown(found, entries)}{_control(leader, best, entries)}"


def _named(entry: _Entry, references: set[str]) -> str:
    if entry.is_control:
        return f"the free control, {entry.label},"
    return f"{entry.label}, the baseline," if _is_baseline(entry, references) else entry.label


def _is_baseline(entry: _Entry, references: set[str]) -> bool:
    return entry.to_baseline is None and bool(references & {*entry.labels})


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{listing([name.rstrip(',') for name in names[:-1]], 4)} and {names[-1]}"


def _sureness(entry: _Entry) -> float:
    """Return a number that is lower, the less is shown of the entry's difference to its baseline."""
    found = entry.to_baseline
    return -2.0 if found is None else -1.0 if found.p is None else 1 - found.p


def _difference(found: Difference) -> str:
    """Return a difference with its interval, its p and what both show."""
    p = p_of(found)
    if p and found.comparisons > 1:
        p += f" after correction for {found.comparisons} comparisons"
        if not found.is_shown and (found.low > 0 or found.high < 0):
            p += " (the interval is of this one alone)"
    return f"{interval(found)} against {found.reference}{p}, {evidence(found)}"


def evidence(found: Difference) -> str:
    """Return what the test of a difference shows, and for what it holds."""
    kind = PAIRS[found.test].replace("\u00a0", " ")
    if found.p is None and found.needed:
        had = f"one pair of {kind} is" if found.pairs == 1 else f"{found.pairs} {kind} are"
        return f"which may be noise: {had} too few to test, {found.needed} could do"
    if found.test == PERMUTATION:
        return f"{_sure(found)} training noise on this one split"
    return f"{_sure(found)} noise over {found.pairs} {kind}{' of these data' * (found.test == CORRECTED)}"


def _sure(found: Difference) -> str:
    return "more than" if found.is_shown else "not shown to be more than"


def _shown(leading: Difference, entries: Sequence[_Entry]) -> str:
    """Return what is shown to be better than the baseline where the highest is not; "" if nothing is."""
    if leading.is_shown:
        return ""
    sign = 1 if leading.mean > 0 else -1
    for one in entries:
        found = one.to_baseline
        if found and found.is_shown and sign * found.mean > 0 and found.reference == leading.reference:
            return f"; shown to be better is {one.label}: {interval(found)}{p_of(found)}"
    return ""


def _runner_up(baseline: _Entry, best: Sequence[_Entry], entries: Sequence[_Entry]) -> str:
    """Return how far behind the baseline the best of the others is that it is the reference of; "" if there is none."""
    for one in entries:
        found = one.to_baseline
        if one not in best and not one.is_control and found and found.reference in baseline.labels:
            return f"; of the others {one.label} comes next, {_difference(found)}"
    return ""


def _control(leader: _Entry, best: Sequence[_Entry], entries: Sequence[_Entry]) -> str:
    """Return what the free control reaches, and how far the leader is from it; "" without one.

    Of a control that leads itself, return how far from it the best of the trained configurations is.
    """
    if leader.is_control:
        for one in entries:
            if one not in best and not one.is_control and one.to_control:
                return f"; of the trained configurations {one.label} is first, {_difference(one.to_control)}"
        return ""
    found = leader.to_control
    control = next((one for one in entries if one.is_control and found and found.reference in one.labels), None)
    if found is None or control is None or control in best:
        return ""
    sure = "untested" if found.p is None else f"{_sure(found)} noise"
    return (
        f"; the free control, {control.label}, reaches {control.mean:.3f}, and {leader.label} is {interval(found)} "
        f"from it{p_of(found)}, {sure}"
    )
