"""Pages of runs in a real browser: every chart is drawn, no text lies on another, and nothing is wider than a phone."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equipoise.reports.evidence import Evidence
from equipoise.reports.run_page import as_html
from examples import evidence, evidence_of_labels
from pages import a_browser, look, wider_than_paper

pytestmark = pytest.mark.slow


def of_long_names() -> Evidence:
    run = evidence(12)
    return replace(run, weights=replace(run.weights, classes=tuple(f"{i} " + "W" * 90 for i in range(12))))


RUNS: dict[str, Callable[[], Evidence]] = {
    **{str(classes): functools.partial(evidence, classes) for classes in (2, 10, 100, 1000)},
    "12 long names": of_long_names,
    **{f"{labels} labels": functools.partial(evidence_of_labels, labels) for labels in (8, 60)},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as driver:
        yield driver


@pytest.mark.parametrize("width", [400, 1300])
@pytest.mark.parametrize("name", RUNS)
def test_a_page_is_whole_and_legible(name: str, width: int, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(as_html(_trained(RUNS[name]())), encoding="utf-8")
    assert file.stat().st_size < 1_200_000
    found = look(browser, file, width, dark=width == 400)
    assert found.messages == []
    assert found.drawn == found.charts >= 6
    assert found.beyond <= 0
    assert found.cut <= 0
    assert found.overlaps == []
    assert wider_than_paper(browser) == []


def test_what_lies_on_each_other_is_found(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    page = as_html(evidence(10))
    assert '"height": 240' in page, "ten rows"
    file.write_text(page.replace('"height": 240', '"height": 80'), encoding="utf-8")
    assert "class number 0 | class number 1" in look(browser, file, 1300).overlaps


def _trained(found: Evidence) -> Evidence:
    """Give the run epochs in which it learns: curves of equal values would all lie on each other."""
    learned = [
        {"train/loss": 50 / (1 + epoch), "val/loss": 2.0, "val/log_loss": 1 + 0.1 * abs(epoch - 20)}
        | {f"val/{name}": 1 - 0.9 / (1 + epoch) for name in ("balanced_accuracy", "macro_f1", "accuracy")}
        for epoch in range(60)
    ]
    return replace(found, history=learned)
