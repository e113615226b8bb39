"""Measure what logging costs a run of 1,000 classes and 100 epochs, on the project's own store.

python benchmarks/run_log.py

The run takes all steps of `src/train.py`; a stopwatch around the methods of the log counts their seconds.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import copy_project

CLASSES, EPOCHS, SAMPLES = 1000, 100, 20
METHODS = (
    *("begin", "log_params", "log_metrics", "log_profile", "set_tag", "log_dataset"),
    *("log_json", "log_file", "log_table", "log_model", "end"),
)


def main() -> None:
    """Print the share of the run's wall time that each method of the log takes."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        subprocess.run([sys.executable, __file__, "--one", folder], check=True)


def one(folder: Path) -> None:
    """Train once in this process, with the code in the folder."""
    sys.path.insert(0, str(folder / "src"))
    from equipoise.tracking.outbox import read_journal
    from equipoise.tracking.run import Run

    spent = _watched(Run)
    output = folder / "outputs" / "benchmark"
    output.mkdir(parents=True)
    start = time.perf_counter()
    _train(output)
    whole = time.perf_counter() - start
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{name:12} {seconds:6.2f} s  {seconds / whole:6.1%}")
    share = sum(spent.values()) / whole
    print(f"{CLASSES} classes, {EPOCHS} epochs, {len(read_journal(output))} points: {whole:.1f} s")
    print(f"The log takes {share:.1%} of it; the aim is below 10 %")


def _watched(log: type) -> dict[str, float]:
    """Put a stopwatch around the log's methods; return the seconds of each, without those that it calls in turn."""
    spent: dict[str, float] = dict.fromkeys(METHODS, 0.0)
    nested = 0

    def timed(name: str) -> None:
        inner = getattr(log, name)

        def outer(*arguments: object, **keywords: object) -> object:
            nonlocal nested
            nested += 1
            start = time.perf_counter()
            try:
                return inner(*arguments, **keywords)
            finally:
                nested -= 1
                if not nested:
                    spent[name] += time.perf_counter() - start

        setattr(log, name, outer)

    for name in METHODS:
        timed(name)
    return spent


def _train(output: Path) -> None:
    from equipoise.core.paths import project_root
    from equipoise.runs.run import run
    from equipoise.runs.session import Session
    from equipoise.sweeps import planning
    from equipoise.tracking.store import open_store

    counts = [SAMPLES + index % 7 for index in range(CLASSES)]
    data = ["dataset=synthetic", f"dataset.class_counts={counts}", "dataset.features=1000"]
    splits = ["dataset.test_per_class=20", "dataset.validation_per_class=10"]
    found = planning.plan([*data, *splits, "model=mlp", f"trainer.epochs={EPOCHS}", "weighting=balanced"])
    assert found
    (config,) = found.jobs
    with Session(open_store(project_root()), output) as session:
        run(config, session)


if __name__ == "__main__":
    one(Path(sys.argv[2])) if sys.argv[1:2] == ["--one"] else main()
