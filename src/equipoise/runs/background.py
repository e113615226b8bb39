"""The end of a run while the next one of its sweep trains: another process draws, and a thread closes the run.

Until then the run is RUNNING and its locks are held, like those of any run that goes on.
"""

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process

from equipoise.core.state import kept
from equipoise.core.terminal import errors
from equipoise.reports import run_page
from equipoise.reports.evidence import Evidence
from equipoise.runs.log_evaluation import draw_and_log, log_drawn
from equipoise.runs.session import Session
from equipoise.tracking.run import Run, reason

# Runs that have no pictures yet: with more of them the process that trains draws itself, in place of waiting.
MOST_WAITING = 6
MOST_BYTES = 20 * 2**20  # of a run's predictions, of which the other process gets a copy


class Beside:
    """The process that draws, and the thread that ends runs.

    Parameters
    ----------
    runs : how many there will be, at most
    """

    def __init__(self, runs: int) -> None:
        self._to_come = runs
        self._artist = ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin_drawing)
        self._closer = ThreadPoolExecutor(1)
        self._ends: list[Future[None]] = []

    def start(self) -> None:
        """Have the process there when there is something to draw: a run begins."""
        self._to_come -= 1
        if not self._ends:
            self._ends.append(self._artist.submit(_nothing))

    def takes(self, evidence: Evidence) -> bool:
        """Return whether this run can be left to it, or is better drawn by whoever asks.

        After the last run somebody waits for what is left, so no two runs are left then.
        """
        sent = (evidence.log_probabilities, evidence.corrected)
        most = MOST_WAITING if self._to_come else 1
        return (
            sum(values.nbytes for values in sent if values is not None) <= MOST_BYTES
            and sum(not end.done() for end in self._ends) < most
        )

    def finish(self, evidence: Evidence, log: Run, held: contextlib.ExitStack) -> None:
        """Draw and log the pictures, and close what is held for the run, itself included; return at once."""
        drawn: Future[list[str]] = Future()
        try:
            drawn = self._artist.submit(run_page.draw, evidence, log.folder)
        except BrokenProcessPool as error:
            drawn.set_exception(error)
        self._ends.append(self._closer.submit(_end, drawn, evidence, log, held))

    def settle(self) -> None:
        """Wait for the ends of all runs so far."""
        for end in self._ends:
            end.result()

    def close(self) -> None:
        """Wait for all ends."""
        self._closer.shutdown()
        self._artist.shutdown()


@contextlib.contextmanager
def beside(runs: int) -> Iterator[None]:
    """Finish the runs of this process, so many at most, beside the body; at its end all are finished."""
    current = kept(_Current)  # Hydra calls the jobs of a sweep, and hands nothing on to them
    current.beside = Beside(runs)
    try:
        yield
    finally:
        current.beside.close()
        current.beside = None


def current() -> Beside | None:
    """Return what finishes the runs of this process, if anything does but the runs themselves."""
    return kept(_Current).beside


def run_begins(*, with_pictures: bool) -> None:
    """Have the process that draws there when there is something to draw, if one is to draw."""
    beside = current()
    if beside and with_pictures:
        beside.start()


def draw(evidence: Evidence, log: Run, session: Session, *, with_pictures: bool) -> None:
    """Draw and log a run's pictures and its page: now, or beside the next run where that is done."""
    beside = current()
    if with_pictures and beside and beside.takes(evidence):
        session.hand_over(partial(beside.finish, evidence, log))
    else:
        draw_and_log(evidence, log, with_pictures=with_pictures)


@dataclass
class _Current:
    beside: Beside | None = None


def _end(drawn: "Future[list[str]]", evidence: Evidence, log: Run, held: contextlib.ExitStack) -> None:
    try:
        with held:
            try:
                files = drawn.result()
            except BrokenProcessPool:  # it was killed, such as for its memory
                files = run_page.draw(evidence, log.folder)
            log_drawn(files, log)
    except Exception as error:
        errors.print(f"error: {reason(error)}  ({evidence.name})", soft_wrap=True)


def _begin_drawing() -> None:  # pragma: no cover - another process
    """In the process that draws: it ends with the one that trains, and only then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal
    gc.freeze()  # what is imported is there to stay: Python need not look for garbage in it
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:  # pragma: no cover - another process
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _nothing() -> None:  # pragma: no cover - another process
    pass
