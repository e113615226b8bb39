"""What the launcher's terminal shows of jobs in other processes, which it knows by their folders."""

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from equipoise.core import bars, terminal
from equipoise.core.terminal import told_once
from equipoise.sweeps.progress import SPEAKING, SPOKEN, followed, spoken

LEAK = "warning: leakage: 1 of 9 test samples stand in the training split as well"


def log(folder: Path, **values: float) -> None:
    """What a run writes into its folder at the end of the first epoch."""
    points = [{"key": key, "value": value, "step": 0, "timestamp": 1} for key, value in values.items()]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))


def test_one_bar_for_all_jobs_and_the_messages_of_each_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, errors = io.StringIO(), io.StringIO()
    console = Console(file=file, width=110, height=20, force_terminal=True, color_system=None)
    for module in (bars, terminal):
        monkeypatch.setattr(module, "console", console)
    monkeypatch.setattr(terminal, "errors", Console(file=errors, width=200))

    def seen(text: str) -> None:
        until = time.monotonic() + 20
        while text not in file.getvalue():
            assert time.monotonic() < until, file.getvalue()
            time.sleep(0.05)

    for number in range(3):
        (tmp_path / str(number)).mkdir()
    with told_once(), followed(tmp_path, ["none", "balanced", "power"], [2, 2, 2]):
        (tmp_path / "0" / SPEAKING).touch()
        log(tmp_path / "0", **{"train/loss": 0.5, "val/balanced_accuracy": 0.25})
        seen("1/2 epochs  none  loss 0.5000  val/balanced_accuracy 0.250")
        seen("0/3 jobs, 3 left")
        (tmp_path / "0" / SPOKEN).write_text(f"{LEAK}\nnone: 2 epochs on cpu\n")
        seen("1/3 jobs, 2 left")
        (tmp_path / "1" / SPEAKING).write_text(f"{LEAK}\nbalanced: its process was killed\n")  # it does not end
        (tmp_path / "2" / SPOKEN).write_text("power is finished in this sweep already\n")
        seen("2/3 jobs, 1 left")
    assert "3/3 jobs, 0 left" in file.getvalue()
    for line in (
        "none: 2 epochs on cpu",
        "balanced: its process was killed",
        "power is finished in this sweep already",
    ):
        assert file.getvalue().count(line) == 1
    assert errors.getvalue().splitlines() == [LEAK], "once, and not once a job"


def test_a_job_speaks_into_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with spoken(tmp_path), bars.epochs_bar(1) as advance:
        terminal.console.print("none: 1 epoch on cpu")
        terminal.warn("leakage")
        advance({"train/loss": 1.0})
        assert [path.name for path in tmp_path.iterdir()] == [SPEAKING]
    assert (tmp_path / SPOKEN).read_text() == "none: 1 epoch on cpu\nwarning: leakage\n"
    assert capsys.readouterr() == ("", "")
