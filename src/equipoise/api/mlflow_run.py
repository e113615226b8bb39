"""The MLflow run that a script has opened, as the pipeline writes on its own."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from equipoise.core.errors import ConfigError
from equipoise.tracking.courier import Courier, Pace
from equipoise.tracking.outbox import Outbox
from equipoise.tracking.run import Run
from equipoise.tracking.store import Store


@contextlib.contextmanager
def open_run(folder: Path) -> Iterator[Run]:
    """Give the open run to be written on; whoever opened it ends it.

    Parameters
    ----------
    folder : in which all that is logged lands first

    Raises
    ------
    ConfigError
        If no run is open, or the store does not take all of what was logged.
    """
    import mlflow

    active = mlflow.active_run()
    if active is None:
        raise ConfigError("no MLflow run is open: with mlflow.start_run(): r.log()")
    store, outbox = Store(folder, mlflow.get_tracking_uri()), Outbox(folder)
    run = Run(store, outbox, Courier(store, outbox, Pace()), adopted=True)
    outbox.add(
        "begin",
        adopt=active.info.run_id,
        local_id=uuid.uuid4().hex,
        experiment="adopted",
        name=active.info.run_name,
        tags={},
        time=int(time.time() * 1000),
        uri=store.uri,
    )
    yield run
    run.flush()
    if not run.is_uploaded:
        raise ConfigError(f"the MLflow store {store.uri} did not take all of it; log it again when the store answers")
