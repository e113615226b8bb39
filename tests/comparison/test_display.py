"""A comparison as headings, rows and sentences: nothing empty is shown, and no number that is not defined."""

import io

import pytest

from comparisons import run, several, sweep
from equipoise.comparison import display
from equipoise.comparison.compare import compare
from equipoise.comparison.console import print_comparison
from equipoise.core import terminal


def test_columns_without_content_are_left_out() -> None:
    with_control, without = several().tables[1], several().tables[0]
    assert "p" not in display.columns(with_control, "balanced_accuracy")[0], "too few pairs for any, which a note says"
    eight = compare(sweep(8, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0]
    assert "p" in display.columns(eight, "balanced_accuracy")[0]
    assert sum("post-hoc" in heading for heading in display.columns(with_control, "balanced_accuracy")[0]) == 1
    assert not any("post-hoc" in heading for heading in display.columns(without, "balanced_accuracy")[0])
    alone = compare([run("balanced", 0, 0.5)], "balanced_accuracy")
    headings, rows = display.columns(alone.tables[0], "balanced_accuracy")
    assert "p" not in headings
    assert rows[0][:3] == ["balanced", "1", "0.500"], "no deviation of a single run"


def test_a_tested_difference_has_its_p() -> None:
    for seeds, shown in ((8, "0.008"), (11, "<0.001")):  # two of so many signs: 2 / 2^8 and 2 / 2^11
        headings, rows = display.columns(
            compare(sweep(seeds, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0], "balanced_accuracy"
        )
        assert rows[0][headings.index("p")] == shown


def test_two_configurations_on_several_data_sets_are_not_ranked() -> None:
    runs = [
        run(name, 0, 0.5, {"dataset.imbalance_ratio": ratio}) for name in ("none", "balanced") for ratio in ("10", "20")
    ]
    assert display.ranking_lines(compare(runs, "balanced_accuracy")) == [
        "Over several data sets, Friedman's test needs three configurations that all of them have."
    ]


def test_in_a_narrow_terminal_the_table_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns: every mean, difference and p, no line broken off or cut; the page has what is left out."""
    control = {"decision/logit_adjusted/balanced_accuracy": 0.55}
    runs = sweep(8, {"none": 0, "balanced": 0.3, "effective_number": 0.1}, worst_class_recall=0.1, **control)
    comparison = compare(runs, "balanced_accuracy")
    monkeypatch.setattr(terminal.console, "_width", 80)
    file = io.StringIO()
    with terminal.written_to(file):
        print_comparison(comparison, "these", "Verdict")
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "(continued)" not in file.getvalue()
    assert "…" not in file.getvalue()
    shown = " ".join(file.getvalue().split())
    for row in comparison.tables[0].rows:
        found = row.spreads["balanced_accuracy"]
        assert f"{found.mean:.3f} ± {found.deviation:.3f}" in shown
        for difference in (row.to_baseline, row.to_control):
            assert difference is None or f"{difference.mean:+.3f}" in shown
    assert "Columns that are too many for this width are on the page: runs, mean rank, macro F1, MCC," in shown
    wide = next(display.narrowed(comparison.tables[0], "balanced_accuracy"))
    assert (wide[:2], wide[2]) == (display.columns(comparison.tables[0], "balanced_accuracy"), [])
