"""Runs that are finished while the next one trains get their pictures, whatever becomes of the process that draws."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from equipoise.runs import background
from equipoise.runs.background import MOST_BYTES, MOST_WAITING, Beside
from equipoise.tracking.run import Description, Run, start_run
from equipoise.tracking.store import Store
from examples import evidence
from processes import Processes

PICTURES = {
    "confusion_matrix.png",
    "pr_curves.png",
    "reliability.png",
    "report.html",
    "training_curves.png",
    "what_the_weights_did.png",
}


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Beside, psutil.Process]]:
    """What finishes the runs of this process, and its process that draws."""
    with background.beside(100):
        current = background.current()
        assert current
        yield current, start(current)
    assert background.current() is None


@pytest.fixture
def running(started: tuple[Beside, psutil.Process]) -> Beside:
    return started[0]


def start(beside: Beside) -> psutil.Process:
    """Start it; return the process that draws."""
    before = drawing()
    beside.start()
    (process,) = drawing() - before
    return process


def drawing() -> set[psutil.Process]:
    """The children of this process that were spawned to work for it."""
    return {child for child in psutil.Process().children() if any("spawn_main" in word for word in child.cmdline())}


def begin(store: Store, folder: Path) -> tuple[Run, contextlib.ExitStack]:
    held = contextlib.ExitStack()
    folder.mkdir()
    return held.enter_context(start_run(store, Description("e", "n"), folder)), held


def drawn(store: Store, run: str) -> set[str]:
    return {Path(file.path).name for file in store.client.list_artifacts(run, "evaluation")}


def status_at_the_end(store: Store, run: Run) -> str:
    """Wait until the run is closed."""

    def closed() -> str:
        status = str(store.client.get_run(run.id).info.status)
        return "" if status == "RUNNING" else status

    return Processes().until(closed)


def test_a_run_is_finished_once_its_pictures_are_logged(store: Store, running: Beside, tmp_path: Path) -> None:
    found, released = evidence(3), []
    assert running.takes(found)
    log, held = begin(store, tmp_path / "run")
    held.callback(released.append, "lock")
    running.finish(found, log, held)
    assert (store.client.get_run(log.id).info.status, released) == ("RUNNING", [])
    assert (status_at_the_end(store, log), released) == ("FINISHED", ["lock"])
    assert drawn(store, log.id) == PICTURES
    assert {Path(file.path).suffix for file in store.client.list_artifacts(log.id, "images")} == {".png", ".webp"}


def test_a_run_whose_pictures_fail_is_failed_and_tells_why(
    store: Store, running: Beside, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, held = begin(store, tmp_path / "run")
    (tmp_path / "run" / "evaluation").write_text("no folder")
    running.finish(evidence(3), log, held)
    assert status_at_the_end(store, log) == "FAILED"
    assert "FileExistsError" in store.client.get_run(log.id).data.tags["error"]
    said = Processes().until(lambda: capsys.readouterr().err)
    assert said.startswith("error: FileExistsError")
    assert "(balanced <b>&</b> cnn)" in said


def test_more_runs_than_it_can_take_are_left_to_the_caller(
    store: Store, started: tuple[Beside, psutil.Process], tmp_path: Path
) -> None:
    (running, artist), small = started, evidence(3)
    half = np.zeros((MOST_BYTES // 48 + 1, 3))
    assert not running.takes(dataclasses.replace(small, log_probabilities=half, corrected=half))
    assert running.takes(dataclasses.replace(small, log_probabilities=half, corrected=None))
    artist.suspend()  # or it would be done with the first before the last is there
    for number in range(MOST_WAITING):
        assert running.takes(small)
        log, held = begin(store, tmp_path / str(number))
        running.finish(small, log, held)
    assert not running.takes(small)
    artist.resume()
    assert Processes().until(lambda: running.takes(small))


@pytest.mark.slow
def test_the_last_run_is_not_drawn_beside(store: Store, tmp_path: Path) -> None:
    beside = Beside(2)
    beside.start()
    assert beside.takes(evidence(3))
    log, held = begin(store, tmp_path / "run")
    beside.finish(evidence(3), log, held)
    beside.start()
    assert not beside.takes(evidence(3))
    beside.close()


@pytest.mark.slow
def test_pictures_are_drawn_though_the_process_that_draws_is_killed(store: Store, tmp_path: Path) -> None:
    beside = Beside(2)
    artist = start(beside)
    runs = [begin(store, tmp_path / str(number)) for number in range(2)]
    artist.kill()
    for log, held in runs:
        beside.finish(evidence(3), log, held)
    beside.close()
    for log, _ in runs:
        assert store.client.get_run(log.id).info.status == "FINISHED"
        assert drawn(store, log.id) == PICTURES
