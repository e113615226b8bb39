"""Pages of comparisons in a real browser: every chart is drawn, no text lies on another, and a phone shows all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from comparisons import run
from equipoise.comparison import verdict
from equipoise.comparison.compare import Comparison, compare
from equipoise.comparison.comparison_page import Context, as_page
from equipoise.comparison.stored import Confusion, Curve
from pages import a_browser, look

pytestmark = pytest.mark.slow

LOSSES = ("class_weight", "focal", "ldam", "poly")
WEIGHTINGS = ("none", "balanced", "power", "inverse", "max_ratio", "effective_number", "median_frequency")


def made(
    classes: int, weightings: tuple[str, ...], losses: tuple[str, ...] = LOSSES[:1], datasets: int = 1
) -> Comparison:
    """Compare configurations whose recalls rise towards the tail, on three splits."""
    generator = np.random.default_rng(classes)
    runs = []
    for number in range(datasets):
        for place, (weighting, loss) in enumerate((one, other) for one in weightings for other in losses):
            for split in range(3):
                slope = 0.05 * place * np.linspace(-0.4, 1, classes)
                recall = np.clip(np.linspace(0.9, 0.3, classes) + slope + generator.normal(0, 0.05, classes), 0, 1)
                metrics = {f"count/c{rank:04}": 1000.0 - rank for rank in range(classes)}
                for metric in ("recall", "precision"):
                    metrics |= {f"test/{metric}/c{rank:04}": float(recall[rank]) for rank in range(classes)}
                control = {"decision/logit_adjusted/balanced_accuracy": float(recall.mean()) + 0.02}
                params = {
                    "dataset.split_seed": str(split),
                    "loss.name": loss,
                    "dataset.title": f"data set number {number}",
                }
                macro_f1 = float(recall.mean() + generator.normal(0, 0.02))
                runs.append(run(weighting, 0, float(recall.mean()), params, macro_f1=macro_f1, **metrics, **control))
    return compare(runs, "balanced_accuracy")


def drawn(comparison: Comparison, classes: int) -> str:
    """Return the page with curves and confusions of all configurations."""
    names = tuple(f"c{rank:04}" for rank in range(classes))
    confusions, curves = {}, {}
    for table in comparison.tables:
        labels = [row.configuration.label for row in table.rows if row.configuration.rule is None][:7]
        shares = {label: 0.5 + place / 20 for place, label in enumerate(labels)}
        spread = np.full((classes, classes), 0.1 / classes)
        confusions[table.dataset] = {
            label: Confusion(names, spread + share * np.eye(classes), 3) for label, share in shares.items()
        }
        epochs = np.arange(1.0, 40)
        curves[table.dataset] = {
            label: Curve(epochs, share - 0.4 / epochs, share - 0.6 / epochs, share - 0.3 / epochs, 3)
            for label, share in shares.items()
        }
    context = Context("Sweep made", verdict.headline(comparison), (), confusions, curves, "balanced_accuracy")
    return as_page(comparison, context).as_html()


PAGES = {
    "2 classes": (made(2, WEIGHTINGS[:2]), 2),
    "10 classes": (made(10, WEIGHTINGS[:3], LOSSES[:2]), 10),
    "long names": (made(12, ("none", "power"), ("class_weight", "a loss with a name of many words " * 3)), 12),
    "many configurations": (made(20, WEIGHTINGS, LOSSES), 20),
    "1,000 classes": (made(1000, WEIGHTINGS[:4]), 20),
    "4 data sets": (made(5, WEIGHTINGS[:4], datasets=4), 5),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with a_browser() as driver:
        yield driver


@pytest.mark.parametrize(
    ("name", "width"),
    [*((name, 400) for name in PAGES), *((name, 1300) for name in ("10 classes", "long names", "many configurations"))],
)
def test_a_page_is_whole_and_legible(name: str, width: int, browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "comparison.html"
    file.write_text(drawn(*PAGES[name]), encoding="utf-8")
    assert file.stat().st_size < 1_200_000
    found = look(browser, file, width, dark=width == 400)
    assert found.messages == []
    assert found.drawn == found.charts >= 5
    assert found.beyond <= 0
    assert found.cut <= 0
    assert found.overlaps == []
