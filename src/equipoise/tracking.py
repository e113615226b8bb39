"""The MLflow store of the project and one run in it. The only module that knows MLflow.

The store is one SQLite file at the project root. Every metric lands in `metrics.jsonl` in the run's folder first.
"""

import contextlib
import io
import itertools
import json
import logging
import os
import re
import shlex
import socket
import subprocess
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock

from equipoise.options import ConfigError, Floats

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Run as LoggedRun

LOCK_TIMEOUT = 120  # seconds; a fresh store's schema takes 3 to 9
MOST_CHARACTERS = 6000  # MLflow's limit for a param
MOST_IN_A_LINE = 500
JOURNAL = "metrics.jsonl"  # in the run's folder


@dataclass(frozen=True)
class Store:
    """The project's MLflow store."""

    root: Path
    client: "MlflowClient"

    @property
    def uri(self) -> str:
        return store_uri(self.root)

    def experiment(self, name: str) -> str:
        """The experiment's id; made with an artifact location of its own, which MLflow would freeze to some working directory."""
        from mlflow.exceptions import MlflowException

        if self.client.get_experiment_by_name(name) is None:
            with contextlib.suppress(MlflowException):  # another process was first
                self.client.create_experiment(name, artifact_location=(self.root / "mlruns" / name).as_uri())
        known = self.client.get_experiment_by_name(name)
        if known.lifecycle_stage == "deleted":
            restore = f"mlflow experiments restore --experiment-id {known.experiment_id}"
            raise ConfigError(f"the MLflow experiment '{name}' was deleted: MLFLOW_TRACKING_URI={shlex.quote(self.uri)} {restore}, or set dataset.title")
        return str(known.experiment_id)

    def runs(self, **tags: str) -> list["LoggedRun"]:
        """All runs, in any experiment, that carry these tags, oldest first."""
        return self.search(" and ".join(f"tags.{key} = '{value}'" for key, value in tags.items()))

    def search(self, condition: str) -> list["LoggedRun"]:
        """All runs, in any experiment, that MLflow's filter finds, oldest first."""
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        found: list[LoggedRun] = []
        token = None
        while token is None or token:
            page = self.client.search_runs(experiments, condition, order_by=["attributes.start_time ASC"], max_results=1000, page_token=token)
            found += page
            token = page.token or ""
        return found


def store_uri(root: Path) -> str:
    """The absolute address of the project's store."""
    return f"sqlite:///{root / 'mlflow.db'}"


