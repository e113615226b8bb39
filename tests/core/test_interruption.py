"""Real signals to real processes."""

import fcntl
import os
import pty
import signal
import sys
import termios
import threading
from pathlib import Path

import psutil
import pytest

from equipoise.core import interruption
from equipoise.core.interruption import bounded, held
from helpers import REPOSITORY
from processes import Processes

SOURCE = str(REPOSITORY / "src")
PROGRAM = """
import hashlib, pathlib, sys, time, weakref
from equipoise.core.interruption import bounded

LOST = ("in a callback", "swallowed", "swallowed at the end", "made another error")

class Kept:
    pass

def wait(*_):
    print("ready", flush=True)
    time.sleep(1000)

def lose():
    if sys.argv[1] == "in a callback":  # where Python drops the exception
        kept = Kept()
        reference = weakref.ref(kept, wait)
        del kept
    else:  # as Keras does at the end of every epoch
        try:
            wait()
        except KeyboardInterrupt:
            if sys.argv[1] == "made another error":  # as NumPy does where it reads the format of a buffer
                raise ValueError
    if sys.argv[1] != "swallowed at the end":
        time.sleep(1000)

def close():
    pathlib.Path(sys.argv[2]).write_text("closed")
    time.sleep(0 if sys.argv[1] == "busy" else 1000)

try:
    with bounded(close):
        if sys.argv[1] == "idle":
            wait()
        elif sys.argv[1] in LOST:
            lose()
        else:
            print("ready", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # hours in C, where no exception can be raised
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize(
    "doing",
    [
        "idle",
        "in a callback",
        "swallowed",
        "swallowed at the end",
        "made another error",
        "busy",
        "busy, and the store hangs",
    ],
)
def test_a_signal_ends_what_cannot_be_interrupted(
    doing: str, sent: signal.Signals, tmp_path: Path, processes: Processes
) -> None:
    command = [sys.executable, "-c", PROGRAM, doing, str(tmp_path / "closed")]
    process = processes.start(command, env={"PYTHONPATH": SOURCE})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if doing.startswith("busy"):
        seconds = psutil.Process(process.pid).cpu_times
        before = seconds().user
        processes.until(lambda: seconds().user > before + 0.2, process)  # it is at work
    process.send_signal(sent)
    output, errors = processes.said(process)
    if not doing.startswith("busy"):
        assert (process.returncode, output, errors) == (0, "interrupted\n", "")
        assert not (tmp_path / "closed").exists()
    else:
        assert process.returncode == 128 + sent
        assert errors.startswith("interrupted: ")
        assert (tmp_path / "closed").read_text() == "closed"


SIMULATED = """
import _thread, signal, sys, time
from equipoise.core.interruption import bounded, held

if sys.argv[1:]:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
try:
    with held():
        _thread.interrupt_main()
        print("held")
    print("lost")
except KeyboardInterrupt:
    print("held is over")
try:
    with bounded(lambda: None):
        try:
            _thread.interrupt_main()
            time.sleep(1)
        except:
            print("swallowed")
        while True:
            time.sleep(0.01)
except KeyboardInterrupt:
    print("sent again")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_held_is_handled_at_the_end(sent: signal.Signals) -> None:
    numbers = (signal.SIGINT, *interruption.ENDING)
    said = []
    with interruption.left_as_before():
        interruption.listen()
        listening = {number: signal.getsignal(number) for number in numbers}
        try:
            with held():
                signal.raise_signal(sent)
                said.append("the body's end")
        except KeyboardInterrupt:
            said.append("interrupted")
        assert {number: signal.getsignal(number) for number in numbers} == listening
    assert said == ["the body's end", "interrupted"]


@pytest.mark.parametrize("blocked", [False, True])
def test_what_only_simulates_a_signal_is_held_and_sent_again(blocked: bool, processes: Processes) -> None:
    """As Ray does in its processes, which block SIGINT."""
    process = processes.start([sys.executable, "-c", SIMULATED, *["blocked"] * blocked], env={"PYTHONPATH": SOURCE})
    assert processes.said(process) == ("held\nheld is over\nswallowed\nsent again\n", "")


def test_what_ignores_a_signal_holds_none() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


TERMINAL = """
import pathlib, sys, time
from equipoise.core import interruption

interruption.listen()
try:
    print("ready", flush=True)
    time.sleep(1000)
except KeyboardInterrupt as interrupt:
    print("nobody reads this", flush=True)
    print("nor this", file=sys.stderr, flush=True)
    pathlib.Path(sys.argv[1]).write_text(interrupt.args[0])
"""


def test_a_terminal_that_is_closed_interrupts_and_what_is_still_said_there_is_no_error(
    tmp_path: Path, processes: Processes
) -> None:
    ours, its = pty.openpty()

    def take() -> None:
        fcntl.ioctl(its, termios.TIOCSCTTY, 0)

    command = [sys.executable, "-c", TERMINAL, str(tmp_path / "closed")]
    process = processes.start(command, env={"PYTHONPATH": SOURCE}, stdin=its, stdout=its, stderr=its, preexec_fn=take)
    os.close(its)
    assert b"ready" in os.read(ours, 100)
    os.close(ours)
    processes.said(process)
    assert process.returncode == 0
    assert (tmp_path / "closed").read_text() == "SIGHUP"


OUTLIVING = """
import signal, sys, time
from equipoise.core import interruption

interruption.listen()
before = signal.getsignal(signal.SIGHUP)
with interruption.outliving_terminal(), interruption.bounded(lambda: print("closed")):
    with interruption.held():  # as it uploads
        print("ready", flush=True)
        time.sleep(interruption.GRACE + 0.5)
    print("logged")
assert signal.getsignal(signal.SIGHUP) is before
try:
    signal.raise_signal(signal.SIGHUP)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_what_is_left_to_do_after_the_result_outlives_the_terminal(processes: Processes) -> None:
    process = processes.start([sys.executable, "-c", OUTLIVING], env={"PYTHONPATH": SOURCE})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert processes.said(process) == ("logged\ninterrupted\n", "")


def test_under_nohup_a_closed_terminal_is_none_of_ours() -> None:
    before = {number: signal.getsignal(number) for number in interruption.ENDING}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interruption.listen()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_in_another_thread_signals_stay_as_they_are() -> None:
    found = []

    def work() -> None:
        with bounded(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
