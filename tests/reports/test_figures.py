"""Figures stay legible from 2 to 400 classes: how many names, numbers and lines they draw, and nothing is cut off."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import sparse

from equipoise.core.paths import code_root
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import log_softmax
from equipoise.reports import figures
from examples import example

COLOR = "#0072b2"


def all_figures(classes: int, **how: Any) -> dict[str, Figure]:
    data, weights, evaluation, labels, logits = example(classes, **how)
    history = [
        {
            f"{split}/{name}": 0.5
            for split in ("train", "val")
            for name in ("loss", "log_loss", "balanced_accuracy", "macro_f1", "accuracy")
        }
    ]
    return {
        "confusion": figures.confusion_matrix(evaluation.confusion, data.classes, data.head_to_tail, COLOR),
        "curves": figures.precision_recall_curves(labels, log_softmax(logits), evaluation, data, COLOR),
        "training": figures.training_curves(history, COLOR),
        "reliability": figures.reliability_diagram(labels, dict.fromkeys(("one", "other"), log_softmax(logits)), COLOR),
        "panel": figures.what_the_weights_did(data, weights, evaluation, {"gradient_share": weights.share}, COLOR),
    }


def names(axes: Any, axis: str) -> list[str]:
    """Of the places of an axis, `x` or `y`; the other texts are counts and values."""
    return [
        text.get_text() for text in axes.texts if (text.get_va() == "top" if axis == "x" else text.get_ha() == "right")
    ]


def values(axes: Any) -> list[Any]:
    return axes.texts[: len(axes.texts) - len(names(axes, "x")) - len(names(axes, "y"))]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        (2, "c"),
        (3, "MWMWMWMWMW $x$"),
        (10, "class number"),
        (14, "MWMWMWMWMW $x$"),
        (100, "c"),
        (400, "MWMWMWMWMW MWMWMWMW"),
    ],
)
def test_every_figure_is_drawn_without_a_warning_and_nothing_is_cut_off(
    classes: int, name: str, tmp_path: Path
) -> None:
    for kind, figure in all_figures(classes, absent=classes > 2, name=name).items():
        file = tmp_path / f"{kind}.png"
        figure.savefig(file)
        assert file.stat().st_size > 5000, kind
        (left, bottom), (right, top) = figure.get_tightbbox().get_points()
        width, height = figure.get_size_inches()
        assert min(left, bottom, width - right, height - top) >= 0, kind


@pytest.mark.parametrize("classes", [3, 300])
def test_a_name_is_drawn_as_it_is(classes: int, tmp_path: Path) -> None:
    for name, figure in all_figures(classes, name="_$^$").items():
        figure.savefig(tmp_path / f"{name}.svg")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        curves = all_figures(3, name="_$^$")["curves"]
        curves.savefig(tmp_path / "curves.svg")
    assert "_$^$ 0  n=" in (tmp_path / "curves.svg").read_text()
    assert len(curves.axes[0].get_legend().get_texts()) == 3


@pytest.mark.parametrize(("classes", "named", "cells"), [(10, 10, True), (100, 20, False)])
def test_names_and_numbers_are_thinned_out(classes: int, named: int, cells: bool) -> None:
    drawn = all_figures(classes)
    confusion = drawn["confusion"].axes[0]
    assert len(names(confusion, "x")) == len(names(confusion, "y")) == named
    assert bool(values(confusion)) == cells
    assert len(drawn["curves"].axes[0].lines) == 10
    counts, weights, shares, recall = drawn["panel"].axes
    assert [len(names(axes, "x")) for axes in (counts, weights, shares, recall)] == [0, 0, named, named]
    assert [bool(values(axes)) for axes in (counts, weights, shares, recall)] == [cells, cells, False, cells]


def test_cells_hold_counts_and_colours_hold_shares() -> None:
    axes: Any = figures.confusion_matrix(sparse.csr_array([[3, 1], [0, 0]]), ["a", "b"], np.arange(2), COLOR).axes[0]
    assert {(text.get_position(), text.get_text()) for text in values(axes)} == {((0, 0), "3"), ((1, 0), "1")}
    assert names(axes, "x") == names(axes, "y") == ["a", "b"]
    shares = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [np.nan, np.nan]])


def test_an_undefined_recall_is_no_zero() -> None:
    panel = all_figures(10, absent=True)["panel"].axes[3]
    assert [text.get_text() for text in values(panel)][-1] == "undefined"


@pytest.mark.parametrize("classes", [3, 30, 300])
def test_equal_weights_are_drawn_without_a_warning(classes: int, tmp_path: Path) -> None:
    data, weights, evaluation, *_ = example(classes)
    equal = ClassWeights(weights.classes, weights.counts, np.ones(classes))
    figure = figures.what_the_weights_did(data, equal, evaluation, {}, COLOR)
    figure.savefig(tmp_path / "panel.png")
    low, high = figure.axes[1].get_ylim()
    assert low < 1 < high


def test_many_classes_are_drawn_by_groups_of_ranks() -> None:
    drawn = all_figures(400)
    blocks, pairs = drawn["confusion"].axes[:2]
    shares: Any = blocks.images[0].get_array()
    assert shares.shape == (20, 20)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert names(blocks, "x")[:2] == names(blocks, "y")[:2] == ["1–20", "21–40"]
    assert len(pairs.patches) == len(pairs.texts) == 15
    assert len(drawn["curves"].axes[0].lines) == 2, "median and mean"
    counts, _, shares_of_weight, recall = drawn["panel"].axes
    assert len(counts.lines[0].get_xdata()) == 400  # type: ignore[arg-type]
    (bars,) = shares_of_weight.patches
    assert list(bars.get_data().values) == pytest.approx([1 / 20, 0] * 19 + [1 / 20]), "balanced"  # type: ignore[attr-defined]
    assert not recall.patches


def test_the_worst_pairs_are_the_most_frequent_mistakes() -> None:
    counts = sparse.lil_array((300, 300), dtype=np.int64)
    counts[range(300), range(300)] = 9
    counts[7, 3], counts[5, 2], counts[6, 1] = 4, 2, 2
    counts[6, 6] = 0
    pairs = figures.confusion_matrix(counts.tocsr(), [f"c{index}" for index in range(300)], np.arange(300), COLOR).axes[
        1
    ]
    assert [label.get_text() for label in pairs.get_yticklabels()] == ["c7 → c3", "c6 → c1", "c5 → c2"]
    assert [text.get_text() for text in pairs.texts] == ["4 of 13 (31%)", "2 of 2 (100%)", "2 of 11 (18%)"]


def test_importing_the_figures_changes_no_setting_of_matplotlib() -> None:
    code = (
        "import matplotlib, sys; before = matplotlib.rcParams.copy()\n"
        "import equipoise.reports.run_page, equipoise.comparison.report\n"
        "sys.exit(before != matplotlib.rcParams)"
    )
    environment = {**os.environ, "PYTHONPATH": str(code_root() / "src")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
