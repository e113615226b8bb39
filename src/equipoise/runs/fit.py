"""The first half of a run: weigh, fit, and log what is known before the test split is seen."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config, Trainer, flat
from equipoise.config.naming import experiment_of, run_name
from equipoise.core import interruption
from equipoise.core.clock import clock
from equipoise.core.schema import ConfigError, Floats
from equipoise.core.terminal import console, note, print_table, progress_bar, warn
from equipoise.data.originals import unchanged
from equipoise.data.prepared import Prepared
from equipoise.methods.schedules import share_at, weights_at
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import ranks
from equipoise.runs import record, resume
from equipoise.runs.resume import Begun
from equipoise.tracking import gpu_usage, keys
from equipoise.tracking.run import Description, Run, start_run
from equipoise.tracking.store import Store
from equipoise.training import runtime
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.cluster import read_cluster
from equipoise.training.trained import Trained

if TYPE_CHECKING:
    from equipoise.training.graph import Compiled

# Told of each epoch and its metrics, once they are logged.
Watch = Callable[[int, Mapping[str, float]], None]


@contextlib.contextmanager
def training_run(
    config: Config,
    data: Prepared,
    store: Store,
    folder: Path,
    begun: Begun | None,
    *,
    adopt: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[tuple[Run, str, "Compiled"]]:
    """The MLflow run that a training is logged to, the device that it trains on, and the model.

    What is done within it, and takes more than a moment, belongs within `at_work`. What is wrong with the loss or the
    model is told before the run is made.

    Parameters
    ----------
    folder : what a new run writes besides lands here; it must exist
    begun : an interrupted run, to be gone on with in its own folder
    adopt : the id of a run that is open already, to be written on instead
    """
    experiment = experiment_of(config.dataset)
    store.check_experiments({experiment})  # what is wrong with it is known before TensorFlow's seconds
    device, replicas = _start(config, data)
    for message in _replica_notes(config, replicas):
        warn(message)
    from equipoise.training.engines.choose import engine_of  # not before runtime.start

    engine = engine_of(config, data, device)
    if config.trainer.engine == "auto" or (engine.xla and config.trainer.jit == "auto"):
        note(f"trainer.engine={config.trainer.engine} takes {engine}")
    how = {"device": device, "replicas": str(replicas), "engine": engine.name, "xla": str(engine.xla).lower()}
    tags = {**record.config_tags(config, data), **how, "mlflow.source.name": "src/train.py", **(tags or {})}
    built = _tried(config, data)
    # While TensorFlow was started, the same command elsewhere may have taken it up.
    if begun and adopt is None and begun == resume.interrupted(store, config, data.data_sha256):
        resume.remove_unused(folder)
        folder, adopt = begun.folder, begun.id
    with (
        resume.kept(folder),
        start_run(store, Description(experiment, run_name(config), flat(config), tags), folder, adopt=adopt) as log,
    ):
        yield log, f"{replicas} × {device}" if replicas > 1 else device, built


def _tried(config: Config, data: Prepared) -> "Compiled":
    """The model with freshly drawn weights, once it and the loss have stood a trial."""
    from equipoise.training import trial
    from equipoise.training.engines import replicas as distribution
    from equipoise.training.graph import compiled

    with distribution.connected(), runtime.enough_memory(), unchanged(data):
        for message in trial.check_loss(config, data):
            warn(message)
        built = compiled(config, data)
        trial.check_model(built, config, data)
    return built


@contextlib.contextmanager
def at_work(config: Config, data: Prepared, log: Run) -> Iterator[None]:
    """Within it a signal ends the run within seconds, and want of memory, another worker's failure and a file that has changed are told as such.

    In the main thread alone.
    """
    from equipoise.training.engines import replicas as distribution  # not before runtime.start

    with interruption.bounded(log.kill), distribution.connected(), runtime.enough_memory(), unchanged(data):
        yield
        if config.trainer.profile:
            _log_times(log)


def _log_times(log: Run) -> None:
    """Where the time went until here: in MLflow, in a file, and in the terminal."""
    spent = clock.lap()
    log.log_json(spent, "timing.json")
    log.log_metrics({f"time/{name}": seconds for name, seconds in spent.items()})
    shares = [[name, f"{seconds:.2f}", f"{seconds / spent['total']:.0%}"] for name, seconds in spent.items()]
    print_table("Where the time went", ["part", "seconds", "share"], shares)


def train(
    config: Config, data: Prepared, log: Run, built: "Compiled", watch: Watch | None = None
) -> tuple[ClassWeights, Trained]:
    """Weigh, and fit the model; it and all that is known of its training are logged."""
    weights = record.weigh(config, data)
    for message in (*data.notes, *(() if data.several_labels else record.notes(config, weights))):
        warn(message)
    shown = advice.as_shown(config, data, weights)
    if shown.positive is not None:
        weight = shown.weights[shown.classes.index(shown.positive)]
        note(f"Positive class: {advice.told(config, shown)}, weight {weight:.4g}")
    if len(data.classes) > ranks.MOST_KEYED:
        warn(
            f"{len(data.classes):,} classes, more than {ranks.MOST_KEYED:,}: MLflow gets the means of {ranks.GROUPS} groups of ranks "
            "(test/recall/ranks_…) in place of each class; evaluation/per_class.json has every class"
        )
    record.log_inputs(config, log, data, weights)
    return weights, _fit(
        config, data, weights, log, built, Checkpoints(log.folder, resume.made_by(config, data)), watch
    )


def take_part(config: Config, data: Prepared) -> None:
    """Train as one of several workers, and leave nothing: the run is the chief's, which logs it."""
    _start(config, data)
    from equipoise.training import fit
    from equipoise.training.engines import replicas as distribution

    with interruption.bounded(lambda: None), distribution.connected(), runtime.enough_memory(), unchanged(data):
        fit.fit(_tried(config, data), config, data, record.weigh(config, data), lambda *_: None)


