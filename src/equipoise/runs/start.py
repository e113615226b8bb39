"""Before a run: start TensorFlow on its device, meet the other workers, and try the loss and the model."""

from functools import partial

import numpy as np

from equipoise.config.checks import check_prepared
from equipoise.config.model import Config, Trainer
from equipoise.core.errors import ConfigError
from equipoise.core.terminal import console, note, warn
from equipoise.data.originals import unchanged
from equipoise.data.prepared import Prepared
from equipoise.methods import calibration
from equipoise.methods.models import estimator
from equipoise.runs import resume
from equipoise.runs.stacks import members
from equipoise.tracking import gpu_usage
from equipoise.training import runtime
from equipoise.training.cluster import read_cluster
from equipoise.training.learner import Learner


def start(config: Config, data: Prepared) -> Learner:
    """Return the configured learner, with freshly drawn weights, once it and the loss have stood a trial.

    Raises
    ------
    ConfigError
        If the device, the loss or the model is not what training takes it for, or the validation rows cannot
        calibrate it.
    """
    calibration.check(config.calibration.name, np.asarray(data.split("validation").labels), data.classes)
    check_prepared(config, data)
    if estimator(config.model.name) is not None:
        return learner_of(config, data)
    device, replicas = start_tensorflow(config, data)
    tells = config.trainer.strategy != "multi_worker" or read_cluster().is_chief  # of several workers one
    embeds = replicas > 1 and (bool(data.ids) or data.words is not None)
    for message in replica_notes(config, replicas, embeds=embeds) if tells else ():
        warn(message)
    # Not before TensorFlow is started: these import it.
    from equipoise.training import trial
    from equipoise.training.engines.choose import choice_of
    from equipoise.training.keras_learner import KerasLearner
    from equipoise.training.stacked import StackedLearner
    from equipoise.training.workers import connected

    choice = choice_of(config, data, device)
    if (
        tells
        and not config.trainer.stacked
        and (config.trainer.engine == "auto" or (choice.xla and config.trainer.jit == "auto"))
    ):
        note(f"trainer.engine={config.trainer.engine} takes {choice}")
    with connected(), runtime.enough_memory(), unchanged(data):
        for message in trial.check_loss(config, data):
            warn(message)
        if config.trainer.stacked:
            learner: KerasLearner = StackedLearner(config, data, device, choice, partial(members, config, data))
        else:
            learner = KerasLearner(config, data, device, replicas, choice)
        trial.check_model(learner.compiled, config, data)
    return learner


def learner_of(config: Config, data: Prepared) -> Learner:
    """Return the configured learner as it is before it has learned, on one device; a Keras model's is started."""
    record = estimator(config.model.name)
    if record is not None:
        from equipoise.training.estimator_learner import EstimatorLearner

        return EstimatorLearner(config, data, record)
    # Not before TensorFlow is started: these import it.
    from equipoise.training.engines.choose import choice_of
    from equipoise.training.keras_learner import KerasLearner

    device = runtime.device_taken()
    return KerasLearner(config, data, device, 1, choice_of(config, data, device))


def start_tensorflow(config: Config, data: Prepared) -> tuple[str, int]:
    """Start TensorFlow and meet the other workers, if there are any; return the device and the number of replicas."""
    trainer = config.trainer
    if trainer.strategy == "multi_worker":
        cluster = read_cluster()
        waiting = ": waiting for the others" if len(cluster.workers) > 1 else ""
        console.print(f"Worker {cluster.index} of {len(cluster.workers)}{waiting}", soft_wrap=True)
    try:
        device = _take_device(trainer)
    except runtime.UsedBeforeError as error:
        raise ConfigError(
            f"{error} dataset={config.dataset.name} has used it while it was prepared; "
            "its data are in the cache now: the same command again works. "
            "A script or a notebook must train before it uses TensorFlow itself"
        ) from None
    from equipoise.training.workers import check_agreement, connected

    strategy = runtime.strategy_of(trainer.strategy)
    with connected():
        check_agreement(strategy, resume.made_by(config, data))
    for message in device_notes(trainer, device):
        warn(message)
    return device, int(strategy.num_replicas_in_sync)


def _take_device(trainer: Trainer) -> str:
    """Start TensorFlow as it is configured; return the device."""
    return runtime.start(
        trainer.device,
        trainer.threads,
        deterministic=trainer.deterministic,
        gpu_memory=trainer.gpu_memory,
        strategy=trainer.strategy,
        replicas=trainer.replicas,
    )


def replica_notes(config: Config, replicas: int, *, embeds: bool = False) -> list[str]:
    """Say what several replicas do otherwise than one, and where there is but one.

    Parameters
    ----------
    embeds : whether the model has vectors of categories or words
    """
    strategy, dropout, notes = config.trainer.strategy, getattr(config.model, "dropout", None), []
    if strategy == "mirrored" and replicas == 1:
        notes.append(
            "trainer.strategy=mirrored has one replica here, which gains nothing; "
            "on a CPU trainer.replicas=2 tries it out"
        )
    if replicas > 1 and dropout:
        notes.append(
            f"model.dropout={dropout} with trainer.strategy={strategy}: every replica draws the same masks, "
            "each for its own part of a batch, so the weights are not those of one device"
        )
    # Keras 3.15 hands an optimiser the rows of an embedding sample by sample: it squares them before it adds them up.
    if replicas > 1 and embeds and config.trainer.optimizer != "sgd":
        notes.append(
            f"trainer.optimizer={config.trainer.optimizer} with trainer.strategy={strategy}: on one device Keras "
            "squares the gradients of an embedding sample by sample, replicas square their sum, so the weights are not "
            "those of one device; trainer.optimizer=sgd leaves them"
        )
    return notes


def device_notes(trainer: Trainer, device: str) -> list[str]:
    """Say which of the options that were typed have no effect, or another than was meant, on the device."""
    notes = []
    if device == "gpu" and trainer.jit is True and trainer.deterministic:
        notes.append(
            "trainer.jit=true has no effect on a GPU with trainer.deterministic=true: XLA is left out; "
            "trainer.deterministic=false lets it in"
        )
    if device == "gpu" and not gpu_usage.is_known():
        notes.append(
            "the use of the GPU is not logged: nvidia-ml-py is not installed; make train EXTRA=gpu installs it"
        )
    if device == "cpu" and trainer.device == "auto" and runtime.unused_gpu():
        notes.append(
            "trainer.device=auto took the CPU: there is an NVIDIA driver, but TensorFlow sees no GPU; "
            "install its libraries with make train EXTRA=gpu"
        )
    if device == "cpu" and trainer.gpu_memory is not None:
        notes.append(f"trainer.gpu_memory={trainer.gpu_memory} has no effect: trainer.device=auto took the CPU")
    if device == "cpu" and trainer.precision != "float32":
        notes.append(f"trainer.precision={trainer.precision} is slower than float32 on a CPU")
    return notes
