"""What takes the steps of a training, and whether XLA compiles them: as configured, or as samples, model, loss and device have it."""

import math
from typing import NamedTuple

import psutil

from equipoise.config import Config
from equipoise.data.feed import is_resident
from equipoise.data.prepared import Prepared
from equipoise.options import ConfigError
from equipoise.xla import MOST_NUMBERS

# Loss functions, none of which has a product with a constant, and models that left the bits of `fit` however they were tried, on a CPU
# and on a GPU.
KNOWN = {"loss.function": ("cross_entropy", "balanced_softmax", "logit_adjusted"), "model": ("linear", "mlp", "cnn", "conv1d")}
MOST_SHARE = 0.5  # of the free memory, for samples
# XLA takes half a second or more to compile, and of dense layers saves a tenth of a millisecond a step, or more.
DENSE, LEAST_STEPS = ("linear", "mlp"), 200


class Engine(NamedTuple):
    """`fit`, `resident` or `replicas`, and whether its steps are compiled by XLA."""

    name: str
    xla: bool
    why: str

    def __str__(self) -> str:
        return f"{self.name}{' under XLA' if self.xla else ''} ({self.why})"


def engine_of(config: Config, data: Prepared, device: str) -> Engine:
    """What takes the steps, and why.

    XLA leaves other last bits, so that neither the engine nor how the weights are put in decides whether it is taken.

    Parameters
    ----------
    device : "cpu" or "gpu"

    Raises
    ------
    ConfigError
        If the samples are to stay in memory and do not fit.
    """
    (name, why), (xla, because) = _name(config, data, device), _xla(config, data, device)
    return Engine(name, xla, f"{why}; {because}" if because else why)


def _name(config: Config, data: Prepared, device: str) -> tuple[str, str]:
    trainer, samples = config.trainer, data.split("train")
    needed = 4 * len(samples.labels) * math.prod(data.shape)
    if trainer.strategy != "single":
        return "replicas", f"trainer.strategy={trainer.strategy}"
    if trainer.engine == "resident":
        _check_memory(needed)
    if trainer.engine != "auto":
        return trainer.engine, f"trainer.engine={trainer.engine}"
    if config.loss.implementation == "class_weight":
        return "fit", "loss.implementation=class_weight is Keras's own; trainer.engine=resident takes less time"
    if not is_resident(samples):
        return "fit", "samples are read, or decoded, while they are trained on"
    fit_in = f"{len(samples.labels):,} samples fit in memory"
    if device == "gpu" and trainer.gpu_memory is not None and needed > MOST_SHARE * 2**20 * trainer.gpu_memory:
        return "fit", f"the samples take more than half of trainer.gpu_memory={trainer.gpu_memory}"
    if device == "gpu" and not trainer.deterministic:
        return "resident", f"{fit_in}; with trainer.deterministic=false no engine leaves the same bits twice on a GPU"
    for option, chosen in _decisive(config).items():
        if chosen not in KNOWN[option]:
            return "fit", f"{option}={chosen} may leave other last bits with trainer.engine=resident"
    return "resident", f"{fit_in}; the bits are those of fit"


def _xla(config: Config, data: Prepared, device: str) -> tuple[bool, str]:
    trainer, samples = config.trainer, data.split("train")
    if trainer.jit != "auto":
        # Keras leaves XLA out where operations must leave the same bits, which is on a GPU alone.
        return trainer.jit and not (device == "gpu" and trainer.deterministic), ""
    usual = device == "cpu" and trainer.strategy == "single" and trainer.precision == "float32" and is_resident(samples)
    known = config.model.name in DENSE and all(chosen in KNOWN[option] for option, chosen in _decisive(config).items())
    steps = -(-len(samples.labels) // trainer.batch_size)
    if not (usual and known and steps >= LEAST_STEPS and trainer.batch_size * math.prod(data.shape) <= MOST_NUMBERS):
        return False, ""
    return True, f"of {steps:,} steps an epoch of dense layers XLA makes short work, and leaves other last bits than trainer.jit=false"


def _decisive(config: Config) -> dict[str, str]:
    return {"loss.function": config.loss.function, "model": config.model.name}


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > MOST_SHARE * free:
        raise ConfigError(
            f"trainer.engine=resident: the training samples take {needed / 2**30:.1f} GiB, more than half of the {free / 2**30:.1f} GiB "
            "of memory that are free here; use trainer.engine=fit"
        )
