"""Weights side by side, without training: `python src/weights.py dataset=mnist_lt weighting=balanced,power`.

Takes the overrides of train.py; without weighting=… it shows every strategy that needs no typed weights.
"""

from collections.abc import Sequence

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config
from equipoise.core import key_values
from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder
from equipoise.core.schema import PerClass, keywords
from equipoise.core.terminal import note, print_table, warn
from equipoise.data.catalogue import DATASETS
from equipoise.data.prepare import prepare
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS, of_texts, of_words
from equipoise.methods.weighting import POS_WEIGHTS, STRATEGIES, ClassWeights
from equipoise.reports.class_rows import shown_classes
from equipoise.runs.weigh import shown, weigh
from equipoise.sweeps import planning


def show(typed: Sequence[str]) -> None:
    """Print the table and the warnings."""
    several = any(f"dataset={name}" in typed for name, kind in DATASETS.items() if kind.several_labels)
    untyped = [name for name, function in STRATEGIES.items() if PerClass not in keywords(function).values()]
    defaults = {
        "weighting": ",".join(POS_WEIGHTS if several else untyped),
        "loss": next(name for name, loss in LOSSES.items() if loss.yes_or_no == several),
    }
    more = [f"{key}={value}" for key, value in defaults.items() if not _is_typed(key, typed)]
    plan = _planned([*typed, *more])
    columns = [(_heading(job, plan.jobs), job, _weigh(job)) for job in plan.jobs]
    first = columns[0][2]
    if any(weights.classes != first.classes or (weights.counts != first.counts).any() for _, _, weights in columns):
        raise ConfigError("weights can stand side by side for one dataset only: give one dataset=…")
    _print(first, {heading: weights for heading, _, weights in columns})
    if first.positive is not None:
        note(f"Positive class: {advice.told(plan.jobs[0], first)}")
    for message in prepare(plan.jobs[0].dataset, cache_folder()).notes:
        warn(message)
    for heading, job, weights in columns:
        of_step = advice.learning_rate_note(heading, weights, job.trainer.optimizer)
        if of_step is not None:
            warn(of_step)


def _planned(words: Sequence[str]) -> planning.Plan:
    """Plan the jobs. No model is built, so any that takes samples of every shape will do, or one of texts."""
    every_shape = next(name for name, model in MODELS.items() if model.dimensions is None)
    tried = (
        [[]] if _is_typed("model", words) else [[f"model={name}"] for name in (every_shape, *of_words(), *of_texts())]
    )
    for more in tried:
        try:
            return planning.plan(["-m", *words, *more])
        except ConfigError as error:
            if more == tried[-1] or not str(error).startswith("model="):
                raise
    raise AssertionError("there is a model of every shape")


def _is_typed(key: str, words: Sequence[str]) -> bool:
    return any(word.startswith(f"{key}=") for word in words)


def _weigh(job: Config) -> ClassWeights:
    data = prepare(job.dataset, cache_folder())
    return shown(job, data, weigh(job, data))


def _heading(job: Config, jobs: Sequence[Config]) -> str:
    """Return the strategy's name, with the options in which it differs from others of that name."""
    options = job.weighting.model_dump()
    same = [other.weighting.model_dump() for other in jobs if other.weighting.name == job.weighting.name]
    varied = [key for key, value in options.items() if any(other[key] != value for other in same)]
    by_loss = getattr(job.loss, "pos_weight", None)
    return " ".join(
        [
            job.weighting.name,
            *(f"{key}={options[key]}" for key in varied),
            *([] if by_loss is None else [f"pos_weight={by_loss}"]),
        ]
    )


def _print(first: ClassWeights, columns: dict[str, ClassWeights]) -> None:
    head_to_tail = np.argsort(-first.counts, kind="stable")
    rows = []
    for index in shown_classes(head_to_tail):
        if index is None:
            rows.append(["…"] * (2 + len(columns)))
        else:
            rows.append(
                [
                    first.label(index),
                    str(first.counts[index]),
                    *(f"{weights.weights[index]:.4g}" for weights in columns.values()),
                ]
            )
    rows += [
        ["sample mean", "", *(f"{weights.sample_mean:.4g}" for weights in columns.values())],
        ["max / min", "", *(_ratio(weights) for weights in columns.values())],
        [
            "effective n",
            str(first.counts.sum()),
            *(f"{weights.effective_sample_size:.4g}" for weights in columns.values()),
        ],
    ]
    print_table("Weights by class, head to tail", ["class", "n", *columns], rows)


def _ratio(weights: ClassWeights) -> str:
    smallest = weights.weights.min()
    return f"{weights.weights.max() / smallest:.4g}" if smallest else "a weight is 0"


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, show)
