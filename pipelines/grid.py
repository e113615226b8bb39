"""Run a grid of data sets and methods that is no full product of options:

PYTHONPATH=src:pipelines python pipelines/grid.py controls

`pipelines/NAME/grid.yaml` says what is typed for each data set and each method. Each pair is a command of its own, and
all are one sweep, called NAME. What the store has already is not trained again.
"""

import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from equipoise.config.model import REPETITION, config_sha256
from equipoise.core.paths import project_root
from equipoise.sweeps import planning
from equipoise.tracking import history
from equipoise.tracking.history import Logged
from equipoise.tracking.store import open_store

HERE = Path(__file__).parent
# Quoted, since Hydra's sweeper escapes braces otherwise. Intervals come from the repetitions here, not from resampling.
REPEATED = ("seed=range({repetitions})", "dataset.split_seed='${{seed}}'", "evaluation.resamples=0")
METHOD = "method.name"  # the one param that sets runs apart once they are named


@dataclass(frozen=True)
class Cell:
    """What is typed for one data set, or several of one kind, under one method."""

    dataset: str
    method: str
    words: tuple[str, ...]


def read(name: str) -> dict[str, Any]:
    """Return what stands in pipelines/`name`/grid.yaml."""
    found: dict[str, Any] = yaml.safe_load((HERE / name / "grid.yaml").read_text())
    return found


def cells(name: str) -> list[Cell]:
    """Return the cells of the grid, data set by data set."""
    grid = read(name)
    shared = ("-m", f"sweep={name}", f"hydra/launcher={grid['launcher']}")
    repeated = tuple(word.format(**grid) for word in REPEATED)
    found = []
    for dataset, of_data in grid["datasets"].items():
        methods = grid["methods"] | grid.get("instead", {}).get(dataset, {})
        for method, of_method in methods.items():
            words = {word.partition("=")[0]: word for word in split(f"{of_data} {of_method}")}
            found.append(Cell(dataset, method, (*shared, *words.values(), *repeated)))
    return found


def split(words: str) -> list[str]:
    """Return the words; quotes stay, since Hydra reads them."""
    return shlex.split(words, posix=False)


def run(name: str, dataset: str | None) -> int:
    """Run every cell, or those of one data set, from the project's root; return 1 if one failed, and go on."""
    failed = 0
    for cell in cells(name):
        if dataset in (None, cell.dataset):
            print(f"\n=== {cell.dataset} · {cell.method}", flush=True)
            failed |= subprocess.run([sys.executable, "src/train.py", *cell.words], check=False).returncode
    return min(failed, 1)


def named_runs(name: str, metrics: Sequence[str]) -> tuple[list[Logged], list[str]]:
    """Return the finished runs of the grid, each with its method as the one param that sets it apart, and what lacks.

    Parameters
    ----------
    metrics : see `history.sweep_runs`
    """
    wanted: dict[str, Cell] = {}
    for cell in cells(name):
        planned = planning.plan(cell.words)
        assert planned is not None, "no flag asks for help"
        wanted |= {config_sha256(job): cell for job in planned.jobs}
    newest = {run.tags["config_sha256"]: run for run in history.sweep_runs(open_store(project_root()), name, metrics)}
    trained = [named(run, wanted[digest].method) for digest, run in newest.items() if digest in wanted]
    decided = read(name).get("decided", {})
    more = [
        by_rule(run, method, rule)
        for method, (of, rule) in decided.items()
        for run in trained
        if run.params[METHOD] == of
    ]
    lacking = Counter(f"{cell.dataset} · {cell.method}" for digest, cell in wanted.items() if digest not in newest)
    return [*trained, *more], [f"{label} ({count})" for label, count in lacking.items()]


def named(run: Logged, method: str) -> Logged:
    """Return the run with no param beside its method, its data and its repetition."""
    kept = ("dataset.name", "dataset.title", *REPETITION)
    params: Mapping[str, Any] = {key: value for key, value in run.params.items() if key in kept}
    return replace(run, params={**params, METHOD: method})


def by_rule(run: Logged, method: str, rule: str) -> Logged:
    """Return the run as a method of its own: the same model, decided by another rule, which was logged beside it."""
    logged = f"decision/{rule}/"
    found = {f"test/{key.removeprefix(logged)}": value for key, value in run.metrics.items() if key.startswith(logged)}
    others = {key: value for key, value in run.metrics.items() if not key.startswith("test/")}
    return replace(run, params={**run.params, METHOD: method}, metrics={**others, **found})


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
