"""A comparison's page: self-contained, in order, with the numbers of the tables, and charts that Vega-Lite knows."""

import html
import json
import re
from typing import Any

import altair
import numpy as np
import pytest

from comparisons import on_splits, run, several, study, sweep
from equipoise.comparison import by_class, display, drawings, verdict
from equipoise.comparison.compare import Comparison, compare
from equipoise.comparison.comparison_page import MOST_DRAWN, Context, as_page
from equipoise.comparison.looks import looks
from equipoise.comparison.stored import Confusion, Curve
from equipoise.core.colors import weighting_color
from equipoise.methods.weighting import STRATEGIES
from equipoise.reports.page import Beside, Chart, Page
from equipoise.tracking.history import Logged
from pages import check_self_contained

CLASSES = ("rare", "some", "many")
COUNTS = {"count/many": 90.0, "count/some": 40.0, "count/rare": 5.0}


def whole(comparison: Comparison, **others: Any) -> Page:
    return as_page(comparison, Context("Sweep <1>", verdict.headline(comparison), **others))


def charts_of(found: Page) -> list[Chart]:
    blocks = [block for part in found.parts for block in part.blocks]
    return [
        one
        for block in blocks
        for one in ([block] if isinstance(block, Chart) else block.charts if isinstance(block, Beside) else [])
    ]


def values(chart: Chart, at: int = 0) -> list[dict[str, float]]:
    """Return the data of a chart's layer, which are CSV."""
    spec = chart.spec["layer"][at] if "layer" in chart.spec else chart.spec
    data = spec.get("data", chart.spec.get("data"))
    text = data["values"] if "values" in data else chart.spec["datasets"][data["name"]]
    first, *lines = text.splitlines()
    return [
        {
            key: float(cell) if cell else float("nan")
            for key, cell in zip(first.split(","), line.split(","), strict=True)
        }
        for line in lines
    ]


def param(chart: Chart, name: str) -> Any:
    layers = [chart.spec, *chart.spec.get("layer", [])]
    return next(one["value"] for layer in layers for one in layer.get("params", []) if one["name"] == name)


def by_classes(gains: dict[str, tuple[float, float, float]]) -> list[Logged]:
    """Runs of each weighting whose recalls of many, some and rare are those of none plus the gains."""
    base = dict(zip(("many", "some", "rare"), (0.9, 0.6, 0.1), strict=True))
    return [
        run(
            name,
            seed,
            0.5 + place / 10,
            **COUNTS,
            worst_class_recall=0.1,
            **{
                f"test/{metric}/{label}": base[label] + gain + seed / 100
                for label, gain in zip(base, of_each, strict=True)
                for metric in ("recall", "precision")
            },
        )
        for place, (name, of_each) in enumerate({"none": (0.0, 0.0, 0.0), **gains}.items())
        for seed in (0, 1)
    ]


@pytest.fixture(scope="module")
def classes() -> Comparison:
    return compare(by_classes({"balanced": (-0.1, 0.0, 0.5), "power": (0.0, 0.1, 0.2)}), "balanced_accuracy")


def test_the_page_is_self_contained_and_complete() -> None:
    comparison = several()
    text = whole(comparison).as_html()
    check_self_contained(text)
    assert "Sweep &lt;1&gt;" in text
    assert html.escape(verdict.headline(comparison)) in text
    assert text.index("Verdict over 4 data sets") < text.index("<table")
    assert "Friedman chi square 8.000, df 2" in text
    assert "Mean ranks: balanced 1.00, power 2.00, none 3.00." in text
    assert ">+0.200 (4/4)<" in text, "over the data sets"
    for table in comparison.tables:
        assert html.escape(verdict.of_table(table, comparison.metric)) in text
        headings, rows = display.columns(table, comparison.metric)
        assert {len(row) for row in rows} == {len(headings)}
        for cell in (cell for row in rows for cell in row if cell):
            assert f">{html.escape(cell)}<" in text


