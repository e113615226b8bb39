"""One run against a bare Keras script on the same data: both alternate, and the median of the ratios counts.

    make bench

The run also validates every epoch, evaluates, audits, draws and logs; the script only trains.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
ROUNDS = 5
EPOCHS = 30


def seconds(*command: str) -> float:
    """Wall time of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print each round and the median."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("src", "conf"):
            shutil.copytree(REPOSITORY / part, Path(folder) / part)
        run = (f"{folder}/src/train.py", "weighting=balanced", f"trainer.epochs={EPOCHS}")
        seconds(*run)  # makes the store and the prepared data
        (prepared,) = (Path(folder) / "cache").iterdir()
        ratios = []
        for number in range(1, ROUNDS + 1):
            bare, ours = seconds(str(REPOSITORY / "benchmarks/bare_keras.py"), str(prepared), str(EPOCHS)), seconds(*run)
            ratios.append(ours / bare)
            print(f"round {number}: bare script {bare:.1f} s, run {ours:.1f} s, ratio {ours / bare:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}); the aim is below 2.5")


if __name__ == "__main__":
    main()
