"""What logging costs a run: 1,000 classes, 100 epochs, on the project's own store.

python benchmarks/run_log.py

The run is a whole one of `src/train.py`'s steps; its seconds within the log are counted where they are spent.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paired import copy_project

CLASSES, EPOCHS, SAMPLES = 1000, 100, 20


def main() -> None:
    """Print the shares of the run's wall time that logging, uploading and the rest have."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        subprocess.run([sys.executable, __file__, "--one", folder], check=True)


def one(folder: Path) -> None:
    """One run in this process, with a stopwatch around the methods of the log."""
    sys.path.insert(0, str(folder / "src"))
    from equipoise.sweeps import planning
    from equipoise.tracking import run
    from equipoise.tracking.outbox import read_journal
    from equipoise.tracking.store import open_store

    spent: dict[str, float] = {}
    nested = 0

    def timed(name: str) -> None:
        inner = getattr(run.Run, name)

        def outer(*arguments: object, **keywords: object) -> object:
            nonlocal nested
            nested += 1
            start = time.perf_counter()
            try:
                return inner(*arguments, **keywords)
            finally:
                nested -= 1
                if not nested:
                    spent[name] = spent.get(name, 0) + time.perf_counter() - start

        setattr(run.Run, name, outer)

    for name in (
        "begin",
        "log_params",
        "log_metrics",
        "log_profile",
        "set_tag",
        "log_dataset",
        "log_json",
        "log_file",
        "log_table",
        "log_model",
        "end",
    ):
        timed(name)
    counts = [SAMPLES + index % 7 for index in range(CLASSES)]
    words = [
        "dataset=synthetic",
        f"dataset.class_counts={counts}",
        "dataset.test_per_class=20",
        "dataset.validation_per_class=10",
    ]
    words += ["dataset.features=1000", "model=mlp", f"trainer.epochs={EPOCHS}", "weighting=balanced"]
    (plan,) = [planning.plan(words)]
    assert plan
    from equipoise.core.paths import cache_folder, project_root
    from equipoise.data.prepare import prepare
    from equipoise.runs import run as experiment

    start = time.perf_counter()
    config = plan.jobs[0]
    data = prepare(config.dataset, cache_folder())
    output = folder / "outputs" / "benchmark"
    output.mkdir(parents=True)
    experiment.run(config, data, open_store(project_root()), output)
    whole = time.perf_counter() - start
    points = len(read_journal(output))
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{name:12} {seconds:6.2f} s  {seconds / whole:6.1%}")
    print(
        f"{CLASSES} classes, {EPOCHS} epochs, {points} points: {whole:.1f} s, of which the log {sum(spent.values()) / whole:.1%}; the aim is below 10 %"
    )


if __name__ == "__main__":
    one(Path(sys.argv[2])) if sys.argv[1:2] == ["--one"] else main()
