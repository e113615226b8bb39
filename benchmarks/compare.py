"""How long a comparison takes: 2,000 runs of 300 metrics in a store of their own, read by SQL and by MLflow's client.

python benchmarks/compare.py
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from equipoise import logged
from equipoise.comparison import PANEL, compare, wanted
from equipoise.store import Store, open_store

RUNS, CLASSES, CONFIGURATIONS, ROUNDS = 2000, 47, 20, 3
PER_CLASS = ("recall", "precision", "f1", "average_precision", "auroc", "predicted_share")


def fill(store: Store) -> None:
    """Plausible runs, written by MLflow's client as a training run writes them."""
    from mlflow.entities import Metric, Param, RunTag

    generator = np.random.default_rng(0)
    experiment = store.experiment("benchmark")
    keys = [f"test/{name}" for name in PANEL] + [f"test/{name}/{index}" for name in PER_CLASS for index in range(CLASSES)]
    keys += [f"count/{index}" for index in range(13)]
    for number in range(RUNS):
        seed, which = divmod(number, CONFIGURATIONS)
        tags = {"sweep_id": "benchmark", "weights_sha256": f"{number:064x}"}
        params = {"dataset.name": "benchmark", "dataset.split_seed": "0", "seed": str(seed), "weighting.name": "power" if which else "none"}
        params |= {"weighting.alpha": str(which / 10)} if which else {}
        run = store.client.create_run(experiment, tags=tags)
        metrics = [Metric(key, float(value), 0, 0) for key, value in zip(keys, generator.uniform(size=len(keys)), strict=True)]
        store.client.log_batch(run.info.run_id, metrics, [Param(key, value) for key, value in params.items()], [RunTag("weighting", params["weighting.name"])])
        store.client.set_terminated(run.info.run_id)
    print(f"{RUNS} runs of {len(keys)} metrics in {CONFIGURATIONS} configurations", flush=True)


def main() -> None:
    """Print each part, and the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("src", "conf"):
            shutil.copytree(REPOSITORY / part, Path(folder) / part)
        store = open_store(Path(folder))
        fill(store)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            runs = logged.sweep_runs(store, "benchmark", wanted(None))
            read = time.perf_counter()
            compare(runs, None)
            print(f"read {read - start:.2f} s, compare {time.perf_counter() - read:.2f} s, ", end="", flush=True)
            start = time.perf_counter()
            subprocess.run([sys.executable, f"{folder}/src/compare.py"], check=True, stdout=subprocess.DEVNULL)
            print(f"python src/compare.py, imports included, {time.perf_counter() - start:.2f} s; the aim is below 5", flush=True)
        start = time.perf_counter()
        by_client = logged.filtered_runs(store, "tags.sweep_id = 'benchmark'", wanted(None))
        assert by_client == runs
        print(f"the same runs by MLflow's client: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
