"""Every moment belongs to one part of a run."""

import contextlib
import sys
import threading
import time
from pathlib import Path

import pytest

from equipoise.core import clock as clock_module
from equipoise.core.clock import PARTS, Clock, clock, imports_counted


class Hands:
    """The time of a clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        self.clock = Clock()

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_the_innermost_part_has_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    hands.spend(1)
    with hands.clock.part("train"):
        hands.spend(2)
        with hands.clock.part("log"):
            hands.spend(4)
        hands.spend(8)
        with contextlib.suppress(KeyError), hands.clock.part("evaluate"):
            hands.spend(16)
            raise KeyError
    hands.spend(32)
    hands.clock.move(3, "train", "trace")
    spent = hands.clock.lap()
    assert tuple(spent) == (*PARTS, "total")
    assert {name: seconds for name, seconds in spent.items() if seconds} == {
        "rest": 33,
        "train": 7,
        "trace": 3,
        "log": 4,
        "evaluate": 16,
        "total": 63,
    }


def test_a_lap_begins_at_nothing_even_within_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    with hands.clock.part("prepare"):
        hands.spend(5)
        assert hands.clock.lap()["prepare"] == 5
        hands.spend(1)
    assert hands.clock.lap()["total"] == 1


def test_another_thread_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)

    def beside() -> None:
        with hands.clock.part("log"):
            hands.spend(4)

    with hands.clock.part("train"):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        hands.spend(1)
    assert {name: seconds for name, seconds in hands.clock.lap().items() if seconds} == {"train": 5, "total": 5}


def test_a_process_that_has_begun_has_its_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hands = Hands(monkeypatch)
    hands.spend(7)
    monkeypatch.setattr(time, "process_time", lambda: 4.0)
    hands.clock.begin_process()
    spent = hands.clock.lap()
    assert spent["startup"] == spent["total"] == 4


def test_an_import_is_counted_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.05)\nimport slow_below\n")
    (tmp_path / "slow_below.py").write_text("import time; time.sleep(0.05)\n")
    monkeypatch.syspath_prepend(tmp_path)
    clock.lap()
    with imports_counted(), clock_module.clock.part("evaluate"):
        import slow_to_import  # type: ignore[import-not-found]
    spent = clock.lap()
    assert slow_to_import.__name__ in sys.modules
    assert spent["import"] >= 0.1, "both sleep that long"
    assert spent["import"] > spent["evaluate"] > 0
    assert __builtins__["__import__"].__name__ == "__import__"  # type: ignore[index]
