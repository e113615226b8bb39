"""The bars of a sweep and of a run: what they say, and that they say nothing where there is no terminal."""

import io

import pytest
from rich.console import Console

from equipoise.core import bars
from equipoise.core.bars import Pace


def shown(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool = True, quiet: bool = False) -> io.StringIO:
    """What the console writes from now on."""
    file = io.StringIO()
    console = Console(file=file, width=110, height=20, force_terminal=is_terminal, color_system=None, quiet=quiet)
    monkeypatch.setattr(bars, "console", console)
    return file


def test_what_is_left_goes_by_the_pace_after_the_first_piece() -> None:
    """Ten jobs, of which two need no work; half a job in 5 seconds of work is 10 seconds a job."""
    now = [0.0]
    pace = Pace(10, clock=lambda: now[0])
    for _ in range(2):
        pace.skip()
    pace.reach(2)
    assert pace.left() is None, "nothing was worked"
    now[0] = 60.0  # libraries are loaded
    pace.reach(2.5)
    assert pace.left() is None, "one point has no pace"
    now[0] = 65.0
    pace.reach(3)
    assert pace.left() == pytest.approx(70)
    now[0] = 75.0
    assert pace.left() == pytest.approx(60), "it goes down while a job goes on"
    pace.reach(4)
    assert pace.left() == pytest.approx(60)
    now[0] = 999.0
    assert pace.left() == 0


def test_one_bar_has_jobs_done_left_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    file = shown(monkeypatch)
    with bars.jobs_bar(3) as jobs:
        for name in ("none", "balanced"):
            with bars.job(f"{name} · seed 0", 2) as job, bars.epochs_bar(2) as advance:
                advance({"train/loss": 1.5})
                advance({"train/loss": 0.5, "val/balanced_accuracy": 0.25})
                jobs._drawn.refresh()  # type: ignore[union-attr]
                frame = file.getvalue()
        assert job is not None
    assert "1/3 jobs, 2 left  0:00:00, about 0:00:00 to go" in frame
    assert "2/2 epochs  balanced · seed 0  loss 0.5000  val/balanced_accuracy 0.250" in frame
    assert "epochs" not in file.getvalue().rsplit("2/3 jobs, 1 left", 1)[1], "a job that has ended is shown no more"
    with bars.job("after", 1) as none:
        assert none is None


@pytest.mark.parametrize("how", [{"is_terminal": False}, {"quiet": True}])
def test_without_a_terminal_and_quietly_there_is_nothing(how: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    file = shown(monkeypatch, **how)
    with bars.jobs_bar(1), bars.job("none", 1), bars.epochs_bar(1) as advance:
        advance({"train/loss": 1.0})
    with bars.epochs_bar(1) as advance:
        advance({"train/loss": 1.0})
    with bars.counting(10_000, "rows") as count:
        count(10_000)
    assert file.getvalue() == ""
