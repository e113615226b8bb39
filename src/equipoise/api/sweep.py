"""A sweep of runs from a script or a notebook: what `python src/train.py -m` does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from equipoise.api.process import left_as_found
from equipoise.api.shown import Shown
from equipoise.comparison.compare import PANEL
from equipoise.config.model import config_sha256, flat
from equipoise.sweeps.in_process import Swept, carry_out, planned_sweep
from equipoise.tracking import history

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("dataset.split_seed", "seed")  # which a comparison pairs runs by
ENDS = ("_low", "_high")


@dataclass(frozen=True, repr=False, eq=False)
class Sweep(Shown):
    """The finished runs of a sweep."""

    swept: Swept

    @property
    def id(self) -> str:
        """What the runs have in common: the tag `sweep_id` in MLflow."""
        return self.swept.sweep.id

    @property
    def unfinished(self) -> dict[str, str]:
        """The jobs without a finished run, by what sets them apart, and why."""
        return {job.label: job.reason for job in self.swept.unfinished}

    @property
    def title(self) -> str:
        """One line on the whole."""
        return f"sweep {self.id}: {len(self.frame)} of {len(self.swept.jobs)} jobs are finished"

    @property
    def notes(self) -> tuple[str, ...]:
        """The jobs without a finished run."""
        return tuple(f"not finished: {job} ({reason})" for job, reason in self.unfinished.items())

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row a finished run, in the order of the jobs: what varies, split and seed, and the test metrics."""
        import pandas as pd

        jobs = {config_sha256(job): (number, flat(job)) for number, job in enumerate(self.swept.jobs)}
        rows = []
        for run in history.sweep_runs(self.swept.store, self.id, ["test/"]):
            number, values = jobs.get(run.tags.get("config_sha256", ""), (-1, {}))
            if values:
                varied = {key: values.get(f"{key}.name", values.get(key)) for key in self.swept.sweep.grid}
                place = {key: values[key] for key in PLACE if key not in varied}
                rows.append((number, run.id, {**varied, **place, **_metrics(run.metrics)}))
        rows.sort()
        index = pd.Index([run for _, run, _ in rows], name="run")
        return pd.DataFrame([row for _, _, row in rows], index=index)

    @property
    def table(self) -> "pd.DataFrame":
        """What varies, and the metrics by which a sweep is compared."""
        return self.frame[[key for key in self.frame if key in (*self.swept.sweep.grid, *PLACE, *PANEL)]]


def sweep(*overrides: str) -> Sweep:
    """Train, evaluate and log a run for each combination of values, one after the other in this process.

    The same sweep again does only what is missing. A job that fails does not keep the others from being done.

    Parameters
    ----------
    overrides : as they follow `python src/train.py -m`; several values of an option are separated by commas

    Raises
    ------
    ConfigError
        If an override of any job is wrong; or it is a search, or asks for a launcher, which need the command line.

    Examples
    --------
    >>> import equipoise as eq
    >>> runs = eq.sweep("weighting=none,balanced", "seed=0,1", "dataset=digits_lt", "model=linear", "trainer.epochs=2")
    >>> runs.frame[["weighting", "seed"]].values.tolist()
    [['none', 0], ['none', 1], ['balanced', 0], ['balanced', 1]]
    >>> found = eq.compare(runs.frame, unit="dataset.split_seed", seed="seed", configuration="weighting", value="mcc")
    >>> found.notes[0]
    'The unit is one split with 2 seeds: p is of a paired permutation test over the seeds, ...'
    """
    plan, of_plan = planned_sweep(overrides)
    with left_as_found():
        return Sweep(carry_out(plan, of_plan))


def _metrics(logged: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of the test split as a whole, without the ends of their intervals."""
    whole = {key.removeprefix("test/"): value for key, value in logged.items() if key.count("/") == 1}
    return {
        name: value
        for name, value in whole.items()
        if not any(name.endswith(end) and name.removesuffix(end) in whole for end in ENDS)
    }
