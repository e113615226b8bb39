"""Time a training step on one device, with XLA, on several logical CPUs, and in two processes over loopback.

python benchmarks/replicas.py [model=cnn] [OVERRIDE…]

Each arrangement trains in its own processes, in turn, ROUNDS times; the table has the shortest and the median time of a
step over all epochs of all rounds. Replicas that share the cores of one machine cannot beat one device that has all of
them, so the table shows the cost of their communication.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise.config.checked import compose_one
from equipoise.config.model import Config
from equipoise.core.paths import cache_folder, config_folder
from equipoise.data.prepare import prepare
from equipoise.training.cluster import VARIABLE

ROUNDS, EPOCHS = 3, 12
ARRANGEMENTS = {
    "single": [],
    "single, XLA": ["trainer.jit=true"],
    "mirrored, 1 logical CPU": ["trainer.strategy=mirrored", "trainer.replicas=1"],
    "mirrored, 2 logical CPUs": ["trainer.strategy=mirrored", "trainer.replicas=2"],
    "mirrored, 4 logical CPUs": ["trainer.strategy=mirrored", "trainer.replicas=4"],
    "multi_worker, 1 process": ["trainer.strategy=multi_worker"],
    "multi_worker, 2 processes": ["trainer.strategy=multi_worker"],
}


def main(overrides: list[str]) -> None:
    """Print the table."""
    found: dict[str, list[float]] = {name: [] for name in ARRANGEMENTS}
    for _ in range(ROUNDS):
        for name, options in ARRANGEMENTS.items():
            found[name] += timed([*overrides, *options], 2 if "2 processes" in name else 1)
    print(f"{'':28}{'shortest':>12}{'median':>12}   ms a step")
    for name, times in found.items():
        print(f"{name:28}{1000 * min(times):12.2f}{1000 * statistics.median(times):12.2f}")


def timed(overrides: list[str], processes: int) -> list[float]:
    """Return seconds a step of each epoch but the first, in the first of that many processes."""
    free = [socket.create_server(("127.0.0.1", 0)) for _ in range(processes)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in free]
    for one in free:
        one.close()
    with tempfile.NamedTemporaryFile() as file:
        started = []
        for index in range(processes):
            variable = json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
            command = [sys.executable, __file__, "--train", file.name if index == 0 else os.devnull, *overrides]
            started.append(subprocess.Popen(command, env={**os.environ, VARIABLE: variable}, stdout=subprocess.DEVNULL))
        assert [process.wait() for process in started] == [0] * processes
        return list(json.loads(Path(file.name).read_text()))


def train(file: str, config: Config) -> None:
    """Train, and write seconds a step of each epoch but the first, which is traced."""
    from equipoise.runs.start import start_tensorflow
    from equipoise.runs.weigh import weigh

    data = prepare(config.dataset, cache_folder())
    start_tensorflow(config, data)
    from equipoise.training import fit as training
    from equipoise.training.graph import Compiled

    begun, took = [0.0], []
    steps = -(-int(data.counts.sum()) // config.trainer.batch_size)
    begin_epoch, end_batch = training.Supervisor.on_epoch_begin, training.Supervisor.on_train_batch_end

    def on_epoch_begin(watch: training.Supervisor, epoch: int, logs: object = None) -> None:
        begin_epoch(watch, epoch, logs)
        begun[0] = time.perf_counter()

    def on_train_batch_end(watch: training.Supervisor, batch: int, logs: dict[str, float] | None = None) -> None:
        end_batch(watch, batch, logs)
        if batch == steps - 1:
            took.append((time.perf_counter() - begun[0]) / steps)

    training.Supervisor.on_epoch_begin = on_epoch_begin  # type: ignore[assignment, method-assign]
    training.Supervisor.on_train_batch_end = on_train_batch_end  # type: ignore[assignment, method-assign]
    training.fit(Compiled(config, data), config, data, weigh(config, data), lambda *_: None)
    Path(file).write_text(json.dumps(took[1:]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        from hydra import initialize_config_dir

        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose_one([*sys.argv[3:], f"trainer.epochs={EPOCHS}", "weighting=balanced"])
        train(sys.argv[2], composed)
    else:
        main(sys.argv[1:])
