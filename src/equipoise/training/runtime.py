"""Start TensorFlow: quietly, on the configured device, with the configured threads.

TensorFlow writes to the standard error stream from C++ before any of its own switches is read; what it
says there is kept and shown only if the start fails.
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from equipoise.core import interruption
from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError
from equipoise.core.state import kept
from equipoise.core.streams import quiet
from equipoise.training.cluster import met, read_cluster

if TYPE_CHECKING:
    import tensorflow as tf

Device = Literal["auto", "cpu", "gpu"]
Threads = int | Literal["auto"]
Strategy = Literal["single", "mirrored", "multi_worker"]

# In what TensorFlow calls an internal error where a GPU is full: of a copy to it, and of its libraries.
NO_MEMORY = ("Dst tensor is not initialized", "ALLOC_FAILED", "out of memory", "OUT_OF_MEMORY")

DRIVERS = ("/dev/nvidiactl", "/dev/dxg")  # NVIDIA's on Linux, and under WSL


@dataclass
class Started:
    """What TensorFlow was started with in this process; most of it cannot be changed any more."""

    options: dict[str, object] = field(default_factory=dict)


class UsedBeforeError(ConfigError):
    """TensorFlow computes in this process already, and cannot be told any more how to."""


def start(
    device: Device,
    threads: Threads,
    *,
    deterministic: bool,
    gpu_memory: int | None = None,
    strategy: Strategy = "single",
    replicas: int | Literal["auto"] = "auto",
) -> str:
    """Import and configure TensorFlow; returns the device taken, "cpu" or "gpu".

    Parameters
    ----------
    gpu_memory : MiB to take of each GPU; None: as it needs
    strategy : with multi_worker this waits for the other workers
    replicas : GPUs to take, or logical CPUs to make; auto: every GPU, one CPU

    Raises
    ------
    ConfigError
        If a GPU is asked for and none is there, or fewer than asked for, or TensorFlow runs in this process already
        with other settings.
    """
    asked = {
        "trainer.device": device,
        "trainer.threads": threads,
        "trainer.deterministic": deterministic,
        "trainer.gpu_memory": gpu_memory,
    }
    asked["trainer.replicas"] = replicas
    running = kept(Started).options
    if not running:
        taken = _start(
            device, threads, deterministic=deterministic, gpu_memory=gpu_memory, strategy=strategy, replicas=replicas
        )
        running.update(asked, taken=taken)
    for option, value in asked.items():
        if running[option] != value:
            raise ConfigError(
                f"{option}={value}: TensorFlow runs in this process with {running[option]} already; "
                "give the sweep one value"
            )
    return device_taken()


def device_taken() -> str:
    """Return the device that TensorFlow was started on; where it was not, all is done on the CPU."""
    return str(kept(Started).options.get("taken", "cpu"))


def is_started() -> bool:
    """Return whether TensorFlow was started in this process."""
    return bool(kept(Started).options)


@functools.cache
def strategy_of(name: Strategy) -> "tf.distribute.Strategy":
    """Return how a model is spread over devices and machines; TensorFlow must be started."""
    import tensorflow as tf

    if name == "multi_worker":
        with met(read_cluster()):
            return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(
            tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        )
    return tf.distribute.get_strategy()


@contextlib.contextmanager
def enough_memory() -> Iterator[None]:
    """Within it, memory that is not to be had is told as what it is; TensorFlow must be started.

    Raises
    ------
    ConfigError
        If the device is out of memory.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.ResourceExhaustedError, tf.errors.InternalError) as error:
        said = str(error.message)
        if isinstance(error, tf.errors.InternalError) and not any(phrase in said for phrase in NO_MEMORY):
            raise  # pragma: no cover - a defect of ours
        shape = re.search(r"shape\s?\[([\d,]+)\]", said)
        wanted = f" for {' × '.join(f'{int(size):,}' for size in shape[1].split(','))} numbers" if shape else ""
        on_gpu, limit = device_taken() == "gpu", kept(Started).options["trainer.gpu_memory"]
        where = (
            f"the {limit} MiB of trainer.gpu_memory are"
            if limit
            else f"the memory of the {'GPU' if on_gpu else 'machine'} is"
        )
        instead = "raise it, or " if limit else "trainer.device=cpu may have more, or " if on_gpu else ""
        raise ConfigError(
            f"{where} not enough{wanted}: {instead}lower trainer.batch_size, or take a smaller model"
        ) from None


def unused_gpu() -> bool:
    """Return whether there is an NVIDIA driver: where TensorFlow took the CPU, only its libraries are missing."""
    return any(Path(file).exists() for file in DRIVERS)


@clock.part("import")
def _start(
    device: Device,
    threads: Threads,
    *,
    deterministic: bool,
    gpu_memory: int | None,
    strategy: Strategy = "single",
    replicas: int | Literal["auto"] = "auto",
) -> str:
    with interruption.held(), quiet():  # an interruption of TensorFlow's import aborts the process without a word
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            gpus = _configure(device, threads, deterministic=deterministic, gpu_memory=gpu_memory, replicas=replicas)
        except RuntimeError as error:  # what TensorFlow says of anything that is set too late
            raise UsedBeforeError(f"TensorFlow runs in this process already: {error}") from None
    if strategy == "multi_worker":
        strategy_of(strategy)  # before anything is computed; it says for whom it waits
    with interruption.held(), quiet():
        import tensorflow as tf

        tf.zeros(1)  # brings the device up while the stream is quiet
        import keras  # noqa: F401
    return "gpu" if gpus else "cpu"


def _configure(
    device: Device, threads: Threads, *, deterministic: bool, gpu_memory: int | None, replicas: int | Literal["auto"]
) -> list[Any]:
    """Tell TensorFlow all that it must know before it computes anything; return the GPUs that it takes."""
    import tensorflow as tf

    gpus: list[Any] = list(tf.config.list_physical_devices("GPU"))
    if device == "gpu" and not gpus:
        raise ConfigError(
            "trainer.device=gpu: TensorFlow sees no GPU here; install its libraries with make train EXTRA=gpu, "
            "or use device=auto"
        )
    if device == "cpu":
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if replicas != "auto" and gpus:
        if len(gpus) < replicas:
            raise ConfigError(
                f"trainer.replicas={replicas}: more than the GPUs that TensorFlow sees here, {len(gpus)}; "
                "trainer.device=cpu tries it out"
            )
        gpus = gpus[:replicas]  # pragma: no cover - needs two GPUs
        tf.config.set_visible_devices(gpus, "GPU")  # pragma: no cover - needs two GPUs
    elif replicas != "auto":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    count = 0 if threads == "auto" else threads  # 0 is TensorFlow's own choice: every core
    pools = tf.config.threading
    # Where it runs already, as a dataset's function may have it do, the same number may not be set again either.
    if {pools.get_intra_op_parallelism_threads(), pools.get_inter_op_parallelism_threads()} != {count}:
        pools.set_intra_op_parallelism_threads(count)
        pools.set_inter_op_parallelism_threads(count)
    for gpu in gpus:  # pragma: no cover - needs a GPU: make test-gpu
        if gpu_memory is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_logical_device_configuration(
                gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=gpu_memory)]
            )
    if gpus and deterministic:  # pragma: no cover - needs a GPU: make test-gpu
        tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # a sweep re-traces for each job, which TensorFlow warns about
    return gpus
