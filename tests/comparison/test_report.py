"""A comparison as CSV and JSON: complete, and the same numbers in both."""

import csv
import io
import json

import pytest

from comparisons import on_splits, run, several, study, sweep
from equipoise.comparison import display, report
from equipoise.comparison.compare import compare


def test_the_deviations_between_splits_and_seeds_are_shown() -> None:
    comparison = compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3), "balanced_accuracy")
    headings, rows = display.columns(comparison.tables[0], "balanced_accuracy")
    shown = dict(zip(headings, rows[0], strict=True))
    assert (shown["SD\u00a0splits"], shown["SD\u00a0seeds"]) == ("0.026", "0.010"), (
        "the square root of .0007, and seeds that are .01 apart"
    )
    assert "training noise" not in display.title(comparison.tables[0])
    line = next(
        line for line in csv.DictReader(io.StringIO(report.as_csv(comparison))) if line["configuration"] == "balanced"
    )
    found = json.loads(report.as_json(comparison))["datasets"][0]
    assert found["test_over_train"] == pytest.approx(2 / 7)
    entry = next(row for row in found["rows"] if row["configuration"] == "balanced")
    assert (
        float(line["between_splits"])
        == entry["metrics"]["balanced_accuracy"]["between_splits"]
        == pytest.approx(0.0007**0.5)
    )
    assert float(line["baseline_between_seeds"]) == entry["to_baseline"]["between_seeds"] == pytest.approx(0.01)
    assert (line["baseline_test"], line["baseline_comparisons"]) == ("nadeau_bengio", "1")
    one_split = compare(sweep(7, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0]
    assert not any("SD" in heading for heading in display.columns(one_split, "balanced_accuracy")[0]), (
        "the deviation of the runs is that of the seeds"
    )
    assert display.title(one_split).endswith("p: training noise on this split")


def test_paired_differences_over_data_sets_have_a_table() -> None:
    comparison = compare(study(12, {"none": 0, "power": 0.01, "balanced": 0.02}), "balanced_accuracy")
    headings, rows = display.overall_columns(comparison)
    assert headings == ["configuration", "balanced accuracy, mean", "−\u00a0none (better\u00a0in data\u00a0sets)", "p"]
    assert rows == [
        ["balanced", "0.630", "+0.130 (12/12)", "<0.001"],
        ["power", "0.565", "+0.065 (12/12)", "<0.001"],
        ["none", "0.500", "", ""],
    ]
    assert "Wilcoxon's signed-rank test" in display.overall_lines(comparison)[0]
    assert "comparisons: 2 with none" in display.overall_lines(comparison)[0]
    (best, *_) = json.loads(report.as_json(comparison))["overall"]
    assert best["to_baseline"]["p"] == pytest.approx(2 * 2 / 2**12)


def test_csv_and_json_hold_the_same_numbers() -> None:
    comparison = several()
    lines = list(csv.DictReader(io.StringIO(report.as_csv(comparison))))
    found = json.loads(report.as_json(comparison))
    assert len(found["datasets"]) == 4
    for table, dataset in zip(comparison.tables, found["datasets"], strict=True):
        for row, entry in zip(table.rows, dataset["rows"], strict=True):
            mine = {
                line["metric"]: line
                for line in lines
                if (line["dataset"], line["configuration"]) == (table.dataset, row.configuration.label)
            }
            assert set(mine) == set(entry["metrics"]) == set(row.spreads)
            for name, spread in row.spreads.items():
                assert float(mine[name]["mean"]) == entry["metrics"][name]["mean"] == spread.mean
            assert entry["runs"] == [one.id for one in row.configuration.runs.values()]
            if row.to_baseline:
                assert (
                    float(mine["balanced_accuracy"]["baseline_difference"])
                    == entry["to_baseline"]["mean"]
                    == row.to_baseline.mean
                )
                assert mine["balanced_accuracy"]["baseline_p"] == "", "three pairs cannot reach significance"
                assert entry["to_baseline"]["p"] is None
    assert found["ranking"]["ranks"] == {"balanced": 1, "power": 2, "none": 3}


def test_json_has_no_nan() -> None:
    text = report.as_json(compare([run("none", 0, 0.5), run("balanced", 1, 0.6)], "balanced_accuracy"))
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
