"""Grids of data sets and methods, and the page that is drawn of one: numbers by hand, no training."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from comparisons import run

REPOSITORY = Path(__file__).parents[1]
ARGMAX, TUNED = (0.5, 0.6, 0.4), (0.58, 0.7, 0.52)  # balanced accuracy on three splits


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    for folder in ("pipelines", "pipelines/controls"):
        monkeypatch.syspath_prepend(REPOSITORY / folder)
    import grid
    import marked
    import page

    for name in ("grid", "marked", "page"):
        monkeypatch.delitem(sys.modules, name)
    return SimpleNamespace(grid=grid, marked=marked, page=page)


@pytest.mark.parametrize("name", ["controls", "published"])
def test_a_method_s_options_replace_those_of_the_data_set(name: str, programs: SimpleNamespace) -> None:
    found = programs.grid.cells(name)
    for cell in found:
        keys = [word.partition("=")[0] for word in cell.words]
        assert len(keys) == len({*keys}), f"{cell} types an option twice"
        assert f"sweep={name}" in cell.words
    decided = programs.grid.read(name).get("decided", {})
    assert {of for of, _ in decided.values()} <= {cell.method for cell in found}


def test_the_page_has_the_corrected_intervals_of_paired_differences(programs: SimpleNamespace) -> None:
    runs = [
        run(
            "none",
            0,
            value,
            {"dataset.split_seed": str(split), "dataset.title": "data"},
            **{"decision/tuned/balanced_accuracy": TUNED[split], "count/a": 50, "count/b": 20},
            log_loss_corrected=0.4,
        )
        for split, value in enumerate(ARGMAX)
    ]
    trained = [programs.grid.named(one, "none") for one in runs]
    more = [run("balanced", split, 0.5, runs[split].params, log_loss_corrected=0.3) for split in range(3)]
    others = [programs.grid.named(one, "balanced") for one in more]
    decided = [programs.grid.by_rule(one, "tuned", "tuned") for one in trained]
    assert [one.metrics["test/balanced_accuracy"] for one in decided] == list(TUNED)
    told = programs.page.told([*trained, *decided, *others])
    # Differences 0.08, 0.10, 0.12: standard deviation 0.02, times the square root of 1/3 + 20/70, times t = 4.303.
    assert "| tuned | 0.600 · **+0.100 ± 0.068** · 3/3 |" in told
    assert "| none | 0.500 |" in told


def test_only_what_the_command_writes_is_replaced(programs: SimpleNamespace, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = (mark.format("make x") for mark in (programs.marked.BEGIN, programs.marked.END))
    page.write_text(f"before\n\n{begin}\nold\n{end}\nafter\n")
    for _ in range(2):
        programs.marked.rewrite(page, "make x", "new")
    assert page.read_text() == f"before\n\n{begin}\n\nnew\n\n{end}\nafter\n"
    with pytest.raises(AssertionError, match="has no place for what make y writes"):
        programs.marked.rewrite(page, "make y", "new")


def test_over_data_sets_methods_stand_beside_what_is_free_as_well(programs: SimpleNamespace) -> None:
    """Differences of 0.01 and 0.03 to the models that are adjusted: 0.02, half of 0.02 by t = 12.706 over sqrt(2)."""
    runs = []
    for title, free in (("first", 0.71), ("second", 0.69)):
        for split in range(3):
            params = {"dataset.split_seed": str(split), "dataset.title": title}
            logged = {"decision/logit_adjusted/balanced_accuracy": free, "count/a": 50, "count/b": 20}
            plain = run("none", split, 0.6, params, log_loss_corrected=0.4, **logged)
            weighted = run("balanced", split, 0.72, params, log_loss_corrected=0.4, **logged)
            runs += [programs.grid.named(plain, "none"), programs.grid.named(weighted, "balanced")]
    told = programs.page.told(runs)
    section = told.partition("## Against what is free")[2].partition("## Balanced accuracy")[0]
    assert "| balanced | 0.720 · +0.020 ± 0.127 · 2/2 |" in section
    assert "| none, post hoc | 0.700" in section
