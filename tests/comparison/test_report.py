"""A comparison as text, CSV, JSON and page: complete, self-contained, and the same numbers everywhere."""

import csv
import html
import io
import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from comparisons import on_splits, run, study, sweep
from equipoise.comparison import report
from equipoise.comparison.compare import Comparison, compare
from equipoise.core.colors import weighting_color
from equipoise.methods.weighting import STRATEGIES
from equipoise.tracking.history import Logged
from pages import check_self_contained


def several(classes: int = 5) -> Comparison:
    """Four data sets, three configurations, per-class metrics; the second data set has the control too."""
    runs: list[Logged] = []
    per_class = {f"count/c{index}": 100.0 - index for index in range(classes)}
    per_class |= {
        f"test/{name}/c{index}": 0.9 - 0.1 * index for name in ("recall", "precision") for index in range(classes)
    }
    for ratio in ("10", "20", "50", "100"):
        for seed in range(3):
            for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7)):
                control = (
                    {"decision/logit_adjusted/balanced_accuracy": 0.65} if ratio == "20" and name == "none" else {}
                )
                runs.append(
                    run(name, seed, value + 0.01 * seed, {"dataset.imbalance_ratio": ratio}, **per_class, **control)
                )
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
    assert ">+0.200 (4/4)<" in page, "over the data sets"
    assert "Too few data sets to test (n &lt; 7): over 4 no difference could reach significance" in page
    for table in comparison.tables:
        headings, rows = report.columns(table, comparison.metric)
        assert {len(row) for row in rows} == {len(headings)}
        for cell in (cell for row in rows for cell in row if cell):
            assert f">{html.escape(cell)}<" in page


def test_columns_without_content_are_left_out() -> None:
    with_control, without = several().tables[1], several().tables[0]
    assert "p" not in report.columns(with_control, "balanced_accuracy")[0], "too few pairs for any, which a note says"
    eight = compare(sweep(8, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0]
    assert "p" in report.columns(eight, "balanced_accuracy")[0]
    assert sum("post-hoc" in heading for heading in report.columns(with_control, "balanced_accuracy")[0]) == 1
    assert not any("post-hoc" in heading for heading in report.columns(without, "balanced_accuracy")[0])
    alone = compare([run("balanced", 0, 0.5)], "balanced_accuracy")
    headings, rows = report.columns(alone.tables[0], "balanced_accuracy")
    assert "p" not in headings
    assert rows[0][:3] == ["balanced", "1", "0.500"], "no deviation of a single run"
    check_self_contained(report.as_html(alone, "one run"))


def test_a_difference_that_is_none_by_chance_has_its_p() -> None:
    for seeds, shown in ((8, "0.008"), (11, "<0.001")):  # two of so many signs: 2 / 2^8 and 2 / 2^11
        headings, rows = report.columns(
            compare(sweep(seeds, {"none": 0, "balanced": 0.3}), "balanced_accuracy").tables[0], "balanced_accuracy"
        )
        assert rows[0][headings.index("p")] == shown


def test_two_configurations_on_several_data_sets_are_not_ranked() -> None:
    runs = [
        run(name, 0, 0.5, {"dataset.imbalance_ratio": ratio}) for name in ("none", "balanced") for ratio in ("10", "20")
    ]
    assert report.ranking_lines(compare(runs, "balanced_accuracy")) == [
        "Over several data sets, Friedman's test needs three configurations that all of them have."
    ]


def test_the_deviations_between_splits_and_seeds_are_shown() -> None:
    comparison = compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3), "balanced_accuracy")
    headings, rows = report.columns(comparison.tables[0], "balanced_accuracy")
    shown = dict(zip(headings, rows[0], strict=True))
    assert (shown["SD\u00a0splits"], shown["SD\u00a0seeds"]) == ("0.026", "0.010"), (
        "the square root of .0007, and seeds that are .01 apart"
    )
    assert "training noise" not in report.title(comparison.tables[0])
    page = report.as_html(comparison, "splits")
    assert page.count("<td>+0.0500</td>") == 1
    assert "SD between splits" in page
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
    assert not any("SD" in heading for heading in report.columns(one_split, "balanced_accuracy")[0]), (
        "the deviation of the runs is that of the seeds"
    )
    assert report.title(one_split).endswith("p: training noise on this split")


