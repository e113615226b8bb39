"""Real signals to real processes."""

import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from equipoise.interruption import bounded
from processes import Processes

PROGRAM = """
import hashlib, pathlib, sys, time
from equipoise.interruption import bounded

def close():
    pathlib.Path(sys.argv[2]).write_text("closed")
    time.sleep(0 if sys.argv[1] == "busy" else 1000)

try:
    with bounded(close):
        print("ready", flush=True)
        if sys.argv[1] == "idle":
            time.sleep(1000)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # hours in C, where no exception can be raised
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("doing", ["idle", "busy", "busy, and the store hangs"])
def test_a_signal_ends_what_cannot_be_interrupted(doing: str, sent: signal.Signals, tmp_path: Path, processes: Processes) -> None:
    source = str(Path(__file__).parents[1] / "src")
    command = [sys.executable, "-c", PROGRAM, doing, str(tmp_path / "closed")]
    process = processes.start(command, env={"PYTHONPATH": source})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if doing != "idle":
        seconds = psutil.Process(process.pid).cpu_times
        before = seconds().user
        processes.until(lambda: seconds().user > before + 0.2, process)  # it is at work
    process.send_signal(sent)
    output, errors = processes.said(process)
    if doing == "idle":
        assert (process.returncode, output, errors) == (0, "interrupted\n", "")
        assert not (tmp_path / "closed").exists()
    else:
        assert process.returncode == 128 + sent
        assert errors.startswith("interrupted: ")
        assert (tmp_path / "closed").read_text() == "closed"


def test_in_another_thread_signals_stay_as_they_are() -> None:
    found = []

    def work() -> None:
        with bounded(lambda: None):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
