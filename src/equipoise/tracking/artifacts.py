"""Artifacts of finished runs: what is added to a sweep's summary run, and models and JSON that are read back."""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from equipoise.core.errors import ConfigError
from equipoise.methods import stored_model
from equipoise.tracking.provenance import USER, user
from equipoise.tracking.store import Store

# Of a run, among its artifacts.
CONFIG = "config/resolved.json"
PER_CLASS = "evaluation/per_class.json"
INTERVALS = "evaluation/intervals.json"


def log_sweep_texts(store: Store, sweep: str, experiments: Set[str], texts: Mapping[str, str]) -> None:
    """Log texts by file name, as artifacts of the sweep's summary run."""
    run_id = summary_run(store, sweep, experiments)
    for name, text in texts.items():
        store.client.log_text(run_id, text, name)


def summary_run(store: Store, sweep: str, experiments: Set[str]) -> str:
    """Return the id of the sweep's summary run, which is made if it does not exist.

    Parameters
    ----------
    experiments : ids of those that hold the sweep's runs; if there are several, the summary run lies in `sweeps`
    """
    found = store.runs(kind="sweep", sweep_id=sweep)
    if found:
        return str(found[-1].info.run_id)
    experiment = next(iter(experiments)) if len(experiments) == 1 else store.experiment("sweeps")
    run_id = store.client.create_run(
        experiment, run_name=f"sweep {sweep}", tags={"kind": "sweep", "sweep_id": sweep, USER: user()}
    ).info.run_id
    store.client.set_terminated(run_id, "FINISHED")
    return str(run_id)


def log_comparison(store: Store, run_id: str, texts: Mapping[str, str]) -> None:
    """Log texts by file name, as artifacts of a run that holds nothing else."""
    store.client.set_tag(run_id, "kind", "comparison")
    for name, text in texts.items():
        store.client.log_text(run_id, text, name)


def load_model(store: Store, run: str) -> Any:
    """Return the model that a run logged, of Keras uncompiled, or an estimator.

    MLflow's own loader would run what a pickle beside it says.

    Raises
    ------
    ConfigError
        If the model is missing, damaged, or needs code of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        return stored_model.load_stored(_downloaded(store, run, folder), f"run={run}: its model")


def download_model(store: Store, run: str, to: Path) -> Path:
    """Write the model that a run logged into a folder; return its file there.

    Raises
    ------
    ConfigError
        If it is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = _downloaded(store, run, folder)
        return Path(shutil.copyfile(found, to / found.name))


def _downloaded(store: Store, run: str, folder: str) -> Path:
    """Download a run's model into the folder; return its file."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            found = Path(mlflow.artifacts.download_artifacts(f"runs:/{run}/model", dst_path=folder))
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise ConfigError(f"run={run}: its model is not there: {str(error).splitlines()[0]}") from None
    return stored_model.model_in(found, f"run={run}: its model")


def read_json(store: Store, run: str, path: str) -> Any:
    """Return a JSON artifact of a run."""
    return json.loads(read_text(store, run, path))


def read_intervals(store: Store, run: str) -> dict[str, float]:
    """Return the ends of every interval of a run, as `interval_ends` names them; none of a run that lacks the file."""
    from mlflow.exceptions import MlflowException

    try:
        return interval_ends(read_json(store, run, INTERVALS))
    except (MlflowException, OSError):
        return {}


def interval_ends(by_split: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Return the ends by the keys that metrics have: `val/macro_f1_low`."""
    return {
        f"{split}/{name}_{end}": found[end]
        for split, intervals in by_split.items()
        for name, found in intervals.items()
        for end in ("low", "high")
    }


def read_text(store: Store, run: str, path: str) -> str:
    """Return a text that a run has logged as an artifact."""
    return read_bytes(store, run, path).decode("utf-8")


def read_bytes(store: Store, run: str, path: str) -> bytes:
    """Return the content of a file that a run has logged as an artifact.

    Raises
    ------
    FileNotFoundError
        If the run has none of that name.
    ConfigError
        If it has one, or the store does not answer: MLflow says the same of both as of a file that is missing.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        try:
            return Path(store.client.download_artifacts(run, path, folder)).read_bytes()
        except (MlflowException, OSError) as error:
            if _is_listed(store, run, path):
                raise ConfigError(f"run={run}: its {path} cannot be read: {error}") from None
            raise FileNotFoundError(path) from None


def _is_listed(store: Store, run: str, path: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        folder = path.rpartition("/")[0] or None
        return path in [file.path for file in store.client.list_artifacts(run, folder)]
    except (MlflowException, OSError) as error:
        raise ConfigError(f"run={run}: its artifacts cannot be listed: {error}") from None
