"""SIGINT, SIGTERM and a closed terminal (SIGHUP) end a run within seconds, whatever it is doing.

Python raises KeyboardInterrupt only between two of its own instructions, which may be long after the signal while
TensorFlow or a database is at work. The exception may also be lost: Python drops it in a finalizer and in a weak
reference's callback, Keras in an `except: pass` at the end of every epoch, and NumPy makes a ValueError of it. Another
thread therefore sends the signal again, and ends a process that has not ended after a while.
"""

import _thread
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

    Raises
    ------
    KeyboardInterrupt
        After a signal, also if what the body called has lost the exception or made another one of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread alone
        return
    listen()  # in a launcher's worker nothing else has
    watch = _Watch(close)
    try:
        with _watched(watch), _dropped_in_silence():
            yield
    except Exception as error:
        if watch.received:
            raise KeyboardInterrupt(watch.received[0].name) from error
        raise
    if watch.received:
        raise KeyboardInterrupt(watch.received[0].name)


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
            before[number](number, None)  # to raise the signal would not do: Ray blocks it in its processes


@contextlib.contextmanager
def _watched(watch: "_Watch") -> Iterator[None]:
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch.follow, args=(reading,), daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            watch.end()  # what was sent just before is raised here at the latest
    finally:
        watch.end()
        signal.set_wakeup_fd(before)
        writing.close()
        watcher.join()


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


class _Watch:
    """What another thread does from a signal on: it sends it again and again, and then ends the process.

    Attributes
    ----------
    received : the signals so far
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self.received: list[signal.Signals] = []
        self._close, self._ended, self._sending = close, threading.Event(), threading.Lock()

    def end(self) -> None:
        """Send nothing from now on: the body has ended in order."""
        with self._sending:
            self._ended.set()

    def follow(self, signals: socket.socket) -> None:
        """Read their numbers until the other end of the socket is closed."""
        with signals:  # open to the end: a second signal is written to it, too
            while read := signals.recv(1):
                if read[0] in (signal.SIGINT, *ENDING) and signal.getsignal(read[0]) is not _outlive:
                    number = signal.Signals(read[0])
                    self.received.append(number)
                    self._insist(number)

    def _insist(self, number: signal.Signals) -> None:
        deadline = time.monotonic() + GRACE
        while not self._ended.wait(AGAIN):
            with self._sending:
                if self._ended.is_set():
                    return
                if time.monotonic() < deadline:
                    _send(number)
                    continue
            self._end_process(number)

    def _end_process(self, number: signal.Signals) -> None:
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(LAST_WORDS)
        with contextlib.suppress(OSError):  # nobody may read the stream any more
            os.write(2, KILLED)
        os._exit(128 + number)


def _send(number: signal.Signals) -> None:
    """Send a signal to the main thread, which wakes a call that waits; simulate it where signals are blocked."""
    main = threading.main_thread().ident
    # A thread begins with the mask of its maker, here the main thread. Ray blocks SIGINT in its processes.
    if main is None or number in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(main, number)


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
