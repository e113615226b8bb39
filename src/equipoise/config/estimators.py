"""Check what a config asks of an estimator, a model that learns without Keras, and tell what is for Keras alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE, Floats
from equipoise.data.catalogue import DATASETS
from equipoise.data.sampling import resampler
from equipoise.data.types import Source
from equipoise.methods.models import estimator

CROSS_ENTROPY = ("class_weight", "sample_weight", "custom")
# Options of Keras's training that have a value of their own, so that only what was typed can be told of.
STEPS = ("trainer.epochs", "trainer.batch_size", "trainer.optimizer", "trainer.learning_rate", "trainer.monitor")
NO_STEPS = "it is fitted as a whole, without steps of an optimizer"
NO_EPOCHS = "it is fitted once, and has no epochs"
NO_DEVICE = "it is fitted on one CPU, without TensorFlow"


def check_estimator(config: Config, source: Source) -> None:
    """Refuse what is asked of an estimator and is for Keras alone, or what it cannot learn from.

    Raises
    ------
    ConfigError
        Naming the option and the reason.
    """
    record, who = estimator(config.model.name), f"model={config.model.name}"
    if record is None:
        return
    _check_data(config, source, who)
    if config.loss.name not in CROSS_ENTROPY:
        raise ConfigError(
            f"loss={config.loss.name} with {who}: it has a loss of its own, which weights multiply; "
            "use loss=class_weight or loss=sample_weight, which are one thing to it"
        )
    for option, (value, possible, why) in _demanded(config).items():
        if value not in possible:
            said = str(value).lower() if isinstance(value, bool) else value
            raise ConfigError(f"{option}={said} with {who}: {why}; leave one of the two out")
    if record.weighted:
        return
    if config.weighting.name != NONE:
        raise ConfigError(
            f"weighting={config.weighting.name} with {who}: it takes no weights"
            f"{', it makes classes even itself' * record.balances}; use weighting=none"
        )
    if source.masses is not None:
        raise ConfigError(
            f"dataset.weight={vars(config.dataset).get('weight')} with {who}: it takes no weights of rows"
        )


def _check_data(config: Config, source: Source, who: str) -> None:
    kind = DATASETS[config.dataset.name]
    if kind.several_labels:
        raise ConfigError(f"{who} learns one class a sample; dataset={config.dataset.name} has several: use model=mlp")
    if source.texts or kind.read_in_place:
        has = "texts as they are: leave dataset.tokens=none out" if source.texts else "samples that stay where they are"
        raise ConfigError(f"{who} takes numbers in memory; dataset={config.dataset.name} gives {has}")


def _demanded(config: Config) -> dict[str, tuple[Any, Sequence[Any], str]]:
    """Return, of each option, its value, the values that mean nothing is asked, and why no other one is possible."""
    trainer, dataset = config.trainer, config.dataset
    drawn = NONE if resampler(dataset.sampling) is not None else dataset.sampling
    return {
        "weighting.schedule": (config.weighting.schedule, ["constant"], NO_EPOCHS),
        "dataset.sampling": (drawn, [NONE], "rows are drawn anew in every epoch, and it has none"),
        "dataset.augment": (list(dataset.augment), [[]], "images are altered anew in every epoch, and it has none"),
        "dataset.mix": (dataset.mix, [NONE], "samples are mixed batch by batch, and it has none"),
        "trainer.phases": (list(trainer.phases), [[]], NO_EPOCHS),
        "trainer.schedule": (trainer.schedule, ["constant"], NO_EPOCHS),
        "trainer.weight_decay": (trainer.weight_decay, [None], NO_STEPS),
        "trainer.clip_norm": (trainer.clip_norm, [None], NO_STEPS),
        "trainer.ema": (trainer.ema, [None], NO_STEPS),
        "trainer.sharpness": (trainer.sharpness, [NONE], NO_STEPS),
        "trainer.early_stopping": (trainer.early_stopping, [None], "it keeps all of its fixed number of iterations"),
        "trainer.second_stage": (trainer.second_stage, [NONE], "it has no last layer to make anew"),
        "trainer.device": (trainer.device, ["auto", "cpu"], NO_DEVICE),
        "trainer.gpu_memory": (trainer.gpu_memory, [None], NO_DEVICE),
        "trainer.precision": (trainer.precision, ["float32"], "it has a precision of its own"),
        "trainer.jit": (trainer.jit, ["auto", False], NO_DEVICE),
        "trainer.engine": (trainer.engine, ["auto"], NO_DEVICE),
        "trainer.strategy": (trainer.strategy, ["single"], NO_DEVICE),
    }


def check_command(typed: Sequence[str], jobs: Sequence[Config]) -> None:
    """Refuse what is not installed, and options of Keras's steps that were typed where no job has any.

    Parameters
    ----------
    typed : the keys

    Raises
    ------
    ConfigError
        Naming the first of them.
    """
    for job in jobs:
        check_installed(job)
    if any(estimator(job.model.name) is None for job in jobs):
        return
    for key in typed:
        if key in STEPS:
            why = NO_EPOCHS if key == "trainer.epochs" else NO_STEPS
            raise ConfigError(f"{key} with model={jobs[0].model.name} has no effect: {why}; leave it out")


def seeds_in_vain(jobs: Sequence[Config]) -> list[str]:
    """Return a sentence on each model of which several seeds are asked for, and make one and the same fit.

    Where rows are made before the fit, they differ by the seed.
    """
    seeds: dict[str, set[int]] = {}
    for job in jobs:
        record = estimator(job.model.name)
        made = resampler(job.dataset.sampling)
        if record is not None and not record.draws and not (made is not None and made.makes):
            seeds.setdefault(job.model.name, set()).add(job.seed)
    return [
        f"model={name} draws nothing of fewer than 200,000 rows, so that every seed makes the same fit: repeat splits, "
        "by dataset.split_seed, or folds"
        for name, of_model in seeds.items()
        if len(of_model) > 1
    ]


def check_installed(config: Config) -> None:
    """Refuse an estimator, or a resampling, whose library is not installed."""
    record = estimator(config.model.name)
    if record is not None:
        record.check_installed(config.model.name)
    resampling = resampler(config.dataset.sampling)
    if resampling is not None:
        resampling.check_installed(config.dataset.sampling)


def moves_prior(config: Config, weights: Floats) -> bool:
    """Return whether weights move the class frequencies that the model answers for as they do under log loss."""
    record = estimator(config.model.name)
    return record is None or record.moves_prior_as_weights_do(even=bool(np.ptp(weights) == 0))
