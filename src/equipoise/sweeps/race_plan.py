"""A race as it is asked for, before anything runs: its metric, its minutes and its candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from equipoise.config.messages import explained
from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Positive, Section
from equipoise.sweeps import candidates

TARGET = "hydra_plugins.race.RaceSweeper"
# What every rule is judged by, and what it values.
METRICS: Mapping[str, str] = {
    "macro_f1": "precision and recall, each class alike",
    "balanced_accuracy": "recall, each class alike",
    "mcc": "every cell of the confusion matrix",
    "accuracy": "each row alike",
    "worst_class_recall": "the class that is found least",
}


class Settings(Section):
    """How long a race goes, and by what, as in conf/hydra/sweeper/race.yaml."""

    metric: str
    minutes: Positive


@dataclass(frozen=True)
class Planned:
    """A race as it is asked for: one config for each candidate, at the first repetition."""

    settings: Settings
    field: candidates.Field
    configs: tuple[Config, ...]
    unfit: Mapping[str, str]  # why others do not fit the data or the words, by label
    at_once: int  # jobs that the launcher runs at the same time


def read_settings(composed: Mapping[str, object]) -> Settings:
    """Return the checked settings of `hydra.sweeper`, without its target and params.

    Raises
    ------
    ConfigError
        With one line for each wrong setting.
    """
    try:
        return Settings.model_validate(composed)
    except ValidationError as error:
        raise ConfigError(explained(error, composed, "hydra.sweeper")) from None


def as_typed(words: Sequence[str]) -> list[str]:
    """Return Hydra's words for a race as the user types them for `decide.py`."""
    shown = (word.removeprefix("hydra.sweeper.") for word in words)
    return [word for word in shown if word != "hydra/sweeper=race"]


def judged_by(metric: str) -> tuple[str, ...]:
    """Return the overrides by which every training is judged by a rule that is tuned for the metric, too."""
    return ("decision=tuned", f"decision.metric={metric}")
