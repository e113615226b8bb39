"""Show the jobs of worker processes in the launcher's terminal: a live line for each, and its messages at its end.

A worker's own terminal may be a log file on another machine. It writes its messages into its job's folder, which holds
the journal of its epochs as well; the launcher reads both.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from equipoise.core.terminal import console, retell, written_to
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
    columns = (
        TextColumn("{task.description}"),
        BarColumn(16),
        MofNCompleteColumn(),
        TextColumn("epochs  {task.fields[metrics]}"),
        TimeElapsedColumn(),
    )
    over = threading.Event()
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        jobs = [
            _Job(folder / str(number), label, total, progress)
            for number, (label, total) in enumerate(zip(labels, epochs, strict=True))
        ]

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


class _Job:
    def __init__(self, folder: Path, label: str, epochs: int, progress: Progress) -> None:
        self.folder, self.label, self.epochs, self.progress = folder, label, epochs, progress
        self.task: TaskID | None = None
        self.over = False

    def look(self, *, last: bool = False) -> None:
        if self.over:
            return
        speaking, spoken = self.folder / SPEAKING, self.folder / SPOKEN
        self.over = spoken.exists() or (last and speaking.exists())
        if self.over:
            self._say((spoken if spoken.exists() else speaking).read_text(encoding="utf-8"))
        elif speaking.exists():
            self._advance()

    def _advance(self) -> None:
        if self.task is None:
            self.task = self.progress.add_task(self.label, total=self.epochs, metrics="")
        points = read_journal(self.folder)
        latest = {point["key"]: point for point in points}
        if "val/balanced_accuracy" in latest:
            point = latest["val/balanced_accuracy"]
            self.progress.update(
                self.task, completed=point["step"] + 1, metrics=f"val/balanced_accuracy {point['value']:.3f}"
            )

    def _say(self, text: str) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        for line in text.splitlines():
            retell(line)
