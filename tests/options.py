"""What an option needs beside its defaults, as its record and its YAML say: a new option needs no line here."""

from types import NoneType
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from equipoise.config.choice import defaults
from equipoise.core.schema import PerClass, keywords
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.methods.weighting import STRATEGIES

# Two classes, and a single logit.
YES_OR_NO = ["dataset.class_counts=[80,13]", "dataset.labels=binary"]
# The losses that class weights can be put into, all of them and those that take them in any way but for a single logit.
# One that begins after some epochs is another one then, a thousand times as large.
WEIGHTED_LOSSES = [name for name, loss in LOSSES.items() if not loss.of_batches and loss.begins is None]
SOFTMAX_LOSSES = [
    name for name in WEIGHTED_LOSSES if LOSSES[name].implementation is None and not LOSSES[name].yes_or_no
]


def needed(option: str, classes: int = 10) -> list[str]:
    """What must be typed with an option such as `loss=focal`, on data with the classes 0, 1, …"""
    group, name = option.split("=")
    if group == "dataset":
        return ["model=text"] if name == "text" else ["model=mlp"]  # which takes samples of any shape
    if group == "model":
        return ["dataset=synthetic", "dataset.form=series"] if MODELS[name].dimensions == 2 else []
    if group == "weighting":
        return of_classes("weighting", name, keywords(STRATEGIES[name]), classes)
    if group == "decision":
        asked = {
            "constrained": ["decision.recall={1:0.5}"],
            "top_k": ["decision.budget={1:0.1}"],
            "abstain": ["decision.reject_cost=0.3"],
        }
        return costs(classes) if DECISIONS[name].needs_costs else asked.get(name, [])
    if group == "loss":
        single = ["dataset=synthetic", "model=mlp", *YES_OR_NO] if LOSSES[name].yes_or_no else []
        return [*single, *of_loss(name, classes)]
    return []


def of_loss(name: str, classes: int = 3) -> list[str]:
    """What must be typed with a loss beside the data: a number for each class, and costs."""
    loss = LOSSES[name]
    options = {key: annotation for part in loss.parts for key, annotation in keywords(part).items()}
    return [*of_classes("loss", name, options, classes), *(costs(classes) if loss.needs_costs else [])]


def of_classes(group: str, name: str, options: dict[str, Any], classes: int) -> list[str]:
    """The options that are a number for each class, with 1, 2, …"""
    return [f"{group}.{key}={by_class(classes)}" for key, annotation in options.items() if is_per_class(annotation)]


def is_per_class(annotation: Any) -> bool:
    """Whether an option is a number for each class, or nothing."""
    return annotation == PerClass or (
        PerClass in get_args(annotation) and set(get_args(annotation)) <= {PerClass, NoneType}
    )


def by_class(classes: int, *, turned: bool = False) -> str:
    """`{0:1,1:2,2:3}`, or turned `{0:3,1:2,2:1}`."""
    numbers = range(classes, 0, -1) if turned else range(1, classes + 1)
    return "{" + ",".join(f"{index}:{number}" for index, number in enumerate(numbers)) + "}"


def costs(classes: int) -> list[str]:
    return [f"cost={{{classes - 1}:{{0:5}}}}"]


def two_values(loss: str, option: str, classes: int = 3) -> tuple[str, str]:
    """Two values of an option of a loss, as typed, both of which it takes."""
    annotation = next(keywords(part)[option] for part in LOSSES[loss].parts if option in keywords(part))
    if is_per_class(annotation):
        return by_class(classes), by_class(classes, turned=True)
    kind, taken = TypeAdapter(annotation), []
    for value in (defaults("loss", loss)[option], 2.0, 3.0, 0.3, 0.2):
        try:
            kind.validate_python(value)
        except ValidationError:
            continue
        taken += [value] if isinstance(value, float) else []
    first, second, *_ = dict.fromkeys(taken)
    return str(first), str(second)
