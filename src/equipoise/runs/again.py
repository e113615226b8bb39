"""What a run trains once more, on all rows, once its model is judged: the training, and how the run tells of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equipoise.config.model import Config, Trainer
from equipoise.data.all_rows import all_rows
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.orientation import orientation
from equipoise.runs.weigh import weigh
from equipoise.training.trained import Trained

REFIT, EPOCHS, DATA = "refit", "refit_epochs", "refit_data_sha256"  # tags
JUDGED_BY = "judged_by"  # a tag: the words of evaluate.py, of a run that it has logged
VALIDATION = "evaluation/validation_logits.npy"  # of the judged model, float32 (n, logits)


@dataclass(frozen=True)
class Again:
    """A training to be repeated on all rows.

    Attributes
    ----------
    config : without early stopping
    data : with all rows in the training split
    epochs : as many as the first training kept
    """

    config: Config
    data: Prepared
    weights: ClassWeights
    epochs: int

    @classmethod
    def of(cls, config: Config, trained: Trained, data: Prepared) -> "Again":
        """Return what a run repeats whose judged model is `trained`; `data` are those of `to_repeat_on`."""
        return cls(as_repeated(config), data, weigh(config, data), kept_epochs(config.trainer, trained.history))

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.data.split("train").labels)


def to_repeat_on(config: Config, cache: Path) -> Prepared | None:
    """Return the data of the training on all rows, which may fail: before the first training, not after it.

    Parameters
    ----------
    cache : the folder of prepared data

    Raises
    ------
    ConfigError
        As `prepare` and `resampled` do.
    """
    if not config.trainer.refit:
        return None
    return resampled(config.dataset, all_rows(config.dataset, cache), config.seed)


def as_repeated(config: Config) -> Config:
    """Return the config of the training on all rows, which has none left to stop early by."""
    trainer = config.trainer.model_copy(update={"early_stopping": None, "refit": False})
    return config.model_copy(update={"trainer": trainer})


def kept_epochs(trainer: Trainer, history: Sequence[Mapping[str, float]]) -> int:
    """Return how many epochs a training kept: under early stopping those up to the best one, else all."""
    if trainer.early_stopping is None:
        return len(history)
    watched = [metrics[trainer.monitor] * orientation(trainer.monitor) for metrics in history]
    return int(np.argmax(watched)) + 1


def is_refit(tags: Mapping[str, str]) -> bool:
    """Whether the run with these tags has logged a model that has learned from all rows."""
    return tags.get(REFIT) == "true"
