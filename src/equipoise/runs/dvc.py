"""What the DVC stages that need the whole config share: its check, the tags of their runs, and the run's folder."""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipoise.config.checks import check_together
from equipoise.config.estimators import check_installed
from equipoise.config.model import Config, chosen_own, validate
from equipoise.core.paths import code_root, project_root
from equipoise.core.typed import mapping_in
from equipoise.methods.models import file_of
from equipoise.runs.stage import check_files, check_in_raw, check_own, own_files, read_params

GROUPS = ("dataset", "weighting", "loss")  # whose options may take a file in place of a mapping by class
TRAIN_STAGE = "pipelines/train.py"  # the source of the MLflow runs that the stage `train` logs


def checked_config(params: dict[str, Any]) -> Config:
    """Return the config of params.yaml, checked as a command line would be.

    Raises
    ------
    ConfigError
        If an option is wrong, two contradict each other, or DVC would not see a change of a file that the run needs.
    """
    config = validate(params)
    check_together(config)
    check_installed(config)
    check_files(config.dataset)
    weights = file_of(config.model)
    if weights:
        check_in_raw(*weights)
    for option, path in class_files(params, config).items():
        check_in_raw(option, path)
    for own in chosen_own(config):
        check_own(own)
    return config


def class_files(params: Mapping[str, Any], config: Config) -> dict[str, str]:
    """Return the files that were read in place of mappings by class, by the options that name them."""
    values = {**{f"{group}.{key}": value for group in GROUPS for key, value in params[group].items()}, **params}
    read = {
        **{f"{group}.{key}": value for group in GROUPS for key, value in getattr(config, group)},
        "cost": config.cost,
    }
    return {
        key: typed
        for key, typed in values.items()
        if isinstance(typed, str) and mapping_in(typed) is None and isinstance(read.get(key), dict)
    }


def dvc_tags(config: Config) -> dict[str, str]:
    """Return the experiment's name, and the version of the raw data as dvc.lock records it."""
    tags = {"dvc_exp": os.environ["DVC_EXP_NAME"]} if os.environ.get("DVC_EXP_NAME") else {}
    if own_files(config.dataset):
        lock = read_params(code_root() / "dvc.lock")
        recorded = {dependency["path"]: dependency.get("md5") for dependency in lock["stages"]["prepare"]["deps"]}
        tags["dvc_md5"] = str(recorded["data/raw"])
    return tags


def run_folder() -> Path:
    """Make a folder for what a run writes, in the project: DVC deletes a temporary workspace after the run."""
    folder = project_root() / "outputs" / "dvc" / (time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2))
    folder.mkdir(parents=True)
    return folder
