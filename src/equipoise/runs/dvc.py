"""What the DVC stages share: params.yaml as their whole config, where they leave their files, and what DVC knows of them."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from equipoise.config.checks import check_together
from equipoise.config.model import Config, validate
from equipoise.core import process
from equipoise.core.paths import code_root, project_root
from equipoise.core.schema import ConfigError, complain
from equipoise.data.catalogue import DATASETS

PARAMS = code_root() / "params.yaml"
MOST_CHARACTERS = 1 << 20
ARTIFACTS = code_root() / "artifacts"
RAW = code_root() / "data" / "raw"  # what `dvc add` and `dvc import-url` track, and `prepare` depends on


def run_stage(step: Callable[[Config], None]) -> int:
    """Check params.yaml as a command line would be checked, and take the step; returns the exit code."""
    process.begin()
    try:
        config = validate(read_params(PARAMS))
        check_together(config)
        _check_files(config)
        ARTIFACTS.mkdir(exist_ok=True)
        step(config)
    except ConfigError as error:
        return complain(error)
    return 0


def read_params(file: Path) -> dict[str, Any]:
    """The values as they stand in the file.

    Raises
    ------
    ConfigError
        If it is not YAML of plain values, or another size than a config has.
    """
    try:
        content = file.read_text(encoding="utf-8")
        if len(content) > MOST_CHARACTERS:
            raise ConfigError(f"{file.name} has {len(content)} characters, and is no config")
        # Of a few aliases, each of the one before it, more is made than memory holds.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content)):
            raise ConfigError(f"{file.name} has an alias (*); write out what it stands for, or: make params")
        tree = OmegaConf.to_container(OmegaConf.create(content))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{file.name} cannot be read: {str(error).splitlines()[0]}; conf/ makes another: make params"
        ) from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{file.name} holds no options; conf/ makes another: make params")
    return tree  # type: ignore[return-value]


def dvc_tags(config: Config) -> dict[str, str]:
    """The experiment's name, and the version of the raw data as dvc.lock records it."""
    tags = {"dvc_exp": os.environ["DVC_EXP_NAME"]} if os.environ.get("DVC_EXP_NAME") else {}
    if _files(config):
        lock = read_params(code_root() / "dvc.lock")
        recorded = {dependency["path"]: dependency.get("md5") for dependency in lock["stages"]["prepare"]["deps"]}
        tags["dvc_md5"] = str(recorded["data/raw"])
    return tags


def run_folder() -> Path:
    """A new folder for what a run writes. It lies in the project: a temporary workspace is deleted after the run."""
    folder = project_root() / "outputs" / "dvc" / (time.strftime("%Y-%m-%d/%H-%M-%S-") + secrets.token_hex(2))
    folder.mkdir(parents=True)
    return folder


def _check_files(config: Config) -> None:
    """DVC sees a change of what it was told of, and that is one folder.

    Images and shards are read from where they lie, and a temporary workspace is deleted while its prepared data stay.
    """
    if DATASETS[config.dataset.name].read_in_place and code_root().resolve() != project_root():
        raise ConfigError(
            f"dataset={config.dataset.name} cannot be used in a temporary workspace: dvc exp run without --queue and --temp"
        )
    for option, path in _files(config).items():
        if not Path(path).resolve().is_relative_to(RAW.resolve()):
            raise ConfigError(
                f"dataset.{option}={path}: the pipeline depends on data/raw, so put it there: dvc add data/raw/{Path(path).name}"
            )


def _files(config: Config) -> dict[str, Any]:
    return {option: path for option in ("path", "test_path") if (path := getattr(config.dataset, option, None))}
