"""One run in the MLflow store.

All that a run logs lands in the run's folder first (`outbox.py`) and is uploaded from there (`upload.py`). So a run
goes on while the store is down, hangs or refuses, and `python src/sync.py` uploads what is left.
"""

import contextlib
import io
import json
import os
import shutil
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core import plugins
from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError
from equipoise.core.locks import InUseError, locked
from equipoise.core.schema import Floats
from equipoise.core.terminal import warn
from equipoise.data.texts import are_texts, decoded
from equipoise.methods.saved_estimator import FILE, trusted_classes, write_estimator
from equipoise.methods.saved_model import own_classes
from equipoise.tracking import saved_keras
from equipoise.tracking.courier import Courier, Pace
from equipoise.tracking.keys import param_key
from equipoise.tracking.outbox import Outbox, read_journal
from equipoise.tracking.provenance import git_tags, process_tags
from equipoise.tracking.store import Store, outages
from equipoise.tracking.upload import upload

if TYPE_CHECKING:
    import keras

MOST_CHARACTERS = 6000  # MLflow's limit for a param
MOST_IN_A_LINE = 500  # of an error
DEFAULT_PACE = Pace()
LOADED_WITH = ("tensorflow", "keras")  # packages of a Keras model

REGISTERED = "data/global_custom_objects.cloudpickle"  # in the folder of a model that MLflow saves


class Pruned(Exception):  # noqa: N818 - it is none
    """Raised to end a run that cannot become the best: it is KILLED and tagged, and has not failed."""


