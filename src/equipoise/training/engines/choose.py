"""Choose the engine that takes the steps of a training, and whether XLA compiles them."""

import math

import psutil

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE
from equipoise.data.feed import is_resident
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import IMPLEMENTATIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.training.engines.engine import Choice, Engine
from equipoise.training.engines.keras_fit import KerasFit
from equipoise.training.engines.replicas import Replicas
from equipoise.training.engines.resident import Resident

MOST_SHARE = 0.5  # of the free memory, for samples
# XLA takes half a second to two to compile, and saves a tenth of a millisecond or more of each step of dense layers: at
# 30 epochs this number of steps makes up for it. It alone decides, so that a run with more epochs goes through the same
# weights. Of convolutions a program of many steps takes ten times as long as one program for each step; and batches of
# more numbers than this take longer to be handed to a program than it saves.
LEAST_STEPS, MOST_NUMBERS = 200, 2**18


def choice_of(config: Config, data: Prepared, device: str) -> Choice:
    """Return which engine takes the steps, and why.

    XLA leaves other last bits. So neither the engine nor how the weights are put in decides whether it is taken.

    Parameters
    ----------
    device : "cpu" or "gpu"

    Raises
    ------
    ConfigError
        If the samples are to stay in memory and do not fit.
    """
    trainer, steps = config.trainer, -(-len(data.training.labels) // config.trainer.batch_size)
    engine, why = _engine(config, data, device)
    # Other losses have a product with a constant, which would not leave the same bits in a program of many steps.
    few = trainer.batch_size * math.prod(data.shape) <= MOST_NUMBERS
    # Samples are mixed within a batch, and a program is handed those of many batches as one.
    few = few and config.dataset.mix == NONE
    in_programs = few and MODELS[config.model.name].dense and not _unknown(config) and trainer.precision == "float32"
    if trainer.jit != "auto":
        xla = trainer.jit and lets_xla_in(config, device)
        untried = engine is KerasFit and device == "gpu"
        return Choice(engine, xla, xla and in_programs and not untried, why)
    usual = device == "cpu" and trainer.strategy == "single" and is_resident(data.training)
    if not (usual and in_programs and steps >= LEAST_STEPS):
        return Choice(engine, False, False, why)
    because = (
        f"XLA makes short work of {steps:,} steps an epoch of dense layers, to other last bits than trainer.jit=false"
    )
    return Choice(engine, True, True, f"{why}; {because}")


def lets_xla_in(config: Config, device: str) -> bool:
    """Return whether XLA can compile steps: on a GPU, Keras leaves it out where operations must leave the same bits."""
    return not (device == "gpu" and config.trainer.deterministic)


def _engine(config: Config, data: Prepared, device: str) -> tuple[type[Engine], str]:
    trainer, samples = config.trainer, data.training
    if data.texts:
        return KerasFit, "the samples are texts"
    needed = 4 * len(samples.labels) * math.prod(data.shape)
    if trainer.strategy != "single":
        return Replicas, f"trainer.strategy={trainer.strategy}"
    if trainer.engine != "auto":
        engine = {typed.name: typed for typed in (KerasFit, Resident)}[trainer.engine]
        if engine.holds_samples:
            _check_memory(needed)
        return engine, f"trainer.engine={trainer.engine}"
    implementation = config.loss.implementation
    if IMPLEMENTATIONS[implementation].instead is not None and samples.weights is None:
        why = f"loss.implementation={implementation} is Keras's own; trainer.engine=resident takes less time"
        return KerasFit, why
    if not is_resident(samples):
        return KerasFit, "samples are read, or decoded, while they are trained on"
    fit_in = f"{len(samples.labels):,} samples fit in memory"
    if device == "gpu" and trainer.gpu_memory is not None and needed > MOST_SHARE * 2**20 * trainer.gpu_memory:
        return KerasFit, f"the samples take more than half of trainer.gpu_memory={trainer.gpu_memory}"
    if device == "gpu" and not trainer.deterministic:
        return Resident, f"{fit_in}; with trainer.deterministic=false no engine leaves the same bits twice on a GPU"
    if _unknown(config):
        return KerasFit, f"{_unknown(config)} may leave other last bits with trainer.engine=resident"
    return Resident, f"{fit_in}; the bits are those of fit"


def _unknown(config: Config) -> str:
    """Return the option, as typed, that may leave other last bits with another engine; empty if there is none."""
    if not LOSSES[config.loss.name].bits_known:
        return f"loss.function={config.loss.function}"
    return "" if MODELS[config.model.name].bits_known else f"model={config.model.name}"


def _check_memory(needed: int) -> None:
    free = psutil.virtual_memory().available
    if needed > MOST_SHARE * free:
        raise ConfigError(
            f"trainer.engine=resident: the training samples take {needed / 2**30:.1f} GiB, more than half of the "
            f"{free / 2**30:.1f} GiB of memory that are free here; use trainer.engine=fit"
        )
