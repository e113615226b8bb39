"""Time a sweep of 24 small runs against 24 separate commands, and show where its time goes.

The same jobs run in turn: as one command each (a sample, times 24), in one process, and on two joblib workers. Each way
runs with Keras's `fit(class_weight=)`, the default, and with `loss=custom`, for which `trainer.engine=auto` takes the
resident loop. Ratios are to the commands with the same loss. A sweep whose jobs train for ten seconds each follows, in
one process and on two workers: once, since it takes minutes.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paired import copy_project, in_turn, medians, parts_table, ratio, seconds, summary, table, timings

ROUNDS = 2
QUICK = ("dataset=digits_lt", "model=mlp", "trainer.epochs=20", "trainer.profile=true")
GRID = ("-m", "weighting=none,balanced,inverse,power", "seed=range(6)", "sweep=new")
JOBS, SAMPLE = 24, 3
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
LONG = ("weighting=none,balanced", "seed=range(8)", "trainer.epochs=3000", "loss=custom")  # of ten seconds on one core
LONG_JOBS = 16
WORKERS = {"one process": (), "two workers": JOBLIB}
CUSTOM = ", `loss=custom`"
COMMANDS = {f"{JOBS} commands": (), f"{JOBS} commands{CUSTOM}": ("loss=custom",)}
LAUNCHERS = {
    "one process": (),
    f"one process{CUSTOM}": ("loss=custom",),
    "two workers, `hydra/launcher=joblib`": JOBLIB,
    f"two workers{CUSTOM}": (*JOBLIB, "loss=custom"),
    "one process, `evaluation.pictures=false`": ("evaluation.pictures=false",),
    "two workers, `evaluation.pictures=false`": (*JOBLIB, "evaluation.pictures=false"),
}


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of each way and of the parts of each sweep, and their tables."""
    parts: dict[str, list[dict[str, float]]] = {name: [] for name in LAUNCHERS}
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        program = copy_project(project)
        seconds(program, *QUICK, "seed=99")  # makes the store, the prepared data and the bytecode

        def swept(name: str, options: tuple[str, ...]) -> Callable[[], float]:
            def taken() -> float:
                begun = time.time()
                found = seconds(program, *GRID, *QUICK, *options)
                parts[name].append({**timings(project, begun, JOBS), "the command": found})
                return found

            return taken

        def one_by_one(options: tuple[str, ...]) -> Callable[[], float]:
            return lambda: (
                JOBS * statistics.median(seconds(program, *QUICK, f"seed={seed}", *options) for seed in range(SAMPLE))
            )

        ways = {name: one_by_one(options) for name, options in COMMANDS.items()} | {
            name: swept(name, options) for name, options in LAUNCHERS.items()
        }
        times = in_turn(ways, rounds)
        of_long, long_table = _long(program)
    commands, with_custom = (times[name] for name in COMMANDS)
    lines = [
        [name, f"{statistics.median(taken):.0f} s", str(ratio(taken, with_custom if CUSTOM in name else commands))]
        for name, taken in times.items()
    ]
    of_sweep = {name: medians(found) for name, found in parts.items()}
    told = (
        f"{JOBS} runs of 20 epochs of `digits_lt` with `model=mlp`; the commands are {SAMPLE}, times {JOBS}, "
        "of the same loss as the sweep."
    )
    ways_by_loss = [
        {name: taken for name, taken in times.items() if (CUSTOM in name) == custom} for custom in (False, True)
    ]
    ways_found = summary(ways_by_loss[0]) | summary(ways_by_loss[1])
    return {"ways": ways_found, "parts": of_sweep, "long": of_long}, "\n\n".join(
        [told, table(["", "wall time", "of the commands'"], lines), parts_table(of_sweep), long_table]
    )


def _long(program: Path) -> tuple[dict[str, Any], str]:
    """Return seconds of a sweep whose jobs train for long, in one process and on two workers, and their table."""

    def swept(options: tuple[str, ...]) -> Callable[[], float]:
        return lambda: seconds(program, "-m", "dataset=digits_lt", "model=mlp", "sweep=new", *LONG, *options)

    times = in_turn({name: swept(options) for name, options in WORKERS.items()}, rounds=1)
    one = times[next(iter(WORKERS))]
    lines = [[name, f"{statistics.median(taken):.0f} s", str(ratio(taken, one))] for name, taken in times.items()]
    told = f"{LONG_JOBS} jobs of the same model, `{' '.join(LONG)}`:"
    return summary(times), f"{told}\n\n{table(['', 'wall time', 'of one process'], lines)}"
