"""The composed config as one frozen value, each option of it checked by itself.

The sections' keys come from the registries; this module puts them together. `checks` holds what options need of each
other, `messages` how an error is told.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from equipoise.config.dataset import AnyDataset
from equipoise.config.validation import flattened, validated
from equipoise.core import plugins
from equipoise.core.plugins import Own
from equipoise.core.schema import NONE, KeyOf, OneOf, Positive, PositiveInt, Section, Seed, Word, annotated, keywords
from equipoise.core.typed import VALUES
from equipoise.methods.calibration import Calibration
from equipoise.methods.costs import Costs
from equipoise.methods.decisions import DECISIONS, Decision
from equipoise.methods.learning_rates import LearningRate
from equipoise.methods.losses import LOSSES, LossOptions
from equipoise.methods.models import MODELS, ModelOptions, estimator
from equipoise.methods.phases import Phase
from equipoise.methods.second_stages import SECOND_STAGES
from equipoise.methods.sharpness import Sharpness
from equipoise.methods.weighting import STRATEGIES, Weighting

# Options that change how a run is carried out but not its result; the config's digest omits them.
CONTROL = (
    *("sweep", "tracking", "evaluation.pictures"),
    *("trainer.threads", "trainer.gpu_memory", "trainer.resume", "trainer.profile"),
)
# What repeats a configuration, rather than being part of it.
REPETITION = ("dataset.split_seed", "dataset.fold", "seed")
# Sections that judge a trained model and do not change it.
JUDGING = ("calibration", "decision", "evaluation")
# Left out of the digest with these values. Where `positive` is null, the data decide which class is positive, and their
# digest records it; the other keys are younger than the digests of many runs, which are those without them.
SILENT = (
    ("dataset.positive", None),
    ("dataset.augment", []),
    ("dataset.mix", "none"),
    ("dataset.mix_alpha", 1.0),
    ("dataset.sampling_options", None),
    ("trainer.refit", False),
    ("trainer.schedule", "constant"),
    ("trainer.schedule_warmup", 0.1),
    ("trainer.schedule_end", 0.0),
    ("trainer.schedule_drops", [0.6, 0.8]),
    ("trainer.schedule_factor", 0.1),
    ("trainer.schedule_patience", 5),
    ("trainer.weight_decay", None),
    ("trainer.clip_norm", None),
    ("trainer.ema", None),
    ("trainer.phases", []),
    ("trainer.sharpness", NONE),
    ("trainer.sharpness_rho", 0.05),
    *((f"dataset.{key}", None) for key in ("weight", "validation_weight", "test_weight")),
    ("calibration.name", NONE),
    ("dataset.count", "rows"),
    ("dataset.encoding", "auto"),
    ("dataset.class_names", None),
    ("model.embedding", "auto"),
    ("dataset.numeric", []),
    ("dataset.dates", []),
    ("dataset.time", None),
    ("evaluation.weighted", False),
    ("trainer.judge_after", []),
    ("trainer.stacked", False),
)
# What an estimator takes of the trainer that can change its result; it has no steps, and nothing else is for it.
OF_ESTIMATORS = ("deterministic", "refit")


# The metrics of the validation split that training and a search can go by.
Monitored = Literal["val/balanced_accuracy", "val/macro_f1", "val/accuracy", "val/log_loss"]


class Trainer(LearningRate, Sharpness):
    """How to train."""

    epochs: Annotated[int, Field(ge=1, le=10_000_000)]
    batch_size: Annotated[int, Field(ge=1, le=10_000_000)]
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"]
    learning_rate: Positive
    phases: Annotated[tuple[Phase, ...], Field(strict=False)]
    judge_after: Annotated[tuple[PositiveInt | Literal["best"], ...], Field(strict=False)]
    weight_decay: Annotated[float, Field(ge=0, le=1e9)] | None
    clip_norm: Positive | None
    ema: Annotated[float, Field(gt=0, lt=1)] | None
    monitor: Monitored
    early_stopping: PositiveInt | None
    second_stage: Annotated[str, KeyOf(SECOND_STAGES, NONE)]
    device: Literal["auto", "cpu", "gpu"]
    gpu_memory: PositiveInt | None
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    jit: Literal["auto"] | bool
    engine: Literal["auto", "fit", "resident"]
    stacked: bool
    # Both change the result within float tolerance alone: the batches are the same, their sums have another order.
    strategy: Literal["single", "mirrored", "multi_worker"]
    replicas: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
    deterministic: bool
    refit: bool
    resume: bool
    profile: bool

    @model_validator(mode="before")
    @classmethod
    def _as_long_as_its_phases(cls, values: Any) -> Any:
        """Where there are phases, their epochs are those of the training."""
        try:
            epochs = sum(int(phase["epochs"]) for phase in values["phases"])
        except (TypeError, KeyError, ValueError):  # which the fields tell of
            return values
        return {**values, "epochs": epochs} if epochs else values


class EvaluationOptions(Section):
    """How predictions are judged."""

    groups: Literal["terciles"] | Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
    resamples: Annotated[int, Field(ge=0, le=1_000_000)]
    weighted: bool
    pictures: bool


class Tracking(Section):
    """Where runs are logged."""

    name: Literal["local", "server"]
    every: PositiveInt


class Config(Section):
    """The whole config of one run."""

    dataset: AnyDataset
    model: Annotated[ModelOptions, OneOf(MODELS, lambda architecture: (architecture.build,))]
    weighting: Annotated[Weighting, OneOf(STRATEGIES)]
    loss: Annotated[LossOptions, OneOf(LOSSES, lambda loss: loss.parts)]
    calibration: Calibration
    decision: Annotated[Decision, OneOf(DECISIONS, lambda rule: (rule.function,))]
    trainer: Trainer
    evaluation: EvaluationOptions
    tracking: Tracking
    seed: Seed
    cost: Costs
    sweep: Word


def validate(composed: Mapping[str, Any]) -> Config:
    """Return the composed and resolved config, each value checked by itself.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    return validated(Config, composed)


