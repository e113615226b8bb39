"""The charts of a run are valid Vega-Lite, go from head to tail, and hold the numbers that scikit-learn gives."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import altair
import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from equipoise.core.colors import weighting_color
from equipoise.reports import curve_charts, run_charts
from equipoise.reports.curve_charts import Thresholds
from equipoise.reports.evidence import Evidence
from equipoise.reports.page import Chart
from equipoise.reports.run_page import as_html
from examples import evidence, evidence_of_labels


def rows(spec: dict[str, Any]) -> list[dict[str, float]]:
    """The data of a chart as the browser reads them."""
    head, *lines = spec["data"]["values"].split("\n")
    keys = head.split(",")
    return [
        {key: float(cell) for key, cell in zip(keys, line.split(","), strict=True) if cell} for line in lines if line
    ]


def names(chart: Chart) -> list[str]:
    found: list[str] = chart.spec["params"][0]["value"]
    return found


def history(**last: float) -> list[dict[str, float]]:
    """Three epochs, of which the second has the lowest validation log loss."""
    return [
        {"train/loss": 3.0 + epoch, "val/loss": 2.0, "val/log_loss": loss, "val/accuracy": 0.5, **last}
        for epoch, loss in enumerate((0.5, 0.25, 0.75))
    ]


@pytest.mark.parametrize(
    ("made", "many"), [(evidence, 2), (evidence, 10), (evidence, 100), (evidence, 300), (evidence_of_labels, 30)]
)
def test_every_chart_is_valid_by_altairs_schema(made: Callable[[int], Evidence], many: int) -> None:
    page = as_html(made(many))
    specs = [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)]
    assert len(specs) >= 6
    for spec in specs:
        altair.Chart.from_dict(spec)  # raises where it is not


def test_altair_refuses_what_is_not_valid() -> None:
    spec = run_charts.confusion(evidence(3)).spec
    with pytest.raises(Exception, match="'tall' is not of type 'number'"):
        altair.Chart.from_dict({**spec, "height": "tall"})


def test_thresholds_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    positive, scores = generator.random(200) < 0.2, generator.integers(0, 40, 200) / 40  # with ties
    found = Thresholds.of(positive, scores)
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    np.testing.assert_allclose(found.precision, precision[::-1])
    np.testing.assert_allclose(found.recall, recall[::-1])
    np.testing.assert_allclose(found.threshold[1:], thresholds[::-1])
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, false)
    np.testing.assert_allclose(found.recall, true)
    for threshold, queue in zip(found.threshold[1:], found.queue[1:], strict=True):
        assert queue == pytest.approx((scores >= threshold).mean())


@pytest.mark.parametrize("along", ["recall", "threshold", "false_positive_rate"])
def test_a_thinned_curve_keeps_its_ends_and_lies_on_the_whole_one(along: str) -> None:
    generator = np.random.default_rng(1)
    whole = Thresholds.of(generator.random(5000) < 0.1, generator.random(5000))
    thin = whole.thinned(along)
    assert 100 < len(thin.queue) <= 200
    assert thin.queue[[0, -1]].tolist() == whole.queue[[0, -1]].tolist()
    assert set(zip(thin.threshold, thin.recall, strict=True)) <= set(zip(whole.threshold, whole.recall, strict=True))
    assert whole.thinned(along, 6000) is whole


def test_the_best_epoch_is_marked_and_flattening_losses_get_a_log_axis() -> None:
    losses, scores = run_charts.training_curves(replace(evidence(2), history=history()))
    mark, lines, _ = losses.spec["layer"]
    assert mark["data"]["values"] == "best\n2"
    assert "epoch 2, of the lowest validation log loss" in losses.caption
    assert lines["encoding"]["y"]["scale"]["type"] == "log", "from 0.25 to 5"
    assert [row["value"] for row in rows(losses.spec)] == [3, 4, 5, 2, 2, 2, 0.5, 0.25, 0.75]
    assert [row["value"] for row in rows(scores.spec)] == [0.5] * 3
    flat, _ = run_charts.training_curves(replace(evidence(2), history=history(**{"train/loss": 1.0, "val/loss": 1.0})))
    assert "type" not in flat.spec["layer"][1]["encoding"]["y"]["scale"]


def test_a_long_training_is_thinned_and_keeps_its_best_epoch() -> None:
    epochs = [{"val/log_loss": abs(epoch - 702.0), "val/accuracy": 0.5} for epoch in range(2000)]
    losses, _ = run_charts.training_curves(replace(evidence(2), history=epochs))
    shown = [row["epoch"] for row in rows(losses.spec)]
    assert len(shown) <= run_charts.MOST_EPOCHS + 1
    assert {1, 703, 2000} <= set(shown)


def test_recall_goes_from_head_to_tail_with_its_interval() -> None:
    found = evidence(10)
    [chart] = run_charts.recall(found)
    assert names(chart) == [found.data.classes[index] for index in found.data.head_to_tail]
    per_class = found.evaluation.per_class
    for row, index in zip(rows(chart.spec), found.data.head_to_tail, strict=True):
        if np.isnan(per_class["recall"][index]):
            assert "recall" not in row
        else:
            assert row["recall"] == pytest.approx(per_class["recall"][index], abs=1e-4)
            assert row["low"] == pytest.approx(per_class["recall_low"][index], abs=1e-4)
            assert row["precision"] == pytest.approx(per_class["precision"][index], abs=1e-4)
        assert row["train"] == found.data.counts[index]


@pytest.mark.parametrize("classes", [100, 300])
def test_of_many_classes_the_lowest_have_names(classes: int) -> None:
    found = evidence(classes)
    overview, lowest = run_charts.recall(found)
    assert len(rows(lowest.spec)) == run_charts.MOST_NAMED
    assert len(rows(overview.spec)) == (classes if classes <= run_charts.MOST_DRAWN else run_charts.RANK_GROUPS)
    shown = [row["recall"] for row in rows(lowest.spec)]
    assert shown == sorted(shown)
    assert shown[0] == pytest.approx(np.nanmin(found.evaluation.per_class["recall"]), abs=1e-4)


def test_the_confusion_matrix_holds_every_count_and_its_share() -> None:
    found = evidence(4)
    chart = run_charts.confusion(found)
    order, counts = found.data.head_to_tail, found.evaluation.confusion.toarray()
    cells = {(int(row["true"]), int(row["predicted"])): row for row in rows(chart.spec)}
    assert len(cells) == np.count_nonzero(counts)
    for (true, predicted), row in cells.items():
        assert row["count"] == counts[order[true], order[predicted]]
        assert row["share"] == pytest.approx(row["count"] / 30, abs=1e-4)
    grouped = run_charts.confusion(evidence(300))
    assert sum(row["count"] for row in rows(grouped.spec)) == 299 * 30
    assert names(grouped)[0] == "1–15"


def test_mistakes_are_the_most_frequent_first() -> None:
    found = evidence(10)
    [chart] = run_charts.most_frequent_mistakes(found)
    counts = found.evaluation.confusion.toarray()
    np.fill_diagonal(counts, 0)
    shown = [row["count"] for row in rows(chart.spec)]
    assert shown == sorted(counts[counts > 0].tolist(), reverse=True)[: len(shown)]
    assert run_charts.most_frequent_mistakes(evidence(3)) == [], "the matrix says it"


def test_shares_of_many_classes_are_sums_over_ranks() -> None:
    found = evidence(100)
    chart = run_charts.shares(found)
    titles = chart.spec["encoding"]["color"]["legend"]["labelExpr"]
    assert "'samples', 'weight', 'gradient, end'" in titles
    samples = [row["share"] for row in rows(chart.spec) if row["series"] == 0]
    assert samples[0] == pytest.approx(np.sort(found.data.counts)[::-1][:5].sum() / found.data.counts.sum(), abs=1e-4)


def test_curves_are_thin_and_of_the_lowest_where_there_are_many() -> None:
    [few] = curve_charts.precision_recall(evidence(10))
    assert len(names(few)) == 9, "one class has no test samples"
    found = evidence(100)
    lowest, spread = curve_charts.precision_recall(found)
    assert len(names(lowest)) == curve_charts.WORST
    average = found.evaluation.per_class["average_precision"]
    assert f"AP {np.nanmin(average):.2f}" in " ".join(names(lowest))
    assert len(rows(spread.spec)) == run_charts.RANK_GROUPS


def test_of_two_classes_each_threshold_has_its_queue() -> None:
    found = evidence(2)
    (roc, trade), by_threshold = curve_charts.of_two_classes(found, 1)
    assert f"area {found.evaluation.per_class['auroc'][1]:.3f}" in roc.caption
    assert f"average precision {found.evaluation.per_class['average_precision'][1]:.3f}" in trade.caption
    shown = rows(by_threshold.spec)
    assert {row["series"] for row in shown} == {0, 1, 2}
    probability = np.exp(found.log_probabilities[:, 1])
    for row in shown:
        if row["series"] == 2 and row["value"] > 0:
            assert row["value"] == pytest.approx((probability >= row["threshold"] * (1 - 1e-4)).mean(), abs=1e-4)


def test_the_run_has_the_colour_of_its_weighting() -> None:
    found = replace(evidence(10), weighting="power")
    assert weighting_color("power") in str(run_charts.confusion(found).spec)
    assert weighting_color("power") in str(run_charts.recall(found)[0].spec)


def test_calibration_counts_every_sample_once() -> None:
    against, how_many = curve_charts.calibration(evidence(10))
    assert sum(row["samples"] for row in rows(how_many.spec)) == 270
    assert sum(row["samples"] for row in rows(against.spec) if row["series"] == 0) == 270
    _, of_labels = curve_charts.calibration(evidence_of_labels(5))
    assert sum(row["samples"] for row in rows(of_labels.spec)) == 300 * 5


def test_what_is_predicted_where_a_label_is_missed_by_hand() -> None:
    labels, predicted = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0]]), np.array([[0, 1, 0], [0, 1, 1], [0, 1, 1]])
    found = replace(evidence_of_labels(3), labels=labels, predicted=predicted)
    [chart] = run_charts.instead(found)
    assert rows(chart.spec) == [{"true": 0, "predicted": 1, "count": 2, "of": 2, "share": 1}]
    assert run_charts.instead(replace(found, predicted=labels)) == []
