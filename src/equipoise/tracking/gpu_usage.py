"""How busy the GPUs are and how full their memory is, under the keys that MLflow's page of system metrics knows."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

INTERVAL = 1.0  # seconds between samples

Usage = Callable[[], dict[str, float]]


def is_known() -> bool:
    """Return whether NVIDIA's library is installed, which measures it."""
    return find_spec("pynvml") is not None


@contextlib.contextmanager
def sampled(device: str) -> Iterator[Usage]:
    """Take samples in a thread while the body runs; yield a function that returns their means since its last call.

    MLflow's own thread would write to the store directly, and not into the run's folder, which keeps what is logged
    while the store is down. On a CPU no thread runs, and the function returns nothing.
    """
    if device != "gpu" or not is_known():
        yield dict
        return
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

    monitor, lock, over = GPUMonitor(), threading.Lock(), threading.Event()

    def sample() -> None:
        while not over.wait(INTERVAL):
            with lock:
                monitor.collect_metrics()

    def usage() -> dict[str, float]:
        with lock:
            return _means(monitor)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        over.set()
        thread.join()


def _means(monitor: Any) -> dict[str, float]:
    if not monitor.metrics:  # a short epoch
        monitor.collect_metrics()
    means = {f"system/{name}": float(value) for name, value in monitor.aggregate_metrics().items()}
    monitor.clear_metrics()
    return means
