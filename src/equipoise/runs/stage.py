"""What every DVC stage does: check its part of params.yaml, take its step, and leave its files in artifacts/.

Knows the section `dataset` alone, so that the stage `prepare` depends on no loss, model or other method.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from equipoise.config.dataset import validate_dataset
from equipoise.core import plugins, process
from equipoise.core.errors import ConfigError, complain
from equipoise.core.paths import code_root, project_root
from equipoise.core.plugins import Own
from equipoise.data.catalogue import DATASETS
from equipoise.data.remote import SCHEME
from equipoise.data.types import PATHS, Dataset

PARAMS = code_root() / "params.yaml"
ARTIFACTS = code_root() / "artifacts"
RAW = code_root() / "data" / "raw"  # what `dvc add` and `dvc import-url` track, and the stages depend on
MOST_CHARACTERS = 1 << 20

Checked = TypeVar("Checked")


def run_stage(check: Callable[[dict[str, Any]], Checked], step: Callable[[Checked], None]) -> int:
    """Take the step on what the check makes of params.yaml; returns the exit code."""
    process.begin()
    try:
        params = read_params(PARAMS)
        check_tracked(params)
        checked = check(params)
        ARTIFACTS.mkdir(exist_ok=True)
        step(checked)
    except ConfigError as error:
        return complain(error)
    return 0


def read_params(file: Path) -> dict[str, Any]:
    """Return the values as they stand in the file.

    Raises
    ------
    ConfigError
        If it is not YAML of plain values, or larger than any config.
    """
    try:
        content = file.read_text(encoding="utf-8")
        if len(content) > MOST_CHARACTERS:
            raise ConfigError(f"{file.name} has {len(content)} characters, and is no config")
        # A few aliases, each of the one before it, stand for more than memory holds.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content)):
            raise ConfigError(f"{file.name} has an alias (*); write out what it stands for, or: make params")
        tree = OmegaConf.to_container(OmegaConf.create(content))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{file.name} cannot be read: {reason}; conf/ makes another: make params") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{file.name} holds no options; conf/ makes another: make params")
    return tree  # type: ignore[return-value]


def checked_dataset(params: dict[str, Any]) -> Dataset:
    """Return the dataset of params.yaml, checked by itself.

    Raises
    ------
    ConfigError
        If an option of it is wrong, or DVC would not see a change of its files.
    """
    dataset = validate_dataset(params)
    check_files(dataset)
    own = plugins.options("dataset").get(dataset.name)
    if own is not None:
        check_own(own)
    return dataset


def check_files(dataset: Dataset) -> None:
    """Make sure that DVC sees every change of the files: it watches one folder.

    Images and shards are read from where they lie, and DVC deletes a temporary workspace while the prepared data stay.

    Raises
    ------
    ConfigError
        If a file lies elsewhere, or would be gone with its workspace.
    """
    if DATASETS[dataset.name].read_in_place and code_root().resolve() != project_root():
        raise ConfigError(
            f"dataset={dataset.name} cannot be used in a temporary workspace: dvc exp run without --queue and --temp"
        )
    for option, path in own_files(dataset).items():
        check_in_raw(f"dataset.{option}", path)


def check_in_raw(option: str, path: str | Path) -> None:
    """Make sure that DVC sees every change of a file.

    Raises
    ------
    ConfigError
        If it lies elsewhere than in data/raw.
    """
    if not Path(path).resolve().is_relative_to(RAW.resolve()):
        name = f"data/raw/{Path(path).name}"
        how = f"dvc import-url {path} {name}" if str(path).startswith(SCHEME) else f"dvc add {name}"
        raise ConfigError(f"{option}={path}: the pipeline depends on data/raw, so put it there: {how}")


def check_own(own: Own) -> None:
    """Make sure that DVC sees every change of an option of the user's own: it watches plugins/ of the project.

    Raises
    ------
    ConfigError
        If its file lies elsewhere.
    """
    if not own.file.is_relative_to((code_root() / plugins.FOLDER).resolve()):
        raise ConfigError(
            f"{own.kind}={own.name}: the pipeline depends on {plugins.FOLDER}/ of the project, and "
            f"{own.file} lies elsewhere: put it there"
        )


def check_tracked(params: Mapping[str, Any]) -> None:
    """Make sure that a temporary workspace, which has what git tracks alone, has the user's own options.

    Raises
    ------
    ConfigError
        If a file of the project's plugins/ that holds a chosen option is not there.
    """
    project, here = project_root() / plugins.FOLDER, code_root() / plugins.FOLDER
    for file in sorted(project.glob("*.py")):
        if (here / file.name).exists():
            continue
        for own in plugins.described(file):
            section, key = ("dataset", "sampling") if own.kind == "sampling" else (own.kind, "name")
            found = params.get(section)
            if isinstance(found, Mapping) and found.get(key) == own.name:
                place = f"{plugins.FOLDER}/{file.name}"
                raise ConfigError(
                    f"{own.kind}={own.name}: {place} is not in this temporary workspace, which has what git tracks: "
                    f"git add {place}"
                )


def own_files(dataset: Dataset) -> dict[str, str]:
    """Return the paths of the user's own files and folders, by the options that name them."""
    return {option: path for option in PATHS if (path := getattr(dataset, option, None))}