def test_what_the_test_says_is_how_a_difference_looks() -> None:
    generator = np.random.default_rng(0)
    gains = {"balanced": 0.2, "power": 0.0}
    runs = [run("none", seed, 0.5) for seed in range(7)]
    runs += [
        run(name, seed, 0.5 + gain + generator.normal(0, 0.01)) for name, gain in gains.items() for seed in range(7)
    ]
    texts = [text.get_text() for text in differences(runs).legends[0].get_texts()]
    assert texts == ["shown to differ", "not shown to differ"]
    few = differences([one for one in runs if one.params["seed"] < "4"])
    assert [text.get_text() for text in few.legends[0].get_texts()] == ["too few pairs to test"]
    assert {line.get_linestyle() for line in few.axes[0].lines[:2]} == {"--"}
    equal = differences(on_splits({"0": 0.1, "1": 0.1}))
    assert [text.get_text() for text in equal.legends[0].get_texts()] == ["test not defined"]


def differences(runs: list[Logged]) -> Figure:
    return report.differences_figure(compare(runs, "balanced_accuracy").tables[0], "balanced_accuracy")


def test_over_data_sets_there_is_a_table_of_paired_differences() -> None:
    comparison = compare(study(12, {"none": 0, "power": 0.01, "balanced": 0.02}), "balanced_accuracy")
    headings, rows = report.overall_columns(comparison)
    assert headings == ["configuration", "balanced accuracy, mean", "−\u00a0none (better\u00a0in data\u00a0sets)", "p"]
    assert rows == [
        ["balanced", "0.630", "+0.130 (12/12)", "<0.001"],
        ["power", "0.565", "+0.065 (12/12)", "<0.001"],
        ["none", "0.500", "", ""],
    ]
    assert "Wilcoxon's signed-rank test" in report.overall_lines(comparison)[0]
    assert "comparisons: 2 with none" in report.overall_lines(comparison)[0]
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
    runs = sweep(
        2,
        {
            "none": 0,
            **{f"weighting number {index} with a name that is much too long": index / 100 for index in range(40)},
        },
    )
    page = report.as_html(compare(runs, "balanced_accuracy"), "many")
    check_self_contained(page)
    assert f"The {report.MOST_DRAWN} configurations with the best" in page


def test_a_colour_is_a_weighting_and_a_mark_a_loss_in_every_picture() -> None:
    per_class = {
        f"{key}/c{index}": 9.0 - index for index in range(4) for key in ("count", "test/recall", "test/precision")
    }
    names = [*STRATEGIES, "an eleventh"]
    runs = [
        run(name, seed, 0.5 + place / 100 + seed / 50, {"loss.name": loss}, **per_class)
        for place, name in enumerate(names)
        for loss in ("class_weight", "focal")
        for seed in range(2)
    ]
    table = compare(runs, "balanced_accuracy").tables[0]
    rows = [row for row in table.rows if row.configuration.rule is None][: report.MOST_DRAWN]
    figures = [report.recall_profile(rows), report.scatter_figure(rows), report.minority_figure(rows)]
    for figure in figures:
        assert figure is not None
        drawn = {
            line.get_label(): (line.get_color(), line.get_marker())
            for line in figure.axes[-1].lines
            if not str(line.get_label()).startswith("_")
        }
        assert set(drawn) == {f"{loss} · {name}" for name in names for loss in ("class_weight", "focal")}
        for label, (color, mark) in drawn.items():
            loss, name = str(label).split(" · ")
            assert (color, mark) == (weighting_color(name), {"class_weight": "o", "focal": "s"}[loss]), label
    assert figures[0] is not None
    assert {line.get_linestyle() for line in figures[0].axes[0].lines} == {"-", "--"}
    differences = report.differences_figure(table, "balanced_accuracy").axes[0].lines
    assert {line.get_color() for line in differences[:-1]} == {
        weighting_color(name) for name in names if name != "none"
    }


def test_every_number_says_what_it_is_over() -> None:
    """On the page as in the terminal: what is behind ± is not the 95 % interval that the lead speaks of."""
    splits = compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3), "balanced_accuracy")
    page = report.as_html(splits, "splits")
    assert "mean ± SD of the runs" in page
    assert "<td>3 splits</td>" in page
    assert any(
        heading.endswith("(better\u00a0in splits)")
        for heading in report.columns(splits.tables[0], "balanced_accuracy")[0]
    )
    seeds = compare(sweep(7, {"none": 0, "balanced": 0.3}), "balanced_accuracy")
    assert "<td>7 seeds</td>" in report.as_html(seeds, "seeds")
    assert any(
        heading.endswith("(better\u00a0in seeds)")
        for heading in report.columns(seeds.tables[0], "balanced_accuracy")[0]
    )
    assert "means, and paired differences, one a data set." in report.as_html(several(), "data sets")
    drawn = "rarer half of the classes by recall, more frequent half by precision; means of the runs"
    assert drawn in report.as_html(several(), "data sets"), "what is drawn, not what it is taken to show"
