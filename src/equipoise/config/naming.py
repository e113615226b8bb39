"""What a run is called, and in which MLflow experiment it lies: what MLflow's own variables say, or what sets it apart at a glance."""

import os
import re
from collections.abc import Iterable

from equipoise.config.model import Config, flat
from equipoise.core.schema import ConfigError, control_characters
from equipoise.data.types import Dataset, title_of

EXPERIMENT, EXPERIMENT_ID, RUN = "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_NAME"
# Of a sweep's jobs, the environment holds under this name the keys that the sweep varies: `weighting,weighting.beta,seed`.
VARIED = "EQUIPOISE_VARIED"
MOST_CHARACTERS = 30  # of one value
LONGEST = 200  # of a name that is given; MLflow keeps 250 characters


def experiment_of(dataset: Dataset) -> str:
    """The name of the MLflow experiment: `dataset.title`, or what MLFLOW_EXPERIMENT_NAME says, or the data's own name."""
    return (given_experiment() if dataset.title is None else None) or title_of(dataset)


def given_experiment() -> str | None:
    """What MLFLOW_EXPERIMENT_NAME says.

    Raises
    ------
    ConfigError
        If it can be no folder's name, as it becomes in a local store.
    """
    given = os.environ.get(EXPERIMENT, "").strip()
    if given and (len(given) > LONGEST or control_characters(given) or not re.fullmatch(r"[^./\\][^/\\]*", given)):
        raise ConfigError(
            f"{EXPERIMENT}={given!r}: it becomes a folder's name; use {LONGEST} characters at most, no slash, and no dot at its beginning"
        )
    return given or None


def not_heeded(datasets: Iterable[Dataset]) -> list[str]:
    """What of MLflow's own variables is set in vain, and why."""
    titles = sorted({dataset.title for dataset in datasets if dataset.title is not None} - {given_experiment()})
    notes = [
        f"{EXPERIMENT} is not heeded where dataset.title={title} names the experiment"
        for title in titles
        if given_experiment()
    ]
    if os.environ.get(EXPERIMENT_ID) and "MLFLOW_RUN_ID" not in os.environ:  # `mlflow run` sets both
        notes.append(f"{EXPERIMENT_ID} is not heeded; {EXPERIMENT} is")
    return notes


def run_name(config: Config) -> str:
    """What MLFLOW_RUN_NAME says, or weighting, loss, model and seed; of a sweep's job the weighting, all that the sweep varies, and the seed.

    A name that is given stands before those of a sweep's jobs.
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