def open_store(root: Path) -> Store:
    """Open the store, made first if it is not there, and close the runs whose process is gone."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(store_uri(root))
    # Two processes that make the schema at once would break it.
    with FileLock(root / "mlflow.db.lock", timeout=LOCK_TIMEOUT):
        client = mlflow.MlflowClient(store_uri(root))
        client.search_experiments(max_results=1)
    store = Store(root, client)
    _close_orphans(store)
    return store


class Run:
    """One MLflow run that is being written.

    In a folder that holds the run's journal already, a point that it has with the same value is not logged again:
    what is repeated after an interruption leaves no double points.
    """

    def __init__(self, store: Store, run_id: str, experiment_id: str, folder: Path) -> None:
        self.store, self.id, self.experiment_id, self.folder = store, run_id, experiment_id, folder
        self._client = store.client
        self._latest = {(point["key"], point["step"]): point["value"] for point in read_journal(folder)}
        _mend(folder / JOURNAL)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Values under their keys at one step, in one synchronous batch: asynchronous logging can lose values in silence."""
        self._log([(key, value, step) for key, value in metrics.items()])

    def log_profile(self, key: str, values: Floats) -> None:
        """One metric whose steps are the class's rank from head to tail; NaN is left out."""
        self._log([(key, float(value), rank) for rank, value in enumerate(values)])

    def _log(self, points: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        defined = [(key, float(value), step) for key, value, step in points if value == value]
        new = [(key, value, step) for key, value, step in defined if self._latest.get((key, step)) != value]
        self._latest.update({(key, step): value for key, value, step in new})
        with open(self.folder / JOURNAL, "a") as file:
            file.writelines(json.dumps({"key": key, "value": value, "step": step, "timestamp": now}) + "\n" for key, value, step in new)
        self._client.log_batch(self.id, metrics=[Metric(key, value, now, step) for key, value, step in new])

    def set_tag(self, key: str, value: str) -> None:
        self._client.set_tag(self.id, key, value)

    def log_dataset(self, name: str, sha256: str, counts: Mapping[str, int]) -> None:
        """What was trained on, as an MLflow dataset; MLflow takes 36 characters of a digest and 16,777 of a profile."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        most = dict(sorted(counts.items(), key=lambda item: -item[1])[:200])
        profile = json.dumps({"samples": sum(counts.values()), "classes": len(counts), "training_samples_by_class": most})
        dataset = Dataset(name, sha256[:32], "local", json.dumps({"sha256": sha256}), profile=profile)
        self._client.log_inputs(self.id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_json(self, value: Any, path: str) -> None:
        self._client.log_dict(self.id, value, path)

    def log_file(self, file: Path, folder: str) -> None:
        self._client.log_artifact(self.id, str(file), folder)

    def log_table(self, columns: Mapping[str, Sequence[Any]], path: str) -> None:
        """A table that MLflow's UI compares across runs."""
        self._client.log_table(self.id, dict(columns), path)

    def log_figure(self, figure: "Figure", path: str) -> None:
        self._client.log_figure(self.id, figure, path)

    def log_image(self, figure: "Figure", key: str) -> None:
        """The figure as an MLflow image, which charts of several runs can show side by side."""
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        self._client.log_image(self.id, np.asarray(canvas.buffer_rgba()), key=key, step=0)  # type: ignore[no-untyped-call]

    def log_model(self, model: "keras.Model", example: Floats, step: int) -> None:
        """The model's inference graph, uncompiled, so that it loads without this project's code.

        Parameters
        ----------
        step : one at which nothing else is logged: MLflow logs every metric of that step again, for the model
        """
        import keras
        import mlflow
        import tensorflow as tf

        view = keras.Model(model.input, model.output)
        signature = mlflow.models.infer_signature(example, view(example).numpy())
        # Without explicit requirements MLflow would spend 40 s on finding them out.
        requirements = [f"tensorflow=={tf.__version__}", f"keras=={keras.__version__}"]
        # Made here, it belongs to this run's experiment; log_model alone would take some active one.
        logged = self._client.create_logged_model(self.experiment_id, name="model", source_run_id=self.id)
        with contextlib.redirect_stdout(io.StringIO()):  # Keras draws a progress bar of MLflow's trial prediction
            mlflow.tensorflow.log_model(
                view,
                run_id=self.id,
                model_id=logged.model_id,
                step=step,
                signature=signature,
                input_example=example,
                pip_requirements=requirements,
            )


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The points `{key, value, step, timestamp}` that a run's folder holds, oldest first; a line that was cut off in writing is none."""
    file = folder / JOURNAL
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _mend(file: Path) -> None:
    """Cut off what was half written, so that the next line is a line of its own."""
    if file.exists():
        whole = file.read_bytes()
        os.truncate(file, whole.rfind(b"\n") + 1)


@contextlib.contextmanager
def start_run(
    store: Store, experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str], folder: Path, adopt: str | None = None
) -> Iterator[Run]:
    """A run that ends FINISHED, or FAILED or KILLED with its traceback as an artifact.

    Parameters
    ----------
    adopt : the id of a run that is there already, opened by `mlflow run` or interrupted, and to be written on
    """
    from mlflow.entities import Param, RunTag

    client = store.client
    tags = {**tags, **_process_tags(), **_git_tags(store.root), "folder": str(folder)}
    if adopt is None:
        (folder / JOURNAL).unlink(missing_ok=True)  # of an attempt in the same folder that is not gone on with
        experiment_id = store.experiment(experiment)
        run_id = client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
        there: Mapping[str, str] = {}
    else:
        found = client.get_run(adopt)
        run_id, experiment_id, there = adopt, found.info.experiment_id, found.data.params
        client.update_run(run_id, status="RUNNING", name=name)
        client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    run = Run(store, run_id, experiment_id, folder)
    try:
        # Params cannot be changed, and `mlflow run` has logged its own under the same names.
        as_text = {param_key(key): str(value)[:MOST_CHARACTERS] for key, value in params.items()}
        client.log_batch(run_id, params=[Param(key, value) for key, value in as_text.items() if key not in there])
        yield run
    except BaseException as error:
        client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        client.set_tag(run_id, "error", reason(error))
        # A full disk may be what failed; the error itself must come through all the same.
        with contextlib.suppress(OSError):
            client.log_text(run_id, "".join(traceback.format_exception(error)), "traceback.txt")
        raise
    client.set_terminated(run_id, "FINISHED")


