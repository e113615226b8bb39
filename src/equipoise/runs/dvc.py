"""What the DVC stages that need the whole config share: its check, the tags of their runs, and the run's folder."""

import os
import secrets
import time
from pathlib import Path
from typing import Any

from equipoise.config.checks import check_together
from equipoise.config.model import Config, chosen_own, validate
from equipoise.core.paths import code_root, project_root
from equipoise.methods.models import file_of
from equipoise.runs.stage import check_files, check_in_raw, check_own, own_files, read_params

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
    check_files(config.dataset)
    weights = file_of(config.model)
    if weights:
        check_in_raw(*weights)
    for own in chosen_own(config):
        check_own(own)
    return config


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
