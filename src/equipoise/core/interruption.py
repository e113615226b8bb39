"""SIGINT, SIGTERM and a closed terminal (SIGHUP) end a run within seconds, whatever it is doing.

Python raises KeyboardInterrupt only between two of its own instructions, which may be long after the signal while
TensorFlow or a database is at work. The exception may also be lost: Python drops it in a finalizer and in a weak
reference's callback, Keras in an `except: pass` at the end of every epoch. Another thread therefore sends the signal
again, and ends a process that has not ended after a while.
"""

import contextlib
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

GRACE = 3.0  # seconds for an orderly end
AGAIN = 1.0  # seconds until a signal is sent again
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
        with _dropped_in_silence():
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


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Within it signals wait: each is handled at the end of the body."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    before = {
        number: handler
        for number in (signal.SIGINT, *ENDING)
        # Else it is ignored, ends the process at once, was not set from Python, or ends nothing.
        if callable(handler := signal.getsignal(number)) and handler is not _outlive
    }
    waiting: list[int] = []
    try:
        for number in before:
            signal.signal(number, lambda sent, _: waiting.append(sent))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)


@contextlib.contextmanager
def _dropped_in_silence() -> Iterator[None]:
    """Where Python drops a KeyboardInterrupt, have it write no traceback to the terminal."""
    before = sys.unraisablehook

    def tell(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before


def _watch(signals: socket.socket, over: threading.Event, close: Callable[[], None]) -> None:
    with signals:  # open until the body's end: a second signal is written to it, too
        while received := signals.recv(1):
            number = received[0]
            if number not in (signal.SIGINT, *ENDING) or signal.getsignal(number) is _outlive:
                continue
            if not _ends(over, number):
                _end(number, close)


def _ends(over: threading.Event, number: int) -> bool:
    """Wait for an orderly end and return whether it came; meanwhile send the signal again and again."""
    main = threading.main_thread().ident
    assert main is not None
    deadline = time.monotonic() + GRACE
    while not over.wait(AGAIN) and time.monotonic() < deadline:
        signal.pthread_kill(main, number)
    return over.is_set()


def _end(number: int, close: Callable[[], None]) -> None:
    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(LAST_WORDS)
    with contextlib.suppress(OSError):  # nobody may read the stream any more
        os.write(2, KILLED)
    os._exit(128 + number)


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
