"""Start TensorFlow: quietly, on the configured device, with the configured threads.

TensorFlow writes to the standard error stream from C++ before any of its own switches is read; what it
says there is kept and shown only if the start fails.
"""

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from equipoise.options import ConfigError

Device = Literal["auto", "cpu", "gpu"]
Threads = int | Literal["auto"]

DRIVERS = ("/dev/nvidiactl", "/dev/dxg")  # NVIDIA's on Linux, and under WSL


def start(device: Device, threads: Threads, *, deterministic: bool, gpu_memory: int | None = None) -> str:
    """Import and configure TensorFlow; returns the device taken, "cpu" or "gpu".

    Parameters
    ----------
    gpu_memory : MiB to take of each GPU; None: as it needs

    Raises
    ------
    ConfigError
        If a GPU is asked for and none is there, or TensorFlow runs in this process already with other settings.
    """
    asked = {"trainer.device": device, "trainer.threads": threads, "trainer.deterministic": deterministic, "trainer.gpu_memory": gpu_memory}
    if not _running:
        _running.update(asked, taken=_start(device, threads, deterministic=deterministic, gpu_memory=gpu_memory))
    for option, value in asked.items():
        if _running[option] != value:
            raise ConfigError(f"{option}={value}: TensorFlow runs in this process with {_running[option]} already; give the sweep one value")
    return str(_running["taken"])


def unused_gpu() -> bool:
    """Whether this machine has an NVIDIA driver: where TensorFlow took the CPU, its libraries are what is missing."""
    return any(Path(file).exists() for file in DRIVERS)


# What TensorFlow was started with: most of it cannot be changed in the same process.
_running: dict[str, object] = {}


def _start(device: Device, threads: Threads, *, deterministic: bool, gpu_memory: int | None) -> str:
    with quiet():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if device == "gpu" and not gpus:
            raise ConfigError("trainer.device=gpu: TensorFlow sees no GPU here; install its libraries with make train EXTRA=gpu, or use device=auto")
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
            gpus = []
        count = 0 if threads == "auto" else threads  # 0 is TensorFlow's own choice: every core
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
        for gpu in gpus:
            if gpu_memory is None:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=gpu_memory)])
        if gpus and deterministic:
            tf.config.experimental.enable_op_determinism()
        tf.get_logger().setLevel("ERROR")  # a sweep re-traces for each job, which TensorFlow warns about
        tf.zeros(1)  # brings the device up while the stream is quiet
        import keras  # noqa: F401

        gc.freeze()  # what is imported stays: in a sweep, Python would look for garbage in it again and again
    return "gpu" if gpus else "cpu"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Send the process's standard error stream to a file, and show it if the body fails for want of TensorFlow."""
    sys.stderr.flush()
    stream = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except ConfigError:
            raise
        except BaseException:
            kept.seek(0)
            os.write(stream, kept.read())
            raise
        finally:
            os.dup2(stream, 2)
            os.close(stream)
