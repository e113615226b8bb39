"""The folders of runs and registered models in the project's own store, read by SQL without MLflow.

MLflow takes longer to import than a model to answer. Its schema is no public interface: whatever is not as expected,
and any store that is a server's, is None here, and MLflow's client is asked instead.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

Found = TypeVar("Found")

MODEL = "model"  # as a run logs its Keras model
NEWEST = """
    SELECT run_uuid FROM runs JOIN experiments USING (experiment_id)
    WHERE status = 'FINISHED' AND runs.lifecycle_stage = 'active' AND experiments.lifecycle_stage = 'active'
    AND run_uuid NOT IN (SELECT run_uuid FROM tags WHERE key = 'kind') ORDER BY start_time DESC LIMIT 1"""
RUN = "SELECT artifact_uri FROM runs WHERE run_uuid = ? AND status = 'FINISHED' AND lifecycle_stage = 'active'"
TAGS = "SELECT key, value FROM tags WHERE run_uuid = ? AND key IN ('kind', 'evaluated_run', 'weights_sha256')"
LOGGED = "SELECT artifact_location FROM logged_models WHERE source_run_id = ? AND name = ?"
SERVED = """
    SELECT logged_models.artifact_location FROM registered_model_aliases AS alias
    JOIN model_versions USING (name, version) JOIN logged_models ON source = 'models:/' || model_id
    WHERE alias.name = ? AND alias.alias = ?"""


class RunFolders(NamedTuple):
    """The folders of a run that has trained a model, or has judged one again.

    Attributes
    ----------
    artifacts : of the run
    model : the Keras model that it trained, or judged
    """

    run: str
    artifacts: Path
    model: Path


def run_folders(root: Path, run: str) -> RunFolders | None:
    """Return the folders of a finished run; `run` is its id, or `latest` for the newest that has trained."""

    def found(store: sqlite3.Connection) -> RunFolders | None:
        (name,) = store.execute(NEWEST).fetchone() if run == "latest" else (run,)
        artifacts, tags = _folder(store.execute(RUN, (name,))), dict(store.execute(TAGS, (name,)))
        judged = tags.get("evaluated_run") if tags.get("kind") == "evaluation" else None
        if "weights_sha256" not in tags or ("kind" in tags and judged is None):
            return None
        return RunFolders(name, artifacts, _folder(store.execute(LOGGED, (judged or name, MODEL))))

    return _read(root, found)


def registered_folder(root: Path, name: str, alias: str) -> Path | None:
    """Return the folder of the registered model's version that has the alias."""
    return _read(root, lambda store: _folder(store.execute(SERVED, (name, alias))))


def _read(root: Path, question: Callable[[sqlite3.Connection], Found | None]) -> Found | None:
    """Return the answer of the project's own store, which is not changed."""
    address = f"file:{quote(str(root / 'mlflow.db'))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
            return question(store)
    except (sqlite3.DatabaseError, TypeError, ValueError):
        return None


def _folder(rows: sqlite3.Cursor) -> Path:
    """Return the folder that the first row's only column names.

    Raises
    ------
    TypeError, ValueError
        If there is no row, or the folder is not on this machine.
    """
    (address,) = rows.fetchone()
    place = urlsplit(address)
    folder = Path(unquote(place.path))
    if place.scheme not in ("file", "") or place.netloc or not place.path or not folder.is_dir():
        raise ValueError(f"no folder of this machine: {address}")
    return folder
