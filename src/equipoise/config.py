"""The composed config as one frozen, checked value. Every check that needs no data stands here.

The sections' keys come from the registries; this module puts them together, adds the checks across
sections, and turns what is wrong into messages that name the option as it was typed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from equipoise.data.prepare import source_of
from equipoise.data.sources import SOURCES, Dataset, Source
from equipoise.decisions import DECISIONS, Decision
from equipoise.losses import LOSSES, LossOptions
from equipoise.models import MODELS, ModelOptions
from equipoise.options import ConfigError, OneOf, Positive, PositiveInt, Section, Seed, arguments, suggestion
from equipoise.weighting import STRATEGIES, Weighting

# What changes how a run is carried out but not what comes out; left out of the config's digest.
CONTROL = ("sweep", "tracking", "trainer.threads")


class Trainer(Section):
    """How to train."""

    epochs: PositiveInt
    batch_size: PositiveInt
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"]
    learning_rate: Positive
    monitor: Literal["val/balanced_accuracy", "val/macro_f1", "val/accuracy", "val/log_loss"]
    early_stopping: PositiveInt | None
    device: Literal["auto", "cpu", "gpu"]
    threads: Literal["auto"] | PositiveInt
    jit: bool
    deterministic: bool


class EvaluationOptions(Section):
    """How predictions are judged."""

    groups: Literal["terciles"] | Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
    resamples: Annotated[int, Field(ge=0)]


class Tracking(Section):
    """Where runs are logged."""

    name: Literal["local"]


class Config(Section):
    """The whole config of one run."""

    dataset: Annotated[Dataset, OneOf(SOURCES)]
    model: Annotated[ModelOptions, OneOf({name: architecture.build for name, architecture in MODELS.items()})]
    weighting: Annotated[Weighting, OneOf(STRATEGIES)]
    loss: Annotated[LossOptions, OneOf(LOSSES)]
    decision: Annotated[Decision, OneOf(DECISIONS)]
    trainer: Trainer
    evaluation: EvaluationOptions
    tracking: Tracking
    seed: Seed
    sweep: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


def validate(composed: Mapping[str, Any]) -> Config:
    """The composed and resolved config, checked.

    Raises
    ------
    ConfigError
        With one line for each thing that is wrong.
    """
    try:
        config = Config.model_validate(composed)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(error.errors(), composed))) from None
    _check_across(config)
    return config


def flat(config: Config) -> dict[str, Any]:
    """Every value under its dotted key, as it is typed on the command line; lists stay lists."""
    return _flatten(config.model_dump(mode="json"))


def config_sha256(config: Config) -> str:
    """Digest of everything that decides what comes out of the run."""
    deciding = {key: value for key, value in flat(config).items() if not any(key == part or key.startswith(part + ".") for part in CONTROL)}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= _flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _check_across(config: Config) -> None:
    """Combinations that are each valid alone and wrong together, or that need the class names."""
    source = source_of(config.dataset)
    strategy = STRATEGIES[config.weighting.name]
    try:
        arguments(config.weighting, strategy, source.classes)
    except ConfigError as error:
        raise ConfigError(f"weighting.{error}") from None
    _check_model(config, source)
    _check_loss(config)
    classes = len(source.classes)
    if config.dataset.labels == "binary" and classes != 2:
        raise ConfigError(f"dataset.labels=binary needs two classes; {config.dataset.name} has {classes}: use sparse or one_hot")
    groups = config.evaluation.groups
    if groups != "terciles" and groups[0] > groups[1]:
        raise ConfigError(f"evaluation.groups=[{groups[0]},{groups[1]}]: the few are below the first, so it must not be above the second: try [20,100]")
    prior = config.dataset.target_prior
    if isinstance(prior, tuple) and len(prior) != classes:
        raise ConfigError(f"dataset.target_prior has {len(prior)} numbers for {classes} classes")


def _check_model(config: Config, source: Source) -> None:
    needed = MODELS[config.model.name].dimensions
    if needed is not None and needed != len(source.shape):
        fitting = [name for name, architecture in MODELS.items() if architecture.dimensions in (None, len(source.shape))]
        raise ConfigError(
            f"model={config.model.name} needs samples of {needed} dimensions (height, width, channels); "
            f"dataset={config.dataset.name} has {len(source.shape)}: use model={' or '.join(fitting)}"
        )


def _check_loss(config: Config) -> None:
    loss = config.loss
    function = LOSSES[loss.name].__name__
    if loss.function != function:
        raise ConfigError(f"loss.function={loss.function}: loss={loss.name} is {function}; choose another loss=…, not its function")
    put_in_by_name = {"class_weight", "sample_weight", "custom"}
    if loss.name in put_in_by_name and loss.implementation != loss.name:
        raise ConfigError(f"loss={loss.name} with loss.implementation={loss.implementation} contradict each other: use loss={loss.implementation}")


def _explain(details: Sequence[Any], composed: Mapping[str, Any]) -> list[str]:
    """pydantic's errors as one line for each option that was typed wrongly."""
    problems: dict[str, list[str]] = {}
    for detail in details:
        location = [str(part) for part in detail["loc"]]
        group = composed.get(location[0])
        # Below a group, pydantic names the option that was read; the user did not type that.
        if len(location) > 1 and isinstance(group, Mapping) and location[1] == group.get("name") and location[1] not in group:
            del location[1]
        key = ".".join(part for part in location if not _is_branch(part))
        problems.setdefault(key, []).append(_problem(detail, location[-1], _siblings(composed, location)))
    # Of `[0, -1]` the items tell what is wrong; that the whole is no valid list does not help.
    most_exact = [key for key in problems if not any(other.startswith(key + ".") for other in problems)]
    lines = []
    for key in most_exact:
        typed = _typed(composed, key)
        shown = key if typed is None else f"{key}={typed}:"
        lines.append(f"{shown} {', or '.join(dict.fromkeys(problems[key]))}")
    return lines


def _problem(detail: Any, key: str, siblings: Sequence[str]) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such option" + suggestion(key, siblings)
    if detail["type"] == "missing":
        return "is missing"
    if detail["input"] is None:
        return "is not set, and has no default"
    return str(detail["msg"]).replace("Input should", "must").replace("Value error, ", "")


def _typed(composed: Mapping[str, Any], key: str) -> Any:
    value: Any = composed
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = {str(name): item for name, item in value.items()}.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _siblings(composed: Mapping[str, Any], location: list[str]) -> list[str]:
    level: Any = composed
    for part in location[:-1]:
        level = level[part] if isinstance(level, Mapping) else {}
    return [key for key in level if key != location[-1]]


def _is_branch(part: str) -> bool:
    """Whether pydantic made up this part of a location to name one branch of a union."""
    return "[" in part or part == "constrained-int"
