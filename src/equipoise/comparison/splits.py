"""Whose metrics count: those of the test split, for judging, or those of the validation split, for choosing."""

from collections.abc import Iterable

from equipoise.core.errors import ConfigError, suggestion
from equipoise.reports.evidence import CHOOSING, JUDGING
from equipoise.tracking.history import Logged

TEST, VALIDATION = "test", "val"
TITLES = {TEST: f"test split, {JUDGING}", VALIDATION: f"validation split, {CHOOSING}"}
SAMPLES = {TEST: "test", VALIDATION: "validation"}  # the split in `samples/<split>`
# Metrics of the validation split that no decision rule changes: that of the last epoch counts, of the configured rule.
OF_EPOCHS = ("log_loss",)
BY_RULE = "val/decision/"


def read(metric: str | None, split: str | None) -> tuple[str | None, str]:
    """Return the metric without its split, and the split: that which is typed, or that of the metric, or `test`.

    Raises
    ------
    ConfigError
        If there is no such split, or the metric is of another.
    """
    if split is not None and split not in TITLES:
        raise ConfigError(f"split={split}: there is no such split{suggestion(split, [*TITLES])}; choose test or val")
    for known in TITLES:
        if metric is not None and metric.startswith(f"{known}/"):
            if split not in (None, known):
                raise ConfigError(f"metric={metric} and split={split} contradict each other: leave one of them out")
            return metric.removeprefix(f"{known}/"), known
    return metric, split or TEST


def key(run: Logged, metric: str, split: str, rule: str | None = None) -> str:
    """Return the key of a run's metric.

    Parameters
    ----------
    rule : the decision rule whose metric counts; None: the configured one
    """
    if split == TEST:
        return f"decision/{rule}/{metric}" if rule else f"test/{metric}"
    if metric in OF_EPOCHS and rule is None:
        return f"val/{metric}"
    return f"{BY_RULE}{rule or run.params.get('decision.name', 'argmax')}/{metric}"


def metrics(runs: Iterable[Logged], split: str) -> list[str]:
    """Return the metrics that any of the runs has of the split as a whole, by their names."""
    beginning, parts = ("test/", 2) if split == TEST else (BY_RULE, 4)
    keys = {key for run in runs for key in run.metrics if key.startswith(beginning) and key.count("/") == parts - 1}
    return sorted({key.rpartition("/")[2] for key in keys})


def rules(runs: Iterable[Logged]) -> list[str]:
    """Return the decision rules that any of the runs has judged on the validation split, by their names."""
    return sorted({key.split("/")[2] for run in runs for key in run.metrics if key.startswith(BY_RULE)})
