"""A registered model as a folder that predicts without this project: by MLflow, or by a script of its own.

It holds what MLflow has registered, that is the model, the code that it was judged by and the packages it needs, and
beside it `predict.py` and a model card, README.md.
"""

import contextlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from equipoise.core.errors import ConfigError
from equipoise.core.paths import package_folder
from equipoise.data import preprocessing
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.methods.models import packages_of
from equipoise.metrics import probabilities
from equipoise.metrics.calibrated import Unchanged
from equipoise.metrics.probabilities import OfClasses, OfLabels
from equipoise.runs.estimate_prior import TABLE, TAG
from equipoise.serving import served_form
from equipoise.serving.model_card import Record, card
from equipoise.serving.parts import SERVED_PARTS
from equipoise.serving.served_form import CLASSES, DECISION, PROBABILITIES
from equipoise.tracking.artifacts import PER_CLASS, read_intervals, read_json, read_text
from equipoise.tracking.store import Store

SCRIPT, CARD = "predict.py", "README.md"
META = "registered_model_meta"  # MLflow's, of the registry that the folder no longer belongs to


def checked_folder(typed: str) -> Path:
    """Return the folder to be written.

    Raises
    ------
    ConfigError
        If it holds something already, or cannot be made.
    """
    folder = Path(typed).expanduser()
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"export={typed}: the folder holds something already: name a new one")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"export={typed} is a file, not a folder")
    if not folder.absolute().parent.is_dir():
        raise ConfigError(f"export={typed}: there is no folder {folder.parent}")
    return folder


def hand_over(store: Store, name: str, number: str, folder: Path) -> None:
    """Write a version of a registered model into the folder, which appears once it is whole.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    import mlflow

    found = store.client.get_model_version(name, number)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as temporary:
            aside = Path(temporary) / "model"
            mlflow.artifacts.download_artifacts(found.source, dst_path=str(aside))
            (aside / META).unlink(missing_ok=True)
            _forget_places(aside / "MLmodel")
            shutil.copyfile(package_folder() / "serving" / "standalone.py", aside / SCRIPT)
            record = record_of(store, name, number, aside / SERVED_PARTS)
            (aside / CARD).write_text(card(record), encoding="utf-8")
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
            aside.rename(folder)
    except OSError as error:
        raise ConfigError(f"export={folder} cannot be written: {error.strerror or error}") from None


def _forget_places(description: Path) -> None:
    """Take the folders of this machine out of MLflow's description of the model, which needs none of them."""
    found = yaml.safe_load(description.read_text(encoding="utf-8"))
    function = found["flavors"]["python_function"]
    found["artifact_path"] = "model"
    function["model_code_path"] = Path(function["model_code_path"]).name
    for artifact in function["artifacts"].values():
        artifact["uri"] = artifact["path"]
    description.write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")


def record_of(store: Store, name: str, number: str, parts: Path) -> Record:
    """Return what the store and the folder of parts know of a version of a registered model."""
    found = store.client.get_model_version(name, number)
    run = store.client.get_run(found.run_id)
    table = read_json(store, found.run_id, PER_CLASS)
    learned = preprocessing.read(parts)
    moved = probabilities.from_json(json.loads((parts / PROBABILITIES).read_text(encoding="utf-8")))
    classes = json.loads((parts / CLASSES).read_text(encoding="utf-8"))
    told = json.loads((parts / DECISION).read_text(encoding="utf-8")).get("note", "")
    return Record(
        name=name,
        version=number,
        run=found.run_id,
        trained_on=time.strftime("%Y-%m-%d", time.gmtime(run.info.start_time / 1000)),
        params=run.data.params,
        tags=run.data.tags,
        metrics={**read_intervals(store, found.run_id), **run.data.metrics},
        why=found.tags,
        kind=learned.kind,
        rows=served_form.said(learned),
        probabilities=found.tags.get("probabilities", ""),
        columns=[column.name for column in learned.columns] if isinstance(learned, TablePreprocessing) else [],
        several=isinstance(moved, OfLabels),
        per_class=[dict(zip(table["columns"], row, strict=True)) for row in table["data"]],
        priors=_priors(moved, classes),
        notes=[*([told] if told else []), *_notes(store, found.run_id, run.data.tags)],
        overrides=_overrides(store, run.data.tags.get("evaluated_run", found.run_id)),
        versions={"python": platform.python_version(), **_versions(run.data.params["model.name"])},
    )


def _notes(store: Store, run: str, tags: Mapping[str, str]) -> list[str]:
    """Return what is told of class frequencies that were estimated, if they were, and of the data."""
    of_prior = read_json(store, run, TABLE)["notes"] if TAG in tags else []
    return [*of_prior, *read_json(store, run, "data.json")["notes"]]


def _priors(moved: Any, classes: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """Return the class frequencies that the model learned under, and those that p(class) is under; none if unknown."""
    if not isinstance(moved, OfClasses) or moved.effective is None:
        return {}
    known = "learned" if isinstance(moved.calibrated, Unchanged) else "calibrated on"
    by_use = {known: moved.effective, "of p(class)": moved.target}
    return {of: dict(zip(classes, shares.tolist(), strict=True)) for of, shares in by_use.items()}


def _overrides(store: Store, run: str) -> list[str]:
    """Return what was typed for the run that trained; nothing if it was not started from the command line."""
    from mlflow.exceptions import MlflowException

    try:
        lines = read_text(store, run, "config/overrides.yaml").splitlines()
    except (MlflowException, OSError):
        return []
    return [_word(line.removeprefix("- ")) for line in lines if line.startswith("- ")]


def _word(text: str) -> str:
    """Return a word of YAML's list, which may be quoted."""
    return str(yaml.safe_load(text))


def _versions(model: str) -> dict[str, str]:
    found = {}
    for package in (*packages_of(model), "equipoise"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
