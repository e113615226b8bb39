"""A comparison as text, CSV, JSON and page: complete, self-contained, and the same numbers everywhere."""

import csv
import html
import io
import json

import pytest

from equipoise import comparison_report as report
from equipoise.comparison import Comparison, compare
from equipoise.logged import Logged
from test_comparison import run, sweep
from test_report import check_self_contained


def several(classes: int = 5) -> Comparison:
    """Four data sets, three configurations, per-class metrics; the second data set has the control too."""
    runs: list[Logged] = []
    per_class = {f"count/c{index}": 100.0 - index for index in range(classes)}
    per_class |= {f"test/{name}/c{index}": 0.9 - 0.1 * index for name in ("recall", "precision") for index in range(classes)}
    for ratio in ("10", "20", "50", "100"):
        for seed in range(3):
            for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7)):
                control = {"decision/logit_adjusted/balanced_accuracy": 0.65} if ratio == "20" and name == "none" else {}
                runs.append(run(name, seed, value + 0.01 * seed, {"dataset.imbalance_ratio": ratio}, **per_class, **control))
    return compare(runs, "balanced_accuracy", rope=0.01)


def test_the_page_is_self_contained_and_complete() -> None:
    comparison = several()
    page = report.as_html(comparison, "Sweep <1>")
    check_self_contained(page)
    assert "Sweep &lt;1&gt;" in page
    # The critical-difference diagram, and of each data set differences, recall profile, scatter and minority picture.
    assert page.count("<svg ") == 1 + 4 * 4
    assert "Friedman chi square 8.000, df 2" in page
    assert "Mean ranks: balanced 1.00, power 2.00, none 3.00." in page
    for table in comparison.tables:
        headings, rows = report.columns(table, comparison.metric)
        assert {len(row) for row in rows} == {len(headings)}
        for cell in (cell for row in rows for cell in row if cell):
            assert f">{html.escape(cell)}<" in page


def test_columns_without_content_are_left_out() -> None:
    with_control, without = several().tables[1], several().tables[0]
    assert "p" in report.columns(with_control, "balanced_accuracy")[0]
    assert sum("post-hoc" in heading for heading in report.columns(with_control, "balanced_accuracy")[0]) == 1
    assert not any("post-hoc" in heading for heading in report.columns(without, "balanced_accuracy")[0])
    alone = compare([run("balanced", 0, 0.5)], "balanced_accuracy")
    headings, rows = report.columns(alone.tables[0], "balanced_accuracy")
    assert "p" not in headings
    assert rows[0][:3] == ["balanced", "1", "0.500"], "no deviation of a single run"
    check_self_contained(report.as_html(alone, "one run"))


def test_a_difference_that_is_none_by_chance_has_its_p() -> None:
    for seeds, shown in ((8, "0.008"), (11, "<0.001")):  # two of so many signs: 2 / 2^8 and 2 / 2^11
        headings, rows = report.columns(compare(sweep(seeds, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0], "balanced_accuracy")
        assert rows[0][headings.index("p")] == shown


def test_two_configurations_on_several_data_sets_are_not_ranked() -> None:
    runs = [run(name, 0, 0.5, {"dataset.imbalance_ratio": ratio}) for name in ("none", "balanced") for ratio in ("10", "20")]
    assert report.ranking_lines(compare(runs, "balanced_accuracy")) == [
        "Over several data sets, Friedman's test needs three configurations that all of them have."
    ]


def test_csv_and_json_hold_the_same_numbers() -> None:
    comparison = several()
    lines = list(csv.DictReader(io.StringIO(report.as_csv(comparison))))
    found = json.loads(report.as_json(comparison))
    assert len(found["datasets"]) == 4
    for table, dataset in zip(comparison.tables, found["datasets"], strict=True):
        for row, entry in zip(table.rows, dataset["rows"], strict=True):
            mine = {line["metric"]: line for line in lines if (line["dataset"], line["configuration"]) == (table.dataset, row.configuration.label)}
            assert set(mine) == set(entry["metrics"]) == set(row.spreads)
            for name, spread in row.spreads.items():
                assert float(mine[name]["mean"]) == entry["metrics"][name]["mean"] == spread.mean
            assert entry["runs"] == [one.id for one in row.configuration.runs.values()]
            if row.to_baseline:
                assert float(mine["balanced_accuracy"]["baseline_difference"]) == entry["to_baseline"]["mean"] == row.to_baseline.mean
                assert mine["balanced_accuracy"]["baseline_p"] == "", "three pairs cannot reach significance"
                assert entry["to_baseline"]["p"] is None
    assert found["ranking"]["ranks"] == {"balanced": 1, "power": 2, "none": 3}


def test_json_has_no_nan() -> None:
    text = report.as_json(compare([run("none", 0, 0.5), run("balanced", 1, 0.6)], "balanced_accuracy"))
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(("classes", "ticks"), [(5, 5), (100, 0)])
def test_the_recall_profile_runs_from_head_to_tail(classes: int, ticks: int) -> None:
    figure = report.recall_profile(several(classes).tables[0].rows)
    assert figure is not None
    axes = figure.axes[0]
    assert len(axes.lines) == 3
    assert list(axes.lines[0].get_ydata())[:3] == pytest.approx([0.9, 0.8, 0.7])
    if ticks:
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"c{index}" for index in range(classes)]


def test_many_configurations_stay_legible() -> None:
    runs = sweep(2, {"none": 0, **{f"weighting number {index} with a name that is much too long": index / 100 for index in range(40)}})
    page = report.as_html(compare(runs, "balanced_accuracy"), "many")
    check_self_contained(page)
    assert f"The {report.MOST_DRAWN} configurations with the best" in page
