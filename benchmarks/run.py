"""Time one run as a command against a bare Keras script on the same data, alone and with MLflow's autologging.

The script only trains. A run also validates every epoch, evaluates, audits, draws and logs.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paired import REPOSITORY, copy_project, in_turn, medians, parts_table, ratio, seconds, summary, table, timings

ROUNDS = 3
EPOCHS = 210  # of about 0.15 s
SCRIPT = REPOSITORY / "benchmarks" / "bare_keras.py"
BARE, AUTOLOGGED = "bare Keras script", "with `mlflow.tensorflow.autolog()`"
RUNS = {
    "`python src/train.py weighting=balanced`": ["weighting=balanced"],
    "`… loss=custom`": ["weighting=balanced", "loss=custom"],
}


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of each command and of the parts of a run, and their tables."""
    parts: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        program = copy_project(project)
        seconds(program, "trainer.epochs=1")  # makes the store, the prepared data and the bytecode
        (prepared,) = (project / "cache").glob("mnist_lt-*")

        def run(name: str, options: list[str]) -> Callable[[], float]:
            def taken() -> float:
                begun = time.time()
                found = seconds(program, *options, f"trainer.epochs={EPOCHS}", "trainer.profile=true")
                parts[name].append({**timings(project, begun, 1), "the command": found})
                return found

            return taken

        ways: dict[str, Callable[[], float]] = {
            BARE: lambda: seconds(SCRIPT, prepared, str(EPOCHS)),
            AUTOLOGGED: lambda: seconds(SCRIPT, prepared, str(EPOCHS), f"sqlite:///{project}/autolog.db", cwd=project),
        }
        times = in_turn(ways | {name: run(name, options) for name, options in RUNS.items()}, rounds)
    bare = times[BARE]
    lines = [
        [
            name,
            f"{statistics.median(taken):.1f} s",
            str(ratio(taken, bare)),
            f"{statistics.median(a - b for a, b in zip(taken, bare, strict=True)):+.1f} s",
        ]
        for name, taken in times.items()
    ]
    of_run = {name: medians(found) for name, found in parts.items()}
    told = f"{EPOCHS} epochs of `mnist_lt` with `model=cnn`, 740 samples in batches of 32."
    whole = table(["", "wall time", "of the script's", "more"], lines)
    return {"commands": summary(times), "parts": of_run}, f"{told}\n\n{whole}\n\n{parts_table(of_run)}"
