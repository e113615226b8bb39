"""On a GPU, by `make test-gpu`: it is taken, learns what a CPU learns, repeats its bits, and keeps to its memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from equipoise.tracking.store import open_store
from equipoise.training.runtime import unused_gpu
from helpers import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(
        not unused_gpu(), reason="this machine has no NVIDIA driver: run make test-gpu on one that has a GPU"
    ),
]

QUICK = ["dataset=digits_lt", "model=cnn", "trainer.epochs=10", "trainer.threads=1", "weighting=balanced"]


def finished(project: Path, *overrides: str) -> Any:
    """The run of this command, the last in the store."""
    found = train(project, *QUICK, *overrides)
    assert found.returncode == 0, found.stderr
    return open_store(project).runs(dataset="digits_lt")[-1]


def test_it_is_taken_and_gives_the_same_bits_twice(project: Path) -> None:
    once, twice = (finished(project, "trainer.device=gpu") for _ in range(2))
    assert once.data.tags["device"] == finished(project, "trainer.device=auto").data.tags["device"] == "gpu"
    assert once.data.tags["weights_sha256"] == twice.data.tags["weights_sha256"]
    on_cpu = finished(project, "trainer.device=cpu")
    assert on_cpu.data.tags["device"] == "cpu"
    assert once.data.metrics["test/balanced_accuracy"] == pytest.approx(
        on_cpu.data.metrics["test/balanced_accuracy"], abs=0.03
    )


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_learns_the_same(project: Path, precision: str) -> None:
    single, half = (
        finished(project, "trainer.device=gpu", f"trainer.precision={name}") for name in ("float32", precision)
    )
    assert half.data.metrics["test/balanced_accuracy"] == pytest.approx(
        single.data.metrics["test/balanced_accuracy"], abs=0.05
    )


def test_it_keeps_to_its_memory(project: Path) -> None:
    program = (
        "import sys, json; sys.path.insert(0, 'src'); from equipoise.training import runtime; "
        "runtime.start('gpu', 'auto', deterministic=True, gpu_memory=512); import tensorflow as tf\n"
        "def fits(mebibytes):\n"
        "    try:\n"
        "        return float(tf.zeros((mebibytes, 2**18))[0, 0]) == 0\n"
        "    except tf.errors.ResourceExhaustedError:\n"
        "        return False\n"
        "print(json.dumps([fits(256), fits(1024)]))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout.splitlines()[-1]) == [True, False]


def test_a_model_that_does_not_fit_is_told_with_advice(project: Path) -> None:
    found = train(
        project,
        "dataset=digits_lt",
        "model=mlp",
        "model.hidden=[20000,20000]",
        "trainer.device=gpu",
        "trainer.gpu_memory=512",
    )
    assert found.returncode == 1
    assert "error: the 512 MiB of trainer.gpu_memory are not enough" in found.stderr
    assert "Traceback" not in found.stderr


def test_how_busy_it_is_goes_to_the_system_metrics(project: Path) -> None:
    metrics = finished(project, "trainer.device=gpu").data.metrics
    assert 0 <= metrics["system/gpu_0_utilization_percentage"] <= 100
    assert metrics["system/gpu_0_memory_usage_megabytes"] > 0


def test_replicas_on_the_gpus_learn_what_one_does(project: Path) -> None:
    still = ["trainer.device=gpu", "model.dropout=0.0"]
    single, mirrored = (
        finished(project, *still, f"trainer.strategy={strategy}") for strategy in ("single", "mirrored")
    )
    assert mirrored.data.metrics["val/log_loss"] == pytest.approx(single.data.metrics["val/log_loss"], rel=0.02)
    assert int(mirrored.data.tags["replicas"]) >= 1
