"""What tests do again and again: compose a config, copy the project, run its commands."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from equipoise.command_line import compose_one
from equipoise.config import Config, validate
from equipoise.paths import config_folder
from equipoise.tracking import Store

REPOSITORY = Path(__file__).parents[1]


def composed(*overrides: str) -> Config:
    """The checked config of these overrides."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose_one(overrides)


def composed_dataset(*overrides: str) -> Any:
    """The dataset section alone, without a look at whether the rest goes with it."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return validate(OmegaConf.to_container(compose("config", list(overrides)), resolve=True)).dataset  # type: ignore[arg-type]


def copy_project(folder: Path) -> Path:
    """The code and the config alone, so that the store, the cache and the outputs are the copy's own."""
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def train(project: Path, *overrides: str, cwd: Path | None = None, script: str = "train.py") -> "subprocess.CompletedProcess[str]":
    """`python src/train.py …` as a user runs it."""
    command = [sys.executable, str(project / "src" / script), *overrides]
    return subprocess.run(command, cwd=cwd or project, capture_output=True, text=True, timeout=300)


def jobs(store: Store, **tags: str) -> list[Any]:
    """The runs that carry these tags, oldest first, without summaries and evaluations."""
    return [run for run in store.runs(**tags) if "kind" not in run.data.tags]
