"""One run in the MLflow store.

All that a run logs lands in the run's folder first (`outbox.py`) and is uploaded from there (`upload.py`); a store
that is down, hangs or refuses costs a run nothing but that, and `python src/sync.py` uploads what is left.
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

from equipoise.core.clock import clock
from equipoise.core.locks import InUseError, locked
from equipoise.core.schema import ConfigError, Floats
from equipoise.tracking.keys import param_key
from equipoise.tracking.outbox import Outbox, read_journal
from equipoise.tracking.provenance import git_tags, process_tags
from equipoise.tracking.store import Store, said_by, warn
from equipoise.tracking.upload import outages, upload

if TYPE_CHECKING:
    import keras

MOST_CHARACTERS = 6000  # MLflow's limit for a param
MOST_IN_A_LINE = 500  # of an error
# A store that does not answer is asked again after ten times what the last request took, and PAUSE seconds at least,
# so that one that hangs costs a run a tenth of its time.
PAUSE, PAUSES = 15, 10
PART = 20  # seconds of uploading at a time while a run goes on
EVERY = 1  # seconds between uploads: what is logged sooner waits on the disk for the next one, so that short epochs share it
AT_THE_END = 15  # seconds of trying again once it is over


class Pruned(Exception):  # noqa: N818 - it is none
    """A run is given up as hopeless: KILLED and tagged, and no failure."""


@dataclass(frozen=True)
class Description:
    """What is known of a run when it starts: the experiment that it belongs to, its name, params and tags."""

    experiment: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Run:
    """One MLflow run that is being written: into its folder, and from there into the store.

    Of a run that is taken up again, a point that the folder has with the same value is not logged again: what is
    repeated after an interruption leaves no double points.
    """

    def __init__(self, store: Store, folder: Path, outbox: Outbox, *, adopted: bool) -> None:
        self.store, self.folder, self._outbox = store, folder, outbox
        self._latest = (
            {(point["key"], point["step"]): point["value"] for point in read_journal(folder)} if adopted else {}
        )
        self._offline, self._next_try = not store.answers, 0.0 if store.answers else time.monotonic() + PAUSE
        self._complete = 0.0  # when the store last had all
        self._tables: list[dict[str, str]] = []
        self._adopted = adopted

    @property
    def id(self) -> str:
        """In the store; the run's own name while the store has none for it."""
        return self._outbox.uploaded.run_id or self._outbox.uploaded.local_id

    @property
    def experiment_id(self) -> str:
        return self._outbox.uploaded.experiment_id

    @property
    def is_uploaded(self) -> bool:
        """Whether the store has all that was logged."""
        return not self._outbox.pending()

    @clock.part("log")
    def flush(self) -> None:
        """Upload what waits for more, before something that takes long."""
        self._upload(at_once=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Values under their keys at one step; uploaded synchronously, for MLflow's asynchronous logging can lose values in silence."""
        self._log([(key, value, step) for key, value in metrics.items()])

    def log_profile(self, key: str, values: Floats) -> None:
        """One metric whose steps are the class's rank from head to tail; NaN is left out."""
        self._log([(key, float(value), rank) for rank, value in enumerate(values)])

    @clock.part("log")
    def _log(self, points: Sequence[tuple[str, float, int]]) -> None:
        now = int(time.time() * 1000)
        defined = [(key, float(value), step) for key, value, step in points if value == value]
        new = [(key, value, step) for key, value, step in defined if self._latest.get((key, step)) != value]
        self._latest.update({(key, step): value for key, value, step in new})
        self._outbox.add_points(
            [{"key": key, "value": value, "step": step, "timestamp": now} for key, value, step in new]
        )
        self._upload()

    def log_params(self, params: Mapping[str, Any]) -> None:
        self._do(
            "params",
            adopted=self._adopted,
            params={param_key(key): str(value)[:MOST_CHARACTERS] for key, value in params.items()},
        )

    def kill(self) -> None:
        """Mark the run as broken off, and leave the rest to whoever comes next: this process is about to be ended."""
        with contextlib.suppress(*outages()):
            self.store.client.set_terminated(self.id, "KILLED")

    def set_tag(self, key: str, value: str) -> None:
        self._do("tags", tags={key: value})

    def log_dataset(self, name: str, sha256: str, counts: Mapping[str, int]) -> None:
        """What was trained on, as an MLflow dataset; MLflow takes 36 characters of a digest and 16,777 of a profile."""
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
        """A file of the run's folder, which stays there; one from elsewhere is copied into it."""
        if not file.resolve().is_relative_to(self.folder.resolve()):
            file = Path(shutil.copyfile(file, self._place(f"{folder}/{file.name}")))
        self._do("file", file=os.path.relpath(file, self.folder), to=folder)

    def log_table(self, columns: Mapping[str, Sequence[Any]], path: str) -> None:
        """A table that MLflow's UI compares across runs."""
        import pandas as pd

        pd.DataFrame(dict(columns)).to_json(self._place(path), orient="split", index=False)
        self.log_placed(path)
        self._tables.append({"path": path, "type": "table"})
        self.set_tag("mlflow.loggedArtifacts", json.dumps(self._tables))

    def log_image(self, picture: str, key: str) -> None:
        """A picture that is logged, by its path, as an MLflow image, too, which charts of several runs can show side by side."""
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image, features

        # MLflow's own pages know an image of a key and step by its name. Drawn again, it takes the place of the one before.
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
            warn(
                f"{picture} goes without its thumbnail in MLflow: Pillow cannot load what writes WebP (is there memory enough?)"
            )
        self.set_tag("mlflow.loggedImages", "True")

    @clock.part("log")
    def log_model(self, model: "keras.Model", example: Floats, step: int) -> None:
        """The model's inference graph, uncompiled, so that it loads without this project's code.

        Parameters
        ----------
        step : at which MLflow shows it
        """
        import keras
        import mlflow

        view = keras.Model(model.input, model.output)
        signature = mlflow.models.infer_signature(example, view(example).numpy())
        # Without explicit requirements MLflow would spend 40 s on finding them out.
        requirements = [f"{package}=={version(package)}" for package in ("tensorflow", "keras")]
        folder = Path(f"saved-{uuid.uuid4().hex[:8]}") / "model"
        with contextlib.redirect_stdout(io.StringIO()):  # Keras draws a progress bar of MLflow's trial prediction
            mlflow.tensorflow.save_model(
                view,
                path=str(self._place(str(folder))),
                signature=signature,
                input_example=example,
                pip_requirements=requirements,
            )
        self._do("model", folder=str(folder), step=step)

    def _place(self, path: str) -> Path:
        """Where in the folder an artifact of this path is kept."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def log_placed(self, path: str) -> None:
        """A file that lies in the run's folder where it is to lie among the artifacts."""
        self._do("file", file=path, to=str(Path(path).parent).removeprefix("."))

    @clock.part("log")
    def _do(self, do: str, **what: Any) -> None:
        self._outbox.add(do, **what)
        self._upload()

    @clock.part("log")
    def begin(self, **what: Any) -> None:
        """The first operation of all: it makes the run in the store, or takes it up."""
        self._outbox.add("begin", **what)
        self._upload()

    @clock.part("log")
    def end(self, status: str) -> None:
        """The last one; tries again for a while, and says what is to be done if the store does not answer."""
        self._outbox.add("end", status=status, time=int(time.time() * 1000))
        until = time.monotonic() + (AT_THE_END if status == "FINISHED" else 0)
        was_offline, self._next_try = self._offline, 0.0
        if status == "KILLED" and was_offline:
            self._next_try = float("inf")  # who ends a run does not want to wait for a store
        while not self._upload(float("inf"), at_once=True) and time.monotonic() < until:
            self._next_try = 0.0
            time.sleep(1)
        if not self.is_uploaded:
            warn(
                f"the MLflow store did not take all of this run. Nothing is lost: it is kept in {self.folder}; when the store is back: python src/sync.py"
            )

    def _upload(self, seconds: float | None = None, *, at_once: bool = False) -> bool:
        """Bring the store up to date, unless it is known not to answer, or was a moment ago; whether it is."""
        start, seconds = time.monotonic(), PART if seconds is None else seconds
        if start < self._next_try or (start < self._complete + EVERY and not at_once):
            return False
        try:
            complete = self._attempt(start + seconds)
        except outages() as error:
            took = time.monotonic() - start
            self._next_try = time.monotonic() + max(PAUSE, PAUSES * took)
            if not self._offline:
                warn(
                    f"the MLflow store does not take what is logged ({said_by(error)}); the run goes on, and is uploaded when it does"
                )
            self._offline = True
            return False
        if complete and self._offline:
            warn("the MLflow store answers again, and has all that was logged")
            self._offline = False
        if complete:
            self._complete = time.monotonic()
        else:
            self._next_try = time.monotonic() + PAUSES * seconds
        return complete

    def _attempt(self, deadline: float) -> bool:
        """Once more at once if it fails quickly: a server may close a connection that it thinks is idle."""
        start = time.monotonic()
        try:
            return upload(self._outbox, self.store.client, self.store.experiment, deadline)
        except outages():
            if self._offline or time.monotonic() - start > 1:
                raise
            return upload(self._outbox, self.store.client, self.store.experiment, deadline)


@contextlib.contextmanager
def start_run(store: Store, description: Description, folder: Path, adopt: str | None = None) -> Iterator[Run]:
    """Open a run that ends FINISHED, or FAILED or KILLED with its traceback as an artifact.

    Parameters
    ----------
    folder : the run's own, where all that it logs lands first
    adopt : id of a run that exists already, opened by `mlflow run` or interrupted, and is to be continued

    Raises
    ------
    ConfigError
        If another run is writing into the folder, or the experiment was deleted or is another's.
    """
    tags = {**description.tags, **process_tags(), **git_tags(), "folder": str(folder)}
    with locked(folder / ".lock", 5):
        outbox = Outbox(folder)
        _remove_half_saved(outbox)
        run = Run(store, folder, outbox, adopted=adopt is not None)
        now = int(time.time() * 1000)
        run.begin(
            adopt=adopt,
            local_id=uuid.uuid4().hex,
            experiment=description.experiment,
            name=description.name,
            tags=tags,
            time=now,
            uri=store.uri,
        )
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
    """An error in one line."""
    first = next(iter(str(error).splitlines()), "")
    said = (
        first
        if isinstance(error, ConfigError)
        else f"{type(error).__name__}: {first}"
        if first
        else type(error).__name__
    )
    return said[:MOST_IN_A_LINE]


def _date_traceback(run: Run, *, adopted: bool) -> None:
    """What ended a run for a while says so."""
    left = run.folder / "traceback.txt"
    if adopted and left.exists():
        run.log_text(
            f"The run went on at {time.strftime('%Y-%m-%d %H:%M:%S')}. It had been ended by:\n\n{left.read_text()}",
            left.name,
        )


def sync_folder(store: Store, folder: Path) -> Outbox | None:
    """Upload what a run's folder still holds; None if the run is going on. One that was broken off is KILLED.

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
            upload(outbox, store.client, store.experiment)
            return outbox
    except InUseError:
        return None


def _remove_half_saved(outbox: Outbox) -> None:
    """A model that was being saved when its process was killed: nothing asks for it."""
    asked = {
        Path(operation["folder"]).parts[0]
        for _, operation in outbox.operations(outbox.uploaded.operations)
        if operation["do"] == "model"
    }
    for saved in outbox.folder.glob("saved-*"):
        if saved.name not in asked:
            shutil.rmtree(saved, ignore_errors=True)


def outer_run(store: Store) -> str | None:
    """The run that `mlflow run` has opened for this process, taken out of the environment: MLflow would write every later run into it.

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
                f"`mlflow run` has opened a run in another store: type it in {store.root}, or MLFLOW_TRACKING_URI={store.uri} first"
            ) from None
    return run_id
