"""The end of a run while the next one of its sweep trains: another process draws, and a thread logs the pictures and closes the run.

Until then the run is RUNNING and its locks are held, as of any run that is going on.
"""

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process

from equipoise.core.terminal import errors
from equipoise.reports import run_page
from equipoise.reports.evidence import Evidence
from equipoise.runs.evaluate import log_drawn
from equipoise.tracking.run import Run, reason

MOST_WAITING = 6  # runs that have no pictures yet; whoever trains draws more than these himself, in place of waiting for the slower
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
        """A run begins: have the process there when there is something to draw."""
        self._to_come -= 1
        if not self._ends:
            self._ends.append(self._artist.submit(_nothing))

    def takes(self, evidence: Evidence) -> bool:
        """Whether this run can be left to it, or is better drawn by whoever asks; of the last one nobody would have to wait for two."""
        sent = (evidence.log_probabilities, evidence.corrected)
        most = MOST_WAITING if self._to_come else 1
        return (
            sum(values.nbytes for values in sent if values is not None) <= MOST_BYTES
            and sum(not end.done() for end in self._ends) < most
        )

    def finish(self, evidence: Evidence, log: Run, held: contextlib.ExitStack) -> None:
        """Draw and log the pictures, and close what is held for the run, itself included; returns at once."""
        drawn: Future[list[str]] = Future()
        try:
            drawn = self._artist.submit(run_page.draw, evidence, log.folder)
        except BrokenProcessPool as error:
            drawn.set_exception(error)
        self._ends.append(self._closer.submit(_end, drawn, evidence, log, held))

    def close(self) -> None:
        """Wait for all ends."""
        self._closer.shutdown()
        self._artist.shutdown()


@contextlib.contextmanager
def beside(runs: int) -> Iterator[None]:
    """Within it the runs of this process, so many at most, are finished beside; at its end all of them are."""
    global _current  # Hydra calls the jobs of a sweep, and hands nothing on to them
    _current = Beside(runs)
    try:
        yield
    finally:
        _current.close()
        _current = None


def current() -> Beside | None:
    """What finishes the runs of this process, if anything does but the runs themselves."""
    return _current


_current: Beside | None = None


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
