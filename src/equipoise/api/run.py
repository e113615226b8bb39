"""One run of the pipeline from a script or a notebook: what `python src/train.py` does."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.api.evaluation import Judged
from equipoise.api.process import left_as_found
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, counted
from equipoise.core.paths import project_root
from equipoise.reports.evidence import Evidence
from equipoise.runs.log_evaluation import PREDICTIONS
from equipoise.runs.run import Finished, train
from equipoise.sweeps import planning
from equipoise.tracking.store import Store, open_store

if TYPE_CHECKING:
    import keras
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class Run(Judged):
    """A finished run: all that `Judged` has, and more.

    Attributes
    ----------
    store : the MLflow store that has it
    """

    finished: Finished
    store: Store

    @property
    def id(self) -> str:
        """The MLflow run's id."""
        return self.finished.run_id

    @property
    def folder(self) -> Path:
        """The folder with all that the run wrote; `evaluation/report.html` is its page."""
        return self.finished.folder

    @property
    def evidence(self) -> Evidence:
        """All that is known of its predictions on the test split."""
        return self.finished.evidence

    @property
    def title(self) -> str:
        """One line on the whole."""
        found = self.finished
        length = counted(found.epochs, "epoch", "epochs")
        return f"{found.evidence.name}: {length} on {found.device}, logged as run {self.id}"

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row a test sample: its class, the predicted one, probabilities, and where the sample is found again."""
        import pandas as pd

        return pd.read_parquet(self.folder / PREDICTIONS)

    @cached_property
    def model(self) -> "keras.Model":
        """The trained Keras model, uncompiled, which ends in logits; or the fitted estimator, such as `boosting`."""
        from equipoise.tracking.artifacts import load_model

        with left_as_found():
            found: keras.Model = load_model(self.store, self.id)
            return found


def run(*overrides: str) -> Run:
    """Train, evaluate and log one run, or the rest of one that was interrupted.

    Parameters
    ----------
    overrides : as they follow `python src/train.py`, such as `weighting=balanced`

    Raises
    ------
    ConfigError
        If an override is wrong, with the nearest name; or the data, the loss or the model are not what it says.

    Examples
    --------
    >>> import equipoise as eq
    >>> run = eq.run("dataset=digits_lt", "model=linear", "weighting=balanced", "trainer.epochs=2")
    >>> sorted(run.metrics)[:3]
    ['accuracy', 'balanced_accuracy', 'brier']
    >>> run.frame[["label", "predicted"]].shape
    (500, 2)
    >>> run.model.output_shape
    (None, 10)
    """
    plan = planning.plan(overrides)
    if plan.shows_config or plan.sweep:
        raise ConfigError("give overrides alone, such as weighting=balanced, and no flags; of several runs: eq.sweep")
    (config,) = plan.jobs
    if config.trainer.strategy == "multi_worker":
        raise ConfigError(f"trainer.strategy=multi_worker needs a process on each worker: {command('train')}")
    with left_as_found():
        return Run(train(config), open_store(project_root(), config.tracking.name, needed=False))
