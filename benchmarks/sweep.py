"""A sweep of 24 small runs against as many separate commands, and where its time goes.

    python benchmarks/sweep.py

The same jobs three ways, alternating: one command each (a sample of them, times 24), one process, and two joblib
workers; then one more sweep in this process with a clock in every part.
"""

import contextlib
import functools
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
QUICK = ("dataset=digits_lt", "model=mlp", "trainer.epochs=20")
GRID = ("-m", "weighting=none,balanced,inverse,power", "seed=range(6)")
JOBS, SAMPLE, ROUNDS = 24, 3, 2
# The parts that are timed: module, and the name in it.
PARTS = {
    "training: graph traced and epochs": ("training", "fit"),
    "model built": ("training", "build"),
    "audit": ("audit", "audit"),
    "model logged": ("tracking.Run", "log_model"),
    "evaluation": ("experiment", "evaluate_and_log"),
    "of it: pictures": ("evaluation", "_log_pictures"),
    "metrics logged": ("tracking.Run", "_log"),
    "job as a whole": ("experiment", "run"),
}


def main() -> None:
    """Print the ratios of each round, their medians, and the table of parts."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("src", "conf"):
            shutil.copytree(REPOSITORY / part, Path(folder) / part)
        program = f"{folder}/src/train.py"
        seconds(program, *QUICK, "seed=99")  # makes the store and the prepared data
        ratios: dict[str, list[float]] = defaultdict(list)
        for number in range(1, ROUNDS + 1):
            alone = statistics.median(seconds(program, *QUICK, f"seed={seed}") for seed in range(SAMPLE)) * JOBS
            for name, more in {"one process": (), "joblib": ("hydra/launcher=joblib",)}.items():
                taken = seconds(program, *GRID, *QUICK, *more, "sweep=new")
                ratios[name].append(taken / alone)
                print(f"round {number}: {JOBS} commands {alone:.0f} s, {name} {taken:.0f} s, ratio {taken / alone:.2f}", flush=True)
        for name, found in ratios.items():
            print(f"{name}: median ratio {statistics.median(found):.2f} (from {min(found):.2f} to {max(found):.2f}); the aim for one process is 0.35")
        _print_parts(Path(folder))


def seconds(*command: str) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def _print_parts(project: Path) -> None:
    """Run the sweep in this process, its parts under a clock."""
    sys.path.insert(0, str(project / "src"))
    begin = time.perf_counter()
    from equipoise import audit, evaluation, experiment, runtime, tracking

    runtime.start("auto", "auto", deterministic=True)
    from equipoise import training

    start_up = time.perf_counter() - begin
    spent: dict[str, float] = defaultdict(float)
    for label, (where, name) in PARTS.items():
        owner: Any = {"training": training, "audit": audit, "tracking.Run": tracking.Run, "experiment": experiment, "evaluation": evaluation}[where]
        setattr(owner, name, _clocked(getattr(owner, name), label, spent))
    sys.argv = ["train.py", *GRID, *QUICK, "sweep=new"]
    with contextlib.redirect_stdout(open("/dev/null", "w")), contextlib.suppress(SystemExit):
        runpy.run_path(str(project / "src" / "train.py"), run_name="__main__")
    whole = time.perf_counter() - begin
    print(f"\n{'part':36} {'s':>7} {'s/job':>7} {'share':>6}")
    rows = {"start-up: imports": start_up, **spent, "the sweep as a whole": whole}
    for label, taken in rows.items():
        print(f"{label:36} {taken:7.1f} {taken / JOBS:7.2f} {taken / whole:6.0%}")


def _clocked(function: Any, label: str, spent: dict[str, float]) -> Any:
    @functools.wraps(function)
    def timed(*args: Any, **named: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            spent[label] += time.perf_counter() - begin

    return timed


if __name__ == "__main__":
    main()
