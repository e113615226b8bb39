"""Show the jobs of worker processes in the launcher's terminal: one bar, and each job's messages at its end.

A worker's own terminal may be a log file on another machine. It writes its messages into its job's folder, which holds
the journal of its epochs as well; the launcher reads both.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from equipoise.core.bars import Job, Jobs, jobs_bar, told
from equipoise.core.terminal import retell, written_to
from equipoise.tracking.outbox import read_journal

SPOKEN = "terminal.log"  # in a job's folder, once the job has ended
SPEAKING = "terminal.part"
INTERVAL = 0.3  # seconds between two looks at the folders


@contextlib.contextmanager
def spoken(folder: Path) -> Iterator[None]:
    """Write the body's messages into the job's folder instead of the terminal."""
    try:
        with open(folder / SPEAKING, "w", encoding="utf-8") as file, written_to(file):
            yield
    finally:
        (folder / SPEAKING).rename(folder / SPOKEN)


@contextlib.contextmanager
def followed(folder: Path, labels: Sequence[str], epochs: Sequence[int]) -> Iterator[None]:
    """Show the jobs in the sweep's folder while the body runs; each job's folder there is named by its number.

    Parameters
    ----------
    labels, epochs : one for each job
    """
    over = threading.Event()
    with jobs_bar(len(labels)) as bar:
        each = zip(labels, epochs, strict=True)
        jobs = [_Followed(folder / str(number), label, total, bar) for number, (label, total) in enumerate(each)]

        def follow() -> None:
            while not over.wait(INTERVAL):
                for job in jobs:
                    job.look()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for job in jobs:
                job.look(last=True)


class _Followed:
    """A job whose folder is looked at."""

    def __init__(self, folder: Path, label: str, epochs: int, bar: Jobs) -> None:
        self.folder, self.label, self.epochs, self.bar = folder, label, epochs, bar
        self.job: Job | None = None
        self.over = False

    def look(self, *, last: bool = False) -> None:
        if self.over:
            return
        speaking, spoken = self.folder / SPEAKING, self.folder / SPOKEN
        self.over = spoken.exists() or (last and speaking.exists())
        if self.job is None and (self.over or speaking.exists()):
            self.job = self.bar.begin(self.label, self.epochs)
        if self.job and self.over:
            epoch = self._advance(self.job)
            self.job.needs_work = epoch > 0
            self.bar.end(self.job)
            for line in (spoken if spoken.exists() else speaking).read_text(encoding="utf-8").splitlines():
                retell(line)
        elif self.job:
            self._advance(self.job)

    def _advance(self, job: Job) -> int:
        """Show how far the job is, and return how many epochs are done."""
        latest = {point["key"]: point for point in read_journal(self.folder)}
        point = latest.get("train/loss")
        if point is None:
            return 0
        self.bar.reach(job, point["step"] + 1, told({key: one["value"] for key, one in latest.items()}))
        return int(point["step"]) + 1