def annotations(key: str) -> list[Any]:
    """Return the types of the option with this dotted key, one for each choice of its group that has it."""
    group, _, option = key.partition(".")
    if group not in Config.model_fields or not option:
        return [Config.model_fields[group].annotation] if key in VALUES else []
    field = Config.model_fields[group]
    choices = [choice for choice in field.metadata if isinstance(choice, OneOf)]
    sections: list[Any] = [field.annotation, *(section for choice in choices for section in choice.sections.values())]
    found = [annotated(section) for section in sections]
    functions = [function for choice in choices for several in choice.functions.values() for function in several]
    found += [keywords(function) for function in functions]
    return [hints[option] for hints in found if option in hints]


def chosen_own(config: Config) -> list[Own]:
    """Return the options of the user's own that the config chooses."""
    names = {group: getattr(config, group).name for group in plugins.KINDS if group in Config.model_fields}
    found = [plugins.options(kind).get(name) for kind, name in (*names.items(), ("sampling", config.dataset.sampling))]
    return [own for own in found if own is not None]


def flat(config: Config) -> dict[str, Any]:
    """Return every value under its dotted key, as it is typed on the command line; lists stay lists."""
    return flattened(config.model_dump(mode="json"))


def config_sha256(config: Config) -> str:
    """Return the digest of every option that decides the run's result."""
    return _digest_without(config, CONTROL)


def training_sha256(config: Config) -> str:
    """Return the digest of every option that decides the trained model; judging it differently does not change it."""
    return _digest_without(config, CONTROL + JUDGING)


def without_effect(config: Config) -> list[str]:
    """Return the keys of the trainer that do nothing: with an estimator, which has no steps, or beside others."""
    if estimator(config.model.name) is None:
        return ["trainer.sharpness_rho"] if config.trainer.sharpness == NONE else []
    return [f"trainer.{key}" for key in Trainer.model_fields if key not in OF_ESTIMATORS]


def epochs_of(config: Config) -> int:
    """Return how many epochs a training has at most: the one fit of an estimator is one."""
    return config.trainer.epochs if estimator(config.model.name) is None else 1


def below(key: str, parts: Sequence[str]) -> bool:
    """Whether the dotted key is one of these parts of the config, or lies in one."""
    return any(key == part or key.startswith(part + ".") for part in parts)


def _digest_without(config: Config, parts: Sequence[str]) -> str:
    left_out = [*parts, *without_effect(config)]
    deciding = {
        key: value for key, value in flat(config).items() if not below(key, left_out) and (key, value) not in SILENT
    }
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()
