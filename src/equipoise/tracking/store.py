"""The MLflow store of the project: one SQLite file at the project root, or a tracking server."""

import contextlib
import functools
import logging
import os
import re
import shlex
import socket
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError
from equipoise.core.locks import locked
from equipoise.core.paths import installed
from equipoise.core.terminal import warn
from equipoise.tracking.provenance import is_alive

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as LoggedRun

LOCK_TIMEOUT = 120  # seconds; a fresh store's schema takes 3 to 9
PAGE = 100  # runs that are asked for at once, as MLflow's page does: a server words hundreds of values of each
REQUEST = 10  # seconds for a store to answer
GRANTED_WITHIN = 3  # seconds after a server has made an experiment
REASONS = (
    "Connection refused|timed out|Connection reset|Connection aborted|"
    r"too many \d+ error responses|database is locked"
)


@dataclass(frozen=True)
class Store:
    """The project's MLflow store: its own file, or what a server keeps."""

    root: Path
    uri: str
    answers: bool = True  # whether it answered when it was opened

    @property
    def is_local(self) -> bool:
        return self.uri.startswith("sqlite:")

    @functools.cached_property
    def client(self) -> "MlflowClient":
        """MLflow's client; a local store that does not exist is made with it."""
        import mlflow

        if not self.is_local:
            return mlflow.MlflowClient(self.uri)
        # Two processes that make the schema at the same time would break it.
        with locked(self.root / "mlflow.db.lock", LOCK_TIMEOUT):
            client = mlflow.MlflowClient(self.uri)
            client.search_experiments(max_results=1)
        return client

    def page(self, experiment: str = "", run: str = "", view: str = "") -> str:
        """Return the command or the address that shows a run, a saved view or all runs in MLflow's pages."""
        if self.is_local:
            which = f" RUN={experiment}/{run}" if run else f" VIEW={experiment}/{view}" if view else ""
            if installed():
                page = f"experiments/{experiment}/runs/{run}" if run else f"experiments/{experiment}"
                return f"mlflow server --backend-store-uri {shlex.quote(self.uri)}  # http://127.0.0.1:5000/#/{page}"
            return f"make -C {shlex.quote(str(self.root))} ui{which}"
        which = (
            f"/{experiment}/runs/{run}?"
            if run
            else f"/{experiment}/runs?viewStateShareKey={view}&compareRunsMode=CHART&"
            if view
            else "?"
        )
        return f"{self.uri}/#/experiments{which}workflowType=machine_learning"

    def tag_experiment(self, experiment: str, key: str, value: str) -> None:
        self.client.set_experiment_tag(experiment, key, value)

    def experiment(self, name: str) -> str:
        """Return the experiment's id; the experiment is made if it does not exist.

        Raises
        ------
        ConfigError
            If it was deleted, or belongs to another user.
        """
        from mlflow.exceptions import MlflowException

        until = time.monotonic() + GRANTED_WITHIN
        while True:
            try:
                known = self._found_or_made(name)
                break
            except MlflowException as error:
                if error.get_http_status_code() != 403:
                    raise
                # A server makes an experiment first and then grants it to who has asked, maybe in another process.
                if time.monotonic() > until:
                    raise ConfigError(
                        f"the MLflow experiment '{name}' on {self.uri} is another user's: ask for the permission EDIT "
                        "on it, or set dataset.title"
                    ) from None
                time.sleep(0.25)
        if known.lifecycle_stage == "deleted":
            raise ConfigError(
                f"the MLflow experiment '{name}' was deleted: MLFLOW_TRACKING_URI={shlex.quote(self.uri)} "
                f"mlflow experiments restore --experiment-id {known.experiment_id}, or set dataset.title"
            )
        return str(known.experiment_id)

    def _found_or_made(self, name: str) -> "Experiment":
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(name)
        if known is not None:
            return known
        # Left to itself, MLflow would freeze a location below the current working directory.
        location = (self.root / "mlruns" / name).as_uri() if self.is_local else None
        try:
            self.client.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                raise
        return self.client.get_experiment_by_name(name)

    def check_experiments(self, names: Set[str]) -> None:
        """Make sure that runs can be logged to these experiments, if the store answers.

        Raises
        ------
        ConfigError
            If one of them was deleted, or belongs to another user.
        """
        with contextlib.suppress(*outages()):
            for name in sorted(names) if self.answers else ():
                self.experiment(name)

    def points(self, run: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return all points `{key, value, step}` that a run has logged under these keys."""
        found = [point for key in dict.fromkeys(keys) for point in self.client.get_metric_history(run, key)]
        return [{"key": point.key, "value": point.value, "step": point.step} for point in found]

    def runs(self, **tags: str) -> list["LoggedRun"]:
        """Return all runs of all experiments that have these tags, oldest first."""
        return self.search(" and ".join(f"tags.{key} = '{value}'" for key, value in tags.items()))

    def search(self, condition: str) -> list["LoggedRun"]:
        """Return all runs of all experiments that match an MLflow filter, oldest first."""
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        found: list[LoggedRun] = []
        token = None
        while token is None or token:
            page = self.client.search_runs(
                experiments, condition, order_by=["attributes.start_time ASC"], max_results=PAGE, page_token=token
            )
            found += page
            token = page.token or ""
        return found


def store_uri(root: Path, where: str = "local") -> str:
    """Return the store's address: the project's own file, as an absolute path, or what MLFLOW_TRACKING_URI holds.

    Parameters
    ----------
    where : `local` or `server`, as in the config's `tracking`

    Raises
    ------
    ConfigError
        If the variable holds no server's address, or a password, which would be logged.
    """
    if where == "local":
        return f"sqlite:///{root / 'mlflow.db'}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    if urlsplit(uri).scheme not in ("http", "https"):
        raise ConfigError("tracking=server needs the server's address: export MLFLOW_TRACKING_URI=https://…")
    if "@" in urlsplit(uri).netloc:
        raise ConfigError(
            "MLFLOW_TRACKING_URI holds a user's name or password, which would be logged: use MLFLOW_TRACKING_USERNAME "
            "and MLFLOW_TRACKING_PASSWORD, or ~/.mlflow/credentials"
        )
    return uri


@clock.part("log")
def open_store(root: Path, where: str = "local", *, needed: bool = True) -> Store:
    """Open the store, which is made if it does not exist, and close the runs whose process is gone.

    Parameters
    ----------
    where : `local` or `server`, as in the config's `tracking`
    needed : whether nothing can be done while the store does not answer. A run can go on and is uploaded later; of its
        process only the first call closes runs.

    Raises
    ------
    ConfigError
        If the server refuses the user, or the store is needed and does not answer.
    """
    uri = store_uri(root, where)
    _prepare_mlflow()
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if where == "local" and os.environ.get("MLFLOW_TRACKING_URI", uri) != uri:
        _warn_once(
            f"MLFLOW_TRACKING_URI is not heeded: tracking=local keeps runs in {uri}; tracking=server sends them to the "
            "server at that address"
        )
        os.environ["MLFLOW_TRACKING_URI"] = uri  # so that jobs in other processes do not repeat the warning
    mlflow.set_tracking_uri(uri)
    store = _known(root, uri)
    try:
        store.client.search_experiments(max_results=1)
    except outages() as error:
        _check_refusal(uri, error)
        if needed:
            raise ConfigError(f"the MLflow store {uri} does not answer: {said_by(error)}") from None
        _warn_once(
            f"the MLflow store {uri} does not answer ({said_by(error)}); the run goes on, and is uploaded when it does"
        )
        return Store(root, uri, answers=False)
    if needed:
        close_orphans(store)
    else:
        _close_orphans_once(store)
    return store


def existing_store(root: Path, where: str, advice: str) -> Store:
    """Open a store to read runs from.

    Parameters
    ----------
    advice : how to come by runs, if the project has no store yet; to open it would make one

    Raises
    ------
    ConfigError
        If there is no store yet, or it does not answer.
    """
    if where == "local" and not (root / "mlflow.db").exists():
        raise ConfigError(f"there are no runs yet; {advice}")
    return open_store(root, where)


@functools.cache
def _known(root: Path, uri: str) -> Store:
    """Return the process's one store at this address: its client takes as long to make as to ask."""
    return Store(root, uri)


def _prepare_mlflow() -> None:
    """Set what MLflow reads when it is imported: no telemetry, no progress bars, and no minutes of trying again."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # It prints the traceback of what it raises, and `open_store` tells that in one line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _check_refusal(uri: str, error: Exception) -> None:
    """Raise a ConfigError if the store answers, but not to this user or not to this version of MLflow."""
    import mlflow

    if "database schema" in str(error):
        upgrade = f"mlflow db upgrade {shlex.quote(uri)}"
        raise ConfigError(
            f"the store {uri} is not of MLflow {mlflow.__version__}: back it up; if an older MLflow made it, then: "
            f"{upgrade}; if a newer one did, update MLflow"
        ) from None
    status = getattr(error, "get_http_status_code", int)()
    if status == 403:  # by its name, for instance, which the server has to know
        raise ConfigError(f"{uri} refuses the request: {said_by(error)}") from None
    if status == 401:
        raise ConfigError(
            f"{uri} refuses the user: check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "~/.mlflow/credentials"
        ) from None


def close_orphans(store: Store) -> None:
    """Mark KILLED the runs that are RUNNING in the store while their process, on this host, is gone."""
    with contextlib.suppress(*outages()):  # another user's runs may be visible without being writable
        experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
        running = f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
        for run in store.client.search_runs(experiments, running):
            if not is_alive(run.data.tags):
                store.client.set_terminated(run.info.run_id, "KILLED")


_close_orphans_once = functools.cache(close_orphans)


def outages() -> tuple[type[Exception], ...]:
    """Return what a store raises that is down, locked or full, or that refuses. This imports MLflow."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError  # requests raises OSErrors, too


def said_by(error: Exception) -> str:
    """Return the first line of the error's message, or only its reason if it is a well-known one."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    found = re.search(REASONS, str(error))
    return found.group(0) if found else lines[0][:200]


@functools.cache
def _warn_once(message: str) -> None:
    """Warn of what every job of a sweep would repeat."""
    warn(message)