@dataclass(frozen=True)
class Description:
    """What is known of a run when it starts: the experiment that it belongs to, its name, params and tags."""

    experiment: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Run:
    """One MLflow run that is being written: into its folder, and from there into the store.

    When a run is continued, a point that the folder has with the same value is not logged again, so that steps which
    are repeated after an interruption leave no double points.
    """

    def __init__(self, store: Store, outbox: Outbox, courier: Courier, *, adopted: bool) -> None:
        self.store, self.outbox, self.courier = store, outbox, courier
        self._latest = (
            {(point["key"], point["step"]): point["value"] for point in read_journal(self.folder)} if adopted else {}
        )
        self._tables: list[dict[str, str]] = []
        self._adopted = adopted
        self.tags: Mapping[str, str] = {}  # that it was begun with

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.outbox.folder

    @property
    def id(self) -> str:
        """The run's id in the store; its own name as long as the store has given it none."""
        return self.outbox.uploaded.run_id or self.outbox.uploaded.local_id

    @property
    def experiment_id(self) -> str:
        return self.outbox.uploaded.experiment_id

    def page(self, artifact: str) -> str:
        """Return the address of an artifact on MLflow's pages, from any of them; "" while the store has no run."""
        if not self.outbox.uploaded.run_id:
            return ""
        return f"#/experiments/{self.experiment_id}/runs/{self.id}/artifacts/{artifact}?workflowType=machine_learning"

    @property
    def is_uploaded(self) -> bool:
        """Whether the store has all that was logged."""
        return not self.outbox.pending()

    @clock.part("log")
    def flush(self) -> None:
        """Upload what waits for more, before something that takes long."""
        self.courier.bring_now(self.courier.pace.part)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log values under their keys at one step; NaN is left out.

        They are uploaded synchronously: MLflow's asynchronous logging can lose values without a word.
        """
        self._log([(key, value, step) for key, value in metrics.items()])

    def log_profile(self, key: str, values: Floats) -> None:
        """Log one metric whose steps are the classes' ranks from head to tail; NaN is left out."""
        self._log([(key, float(value), rank) for rank, value in enumerate(values)])

    @clock.part("log")
    def _log(self, points: Sequence[tuple[str, float, int]]) -> None:
        now = int(time.time() * 1000)
        defined = [(key, float(value), step) for key, value, step in points if value == value]
        new = [(key, value, step) for key, value, step in defined if self._latest.get((key, step)) != value]
        self._latest.update({(key, step): value for key, value, step in new})
        self.outbox.add_points(
            [{"key": key, "value": value, "step": step, "timestamp": now} for key, value, step in new]
        )
        self.courier.bring()

    def log_params(self, params: Mapping[str, Any]) -> None:
        self._do(
            "params",
            adopted=self._adopted,
            params={param_key(key): str(value)[:MOST_CHARACTERS] for key, value in params.items()},
        )

    def kill(self) -> None:
        """Mark the run as broken off and do no more: this process is about to end, and the next one does the rest."""
        with contextlib.suppress(*outages()):
            self.store.client.set_terminated(self.id, "KILLED")

    def set_tag(self, key: str, value: str) -> None:
        self._do("tags", tags={key: value})

    def log_dataset(self, name: str, sha256: str, counts: Mapping[str, int]) -> None:
        """Log the training data as an MLflow dataset, which takes 36 characters of a digest and 16,777 of a profile."""
        most = dict(sorted(counts.items(), key=lambda item: -item[1])[:200])
        profile = json.dumps(
            {"samples": sum(counts.values()), "classes": len(counts), "training_samples_by_class": most}
        )
        self._do("data", name=name, digest=sha256[:32], source=json.dumps({"sha256": sha256}), profile=profile)

    def log_json(self, value: Any, path: str) -> None:
        self.log_text(json.dumps(value, indent=2), path)

    def log_text(self, text: str, path: str) -> None:
        self._place(path).write_text(text, encoding="utf-8")
        self.log_placed(path)

    def log_file(self, file: Path, folder: str) -> None:
        """Log a file of the run's folder; one from elsewhere is copied into it first."""
        if not file.resolve().is_relative_to(self.folder.resolve()):
            file = Path(shutil.copyfile(file, self._place(f"{folder}/{file.name}")))
        self._do("file", file=os.path.relpath(file, self.folder), to=folder)

    def log_table(self, columns: Mapping[str, Sequence[Any]], path: str) -> None:
        """Log a table that MLflow's pages compare across runs."""
        import pandas as pd

        pd.DataFrame(dict(columns)).to_json(self._place(path), orient="split", index=False)
        self.log_placed(path)
        self._tables.append({"path": path, "type": "table"})
        self.set_tag("mlflow.loggedArtifacts", json.dumps(self._tables))

    def log_image(self, picture: str, key: str) -> None:
        """Log a picture of the folder as an MLflow image, too: charts show those of several runs side by side."""
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image, features

        # MLflow's pages know an image of a key and step by its name. Drawn again, it takes the former one's place.
        before = sorted(self.folder.glob(f"images/{key}+step+0+*.png"))
        name = (
            f"images/{before[-1].stem}"
            if before
            else f"images/{key}+step+0+timestamp+{int(time.time() * 1000)}+{uuid.uuid4()}"
        )
        shutil.copyfile(self.folder / picture, self._place(f"{name}.png"))
        self.log_placed(f"{name}.png")
        if features.check("webp"):
            with Image.open(self.folder / picture) as image:
                compress_image_size(image).save(self._place(f"{name}+compressed.webp"))
            self.log_placed(f"{name}+compressed.webp")
        else:
            warn(f"{picture} has no thumbnail in MLflow: Pillow cannot load what writes WebP (is there memory enough?)")
        self.set_tag("mlflow.loggedImages", "True")

    @clock.part("log")
    def log_model(self, model: "keras.Model", example: Floats, step: int, code: Sequence[Path] = ()) -> None:
        """Log the model's inference graph, uncompiled, so that it loads without this project's code.

        Parameters
        ----------
        code : files of the user's own that define layers of it, which go with the model
        example : a few samples, from which MLflow infers the signature: float32 (samples, *shape), or bytes of texts
        step : at which MLflow shows it
        """
        import keras
        import mlflow

        view = keras.Model(model.input, model.output)
        logits = view(keras.ops.convert_to_tensor(example)).numpy()
        folder = Path(f"saved-{uuid.uuid4().hex[:8]}") / "model"
        if code or are_texts(example):
            self._save_with_code(model, view, (example, logits), self._place(str(folder)), code)
        else:
            signature = mlflow.models.infer_signature(example, logits)
            saved_keras.save(view, self._place(str(folder)), example, signature, LOADED_WITH)
        self._do("model", folder=str(folder), step=step)

    def _save_with_code(
        self, model: "keras.Model", view: "keras.Model", seen: tuple[Any, Floats], folder: Path, code: Sequence[Path]
    ) -> None:
        """Have MLflow save a model whose layers are the user's own, or that reads texts.

        Parameters
        ----------
        view : the model without its training
        seen : the example, and the model's logits for it
        """
        import mlflow

        example, logits = seen
        if are_texts(example):  # MLflow writes the example as JSON, which has no bytes
            example = decoded(example).astype(str)
        # Without explicit requirements MLflow would spend 40 s to find them.
        requirements = [f"{package}=={version(package)}" for package in LOADED_WITH]
        packed = self._packed(code) if code else None
        with contextlib.redirect_stdout(io.StringIO()):  # Keras draws a progress bar for MLflow's trial prediction
            mlflow.tensorflow.save_model(
                view,
                path=str(folder),
                signature=mlflow.models.infer_signature(example, logits),
                input_example=example,
                pip_requirements=requirements,
                code_paths=[str(packed)] if packed else None,
                custom_objects=own_classes(model.to_json()) if packed else None,
                metadata={"layers": f"its own, of {', '.join(file.name for file in code)}"} if code else None,
            )
        if packed:
            shutil.rmtree(packed.parent)
        # MLflow pickles whatever the process has registered with Keras, such as `equipoise.losses`: layers need none.
        (folder / REGISTERED).unlink(missing_ok=True)

    @clock.part("log")
    def log_estimator(self, estimator: Any, example: Floats, step: int, packages: Sequence[str]) -> None:
        """Log a fitted estimator in a file of skops, which names classes and holds numbers, and runs nothing.

        Parameters
        ----------
        example : a few samples, float32 (samples, features), from which MLflow infers the signature
        step : at which MLflow shows it
        packages : that it is loaded with
        """
        import mlflow
        import sklearn

        place = self._place(f"saved-{uuid.uuid4().hex[:8]}/model/{FILE}")
        write_estimator(estimator, place)
        needed = [f"{package}=={version(package)}" for package in ("skops", *packages)]
        (place.parent / "requirements.txt").write_text("\n".join(needed) + "\n")
        # What `mlflow.sklearn.save_model` writes, which would save the estimator twice, and load it.
        found = mlflow.models.Model(signature=mlflow.models.infer_signature(example, estimator.predict_proba(example)))
        mlflow.pyfunc.add_to_model(
            found, loader_module="mlflow.sklearn", model_path=FILE, predict_fn="predict_proba", code=None
        )
        found.add_flavor(
            "sklearn",
            pickled_model=FILE,
            sklearn_version=sklearn.__version__,
            serialization_format="skops",
            skops_trusted_types=trusted_classes(place, "the model"),
            code=None,
        )
        found.save(str(place.parent / "MLmodel"))
        self._do("model", folder=str(place.parent.relative_to(self.folder)), step=step)

    def _packed(self, code: Sequence[Path]) -> Path:
        """Copy files into a package of the name that they were imported by, as MLflow puts it beside the model."""
        package = self._place(f"code-{uuid.uuid4().hex[:8]}/{plugins.PACKAGE}/{code[0].name}").parent
        for file in code:
            shutil.copyfile(file, package / file.name)
        return package

    def _place(self, path: str) -> Path:
        """Return where the folder keeps the artifact of this path."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def log_placed(self, path: str) -> None:
        """Log a file of the run's folder under the path that it has there."""
        self._do("file", file=path, to=str(Path(path).parent).removeprefix("."))

    @clock.part("log")
    def _do(self, do: str, **what: Any) -> None:
        self.outbox.add(do, **what)
        self.courier.bring()

    @clock.part("log")
    def begin(self, description: Description, adopt: str | None) -> None:
        """Write down the first operation of all, which makes the run in the store, or continues one, and upload it."""
        now = int(time.time() * 1000)
        tags = {**description.tags, **process_tags(), **git_tags(), "folder": str(self.folder)}
        self.tags = tags
        self.outbox.add(
            "begin",
            adopt=adopt,
            local_id=uuid.uuid4().hex,
            experiment=description.experiment,
            name=description.name,
            tags=tags,
            time=now,
            uri=self.store.uri,
        )
        self.courier.bring()

    @clock.part("log")
    def end(self, status: str) -> None:
        """Write down the last operation, and upload all that is left."""
        self.outbox.add("end", status=status, time=int(time.time() * 1000))
        self.courier.finish(status)


