"""What tests do again and again: compose a config, copy the project, run its commands."""

import atexit
import copy
import functools
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

import warm
from equipoise.config.checked import compose_one
from equipoise.config.composing import is_value
from equipoise.config.model import Config, validate
from equipoise.config.overrides import parse
from equipoise.core.paths import config_folder
from equipoise.tracking.history import LoggedConfig, as_logged
from equipoise.tracking.store import Store, open_store, store_uri
from processes import LIMIT

REPOSITORY = Path(__file__).parents[1]


def composed(*overrides: str) -> Config:
    """Return the checked config of these overrides."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose_one(overrides)


def composed_dataset(*overrides: str) -> Any:
    """Return the dataset section alone, whether the rest goes with it or not; each choice is composed once."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        parsed = [(line, parse([line])[0]) for line in overrides]
        config = copy.deepcopy(composition(tuple(line for line, override in parsed if not is_value(override))))
        for _, override in parsed:
            if is_value(override):
                OmegaConf.update(config, override.key_or_group, override.value())
        return validate(OmegaConf.to_container(config, resolve=True)).dataset  # type: ignore[arg-type]


@functools.cache
def composition(options: tuple[str, ...]) -> DictConfig:
    """Return what Hydra composes of these options; Hydra must be initialised."""
    return compose("config", list(options))


def logged_config(*overrides: str) -> LoggedConfig:
    """Return the config of these overrides as a run logs it."""
    return LoggedConfig(json.loads(json.dumps(composed(*overrides).model_dump(mode="json"))), Path.cwd())


def copy_project(folder: Path, *, with_store: bool = False) -> Path:
    """Copy the code and the config alone, so that the store, the cache and the outputs are the copy's own.

    Parameters
    ----------
    with_store : an empty store, too; else the first run makes it
    """
    for name in ("src", "conf"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    if with_store:
        shutil.copy(_empty_database(), folder)
    return folder


def new_store(folder: Path) -> Store:
    """Open a store without a run in a folder that has none."""
    shutil.copy(_empty_database(), folder)
    return open_store(folder)


@functools.cache
def _empty_database() -> Path:
    """What MLflow makes by dozens of migrations, which take a second: once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="equipoise-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store_uri(folder, "local"))  # which MLflow leaves there
        open_store(folder)
    return folder / "mlflow.db"


def clone_of(folder: Path) -> Path:
    """Copy what git would clone, with uncommitted changes and without .venv."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


def program_of(file: str) -> ModuleType:
    """Load a Python file, by its path from the root, as a module."""
    specification = importlib.util.spec_from_file_location(Path(file).stem, REPOSITORY / file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def train(
    project: Path, *overrides: str, cwd: Path | None = None, script: str = "train.py", cold: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run `python src/train.py …`, or another script, as a user does.

    Parameters
    ----------
    cold : in an interpreter that imports TensorFlow and its like itself; else in a fork, see warm.py
    """
    words = [str(project / "src" / script), *overrides]
    if not cold:
        return warm.run(words, cwd or project, LIMIT)
    return subprocess.run([sys.executable, *words], cwd=cwd or project, capture_output=True, text=True, timeout=LIMIT)


def typed(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Carry out a line of a page, as a shell does; what begins with `python` runs as `train` does."""
    program, *words = shlex.split(command)
    if program == "python":
        return warm.run(words, folder, LIMIT)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""}
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT
    )


def served(project: Path, name: str, rows: Path) -> Any:
    """Return what `mlflow models predict` answers to a CSV's rows, as a table."""
    import pandas as pd

    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{project / 'mlflow.db'}", "PYTHONPATH": ""}
    command = ["-m", "mlflow", "models", "predict", "-m", f"models:/{name}@champion", "--env-manager", "local"]
    command += ["-i", str(rows), "-t", "csv", "-o", str(project / "served.json")]
    found = warm.run(command, project.parent, LIMIT, environment)
    assert found.returncode == 0, found.stderr
    return pd.DataFrame(json.loads((project / "served.json").read_text())["predictions"])


def write_small_shards(folder: Path) -> None:
    """Write shards of two classes, one number a sample, as complete as a check before reading asks for."""
    import numpy as np

    from equipoise.data.shards import INDEX, METADATA, Metadata, shard_names
    from equipoise.data.types import SPLITS

    folder.mkdir()
    index = {f"{split}_labels": np.array([0, 1]) for split in SPLITS} | {
        f"{split}_places": np.array([[0, 0, 4], [0, 4, 4]]) for split in SPLITS
    }
    np.savez(folder / INDEX, allow_pickle=False, **index)
    for split in SPLITS:
        (folder / shard_names(split, 1)[0]).write_bytes(bytes(8))
    files = {file.name: (file.stat().st_size, "0" * 64) for file in folder.iterdir()}
    metadata = Metadata(
        kind="equipoise shards 1",
        classes=("a", "b"),
        shape=(1,),
        formats=(),
        shards=1,
        files=files,
        reference={},
        notes=(),
    )
    (folder / METADATA).write_text(metadata.model_dump_json())


def imported_modules(errors: str) -> set[str]:
    """Return the modules that a process has imported, from what it wrote under `python -X importtime`."""
    found = {line.rsplit("|", 1)[-1].strip() for line in errors.splitlines() if line.startswith("import time:")}
    assert "equipoise" in found, "the process told nothing of its imports"
    return found


def read_back(run: Any) -> Mapping[str, float]:
    """Return a run's metrics with all that its decision rules made of the same answers."""
    return as_logged(run, [*run.data.metrics, "decision/", "val/decision/"]).metrics


def by_class(run_artifacts: Path) -> pd.DataFrame:
    """Return a run's table of its classes, by their names, in the order of these."""
    table = json.loads((run_artifacts / "evaluation" / "per_class.json").read_text())
    return pd.DataFrame(table["data"], columns=table["columns"]).set_index("class").sort_index()


def jobs(store: Store, **tags: str) -> list[Any]:
    """Return the runs that carry these tags, oldest first, without summaries and evaluations."""
    return [run for run in store.runs(**tags) if "kind" not in run.data.tags]
