"""A comparison as headings, rows and sentences: nothing empty is shown, and no number that is not defined."""

from comparisons import run, several, sweep
from equipoise.comparison import display
from equipoise.comparison.compare import compare


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
