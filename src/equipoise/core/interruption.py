"""SIGINT, SIGTERM and a terminal that is closed (SIGHUP) end a run within seconds, whatever it is busy with.

Python raises KeyboardInterrupt only between two of its own instructions, which may be long after the signal where
TensorFlow or a database is at work. What is still there after a while is therefore ended from another thread.
"""

import contextlib
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from types import FrameType

GRACE = 3.0  # seconds for an orderly end
LAST_WORDS = 1.0  # seconds for closing the run where there was none
ENDING = (signal.SIGTERM, signal.SIGHUP)  # beside SIGINT, which Python has a handler for


def listen() -> None:
    """From here on these signals raise KeyboardInterrupt with their name; one that is ignored, as under nohup, stays so."""
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


@contextlib.contextmanager
def bounded(close: Callable[[], None]) -> Iterator[None]:
    """Within it a signal raises KeyboardInterrupt, and ends the process with 128 + its number if that does not help in time.

    Parameters
    ----------
    close : called from another thread before the process is ended, and given up on if it takes too long
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    listen()  # in a launcher's worker nobody has before
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    over = threading.Event()
    threading.Thread(target=_watch, args=(reading, over, close), daemon=True).start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        writing.close()


def _watch(signals: socket.socket, over: threading.Event, close: Callable[[], None]) -> None:
    with signals:
        while number := signals.recv(1):
            if number[0] in (signal.SIGINT, *ENDING):
                break
        else:
            return  # nothing came
    if not over.wait(GRACE):
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(LAST_WORDS)
        with contextlib.suppress(OSError):  # of a stream that nobody reads
            os.write(
                2,
                b"interrupted: what it was busy with did not end in time, so the process was ended; the run is KILLED\n",
            )
        os._exit(128 + number[0])


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:
        _leave_terminal()
    raise KeyboardInterrupt(signal.Signals(number).name)


def _leave_terminal() -> None:
    """Nobody reads there any more, and an error in writing would take the place of the interruption."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)
    os.close(nowhere)