def _start(config: Config, data: Prepared) -> tuple[str, int]:
    """Start TensorFlow and meet the other workers, if there are any; returns the device and the number of replicas."""
    trainer = config.trainer
    if trainer.strategy == "multi_worker":
        cluster = read_cluster()
        console.print(
            f"Worker {cluster.index} of {len(cluster.workers)}"
            + (": waiting for the others" if len(cluster.workers) > 1 else ""),
            soft_wrap=True,
        )
    try:
        device = _take_device(trainer)
    except runtime.UsedBeforeError as error:
        name = config.dataset.name
        raise ConfigError(
            f"{error} dataset={name} has used it while it was prepared; its data are in the cache now: the same command again works"
        ) from None
    from equipoise.training.engines import replicas as distribution

    strategy = runtime.strategy_of(trainer.strategy)
    with distribution.connected():
        distribution.check_agreement(strategy, resume.made_by(config, data))
    replicas = int(strategy.num_replicas_in_sync)
    for message in _device_notes(trainer, device):
        warn(message)
    return device, replicas


def _take_device(trainer: Trainer) -> str:
    """Start TensorFlow as it is configured; returns the device."""
    return runtime.start(
        trainer.device,
        trainer.threads,
        deterministic=trainer.deterministic,
        gpu_memory=trainer.gpu_memory,
        strategy=trainer.strategy,
        replicas=trainer.replicas,
    )


def _replica_notes(config: Config, replicas: int) -> list[str]:
    """What several replicas do otherwise than one, and where there is but one."""
    strategy, dropout, notes = config.trainer.strategy, getattr(config.model, "dropout", None), []
    if strategy == "mirrored" and replicas == 1:
        notes.append(
            "trainer.strategy=mirrored has one replica here, which gains nothing; on a CPU trainer.replicas=2 tries it out"
        )
    if replicas > 1 and dropout:
        notes.append(
            f"model.dropout={dropout} with trainer.strategy={strategy}: every replica draws the same masks, each for its own part of a batch, "
            "so the weights are not those of one device"
        )
    return notes


