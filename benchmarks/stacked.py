"""Time 24 small jobs of a sweep one after the other, and as one program by `trainer.stacked=true`, on the device taken.

Small models wait for their operations to be launched, on a GPU most of all. Both ways are one command.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paired import copy_project, in_turn, ratio, seconds, summary, table

ROUNDS = 1  # of minutes, and what is compared differs by more than rounds do
JOBS = 24
GRID = ("-m", "weighting=none,balanced,inverse,power", "seed=range(6)", "sweep=new")
# What is logged of epochs, and pictures, would be the same for both.
LEAN = ("trainer.batch_size=64", "evaluation.pictures=false", "evaluation.resamples=0", "tracking.every=100")
SIZES = {"linear": "model=linear", "(64, 64)": "model=mlp", "(256, 256)": "model=mlp model.hidden=[256,256]"}
EPOCHS = 300
ALONE, TOGETHER = "one after the other", "`trainer.stacked=true`"


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of both ways for each size of model, and their table."""
    found, lines = {}, []
    with tempfile.TemporaryDirectory() as folder:
        program = copy_project(Path(folder))
        seconds(program, "dataset=digits_lt", "model=mlp", "trainer.epochs=1", "seed=99")  # makes store and bytecode

        def swept(words: tuple[str, ...]) -> Callable[[], float]:
            return lambda: seconds(program, *GRID, "dataset=digits_lt", f"trainer.epochs={EPOCHS}", *LEAN, *words)

        for size, model in SIZES.items():
            words = tuple(model.split())
            times = in_turn({ALONE: swept(words), TOGETHER: swept((*words, "trainer.stacked=true"))}, rounds)
            found[size] = summary(times)
            shown = [f"{statistics.median(times[way]):.0f} s" for way in (ALONE, TOGETHER)]
            lines.append([size, *shown, str(ratio(times[TOGETHER], times[ALONE]))])
    told = f"{JOBS} jobs of {EPOCHS} epochs of `digits_lt`, batches of 64: wall time of the whole command."
    return found, f"{told}\n\n{table(['layers', ALONE, TOGETHER, 'ratio'], lines)}"
