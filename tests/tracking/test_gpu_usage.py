"""Means over an epoch of what NVIDIA's library tells, here a stand-in; `test_gpu.py` asks the real one."""

import importlib.machinery
import sys
import threading
import types
from itertools import count

import pytest

from equipoise.tracking import gpu_usage
from processes import LIMIT


@pytest.fixture
def busier_each_time(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """One GPU of 1,000 MB that is 10 % busy when it is first asked, then 20 %, …; set once it was asked five times."""
    from mlflow.system_metrics.metrics import gpu_monitor

    calls, asked = count(1), threading.Event()

    def utilization(_: object) -> types.SimpleNamespace:
        busy = 10 * next(calls)
        if busy >= 50:
            asked.set()
        return types.SimpleNamespace(gpu=busy)

    library = types.ModuleType("pynvml")
    library.__spec__ = importlib.machinery.ModuleSpec("pynvml", None)
    library.NVMLError = RuntimeError  # type: ignore[attr-defined]
    library.nvmlInit = lambda: None  # type: ignore[attr-defined]
    library.nvmlDeviceGetCount = lambda: 1  # type: ignore[attr-defined]
    library.nvmlDeviceGetHandleByIndex = lambda index: index  # type: ignore[attr-defined]
    library.nvmlDeviceGetMemoryInfo = lambda _: types.SimpleNamespace(used=250e6, total=1e9)  # type: ignore[attr-defined]
    library.nvmlDeviceGetUtilizationRates = utilization  # type: ignore[attr-defined]
    library.nvmlDeviceGetPowerUsage = lambda _: 100_000  # type: ignore[attr-defined]
    library.nvmlDeviceGetEnforcedPowerLimit = lambda _: 400_000  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(gpu_monitor, "pynvml", library, raising=False)
    return asked


def test_the_means_since_the_last_epoch(busier_each_time: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_usage, "INTERVAL", 3600.0)
    with gpu_usage.sampled("gpu") as usage:
        first, second = usage(), usage()
    expected = {
        "memory_usage_percentage": 25,
        "memory_usage_megabytes": 250,
        "power_usage_watts": 100,
        "power_usage_percentage": 25,
    }
    for found, busy in ((first, 10), (second, 20)):
        assert found == {
            f"system/gpu_0_{name}": value for name, value in {**expected, "utilization_percentage": busy}.items()
        }


def test_a_thread_samples_meanwhile(busier_each_time: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_usage, "INTERVAL", 0.001)
    with gpu_usage.sampled("gpu") as usage:
        assert busier_each_time.wait(LIMIT), "nobody else asks"
        assert usage()["system/gpu_0_utilization_percentage"] >= 30, (
            "the mean of 10, 20, 30, 40, 50 and what came since"
        )


def test_on_a_cpu_there_is_nothing(busier_each_time: threading.Event) -> None:
    with gpu_usage.sampled("cpu") as usage:
        assert usage() == {}
