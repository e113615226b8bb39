"""Shared by the benchmarks: ways timed in turn, ratios of each round, and commands in a project of their own."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ratio:
    """The median, lowest and highest ratio of the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Time each way once in each round, so that other work on the machine slows all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            found[name].append(way())
            print(f"  round {number} of {rounds}: {name} {found[name][-1]:.4g} s", flush=True)
    return found


def ratio(times: Sequence[float], others: Sequence[float]) -> Ratio:
    """Return the ratio of one way to another, round by round."""
    found = [mine / theirs for mine, theirs in zip(times, others, strict=True)]
    return Ratio(statistics.median(found), min(found), max(found))


def summary(times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return seconds of each way and its ratio to the first, for JSON."""
    first = next(iter(times.values()))
    return {
        name: {"seconds": taken, "median": statistics.median(taken), "ratio": vars(ratio(taken, first))}
        for name, taken in times.items()
    }


def table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *lines))


def parts_table(parts: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of seconds by part, as `timing.json` has them, for each kind of run."""
    names = dict.fromkeys(name for of_kind in parts.values() for name in of_kind)
    return table(
        ["seconds", *parts], [[name, *(f"{of_kind[name]:.2f}" for of_kind in parts.values())] for name in names]
    )


def copy_project(folder: Path) -> Path:
    """Copy code and config into an empty folder, as a project of its own; return its `src/train.py`."""
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "src" / "train.py"


def seconds(*command: str | Path, cwd: Path | None = None) -> float:
    """Return the wall time of a Python program; if it fails, raise with what it printed."""
    start = time.perf_counter()
    found = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if found.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))} ended with {found.returncode}:\n{found.stdout}{found.stderr}"
        )
    return taken


def timings(project: Path, since: float, runs: int) -> dict[str, float]:
    """Sum the seconds of each part in the `timing.json` of all runs that ended since then (`time.time()`)."""
    found = [
        json.loads(file.read_text()) for file in project.glob("outputs/**/timing.json") if file.stat().st_mtime >= since
    ]
    if len(found) != runs:
        raise RuntimeError(f"{len(found)} of {runs} runs left a timing.json")
    return {
        name: sum(run.get(name, 0.0) for run in found) for name in dict.fromkeys(name for run in found for name in run)
    }


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each part over the rounds."""
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
