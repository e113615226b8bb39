"""A race, drawn: the mean so far of each candidate, and a cross where one was dropped."""

import altair
import numpy as np
import pytest

from equipoise.core.colors import weighting_color
from equipoise.sweeps import search_charts
from equipoise.sweeps.race_chart import Line, looks, race_chart


def test_each_line_is_the_mean_so_far() -> None:
    lines = [
        Line("power with argmax", "power", np.array([0.1, 0.3, 0.2]), is_dropped=False),
        Line("power with tuned", "power", np.array([0.0, -0.2]), is_dropped=True),
        Line("none yet", "balanced", np.array([]), is_dropped=False),
    ]
    chart = race_chart(lines, "macro F1", "mlp with argmax")
    altair.Chart.from_dict(chart.spec, validate=True)
    csv = next(layer["data"]["values"] for layer in chart.spec["layer"] if "repetition" in str(layer.get("encoding")))
    rows = [tuple(map(float, line.split(","))) for line in csv.splitlines()[1:]]
    assert rows == [(0, 1, 0.1, 0), (0, 2, 0.2, 0), (0, 3, 0.2, 0), (1, 1, 0, 0), (1, 2, -0.1, 1)]
    first, second, _ = looks([(line.name, line.weighting) for line in lines])
    assert first.color == second.color == weighting_color("power")
    assert first.symbol != second.symbol


def test_without_a_dropped_candidate_there_is_no_cross() -> None:
    def layers(is_dropped: bool) -> int:
        return len(race_chart([Line("a", "power", np.array([0.1]), is_dropped)], "macro F1", "none").spec["layer"])

    assert layers(is_dropped=True) == layers(is_dropped=False) + 1


@pytest.mark.parametrize(("sign", "best"), [(1, [0.2, 0.5, 0.5]), (-1, [0.2, 0.2, 0.1])])
def test_the_best_so_far_of_a_search(sign: int, best: list[float]) -> None:
    chart = search_charts.history([0, 1, 4], np.array([0.2, 0.5, 0.1]), "val/macro_f1", sign)
    altair.Chart.from_dict(chart.spec, validate=True)
    csv = chart.spec["data"]["values"] if "data" in chart.spec else chart.spec["layer"][0]["data"]["values"]
    assert [float(line.split(",")[2]) for line in csv.splitlines()[1:]] == best


def test_the_other_charts_of_a_search_are_of_vega_lite() -> None:
    values = np.array([[0.5, 0.2], [0.6, 0.3], [0.4, 0.1]])
    for chart in (
        search_charts.importances({"weighting.alpha": 0.7, "loss.gamma": 0.3}, "val/macro_f1"),
        search_charts.front(values, np.array([False, True, True]), [0, 1, 2], ("val/macro_f1", "val/log_loss")),
    ):
        altair.Chart.from_dict(chart.spec, validate=True)
