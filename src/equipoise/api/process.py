"""What a run changes of its process, which belongs to the script or notebook that asked for the run."""

import contextlib
import os
from collections.abc import Iterator

from equipoise.core import interruption

# Taken out of the environment by the run that adopts what `mlflow run` has opened; a later one must not adopt it too.
ADOPTED = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")


@contextlib.contextmanager
def left_as_found() -> Iterator[None]:
    """At the end, leave signals, MLflow's tracking URI and its environment variables as they were before the body."""
    import mlflow

    before = {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_") and key not in ADOPTED}
    uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    with interruption.left_as_before():
        try:
            yield
        finally:
            mlflow.set_tracking_uri(uri)
            for key in [key for key in os.environ if key.startswith("MLFLOW_") and key not in (*before, *ADOPTED)]:
                del os.environ[key]
            os.environ.update(before)
