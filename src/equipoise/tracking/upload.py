"""From a run's outbox to the store, each thing exactly once, while the run goes on or long after.

After a time-out, a crash or a lost state, the store may have more than `uploaded.json` says. Then it is done again,
which changes nothing: MLflow ignores a point with the same time stamp and a param with the same value, a file is
overwritten by itself, and a run and a model are looked for in the store before they are made.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core import interruption
from equipoise.core.errors import ConfigError
from equipoise.core.terminal import warn
from equipoise.tracking.outbox import Outbox

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from equipoise.tracking.store import Store

AT_ONCE = 1000  # points in one request, MLflow's limit
PARAMS_AT_ONCE = 100


def upload(outbox: Outbox, store: "Store", deadline: float = float("inf")) -> bool:
    """Do in the store what the outbox holds, in order, and write down how far the store has got.

    Parameters
    ----------
    deadline : time of `time.monotonic` after which no new step begins

    Returns
    -------
    Whether everything is done.
    """
    outbox.sync()
    tagged = False  # whether the store has all tags that wait; nobody adds to the outbox meanwhile
    try:
        for position, operation in outbox.operations(outbox.uploaded.operations):
            # Once the run exists, all points share a request, also those that were logged after the operation.
            end = operation["points"] if operation["do"] == "begin" else outbox.recorded
            if not _points(outbox, store, end, deadline) or time.monotonic() > deadline:
                return False
            with _whole(store):
                if operation["do"] != "tags":
                    OPERATIONS[operation["do"]](outbox, store.client, operation, store.experiment)
                    tagged = tagged and operation["do"] != "begin"
                elif not tagged:
                    _tags(outbox, store.client)
                    tagged = True
                outbox.uploaded.operations = position
        return _points(outbox, store, outbox.recorded, deadline)
    finally:
        with contextlib.suppress(OSError):  # the disk is full; then some of it is done again
            outbox.save()


def _whole(store: "Store") -> contextlib.AbstractContextManager[None]:
    """Return in what a step is done: broken off by a signal, SQLite would keep the database locked for this process."""
    return interruption.held() if store.is_local else contextlib.nullcontext()


def _points(outbox: Outbox, store: "Store", end: int, deadline: float) -> bool:
    from mlflow.entities import Metric

    points = outbox.points(end)
    while part := list(islice(points, AT_ONCE)):
        if time.monotonic() > deadline:
            return False
        metrics = [Metric(point["key"], point["value"], point["timestamp"], point["step"]) for _, point in part]
        with _whole(store):
            store.client.log_batch(outbox.uploaded.run_id, metrics=metrics)
            outbox.uploaded.points = part[-1][0]
    return True


def _begin(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], experiment: Callable[[str], str]) -> None:
    """Make the run, or continue one that exists."""
    from mlflow.entities import RunTag

    now, adopted = outbox.uploaded, operation["adopt"]
    if adopted and adopted not in (now.run_id, now.local_id):
        found = client.get_run(adopted)
        now.run_id, now.experiment_id = adopted, str(found.info.experiment_id)
    if adopted:
        client.update_run(now.run_id, status="RUNNING", name=operation["name"])
        client.log_batch(now.run_id, tags=[RunTag(key, value) for key, value in operation["tags"].items()])
        return
    if now.local_id != operation["local_id"]:
        now.local_id, now.run_id, now.asked = operation["local_id"], "", 0
    now.experiment_id = experiment(operation["experiment"])
    tags = {**operation["tags"], "local_id": now.local_id}
    there = client.search_runs([now.experiment_id], f"tags.local_id = '{now.local_id}'")
    if not there:
        now.asked += 1
        outbox.save()
        there = [
            client.create_run(now.experiment_id, start_time=operation["time"], run_name=operation["name"], tags=tags)
        ]
    now.run_id = str(there[0].info.run_id)


def _params(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], _experiment: object) -> None:
    """Log the params that are not there yet: none can be changed, and `mlflow run` logs some under the same names."""
    from mlflow.entities import Param

    run = outbox.uploaded.run_id
    there = client.get_run(run).data.params if operation["adopted"] else ()
    absent = [Param(key, value) for key, value in operation["params"].items() if key not in there]
    for start in range(0, len(absent), PARAMS_AT_ONCE):
        client.log_batch(run, params=absent[start : start + PARAMS_AT_ONCE])


def _tags(outbox: Outbox, client: "MlflowClient") -> None:
    """Log all tags that wait before the next `begin`; the last value of a key counts."""
    from mlflow.entities import RunTag

    waiting = takewhile(lambda found: found[1]["do"] != "begin", outbox.operations(outbox.uploaded.operations))
    tags = {key: value for _, operation in waiting for key, value in operation.get("tags", {}).items()}
    client.log_batch(outbox.uploaded.run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def _data(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], _experiment: object) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        operation["name"], operation["digest"], "local", operation["source"], profile=operation["profile"]
    )
    client.log_inputs(outbox.uploaded.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def _file(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], _experiment: object) -> None:
    file = outbox.folder / operation["file"]
    if not file.resolve().is_relative_to(outbox.folder.resolve()):
        raise ConfigError(f"{outbox.folder} asks for the upload of {file}, which is not a file of the run")
    if file.is_file():
        client.log_artifact(outbox.uploaded.run_id, str(file), operation["to"] or None)
    else:
        warn(f"{file} is not there any more and cannot be uploaded")


def _model(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], _experiment: object) -> None:
    """Do what `mlflow.…log_model` does, for a model that is saved already."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    now, folder = outbox.uploaded, outbox.folder / operation["folder"]
    if not folder.exists():
        return  # it was uploaded and deleted, and that was not written down
    name = Path(operation["folder"]).name
    there = client.search_logged_models([now.experiment_id], f"source_run_id = '{now.run_id}'")
    same = [model for model in there if model.name == name]
    logged = same[0] if same else client.create_logged_model(now.experiment_id, name=name, source_run_id=now.run_id)
    try:
        saved = Model.load(str(folder))
    except Exception as error:  # a damaged file makes MLflow raise anything
        raise ConfigError(f"{folder} holds no model that MLflow reads ({type(error).__name__})") from None
    saved.run_id, saved.model_id, saved.model_uuid, saved.artifact_path = (
        now.run_id,
        logged.model_id,
        logged.model_id,
        logged.artifact_location,
    )
    # Aside first: a process that is killed while it writes leaves the description that is there.
    saved.save(str(folder / "MLmodel.part"))
    os.replace(folder / "MLmodel.part", folder / "MLmodel")
    client.log_model_artifacts(logged.model_id, str(folder))
    if not (
        same and logged.model_id in {output.model_id for output in client.get_run(now.run_id).outputs.model_outputs}
    ):
        client.log_outputs(now.run_id, [LoggedModelOutput(logged.model_id, step=operation["step"])])
    client.finalize_logged_model(logged.model_id, "READY")
    shutil.rmtree(folder.parent)  # the store has it


def _end(outbox: Outbox, client: "MlflowClient", operation: dict[str, Any], _experiment: object) -> None:
    now = outbox.uploaded
    client.set_terminated(now.run_id, operation["status"], operation["time"])
    if now.asked > 1:
        # An earlier request to make the run, which was not answered, may have come through after all.
        for other in client.search_runs([now.experiment_id], f"tags.local_id = '{now.local_id}'"):
            if other.info.run_id != now.run_id:
                client.delete_run(other.info.run_id)


OPERATIONS = {"begin": _begin, "params": _params, "data": _data, "file": _file, "model": _model, "end": _end}
