"""The MLflow store of the project: one SQLite file at the project root, or a tracking server. What is asked of it, and the names it takes."""

import contextlib
import functools
import logging
import os
import re
import shlex
import socket
import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from equipoise.core.clock import clock
from equipoise.core.locks import locked
from equipoise.core.schema import ConfigError
from equipoise.tracking.provenance import is_alive
from equipoise.tracking.upload import outages

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as LoggedRun

LOCK_TIMEOUT = 120  # seconds; a fresh store's schema takes 3 to 9
REQUEST = 10  # seconds for a store to answer


@dataclass(frozen=True)
class Store:
    """The project's MLflow store: a file of its own, or what a server keeps."""

    root: Path
    uri: str
    answers: bool = True  # whether it did when it was opened

    @property
    def is_local(self) -> bool:
        return self.uri.startswith("sqlite:")

    @functools.cached_property
    def client(self) -> "MlflowClient":
        """MLflow's client; of a local store that is not there, made with the store."""
        import mlflow

        if not self.is_local:
            return mlflow.MlflowClient(self.uri)
        # Two processes that make the schema at once would break it.
        with locked(self.root / "mlflow.db.lock", LOCK_TIMEOUT):
            client = mlflow.MlflowClient(self.uri)
            client.search_experiments(max_results=1)
        return client

    def page(self, experiment: str = "", run: str = "", view: str = "") -> str:
        """What to type, or to open, to see a run, a saved view, or all that there is, in MLflow's pages."""
        if self.is_local:
            which = f" RUN={experiment}/{run}" if run else f" VIEW={experiment}/{view}" if view else ""
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
        """The experiment's id; made if it is not there.

        Raises
        ------
        ConfigError
            If it was deleted, or is another's.
        """
        from mlflow.exceptions import MlflowException

        try:
            known = self.client.get_experiment_by_name(name)
            if known is None:
                # Locally with an artifact location of its own, which MLflow would freeze to some working directory.
                location = (self.root / "mlruns" / name).as_uri() if self.is_local else None
                try:
                    self.client.create_experiment(name, artifact_location=location)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
                        raise
                known = self.client.get_experiment_by_name(name)
        except MlflowException as error:
            if error.get_http_status_code() == 403:
                raise ConfigError(
                    f"the MLflow experiment '{name}' on {self.uri} is another user's: ask for the permission EDIT on it, or set dataset.title"
                ) from None
            raise
        if known.lifecycle_stage == "deleted":
            restore = f"mlflow experiments restore --experiment-id {known.experiment_id}"
            raise ConfigError(
                f"the MLflow experiment '{name}' was deleted: MLFLOW_TRACKING_URI={shlex.quote(self.uri)} {restore}, or set dataset.title"
            )
        return str(known.experiment_id)

    def check_experiments(self, names: Set[str]) -> None:
        """Make sure that runs can be logged under these names, if the store answers.

        Raises
        ------
        ConfigError
            If one was deleted, or is another's.
        """
        with contextlib.suppress(*outages()):
            for name in sorted(names) if self.answers else ():
                self.experiment(name)

    def points(self, run: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """All points `{key, value, step}` that a run has logged under these keys."""
        found = [point for key in dict.fromkeys(keys) for point in self.client.get_metric_history(run, key)]
        return [{"key": point.key, "value": point.value, "step": point.step} for point in found]

    def runs(self, **tags: str) -> list["LoggedRun"]:
        """All runs, in any experiment, that carry these tags, oldest first."""
        return self.search(" and ".join(f"tags.{key} = '{value}'" for key, value in tags.items()))

    def search(self, condition: str) -> list["LoggedRun"]:
        """All runs, in any experiment, that MLflow's filter finds, oldest first."""
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        found: list[LoggedRun] = []
        token = None
        while token is None or token:
            page = self.client.search_runs(
                experiments, condition, order_by=["attributes.start_time ASC"], max_results=1000, page_token=token
            )
            found += page
            token = page.token or ""
        return found


def store_uri(root: Path, where: str = "local") -> str:
    """The address of the store: of the project's own file, always absolute, or the server's, from MLFLOW_TRACKING_URI.

    Raises
    ------
    ConfigError
        If it is to be a server's and the variable holds no such address, or holds a password, which would be logged.
    """
    if where == "local":
        return f"sqlite:///{root / 'mlflow.db'}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    if urlsplit(uri).scheme not in ("http", "https"):
        raise ConfigError("tracking=server needs the server's address: export MLFLOW_TRACKING_URI=https://…")
    if "@" in urlsplit(uri).netloc:
        raise ConfigError(
            "MLFLOW_TRACKING_URI holds a user's name or password, which would be logged: use MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or ~/.mlflow/credentials"
        )
    return uri


@clock.part("log")
def open_store(root: Path, where: str = "local", *, needed: bool = True) -> Store:
    """Open the store, made first if it is not there, and close the runs whose process is gone.

    Parameters
    ----------
    where : `local` or `server`, as in the config's `tracking`
    needed : whether all is in vain if the store does not answer; a run goes on without, and is uploaded later, and only the first of
        a process looks for runs to close

    Raises
    ------
    ConfigError
        If the server refuses the user, or the store is needed and does not answer.
    """
    uri = store_uri(root, where)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # MLflow would go on asking for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR if name == "urllib3" else logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(
        logging.CRITICAL
    )  # it prints the traceback of what it raises, which is told in a line
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if where == "local" and os.environ.get("MLFLOW_TRACKING_URI", uri) != uri:
        _warn_once(
            f"MLFLOW_TRACKING_URI is not heeded: tracking=local keeps runs in {uri}; tracking=server sends them to the server at that address"
        )
        os.environ["MLFLOW_TRACKING_URI"] = uri  # and jobs in other processes tell it no more
    mlflow.set_tracking_uri(uri)
    store = _opened.get(uri) or Store(root, uri)
    try:
        store.client.search_experiments(max_results=1)
    except outages() as error:
        if "database schema" in str(error):
            advice = f"back it up; if an older MLflow made it, then: mlflow db upgrade {shlex.quote(uri)}; if a newer one did, update MLflow"
            raise ConfigError(f"the store {uri} is not of MLflow {mlflow.__version__}: {advice}") from None
        status = getattr(error, "get_http_status_code", int)()
        if status == 403:  # by its name, for instance, which the server has to know
            raise ConfigError(f"{uri} refuses the request: {said_by(error)}") from None
        if status == 401:
            raise ConfigError(
                f"{uri} refuses the user: check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ~/.mlflow/credentials"
            ) from None
        reason = said_by(error)
        if needed:
            raise ConfigError(f"the MLflow store {uri} does not answer: {reason}") from None
        _warn_once(f"the MLflow store {uri} does not answer ({reason}); the run goes on, and is uploaded when it does")
        return Store(root, uri, answers=False)
    if needed or uri not in _opened:
        with contextlib.suppress(*outages()):  # another user's runs may be seen and not be changed
            _close_orphans(store)
    _opened[uri] = store
    return store


_opened: dict[str, Store] = {}  # with their clients, which take as long to make as to ask


def said_by(error: Exception) -> str:
    """The first line of what MLflow, SQLAlchemy or the system says, without the address and the statement around it."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    found = re.search(
        r"(Connection refused|timed out|Connection reset|Connection aborted|too many \d+ error responses|database is locked)",
        str(error),
    )
    return found.group(0) if found else text[0][:200]


def warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


@functools.cache
def _warn_once(message: str) -> None:
    """What every job of a sweep would say again."""
    warn(message)


def _close_orphans(store: Store) -> None:
    """Mark KILLED what still says RUNNING though its process, on this host, is gone."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    for run in store.client.search_runs(
        experiments, f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
    ):
        if not is_alive(run.data.tags):
            store.client.set_terminated(run.info.run_id, "KILLED")
