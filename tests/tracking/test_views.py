"""Saved views as JSON; that MLflow draws them is for the browser's test."""

import json
from dataclasses import replace
from typing import Any

import pytest

from equipoise.tracking import views

MOST_CHARACTERS = 20_000  # of an experiment's tag


def state(view: views.View, metrics: dict[str, float], runs: int = 9) -> dict[str, Any]:
    key, value = views.tag(view, metrics, runs)
    assert key == f"mlflow.sharedViewState.{view.key}"
    assert len(value) < MOST_CHARACTERS
    outer = json.loads(value)
    assert outer["name"] == view.name
    return dict(json.loads(outer["state"]))


def test_the_means_of_repetitions_are_the_first_view_and_all_runs_the_second() -> None:
    means, each = views.of_sweep("abc", ["weighting.name"], ["seed"])
    assert (means.key, each.key) == ("abc", "abc-runs")
    assert means.name == "Sweep abc, means over seed"
    metrics = {"test/macro_f1": 0.5, "test/recall_few": 0.1}
    for view, drawn in ((each, False), (means, True)):
        found = state(view, metrics)
        assert found["useGroupedValuesInCharts"] is drawn
        assert found["groupBy"]["groupByKeys"] == [{"mode": "param", "groupByData": "weighting.name"}]
        assert ("IMAGE" in {chart["type"] for chart in found["compareRunCharts"]}) is not drawn, "a mean has no picture"
    assert [view.by for view in views.of_sweep("abc", ["weighting.name"], [])] == [()]
    assert [view.by for view in views.of_sweep("abc", [], ["seed"])] == [()]


def test_bars_begin_at_the_baseline_where_runs_have_one() -> None:
    every = {"test/macro_f1": 0.5, "test/mcc": 0.5, "difference/macro_f1": 0.1}
    for view in views.of_sweep("abc", ["weighting.name"], ["seed"]):
        found = state(view, every)
        first, second = found["compareRunCharts"][:2]
        assert (first["metricKey"], second["metricKey"]) == ("difference/macro_f1", "test/macro_f1")
        assert found["selectedColumns"][2:] == [
            "metrics.`test/macro_f1`",
            "metrics.`difference/macro_f1`",
            "metrics.`test/mcc`",
        ]
    assert state(view, {"test/mcc": 1})["compareRunCharts"][0]["metricKey"] == "test/mcc"


@pytest.mark.parametrize(
    ("metrics", "classes", "axes"),
    [
        ({"test/recall_few": 0.1}, ("b", "c", "a"), [("test/recall_many", "test/recall_few")]),
        ({}, ("b", "c", "a"), [("test/recall/b", "test/recall/a")]),
        ({}, (), []),
    ],
)
def test_head_is_set_against_tail(
    metrics: dict[str, float], classes: tuple[str, ...], axes: list[tuple[str, str]]
) -> None:
    charts = state(replace(views.of_experiment(), classes=classes), metrics)["compareRunCharts"]
    assert [(one["xaxis"]["key"], one["yaxis"]["key"]) for one in charts if one["type"] == "SCATTER"] == axes


def test_a_thousand_classes_fit() -> None:
    metrics = {f"test/{name}/{index}": 0.5 for index in range(1000) for name in ("recall", "precision", "f1", "auroc")}
    sections = [
        section["name"]
        for section in state(views.of_experiment(), metrics)["compareRunSections"]
        if not section["display"]
    ]
    assert sections == ["test/auroc", "test/f1", "test/precision", "test/recall"]


def test_differences_are_to_the_baseline_by_name_where_it_is_drawn() -> None:
    view = views.of_experiment(("0a1b", "none · seed 0"))
    found = state(view, {"test/macro_f1": 0.5}, runs=100)
    (card,) = [chart for chart in found["compareRunCharts"] if chart["type"] == "DIFFERENCE"]
    assert (card["baselineColumnUuid"], card["chartName"]) == ("0a1b", "Differences to none · seed 0")
    assert found["runsHiddenMode"] == "SHOWALL"
    for without in (
        state(views.of_experiment(), {"test/macro_f1": 0.5}),
        state(view, {"test/macro_f1": 0.5}, runs=101),
    ):
        assert "DIFFERENCE" not in {chart["type"] for chart in without["compareRunCharts"]}
