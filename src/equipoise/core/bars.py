"""Live bars in the terminal: the epochs of a run, the jobs of a sweep with what is left of them, things being counted.

Without a terminal, as in a pipe or a log, they show nothing. A notebook shows one line below the cell.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from equipoise.core import notebook
from equipoise.core.state import kept
from equipoise.core.terminal import console

CELLS = 16  # of a bar
LEAST_COUNTED = 2_000  # things that take long enough for a bar

Advance = Callable[[Mapping[str, float]], None]


class Pace:
    """When all jobs are done, if they go on at the pace since the first piece of one was done.

    Before that, libraries are loaded and a model is compiled, which later jobs need not do.

    Parameters
    ----------
    total : jobs
    clock : seconds
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._without_work = 0
        self._first: tuple[float, float] | None = None  # when the first piece was done, and how much it was
        self._end: float | None = None

    def skip(self) -> None:
        """Count a job that needed no work, which says nothing of the pace."""
        self._without_work += 1

    def reach(self, done: float) -> None:
        """Take note of how many jobs are done, those without work and parts of others included."""
        now, worked = self._clock(), done - self._without_work
        if self._first is None and worked > 0:
            self._first = now, worked
        elif self._first is not None and worked > self._first[1]:
            since, before = self._first
            self._end = now + (now - since) * (self._total - done) / (worked - before)

    def left(self) -> float | None:
        """Return the seconds until the end, as estimated when the last piece was done; None as long as none can be."""
        return None if self._end is None else max(0.0, self._end - self._clock())


@dataclass(eq=False)
class Job:
    """A job of a sweep that is under way.

    Attributes
    ----------
    needs_work : until somebody has found that it does not
    done : the part of it that is done
    row : its line below the bar, once it has one
    """

    label: str
    epochs: int
    needs_work: bool = True
    done: float = 0.0
    row: TaskID | None = None


class Jobs:
    """The bar of a sweep's jobs, and below it a line for each job that is under way.

    Parameters
    ----------
    drawn : shows the bar; None in a notebook
    line : what a notebook shows instead
    """

    def __init__(self, total: int, drawn: Progress | None, line: notebook.LiveLine | None = None) -> None:
        self._total, self._drawn, self._line = total, drawn, line
        self._ended, self._under_way = 0, list[Job]()
        self._pace = Pace(total)
        self._bar = drawn.add_task("", total=total, told=self._told(), pace=self._pace) if drawn else TaskID(0)

    def begin(self, label: str, epochs: int) -> Job:
        """Return a new job under way; it has a line once an epoch of it is done."""
        self._under_way.append(Job(label, epochs))
        return self._under_way[-1]

    def reach(self, job: Job, epoch: int, told: str) -> None:
        """Show how many epochs of the job are done, and what is said of the last one."""
        job.done = max(job.done, min(1.0, epoch / (job.epochs + 1)))  # judging takes its time, too
        if self._drawn:
            text = f"{epoch}/{job.epochs} epochs  {job.label}  {told}"
            if job.row is None:
                job.row = self._drawn.add_task("", total=job.epochs, told=text, pace=None)
            self._drawn.update(job.row, completed=epoch, told=text)
        self._show()

    def end(self, job: Job) -> None:
        """Count the job as done, and show it no more."""
        self._under_way.remove(job)
        self._ended += 1
        if not job.needs_work:
            self._pace.skip()
        if self._drawn and job.row is not None:
            self._drawn.remove_task(job.row)
        self._show()

    def _show(self) -> None:
        done = self._ended + sum(job.done for job in self._under_way)
        self._pace.reach(done)
        if self._drawn:
            self._drawn.update(self._bar, completed=done, told=self._told())
        if self._line:
            self._line.move(self._ended, f"{self._total - self._ended} left{about(self._pace.left())}")

    def _told(self) -> str:
        return f"{self._ended}/{self._total} jobs, {self._total - self._ended} left"


@dataclass
class _Current:
    jobs: Jobs | None = None
    job: Job | None = None


@contextlib.contextmanager
def jobs_bar(total: int) -> Iterator[Jobs]:
    """Show the bar of a sweep while the body does its jobs; bars of their epochs stand below it."""
    current = kept(_Current)  # Hydra calls the jobs of a sweep, and hands nothing on to them
    columns = (BarColumn(CELLS), _Told(table_column=Column(no_wrap=True, overflow="ellipsis")))
    with contextlib.ExitStack() as held:
        if console.is_jupyter:
            current.jobs = Jobs(total, None, notebook.line_below(total, "jobs"))
        else:
            drawn = Progress(*columns, console=console, transient=True, disable=not _is_live())
            current.jobs = Jobs(total, held.enter_context(drawn))
        try:
            yield current.jobs
        finally:
            current.jobs = None


@contextlib.contextmanager
def job(label: str, epochs: int) -> Iterator[Job | None]:
    """Count the body as a job of the sweep whose bar this process shows; None if it shows none."""
    current = kept(_Current)
    if current.jobs is None:
        yield None
        return
    jobs, found = current.jobs, current.jobs.begin(label, epochs)
    current.job = found
    try:
        yield found
    finally:
        current.job = None
        jobs.end(found)


@contextlib.contextmanager
def epochs_bar(epochs: int) -> Iterator[Advance]:
    """Show a live bar, below that of the sweep if there is one; yield what to call with each epoch's metrics."""
    current = kept(_Current)
    if current.jobs and current.job:
        reach, number = partial(current.jobs.reach, current.job), itertools.count(1)
        yield lambda metrics: reach(next(number), told(metrics))
    elif console.is_jupyter:
        line = notebook.line_below(epochs)
        yield lambda metrics: line.advance(told(metrics))
        line.show()
    else:
        shown = TextColumn("epochs  {task.fields[told]}")
        columns = (BarColumn(CELLS), MofNCompleteColumn(), shown, TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not _is_live()) as progress:
            task = progress.add_task("", total=epochs, told="")
            yield lambda metrics: progress.update(task, advance=1, told=told(metrics))


@contextlib.contextmanager
def counting(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Show a live bar of things that are done one after the other, and yield the function that adds some.

    Parameters
    ----------
    total : how many there are, nearly; None if that is not known
    """
    shown = _is_live() and (total is None or total >= LEAST_COUNTED)
    columns = (
        BarColumn(CELLS),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not shown) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.update(task, advance=done)
        done = progress.tasks[task].completed
        progress.update(task, total=done)


def told(metrics: Mapping[str, float]) -> str:
    """Return what the bar says of an epoch's metrics."""
    loss, judged = f"loss {metrics['train/loss']:.4f}", metrics.get("val/balanced_accuracy")
    return loss if judged is None else f"{loss}  val/balanced_accuracy {judged:.3f}"


def about(seconds: float | None) -> str:
    """Return what is said of the time that is left; nothing if it is not known."""
    return "" if seconds is None else f", about {timedelta(seconds=round(seconds))} to go"


def _is_live() -> bool:
    return console.is_terminal and not console.quiet


class _Told(ProgressColumn):
    """What is said of a job or of all jobs, the time that it has taken, and for all jobs what is left of it."""

    def render(self, task: Task) -> Text:
        pace: Pace | None = task.fields["pace"]
        left = about(pace.left()) if pace else ""
        return Text(f"{task.fields['told']}  {timedelta(seconds=int(task.elapsed or 0))}{left}")
