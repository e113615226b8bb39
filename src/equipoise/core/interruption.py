"""SIGINT, SIGTERM and a closed terminal (SIGHUP) end a run within seconds, whatever it is doing.

Python raises KeyboardInterrupt only between two of its own instructions, which may be long after the signal while
TensorFlow or a database is at work. A process that has not ended after a while is therefore ended by another thread.
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
KILLED = b"interrupted: the work under way did not end in time, so the process was stopped; the run is KILLED\n"
LAST_WORDS = 1.0  # seconds to close the run if there was no orderly end
HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
ENDING = (signal.SIGTERM, HANGUP)  # besides SIGINT, which Python handles itself


def listen() -> None:
    """Make these signals raise KeyboardInterrupt with their name, unless they are ignored, as under nohup."""
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


@contextlib.contextmanager
def left_as_before() -> Iterator[None]:
    """At the end, have signals handled as before the body: a script or a notebook goes on after a run."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # one that was not set from Python cannot be set again
                signal.signal(number, handler)


@contextlib.contextmanager
def bounded(close: Callable[[], None]) -> Iterator[None]:
    """Let a signal raise KeyboardInterrupt in the body; end the process with 128 + its number if that takes too long.

    Parameters
    ----------
    close : called from another thread before the process is ended, and abandoned if it takes too long
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    listen()  # in a launcher's worker nothing else has
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


@contextlib.contextmanager
def outliving_terminal() -> Iterator[None]:
    """Within it a closed terminal (SIGHUP) ends nothing: what is left to do is done, and told to nobody."""
    before = signal.getsignal(HANGUP)
    if (
        threading.current_thread() is not threading.main_thread()
        or before is not _interrupt
        or HANGUP == signal.SIGTERM
    ):
        yield  # signals go to the main thread alone, or somebody else has decided what this one does
        return
    signal.signal(HANGUP, _outlive)
    try:
        yield
    finally:
        signal.signal(HANGUP, before)


def _watch(signals: socket.socket, over: threading.Event, close: Callable[[], None]) -> None:
    with signals:
        while number := signals.recv(1):
            if number[0] in (signal.SIGINT, *ENDING) and signal.getsignal(number[0]) is not _outlive:
                break
        else:
            return  # no signal came
    if not over.wait(GRACE):
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(LAST_WORDS)
        with contextlib.suppress(OSError):  # nobody may read the stream any more
            os.write(2, KILLED)
        os._exit(128 + number[0])


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == HANGUP != signal.SIGTERM:
        _leave_terminal()
    raise KeyboardInterrupt(signal.Signals(number).name)


def _outlive(number: int, frame: FrameType | None) -> None:
    _leave_terminal()


def _leave_terminal() -> None:
    """Write to nowhere instead: an error in writing to the closed terminal would replace the interruption."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)
    os.close(nowhere)