def reason(error: BaseException) -> str:
    """An error in one line."""
    first = next(iter(str(error).splitlines()), "")
    said = first if isinstance(error, ConfigError) else f"{type(error).__name__}: {first}" if first else type(error).__name__
    return said[:MOST_IN_A_LINE]


def outer_run() -> str | None:
    """The run that `mlflow run` has opened for this process, taken out of the environment: MLflow would write every later run into it."""
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)
    return os.environ.pop("MLFLOW_RUN_ID", None)


def log_sweep_texts(store: Store, sweep: str, experiments: Set[str], texts: Mapping[str, str]) -> None:
    """Texts by file name, as artifacts of the sweep's summary run, which is made if it is not there.

    Parameters
    ----------
    experiments : ids of those that the sweep's runs lie in; the summary of a sweep over several lies in `sweeps`
    """
    found = store.runs(kind="sweep", sweep_id=sweep)
    if found:
        run_id = found[-1].info.run_id
    else:
        experiment = next(iter(experiments)) if len(experiments) == 1 else store.experiment("sweeps")
        run_id = store.client.create_run(experiment, run_name=f"sweep {sweep}", tags={"kind": "sweep", "sweep_id": sweep}).info.run_id
        store.client.set_terminated(run_id, "FINISHED")
    for name, text in texts.items():
        store.client.log_text(run_id, text, name)


def load_model(store: Store, run: str) -> "keras.Model":
    """The model that a run logged, uncompiled."""
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    with contextlib.redirect_stdout(io.StringIO()):
        return mlflow.tensorflow.load_model(f"runs:/{run}/model")


def read_json(store: Store, run: str, path: str) -> Any:
    """A JSON artifact of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(Path(store.client.download_artifacts(run, path, folder)).read_text())


def class_keys(classes: Sequence[str]) -> dict[str, str]:
    """Class names to what MLflow takes in a metric key; equal keys are told apart by `_2`, `_3` …"""
    keys: dict[str, str] = {}
    used: set[str] = set()
    for name in classes:
        # MLflow takes 250 characters for a whole key, and no part that is a path's «.» or «..».
        slug = re.sub(r"[^\w .-]+|^\.+$", "_", name).strip()[:120] or "_"
        key = slug
        for number in itertools.count(2):
            if key not in used:
                break
            key = f"{slug}_{number}"
        used.add(key)
        keys[name] = key
    return keys


def param_key(key: str) -> str:
    """A dotted config key as MLflow takes it: class names in it may hold anything."""
    return re.sub(r"[^\w .\-/]+", "_", key)[:250]


def _process_tags() -> dict[str, str]:
    process = psutil.Process()
    return {"host": socket.gethostname(), "pid": str(process.pid), "process_start": f"{process.create_time():.2f}"}


def _close_orphans(store: Store) -> None:
    """Mark KILLED what still says RUNNING though its process, on this host, is gone."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    for run in store.client.search_runs(experiments, f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"):
        if not _alive(run.data.tags):
            store.client.set_terminated(run.info.run_id, "KILLED")


def _alive(tags: Mapping[str, str]) -> bool:
    try:
        process = psutil.Process(int(tags["pid"]))
        return abs(process.create_time() - float(tags["process_start"])) < 1
    except psutil.NoSuchProcess:
        return False


def _git_tags(root: Path) -> dict[str, str]:
    """The commit and whether the tree differs from it; nothing outside a git checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git_dirty": str(bool(git("status", "--porcelain"))).lower()}
    except (OSError, subprocess.CalledProcessError):
        return {}