def _device_notes(trainer: Trainer, device: str) -> list[str]:
    """What of the options that were typed has no effect, or another than was meant, on the device that was taken."""
    notes = []
    if device == "gpu" and trainer.jit is True and trainer.deterministic:
        notes.append(
            "trainer.jit=true has no effect on a GPU with trainer.deterministic=true: XLA is left out; trainer.deterministic=false lets it in"
        )
    if device == "gpu" and not gpu_usage.is_known():
        notes.append(
            "the use of the GPU is not logged: nvidia-ml-py is not installed; make train EXTRA=gpu installs it"
        )
    if device == "cpu" and trainer.device == "auto" and runtime.unused_gpu():
        notes.append(
            "trainer.device=auto took the CPU: there is an NVIDIA driver, but TensorFlow sees no GPU; install its libraries with make train EXTRA=gpu"
        )
    if device == "cpu" and trainer.gpu_memory is not None:
        notes.append(f"trainer.gpu_memory={trainer.gpu_memory} has no effect: trainer.device=auto took the CPU")
    if device == "cpu" and trainer.precision != "float32":
        notes.append(f"trainer.precision={trainer.precision} is slower than float32 on a CPU")
    return notes


def _fit(
    config: Config,
    data: Prepared,
    weights: ClassWeights,
    log: Run,
    built: "Compiled",
    checkpoints: Checkpoints,
    watch: Watch | None,
) -> Trained:
    # Not before runtime.start: these import TensorFlow.
    from equipoise.data.feed import feature_batches
    from equipoise.training import fit
    from equipoise.training.audit import audit

    samples = data.split("train")

    def shares(suffix: str, epoch: int) -> dict[str, Floats]:
        in_force = weights_at(weights.weights, share_at(config.weighting, epoch, config.trainer.epochs))
        found = audit(built.predict, built.function, samples.features, samples.labels, in_force, config.dataset.labels)
        return {f"{name}_share{suffix}": values for name, values in asdict(found).items()}

    # Of several labels a sample, no one has the whole loss or gradient.
    at_start = {} if data.several_labels else shares("_start", 0)
    log.log_metrics(keys.by_class(data, at_start))
    history: list[dict[str, float]] = []
    begun = checkpoints.newest()
    if begun is not None:
        console.print(
            f"Going on after epoch {len(begun.values['history'])} of {config.trainer.epochs} of run {log.id}",
            soft_wrap=True,
        )
    done = len(begun.values["history"]) if begun else 0
    log.flush()
    with progress_bar(config.trainer.epochs) as advance, gpu_usage.sampled(runtime.device_taken()) as usage:

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            history.append(metrics)
            log.log_metrics({**metrics, **(usage() if epoch >= done else {})}, step=epoch)
            advance(metrics)
            if watch:
                watch(epoch, metrics)

        fit.fit(built, config, data, weights, on_epoch, checkpoints)
    at_end = {} if data.several_labels else shares("", len(history) - 1)
    log.log_metrics(keys.by_class(data, at_end))
    if config.trainer.second_stage != "none":
        from equipoise.training.second_stage import run_second_stage

        for name, values in run_second_stage(built.model, built.predict, config, data).items():
            log.log_profile(f"second_stage/{name}", np.array(values))
    weights_sha256 = fit.weights_sha256(built.model)
    log.set_tag("weights_sha256", weights_sha256)
    log.log_model(built.model, next(feature_batches(samples.features[:2])), step=len(history))
    return Trained(
        built.predict(data.split("test").features),
        built.predict(data.split("validation").features),
        history,
        at_start | at_end,
        weights_sha256,
    )
