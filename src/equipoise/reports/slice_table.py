"""Recall by class and slice in words: for the terminal and for a run's page."""

from collections.abc import Mapping, Sequence

from equipoise.core.errors import counted
from equipoise.metrics.slices import Finding, SliceRecall, Slices

HEADINGS = ("class, slice", "n test", "recall", "95 %", "elsewhere", "p", "differs")
SHORT: Mapping[Finding, str] = {
    "lower": "lower",
    "higher": "higher",
    "not shown to differ": "not shown",
    "too few rows": "too few rows",
    "no rest": "–",
}
MOST_TOLD = 10  # differences in sentences; the table has them all


def told(slices: Slices) -> list[str]:
    """Return what the recalls show, a sentence each: how they were tested, and which of them differ."""
    if not slices.tests:
        return [*slices.notes, "No class has samples in two slices of a column, so there is nothing to compare."]
    found = slices.with_samples
    shown = [one for one in found if one.finding in ("lower", "higher")]
    small = sum(one.finding == "too few rows" for one in found)
    more, verb = len(shown) - MOST_TOLD, "differs" if len(shown) == 1 else "differ"
    return [
        *slices.notes,
        "Each recall is compared with that of the same class in the column's other slices (elsewhere): Fisher's exact "
        f"test, p after Holm's correction for {counted(slices.tests, 'test', 'tests')}, all of this call.",
        *([f"Too few rows, in {small}: not even a recall of 0 or 1 would be shown to differ."] if small else []),
        f"{len(shown)} of {counted(len(found), 'recall', 'recalls')} {verb} by more than noise (p at most 0.05); the "
        "others are not shown to differ, which does not show that they are equal.",
        *map(_difference, shown[:MOST_TOLD]),
        *([f"  … and {more} more in the table"] if more > 0 else []),
    ]


def rows(recalls: Sequence[SliceRecall]) -> list[list[str]]:
    """Return the cells of each recall, below `HEADINGS`."""
    return [
        [
            f"{one.label}, {one.where}",
            str(one.support),
            f"{one.recall:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
            f"{one.rest:.3f}" if one.rest_support else "–",
            _p(one) if one.is_tested else "–",
            SHORT[one.finding],
        ]
        for one in recalls
    ]


def _difference(one: SliceRecall) -> str:
    here, elsewhere = f"{one.recall:.3f} of {one.support:,}", f"{one.rest:.3f} of {one.rest_support:,}"
    return f"  {one.label}, {one.where}: {one.finding}, {here} against {elsewhere} elsewhere (p {_p(one)})"


def _p(one: SliceRecall) -> str:
    return f"{one.adjusted:.3f}" if one.adjusted >= 0.0005 else f"{one.adjusted:.0e}"