@contextlib.contextmanager
def start_run(
    store: Store, description: Description, folder: Path, adopt: str | None = None, pace: Pace = DEFAULT_PACE
) -> Iterator[Run]:
    """Open a run that ends FINISHED, or FAILED or KILLED with its traceback as an artifact.

    Parameters
    ----------
    folder : the run's own, where all that it logs lands first
    adopt : id of a run that exists already, opened by `mlflow run` or interrupted, and is to be continued

    Raises
    ------
    ConfigError
        If another run is writing into the folder, or the experiment was deleted or belongs to another user.
    """
    with locked(folder / ".lock", 5):
        outbox = Outbox(folder)
        _remove_half_saved(outbox)
        run = Run(store, outbox, Courier(store, outbox, pace), adopted=adopt is not None)
        try:
            run.begin(description, adopt)
        except KeyboardInterrupt:
            if outbox.uploaded.run_id:
                run.end("KILLED")
            raise
        try:
            _date_traceback(run, adopted=adopt is not None)
            run.log_params(description.params)
            yield run
        except Pruned as pruned:
            run.set_tag("pruned", str(pruned))
            run.end("KILLED")
            raise
        except BaseException as error:
            # A full disk may be what failed; the error itself must come through all the same.
            with contextlib.suppress(OSError):
                run.log_text("".join(traceback.format_exception(error)), "traceback.txt")
                run.set_tag("error", reason(error))
            with contextlib.suppress(OSError):
                run.end("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        run.end("FINISHED")


def reason(error: BaseException) -> str:
    """Return an error in one line."""
    first = next(iter(str(error).splitlines()), "")
    kind = "" if isinstance(error, ConfigError) else type(error).__name__
    return ": ".join(filter(None, (kind, first)))[:MOST_IN_A_LINE]


def _date_traceback(run: Run, *, adopted: bool) -> None:
    """Add to the traceback of what interrupted the run that the run went on, and when."""
    left = run.folder / "traceback.txt"
    if adopted and left.exists():
        run.log_text(
            f"The run went on at {time.strftime('%Y-%m-%d %H:%M:%S')}. It had been ended by:\n\n{left.read_text()}",
            left.name,
        )


def sync_folder(store: Store, folder: Path) -> Outbox | None:
    """Upload what a run's folder still holds, and mark a run that was broken off KILLED.

    Returns
    -------
    The folder's outbox, or None if the run is going on.

    Raises
    ------
    Exception
        One of `outages()`, if the store does not take it.
    """
    try:
        with locked(folder / ".lock", 0):
            outbox = Outbox(folder)
            _remove_half_saved(outbox)
            *_, (_, last) = outbox.operations()
            if last["do"] != "end":
                times = [point["timestamp"] for point in read_journal(folder)]
                outbox.add("end", status="KILLED", time=max(times, default=int(time.time() * 1000)))
            upload(outbox, store)
            return outbox
    except InUseError:
        return None


def _remove_half_saved(outbox: Outbox) -> None:
    """Remove a model that was being saved when its process was killed: no operation uploads it."""
    asked = {
        Path(operation["folder"]).parts[0]
        for _, operation in outbox.operations(outbox.uploaded.operations)
        if operation["do"] == "model"
    }
    for saved in outbox.folder.glob("saved-*"):
        if saved.name not in asked:
            shutil.rmtree(saved, ignore_errors=True)


def outer_run(store: Store) -> str | None:
    """Return the id of the run that `mlflow run` has opened for this process, and take it out of the environment.

    Left there, MLflow would write every later run into it.

    Raises
    ------
    ConfigError
        If it was opened in another store than the project's.
    """
    from mlflow.exceptions import MlflowException

    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    run_id = os.environ.pop("MLFLOW_RUN_ID", None)
    if run_id is not None:
        try:
            store.client.get_run(run_id)
        except MlflowException:
            raise ConfigError(
                f"`mlflow run` has opened a run in another store: type it in {store.root}, or "
                f"MLFLOW_TRACKING_URI={store.uri} first"
            ) from None
    return run_id
