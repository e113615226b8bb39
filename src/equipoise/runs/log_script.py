"""The step `log`, beside the trained model: its training as a script that needs nothing of this project."""

import contextlib

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.terminal import warn
from equipoise.data.prepared import Prepared
from equipoise.methods.weighting import ClassWeights
from equipoise.tracking.artifacts import read_text
from equipoise.tracking.run import Run, reason
from equipoise.tracking.store import Store
from equipoise.training.plain.case import Origin
from equipoise.training.plain.script import SCRIPT, plain_keras


def log_plain_keras(config: Config, log: Run, data: Prepared, weights: ClassWeights, origin: Origin) -> None:
    """Log a script that trains the model without this project, if there can be one: src/export.py says why not."""
    try:
        script = plain_keras(config, data, weights, origin)
    except ConfigError:
        return
    except Exception as error:  # a trained model is worth more than a script
        warn(f"no {SCRIPT} could be written: {reason(error)}")
        return
    log.log_text(script, SCRIPT)


def log_script_of(store: Store, run: str, log: Run) -> None:
    """Log the script that another run has logged, which has trained the model."""
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException, OSError):
        log.log_text(read_text(store, run, SCRIPT), SCRIPT)
