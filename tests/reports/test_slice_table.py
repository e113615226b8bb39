"""What is said of slices and gates, in the terminal at any width and on a run's page."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from equipoise.core import terminal
from equipoise.core.schema import Integers
from equipoise.metrics.gates import Checked, Gate, Measured
from equipoise.metrics.slices import Slices, recall_by_slice
from equipoise.reports.console import print_gates, print_slices
from equipoise.reports.run_page import as_html
from equipoise.reports.slice_table import HEADINGS, rows, told
from examples import evidence
from pages import check_self_contained


@dataclass(frozen=True)
class Column:
    names: tuple[str, ...]
    codes: Integers


def slices(*hits: int, support: int = 30) -> Slices:
    """Return the recall of one class in as many slices, of so many hits each."""
    codes = np.repeat(np.arange(len(hits)), support)
    predicted = np.concatenate([np.arange(support) < count for count in hits]).astype(np.int64)
    names = tuple(f"<{index}>" for index in range(len(hits)))
    return recall_by_slice(np.ones(len(codes), np.int64), predicted, ("ok", "fraud"), {"c": Column(names, codes)})


def test_cells_by_hand() -> None:
    first, second = rows(slices(6, 15).with_samples)
    assert dict(zip(HEADINGS, first, strict=True)) == {
        "class, slice": "fraud, c=<0>",
        "n test": "30",
        "recall": "0.200",
        "95 %": "0.095 to 0.373",
        "elsewhere": "0.500",
        "p": "0.029",
        "differs": "lower",
    }
    assert second[-1] == "higher"
    assert rows(slices(0, 30).with_samples)[0][-2] == "2e-17"
    assert rows(slices(3).with_samples)[0][-3:] == ["–", "–", "–"]


def test_sentences_say_how_it_was_tested_and_what_differs() -> None:
    method, shown, first, second = told(slices(6, 15))
    assert "Fisher's exact test, p after Holm's correction for 1 test, all of this call" in method
    assert shown.startswith("2 of 2 recalls differ by more than noise")
    assert first == "  fraud, c=<0>: lower, 0.200 of 30 against 0.500 of 30 elsewhere (p 0.029)"
    assert second == "  fraud, c=<1>: higher, 0.500 of 30 against 0.200 of 30 elsewhere (p 0.029)"
    assert told(slices(14, 15))[1].startswith("0 of 2 recalls differ by more than noise")
    assert told(slices(14))[0].startswith("No class has samples in two slices")
    assert "Too few rows, in 3: not even a recall of 0 or 1" in told(slices(1, 1, 1, support=1))[1]
    many = told(replace(slices(*[0, 30] * 8), notes=("c: a note.",)))
    assert many[0] == "c: a note."
    assert many[-1] == "  … and 6 more in the table"


@pytest.mark.parametrize("width", [60, 120])
def test_tables_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=file, width=width, highlight=False, markup=False))
    print_slices(slices(*range(50)))
    gate = Gate("recall/a class with a long name/country=a long name as well", ">=", 0.8)
    print_gates(
        [Checked(gate, Measured(0.75, "0.700 to 0.800, rough")), Checked(replace(gate, threshold=0.5), Measured(0.75))]
    )
    shown = file.getvalue()
    assert max(map(cell_len, shown.splitlines())) <= width
    assert "Recall by class and slice (the lowest 40 of 50)" in shown
    assert shown.count("class, slice") == (2 if width == 60 else 1), "parts of the table"
    assert shown.count("passed") == shown.count("failed") == 1


def test_the_page_has_them_where_they_were_asked_for() -> None:
    found = replace(evidence(2), slices=slices(6, 15))
    page = as_html(found)
    check_self_contained(page)
    assert page.index("Which classes suffer?</h2>") < page.index("Do slices differ?</h2>")
    assert '<th scope="row">fraud, c=&lt;0&gt;</th><td>30</td><td>0.200</td>' in page
    assert "2 of 2 recalls differ by more than noise" in page
