"""Name a run and its MLflow experiment: by MLflow's own variables, or by what sets the run apart at a glance."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from equipoise.config.model import Config, flat
from equipoise.config.validation import flattened
from equipoise.core.errors import ConfigError, control_characters
from equipoise.core.schema import Section
from equipoise.core.typed import VALUES
from equipoise.data.types import Dataset, title_of

EXPERIMENT, EXPERIMENT_ID, RUN = "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_NAME"
# A variable in the environment of a sweep's jobs with the keys that the sweep varies: `weighting,weighting.beta,seed`.
VARIED = "EQUIPOISE_VARIED"
MOST_CHARACTERS = 30  # of one value
LONGEST = 200  # characters of a given name; MLflow keeps 250


def experiment_of(dataset: Dataset) -> str:
    """Return the MLflow experiment's name: `dataset.title`, else MLFLOW_EXPERIMENT_NAME, else the data's own name."""
    return (given_experiment() if dataset.title is None else None) or title_of(dataset)


def given_experiment() -> str | None:
    """Return the value of MLFLOW_EXPERIMENT_NAME; None if it is not set.

    Raises
    ------
    ConfigError
        If it cannot be a folder's name, which it becomes in a local store.
    """
    given = os.environ.get(EXPERIMENT, "").strip()
    if given and (len(given) > LONGEST or control_characters(given) or not re.fullmatch(r"[^./\\][^/\\]*", given)):
        raise ConfigError(
            f"{EXPERIMENT}={given!r}: it becomes a folder's name; "
            f"use at most {LONGEST} characters, no slash, and no dot at its beginning"
        )
    return given or None


def ignored_variables(datasets: Iterable[Dataset]) -> list[str]:
    """Return a sentence for each of MLflow's own variables that is set in vain: which one, and why."""
    titles = sorted({dataset.title for dataset in datasets if dataset.title is not None} - {given_experiment()})
    notes = [
        f"{EXPERIMENT} is ignored where dataset.title={title} names the experiment"
        for title in titles
        if given_experiment()
    ]
    if os.environ.get(EXPERIMENT_ID) and "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` sets both
        notes.append(f"{EXPERIMENT_ID} is ignored; set {EXPERIMENT} instead")
    return notes


def told_apart(varied: Iterable[str], jobs: Sequence[Config]) -> list[str]:
    """Return the keys that a sweep varies, each followed by those in which jobs differ that choose one name for it.

    Such are the variants of an option that a YAML makes by other defaults: `loss=hinge,hinge_wide` are both `hinge`.
    """
    typed, found = list(varied), []
    for key in typed:
        found.append(key)
        if key not in Config.model_fields or key in VALUES:
            continue
        variants: dict[str, Section] = {repr(section): section for section in (getattr(job, key) for job in jobs)}
        by_name: dict[str, list[dict[str, Any]]] = {}
        for values in (flattened({key: section.model_dump(mode="json")}) for section in variants.values()):
            by_name.setdefault(values[f"{key}.name"], []).append(values)
        differing = {
            each: None
            for same in by_name.values()
            for each in same[0]
            if len({repr(values.get(each)) for values in same}) > 1 and each not in typed
        }
        found += differing
    return found


def run_name(config: Config) -> str:
    """Return MLFLOW_RUN_NAME, or else weighting, loss, model and seed.

    The name of a sweep's job holds the weighting, whatever the sweep varies, and the seed; MLFLOW_RUN_NAME precedes it.
    """
    given = "".join(char for char in os.environ.get(RUN, "").strip() if char.isprintable())[:LONGEST]
    if given and VARIED not in os.environ:
        return given
    return " · ".join([*([given] if given else []), *_own_name(config)])


def _own_name(config: Config) -> list[str]:
    varied = [key for key in os.environ.get(VARIED, "").split(",") if key]
    between = [key for key in varied if key not in ("weighting", "seed")] if varied else ["loss", "model"]
    values = flat(config)
    return [_part(key, values) for key in ("weighting", *between, "seed") if key in values or f"{key}.name" in values]


def _part(key: str, values: dict[str, object]) -> str:
    if f"{key}.name" in values:
        return str(values[f"{key}.name"])
    value = values[key]
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{key.split('.')[-1]} {text[:MOST_CHARACTERS]}"