def test_the_questions_stand_in_their_order(classes: Comparison) -> None:
    shares = np.eye(3)
    moved = np.array([[0.5, 0.5, 0], [0, 1, 0], [0, 0.2, 0.8]])
    curve = Curve(np.arange(1.0, 4), np.array([0.2, 0.4, 0.5]), np.array([0.1, 0.3, 0.4]), np.array([0.3, 0.5, 0.6]), 2)
    found = whole(
        classes,
        confusions={"data": {"none": Confusion(CLASSES, shares, 2), "power": Confusion(CLASSES, moved, 2)}},
        curves={"data": {"none": curve, "power": curve}},
        curve="balanced_accuracy",
    )
    assert [part.title for part in found.parts] == [
        "Which is best, and by how much?",
        "Which classes gain, which lose?",
        "Where did the mistakes go?",
        "How sure is it?",
        "Head against tail, and other metrics",
        "All numbers",
        "All intervals",
    ]
    facts = dict(found.facts)
    assert (facts["Data set"], facts["Samples"], facts["Classes"]) == ("data", "70 train, 20 test", "3")
    assert facts["Compared"] == "3 configurations, 6 runs"
    for chart in charts_of(found):
        altair.Chart.from_dict(chart.spec, validate=True)  # raises where Vega-Lite knows no such thing
        assert chart.caption


def test_recall_minus_the_baseline_goes_from_head_to_tail(classes: Comparison) -> None:
    chart = charts_of(whole(classes))[1]
    assert param(chart, "columns") == ["many", "some", "rare"]
    assert param(chart, "names") == ["power", "balanced"], "best first"
    cells = {(cell["place"], cell["column"]): cell["gain"] for cell in values(chart)}
    assert [round(cells[1, column], 6) for column in range(3)] == [-0.1, 0, 0.5], "balanced"
    assert [round(cells[0, column], 6) for column in range(3)] == [0, 0.1, 0.2], "power"


def test_many_classes_are_shown_by_groups_of_ranks() -> None:
    per_class = {f"count/c{rank:03}": 1000.0 - rank for rank in range(100)}
    runs = [
        run(
            name,
            0,
            0.5,
            **per_class,
            **{f"test/recall/c{rank:03}": 0.5 + (name == "power") * (rank - 50) / 100 for rank in range(100)},
        )
        for name in ("none", "power")
    ]
    found = by_class.gains(compare(runs, "balanced_accuracy").tables[0])
    assert found is not None
    assert (found.is_grouped, found.classes[0], found.classes[-1]) == (True, "1–10", "91–100")
    assert found.gains[0] == pytest.approx([(10 * group + 4.5 - 50) / 100 for group in range(10)])


def test_mistakes_move_between_classes_in_the_order_of_the_data(classes: Comparison) -> None:
    moved = np.array([[0.5, 0.0, 0.5], [0, 1, 0], [0, 0.2, 0.8]])
    apart = drawings.confusion_difference(
        Confusion(CLASSES, moved, 1), Confusion(("many", "rare"), np.eye(2), 1), ["many", "some", "rare"]
    )
    assert apart.tolist() == [
        pytest.approx([-0.2, 0.2, 0]),
        [0, 1, 0],
        [0.5, 0, -0.5],
    ]
    wide = [f"c{place:02}" for place in range(13)]
    confusions = {
        "none": Confusion(tuple(wide), np.eye(13), 1),
        "power": Confusion(tuple(wide), np.roll(np.eye(13), 1, axis=1), 1),
    }
    (part,) = [part for part in whole(classes, confusions={"data": confusions}).parts if "mistakes" in part.title]
    (table,) = part.blocks
    assert len(table.rows) == 15  # type: ignore[union-attr]
    assert {row[3] for row in table.rows} <= {"-1.000", "+1.000"}  # type: ignore[union-attr]


