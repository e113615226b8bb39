"""What tests do again and again: compose a config, copy the project, run its commands."""

import shutil
import subprocess
import sys
from pathlib import Path

from hydra import initialize_config_dir

from equipoise.command_line import compose_one
from equipoise.config import Config
from equipoise.paths import config_folder

REPOSITORY = Path(__file__).parents[1]


def composed(*overrides: str) -> Config:
    """The checked config of these overrides."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose_one(overrides)


def copy_project(folder: Path) -> Path:
    """The code and the config alone, so that the store, the cache and the outputs are the copy's own."""
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def train(project: Path, *overrides: str, cwd: Path | None = None, script: str = "train.py") -> "subprocess.CompletedProcess[str]":
    """`python src/train.py …` as a user runs it."""
    command = [sys.executable, str(project / "src" / script), *overrides]
    return subprocess.run(command, cwd=cwd or project, capture_output=True, text=True, timeout=300)
