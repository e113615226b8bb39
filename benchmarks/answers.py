"""Processor time of what is answered at once, against a Hydra program over the same conf/ that does nothing.

Processor time and not wall time: both are of one thread, and other work on the machine changes it less.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from paired import REPOSITORY, copy_project, in_turn, ratio, table

ROUNDS = 7
BARE = REPOSITORY / "benchmarks" / "bare_hydra.py"
# What a shell hands to a program that completes its words.
TYPED = {"COMP_LINE": "train.py weighting=ba", "COMP_POINT": "21"}
COMPLETION = ["--shell-completion", "query=bash"]
HELP, SHOWN, COMPLETED = "bare `--help`", "bare `--cfg job`", "bare completion"
# Of each answer: the program, its words, what it is compared with, and the highest ratio that is aimed at.
ANSWERS: dict[str, tuple[str, list[str], str, float | None]] = {
    "`python src/train.py --help`": ("train", ["--help"], HELP, 1.25),
    "`… --cfg job`": ("train", ["--cfg", "job"], SHOWN, 1.25),
    "`… --cfg job weighting=power`": ("train", ["--cfg", "job", "weighting=power"], SHOWN, None),
    "completion of `… weighting=ba`": ("train", COMPLETION, COMPLETED, 1.25),
    "`… trainer.epoch=3`, no such option": ("train", ["trainer.epoch=3"], HELP, 1),
    "`… weighting=balancd`, no such choice": ("train", ["weighting=balancd"], HELP, 1),
    "`… trainer.epochs=x`, a wrong value": ("train", ["trainer.epochs=x"], HELP, 1),
    "`python src/weights.py dataset=digits_lt`": ("weights", ["dataset=digits_lt"], HELP, 2),
}


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of processor time of each answer and its ratio to the bare program's, and their table."""
    with tempfile.TemporaryDirectory() as folder:
        programs = copy_project(Path(folder)).parent
        ways: dict[str, Callable[[], float]] = {
            HELP: _taken(BARE, ["--help"]),
            SHOWN: _taken(BARE, ["--cfg", "job"]),
            COMPLETED: _taken(BARE, COMPLETION),
        }
        for name, (program, words, _, _) in ANSWERS.items():
            ways[name] = _taken(programs / f"{program}.py", words)
            ways[name]()  # makes the bytecode, and prepares the data
        times = in_turn(ways, rounds)
    lines, found = [], {}
    for name, (_, _, other, aim) in ANSWERS.items():
        of_rounds = ratio(times[name], times[other])
        found[name] = {"seconds": times[name], "compared with": times[other], "ratio": vars(of_rounds)}
        told = "" if aim is None else f"{aim:g}"
        lines.append([name, f"{statistics.median(times[name]):.2f} s", other, str(of_rounds), told])
    heading = ["", "processor time", "compared with", "ratio", "at most"]
    return found, table(heading, lines)


def _taken(program: Path, words: Sequence[str]) -> Callable[[], float]:
    def taken() -> float:
        before = os.times()
        environment, folder = {**os.environ, **TYPED}, program.parents[1]
        found = subprocess.run(
            [sys.executable, str(program), *words], cwd=folder, env=environment, capture_output=True, text=True
        )
        after = os.times()
        if found.returncode not in (0, 2):  # 2: a mistake, which is told
            raise RuntimeError(f"{program.name} {' '.join(words)} ended with {found.returncode}:\n{found.stderr}")
        return after.children_user + after.children_system - before.children_user - before.children_system

    return taken
