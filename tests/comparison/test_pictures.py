"""The pictures of a comparison: what each colour, mark and line says."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from comparisons import on_splits, run, several
from equipoise.comparison import pictures
from equipoise.comparison.compare import compare
from equipoise.core.colors import weighting_color
from equipoise.methods.weighting import STRATEGIES
from equipoise.tracking.history import Logged


def test_a_difference_is_drawn_as_its_test_decides() -> None:
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
    figure = pictures.differences_figure(compare(runs, "balanced_accuracy").tables[0], "balanced_accuracy")
    assert figure is not None
    return figure


@pytest.mark.parametrize(("classes", "ticks"), [(5, 5), (100, 0)])
def test_the_recall_profile_runs_from_head_to_tail(classes: int, ticks: int) -> None:
    figure = pictures.recall_profile(several(classes).tables[0].rows)
    assert figure is not None
    axes = figure.axes[0]
    assert len(axes.lines) == 3
    assert list(axes.lines[0].get_ydata())[:3] == pytest.approx([0.9, 0.8, 0.7])
    if ticks:
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"c{index}" for index in range(classes)]


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
    rows = [row for row in table.rows if row.configuration.rule is None][: pictures.MOST_DRAWN]
    profile, scatter, minority = (
        draw(rows) for draw in (pictures.recall_profile, pictures.scatter_figure, pictures.minority_figure)
    )
    assert profile is not None
    assert scatter is not None
    assert minority is not None
    for figure in (profile, scatter, minority):
        drawn = {
            line.get_label(): (line.get_color(), line.get_marker())
            for line in figure.axes[-1].lines
            if not str(line.get_label()).startswith("_")
        }
        assert set(drawn) == {f"{loss} · {name}" for name in names for loss in ("class_weight", "focal")}
        for label, (color, mark) in drawn.items():
            loss, name = str(label).split(" · ")
            assert (color, mark) == (weighting_color(name), {"class_weight": "o", "focal": "s"}[loss]), label
    assert {line.get_linestyle() for line in profile.axes[0].lines} == {"-", "--"}
    differences = pictures.differences_figure(table, "balanced_accuracy")
    assert differences is not None
    assert {line.get_color() for line in differences.axes[0].lines[:-1]} == {
        weighting_color(name) for name in names if name != "none"
    }


def test_without_what_it_shows_there_is_no_picture() -> None:
    alone = compare([run("balanced", 0, 0.5)], "balanced_accuracy").tables[0]
    assert pictures.differences_figure(alone, "balanced_accuracy") is None
    assert pictures.recall_profile(alone.rows) is None
    assert pictures.minority_figure(alone.rows) is None
    runs = [run(name, 0, 0.5) for name in ("none", "balanced")]
    lacking = [Logged(one.id, "1", 0, one.params, one.tags, {"test/balanced_accuracy": 0.5}) for one in runs]
    assert pictures.scatter_figure(compare(lacking, "balanced_accuracy").tables[0].rows) is None
