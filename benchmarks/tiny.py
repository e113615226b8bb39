"""Time a tiny run as a command against a bare Keras script that trains the same: what is not training.

The script only imports Keras and trains. The command also validates every epoch, evaluates, prints its tables, logs the
model and all figures to MLflow, draws five pictures and writes a page.
"""

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import psutil

from paired import REPOSITORY, copy_project, in_turn, ratio, seconds, summary, table

ROUNDS = 3
EPOCHS = 20
TINY = ("dataset=digits_lt", "model=mlp", f"trainer.epochs={EPOCHS}", "weighting=balanced")
RESULT = "Test split by class"  # how the first table begins
BARE, COMMAND = "bare Keras script", "`python src/train.py weighting=balanced`"
WAYS = {COMMAND: (), "`… evaluation.pictures=false`": ("evaluation.pictures=false",)}


@dataclass(frozen=True)
class Taken:
    """Seconds of a program: to its result, and to its end, by the clock and of processor time."""

    shown: float
    shown_cpu: float
    wall: float
    cpu: float


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of each way, and their table."""
    taken: dict[str, list[Taken]] = {name: [] for name in (BARE, *WAYS)}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        program = copy_project(project)
        for _ in range(2):  # makes the store, the prepared data and the bytecode; and what a second run keeps
            seconds(program, *TINY)
        (prepared,) = (project / "cache").glob("digits_lt-*")
        commands = {BARE: (REPOSITORY / "benchmarks" / "bare_mlp.py", prepared, EPOCHS)} | {
            name: (program, *TINY, *options) for name, options in WAYS.items()
        }

        def run(name: str) -> float:
            taken[name].append(_timed(*commands[name]))
            return taken[name][-1].wall

        times = in_turn({name: functools.partial(run, name) for name in commands}, rounds)
    lines = [[name, *_cells(found, taken[BARE])] for name, found in taken.items()]
    of_bare = ["of the script's", "of its processor time"]
    heading = ["", "until the tables", *of_bare, "whole", *of_bare]
    told = (
        f"{EPOCHS} epochs of `digits_lt` with `model=mlp`, 351 samples in batches of 32; load {os.getloadavg()[0]:.0f}."
    )
    detail = {name: [astuple(one) for one in found] for name, found in taken.items()}
    return {"commands": summary(times), "seconds": detail}, f"{told}\n\n{table(heading, lines)}"


def _cells(found: list[Taken], bare: list[Taken]) -> list[str]:
    def median(name: str) -> str:
        return f"{statistics.median(getattr(one, name) for one in found):.1f} s"

    def of_bare(name: str, whole: str) -> str:
        return str(ratio([getattr(one, name) for one in found], [getattr(one, whole) for one in bare]))

    return [
        *(median("shown"), of_bare("shown", "wall"), of_bare("shown_cpu", "cpu")),
        *(median("wall"), of_bare("wall", "wall"), of_bare("cpu", "cpu")),
    ]


def _timed(*command: Any) -> Taken:
    """Run a Python program; a program without tables has shown its result at its end."""
    start, before, shown = time.perf_counter(), os.times(), None
    words = [sys.executable, *map(str, command)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as run:
        assert run.stdout
        for line in run.stdout:
            if line.startswith(RESULT) and shown is None:
                used = psutil.Process(run.pid).cpu_times()
                shown = time.perf_counter() - start, used.user + used.system
    if run.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {run.returncode}")
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(*(shown or (wall, cpu)), wall, cpu)