def test_a_difference_is_drawn_as_its_test_decides() -> None:
    generator = np.random.default_rng(0)
    runs = [run("none", seed, 0.5) for seed in range(7)]
    runs += [
        run(name, seed, 0.5 + gain + generator.normal(0, 0.01))
        for name, gain in (("balanced", 0.2), ("power", 0.0))
        for seed in range(7)
    ]
    comparison = compare(runs, "balanced_accuracy")
    chart = charts_of(whole(comparison))[0]
    names = param(chart, "names")
    found = {names[int(one["place"])]: one for one in values(chart, 2)}
    assert {name: one["evidence"] for name, one in found.items()} == {"balanced": 2, "power": 1}
    shown = {row.configuration.label: row.to_baseline for row in comparison.tables[0].rows if row.to_baseline}
    for name, one in found.items():
        expected = shown[name]
        assert expected is not None
        assert [one["low"], one["mean"], one["high"]] == pytest.approx(
            [expected.low, expected.mean, expected.high], rel=1e-4
        )
    few = charts_of(whole(compare([one for one in runs if one.params["seed"] < "4"], "balanced_accuracy")))[0]
    assert {one["evidence"] for one in values(few, 2)} == {0}
    equal = charts_of(whole(compare(on_splits({"0": 0.1, "1": 0.1}), "balanced_accuracy")))[0]
    assert {one["evidence"] for one in values(equal, 2)} == {0}


def test_a_colour_is_a_weighting_and_a_mark_a_loss_in_every_chart() -> None:
    names = [*STRATEGIES, "an eleventh"]
    runs = [
        run(name, 0, 0.5 + place / 100, {"loss.name": loss})
        for place, name in enumerate(names)
        for loss in ("class_weight", "focal")
    ]
    comparison = compare(runs, "balanced_accuracy")
    found = looks(comparison)
    assert {found[f"focal · {name}"].color for name in names} == {weighting_color(name) for name in names}
    assert {found[f"class_weight · {name}"].symbol for name in names} == {"circle"}
    assert len({found[f"focal · {name}"].symbol for name in names}) == 1
    assert found["focal · power"].symbol != "circle"
    for chart in charts_of(whole(comparison)):
        for layer in chart.spec.get("layer", [chart.spec]):
            scale = layer["encoding"].get("color", {}).get("scale", {})
            drawn = dict(zip(scale.get("domain", []), scale.get("range", []), strict=True))
            assert all(color == found[name].color for name, color in drawn.items())


def test_the_baseline_is_drawn_among_many() -> None:
    gains = {f"weighting number {index} with a name that is much too long": 0.1 + index / 100 for index in range(40)}
    found = whole(compare(sweep(2, {"none": 0, **gains}), "balanced_accuracy"))
    check_self_contained(found.as_html())
    assert f"The charts show the {MOST_DRAWN} best by balanced accuracy, and the baseline." in found.as_html()
    (legend,) = [block for block in found.parts[0].blocks if type(block).__name__ == "Legend"]
    drawn = [name for name, _, _ in legend.entries]  # type: ignore[union-attr]
    assert len(drawn) == MOST_DRAWN + 1
    assert "none" in drawn


def test_one_run_alone_has_a_page() -> None:
    check_self_contained(whole(compare([run("balanced", 0, 0.5)], "balanced_accuracy")).as_html())


def test_every_number_says_what_it_is_over() -> None:
    splits = compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3), "balanced_accuracy")
    text = whole(splits).as_html()
    assert "mean ± SD of the runs" in text
    assert "<td>3 splits</td>" in text
    assert text.count("<td>+0.0500</td>") == 1
    assert "SD between splits" in text
    assert "<td>7 seeds</td>" in whole(compare(sweep(7, {"none": 0, "balanced": 0.3}), "balanced_accuracy")).as_html()
    assert "means, and paired differences, one per data set." in whole(several()).as_html()


def test_names_do_no_harm() -> None:
    """In the data of a chart, which are CSV, and in its expressions."""
    name = """a','b" <script>alert(1)</script>,\n${x}"""
    text = whole(compare(by_classes({name: (0, 0, 0.1)}), "balanced_accuracy")).as_html()
    check_self_contained(text)
    assert "<script>alert" not in text
    specs = [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', text, re.S)]
    assert all("alert" not in json.dumps(spec.get("data", {})) for spec in specs)


def test_a_page_is_small() -> None:
    """Of 24 data sets with 6 configurations each, too."""
    gains = {name: place / 1000 for place, name in enumerate(("none", "power", "balanced", "inverse"))}
    assert len(whole(compare(study(24, gains), "balanced_accuracy")).as_html()) < 1_200_000
