"""The folder of parts that a model answers by, gathered from a run, a registered model or a folder handed over.

Parts are data: a model in Keras's safe mode or of classes that are known, and JSON. No code beside them is run.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.paths import project_root
from equipoise.data.preprocessing import PREPROCESSING
from equipoise.methods.stored_model import PLACES, model_in
from equipoise.serving.served_form import CLASSES, DECISION, PROBABILITIES, SOURCE
from equipoise.tracking.located import registered_folder, run_folders
from equipoise.tracking.store import Store, existing_store

# Below the artifacts of a run, and below a model's folder as MLflow writes it.
RUN_PARTS = {PREPROCESSING: PREPROCESSING} | {name: f"evaluation/{name}" for name in (DECISION, PROBABILITIES)}
RUN_CLASSES = "weights.json"
RUN = "run.txt"  # the id of the run, beside its parts
OPTIONAL = {SOURCE: f"evaluation/{SOURCE}"}  # of several labels, and in older runs, there is none
SERVED_PARTS = "artifacts/parts"


def write_parts(read: Callable[[str], bytes], run: str, folder: Path) -> None:
    """Write what a run has logged of its model, and not the model, into the folder.

    Parameters
    ----------
    read : return the content of an artifact of the run; it raises FileNotFoundError if there is none

    Raises
    ------
    ConfigError
        If an older version logged the run, with less than a model needs to answer.
    """
    for name, path in RUN_PARTS.items():
        try:
            (folder / name).write_bytes(read(path))
        except FileNotFoundError:
            raise ConfigError(
                f"run={run} has no {path}: an older version logged it; train it again, then register that run"
            ) from None
    for name, path in OPTIONAL.items():
        with contextlib.suppress(FileNotFoundError):
            (folder / name).write_bytes(read(path))
    (folder / CLASSES).write_text(json.dumps(list(json.loads(read(RUN_CLASSES)))))


@contextlib.contextmanager
def parts_of_run(run: str, where: str) -> Iterator[Path]:
    """Yield the parts of a finished run's model, which last as long as the body.

    Parameters
    ----------
    run : the id of a run that trained a model or judged one again, or `latest`
    where : `local` or `server`, as for `tracking`

    Raises
    ------
    ConfigError
        If there is no such run.
    """
    found = run_folders(project_root(), run) if where == "local" else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if found is not None and _has_model(found.model):
            write_parts(lambda path: (found.artifacts / path).read_bytes(), found.run, folder)
            model = model_in(found.model, f"run={run}: its model")
            shutil.copyfile(model, folder / model.name)
            taken = found.run
        else:
            taken = _ask_for_run(_store(where), run, folder)
        (folder / RUN).write_text(taken, encoding="utf-8")
        yield folder


def _ask_for_run(store: Store, run: str, folder: Path) -> str:
    """Write all parts of a run's model into the folder, as MLflow's client gives them; return the run's id."""
    from equipoise.tracking import history
    from equipoise.tracking.artifacts import download_model, read_bytes

    logged = history.judged_run(store, run)
    write_parts(lambda path: read_bytes(store, logged.id, path), logged.id, folder)
    download_model(store, logged.tags.get("evaluated_run", logged.id), folder)
    return logged.id


def _has_model(folder: Path) -> bool:
    return any((folder / place).is_file() for place in PLACES)


@contextlib.contextmanager
def parts_of_model(name: str, where: str) -> Iterator[Path]:
    """Yield the parts of a registered model, `NAME@ALIAS`, or of a folder that was handed over.

    Raises
    ------
    ConfigError
        If there is no such model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        yield _parts_in(folder, f"model={name}")
        return
    name, at, alias = name.removeprefix("models:/").partition("@")
    if not (name and at and alias):
        raise ConfigError(
            f"model={name}: there is no such folder; of a registered model, type its alias: {name}@champion"
        )
    found = registered_folder(project_root(), name, alias) if where == "local" else None
    if found is not None:
        yield _parts_in(found, f"model={name}@{alias}")
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield _ask_for_model(_store(where), name, alias, temporary)


def _ask_for_model(store: Store, name: str, alias: str, folder: str) -> Path:
    """Download the parts of a registered model, as MLflow's client gives them."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        version = store.client.get_model_version_by_alias(name, alias)
    except MlflowException:
        known = [
            f"{model.name}@{each}"
            for model in store.client.search_registered_models()
            for each in sorted(model.aliases)
        ]
        near = suggestion(f"{name}@{alias}", known) if known else f"; register one: {command('register')}"
        raise ConfigError(f"model={name}@{alias}: there is no such registered model{near}") from None
    try:
        place = store.client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
        return Path(mlflow.artifacts.download_artifacts(f"{place}/{SERVED_PARTS}", dst_path=folder))
    except (MlflowException, OSError) as error:
        raise ConfigError(
            f"model={name}@{alias}: it is none that {command('register')} registered: {str(error).splitlines()[0]}"
        ) from None


def _parts_in(folder: Path, typed: str) -> Path:
    """Return the folder of the parts in a model's folder."""
    for parts in (folder / SERVED_PARTS, folder):
        if _has_model(parts) and (parts / PREPROCESSING).is_file():
            return parts
    raise ConfigError(f"{typed}: {folder} holds no model that {command('register')} wrote with export={folder}")


def _store(where: str) -> Store:
    return existing_store(project_root(), where, f"train one: {command('train')}")
