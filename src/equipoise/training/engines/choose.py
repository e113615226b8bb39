"""What takes the steps of a training, and whether XLA compiles them: as configured, or as samples, model, loss and device have it."""

import math
from typing import NamedTuple

import psutil

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError
from equipoise.data.feed import is_resident
from equipoise.data.prepared import Prepared
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS

MOST_SHARE = 0.5  # of the free memory, for samples
# XLA takes half a second to two to compile, and of dense layers saves a tenth of a millisecond a step, or more: at 30 epochs these steps
# make up for it. Their number alone decides, so that a run with more epochs goes through the same weights. Of convolutions a program
# of many steps takes ten times as long as one for each, and batches of more numbers take longer to be handed to it than it saves.
LEAST_STEPS, MOST_NUMBERS = 200, 2**18


class Engine(NamedTuple):
    """What takes the steps.

    Attributes
    ----------
    name : `fit`, `resident` or `replicas`
    xla : whether XLA compiles the steps
    in_programs : whether it compiles many of them as one program
    why : it is so
    """

    name: str
    xla: bool
    in_programs: bool
    why: str

    def __str__(self) -> str:
        return f"{self.name}{' under XLA' if self.xla else ''}: {self.why}"


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
    trainer, steps = config.trainer, -(-len(data.split("train").labels) // config.trainer.batch_size)
    name, why = _name(config, data, device)
    # Other losses have a product with a constant, which would not leave the same bits in a program of many steps.
    few = trainer.batch_size * math.prod(data.shape) <= MOST_NUMBERS
    in_programs = few and MODELS[config.model.name].dense and not _unknown(config) and trainer.precision == "float32"
    if trainer.jit != "auto":
        xla = trainer.jit and lets_xla_in(config, device)
        return Engine(
            name, xla, xla and in_programs and not (name == "fit" and device == "gpu"), why
        )  # the last is untried
    usual = device == "cpu" and trainer.strategy == "single" and is_resident(data.split("train"))
    if not (usual and in_programs and steps >= LEAST_STEPS):
        return Engine(name, False, False, why)
    because = (
        f"XLA makes short work of {steps:,} steps an epoch of dense layers, to other last bits than trainer.jit=false"
    )
    return Engine(name, True, True, f"{why}; {because}")


def lets_xla_in(config: Config, device: str) -> bool:
    """Whether steps can be compiled: Keras leaves XLA out where operations must leave the same bits, which is on a GPU alone."""
    return not (device == "gpu" and config.trainer.deterministic)


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
    if _unknown(config):
        return "fit", f"{_unknown(config)} may leave other last bits with trainer.engine=resident"
    return "resident", f"{fit_in}; the bits are those of fit"


def _unknown(config: Config) -> str:
    """The option, as it is typed, that may leave other last bits with another engine; empty if there is none."""
    if not LOSSES[config.loss.name].bits_known:
        return f"loss.function={config.loss.function}"
    return "" if MODELS[config.model.name].bits_known else f"model={config.model.name}"


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > MOST_SHARE * free:
        raise ConfigError(
            f"trainer.engine=resident: the training samples take {needed / 2**30:.1f} GiB, more than half of the {free / 2**30:.1f} GiB "
            "of memory that are free here; use trainer.engine=fit"
        )
