"""The device: what is said of it before anything is trained."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import warm
from equipoise.core import streams
from equipoise.core.errors import ConfigError
from equipoise.core.state import kept
from equipoise.runs import start
from equipoise.tracking import gpu_usage
from equipoise.training import runtime
from helpers import REPOSITORY, composed
from processes import LIMIT, Processes


def test_a_gpu_that_is_not_there_is_an_error_with_advice(tensorflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept(runtime.Started), "options", {})  # as if nothing had started it
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda _: [])
    with pytest.raises(
        ConfigError,
        match="TensorFlow sees no GPU here; install its libraries with make train EXTRA=gpu, or use device=auto",
    ):
        runtime.start("gpu", 1, deterministic=True)


def test_a_process_has_one_number_of_threads(tensorflow: Any) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.threads=2: TensorFlow runs in this process with 1 already"):
        runtime.start("cpu", 2, deterministic=True)


USED = """
import json
import tensorflow as tf
from equipoise.training import runtime
from equipoise.training.runtime import UsedBeforeError

tf.zeros(1)  # as in the function of a dataset
said = []
for threads, replicas in ((1, "auto"), ("auto", 2), ("auto", "auto")):
    try:
        said.append(runtime.start("cpu", threads, deterministic=True, replicas=replicas))
    except UsedBeforeError as error:
        said.append(str(error))
print(json.dumps(said))
"""


INTERRUPTED = """
import signal, sys
from equipoise.core import interruption
from equipoise.training import runtime

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow.python.framework.ops":
            signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Interrupts())
interruption.listen()
try:
    runtime.start("cpu", 1, deterministic=True)
except KeyboardInterrupt as interrupt:
    print(interrupt, hasattr(sys.modules["tensorflow"], "zeros"))
"""


@pytest.mark.slow
def test_tensorflow_is_imported_whole_before_a_signal_is_handled(processes: Processes) -> None:
    process = processes.start([sys.executable, "-c", INTERRUPTED], env={"PYTHONPATH": str(REPOSITORY / "src")})
    assert processes.said(process) == ("SIGTERM True\n", "")


@pytest.mark.slow
def test_data_that_are_prepared_by_tensorflow_leave_it_as_it_is_or_are_named(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    found = warm.run(["-c", USED], tmp_path, LIMIT, environment)
    assert found.returncode == 0, found.stderr
    one, two, same = json.loads(found.stdout.splitlines()[-1])
    for said in (one, two):
        assert said.startswith("TensorFlow runs in this process already: ")
    assert same == "cpu", "what is not to be changed need not be"


def test_the_dataset_that_used_tensorflow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: Any, **__: Any) -> None:
        raise runtime.UsedBeforeError("TensorFlow runs in this process already: it.")

    monkeypatch.setattr(runtime, "start", late)
    with pytest.raises(
        ConfigError,
        match=r"already: it\. dataset=digits_lt has used it while it was prepared; .*: the same command again works",
    ):
        start.start_tensorflow(composed("dataset=digits_lt", "model=mlp"), None)  # type: ignore[arg-type]


def test_quiet_output_is_shown_after_an_unexpected_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(error: Exception) -> None:
        with streams.quiet():
            os.write(2, b"noise\n")
            raise error

    for error, shown in ((ConfigError("said by itself"), ""), (ValueError("it"), "noise\n")):
        with pytest.raises(type(error)):
            fail(error)
        assert capfd.readouterr().err == shown


def test_more_gpus_than_there_are_is_an_error(tensorflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept(runtime.Started), "options", {})
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda _: ["the only one"])
    with pytest.raises(ConfigError, match=r"trainer\.replicas=2: more than the GPUs that TensorFlow sees here, 1;"):
        runtime.start("auto", 1, deterministic=True, strategy="mirrored", replicas=2)


@pytest.mark.parametrize(
    ("options", "device", "driver", "said"),
    [
        ([], "cpu", False, ""),
        ([], "cpu", True, "trainer.device=auto took the CPU: there is an NVIDIA driver, but TensorFlow sees no GPU"),
        (["trainer.device=cpu"], "cpu", True, ""),
        (["trainer.gpu_memory=100"], "cpu", False, "trainer.gpu_memory=100 has no effect"),
        (
            ["trainer.precision=mixed_float16"],
            "cpu",
            False,
            "trainer.precision=mixed_float16 is slower than float32 on a CPU",
        ),
        (["trainer.precision=mixed_float16", "trainer.gpu_memory=100"], "gpu", True, ""),
        (["trainer.jit=true"], "gpu", True, "trainer.jit=true has no effect on a GPU"),
        (["trainer.jit=true", "trainer.deterministic=false"], "gpu", True, ""),
    ],
)
def test_options_without_effect_on_the_device_are_told(
    options: list[str], device: str, driver: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "unused_gpu", lambda: driver)
    monkeypatch.setattr(gpu_usage, "is_known", lambda: True)
    notes = start.device_notes(composed(*options).trainer, device)
    assert len(notes) == bool(said)
    assert all(note.startswith(said) for note in notes)


@pytest.mark.parametrize(
    ("options", "replicas", "said"),
    [
        ([], 1, ""),
        (["trainer.strategy=mirrored"], 1, "trainer.strategy=mirrored has one replica here"),
        (["trainer.strategy=mirrored", "model.dropout=0.0"], 2, ""),
        (
            ["trainer.strategy=mirrored", "model.dropout=0.5"],
            2,
            "model.dropout=0.5 with trainer.strategy=mirrored: every replica draws the same masks",
        ),
    ],
)
def test_differences_of_replicas_are_told(options: list[str], replicas: int, said: str) -> None:
    notes = start.replica_notes(composed(*options), replicas)
    assert len(notes) == bool(said)
    assert all(note.startswith(said) for note in notes)


def test_optimizers_of_embeddings_are_told_where_there_are_replicas() -> None:
    typed = ["trainer.strategy=mirrored", "model.dropout=0.0"]
    (note,) = start.replica_notes(composed(*typed, "trainer.optimizer=adam"), 2, embeds=True)
    assert note.startswith("trainer.optimizer=adam with trainer.strategy=mirrored: on one device Keras squares")
    assert not start.replica_notes(composed(*typed, "trainer.optimizer=sgd"), 2, embeds=True)
    assert not start.replica_notes(composed("trainer.optimizer=adam"), 1, embeds=True)


def test_without_nvidias_library_the_use_of_the_gpu_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_usage, "find_spec", lambda _: None)
    (note,) = start.device_notes(composed().trainer, "gpu")
    assert note.startswith("the use of the GPU is not logged: nvidia-ml-py is not installed")


@pytest.mark.slow  # TensorFlow tries for ten seconds
def test_too_little_memory_is_told_with_shape_and_advice(tensorflow: Any) -> None:
    message = (
        r"the memory of the machine is not enough for 1,073,741,824 × 268,435,456 numbers: "
        r"lower trainer\.batch_size, or take a smaller model"
    )
    with pytest.raises(ConfigError, match=message), runtime.enough_memory():
        tensorflow.zeros((2**30, 2**28))
