"""Each run's difference to the sweep's baseline on the same split and with the same seed, as metrics of MLflow.

Bars of them begin at the baseline, where those of the metrics themselves are of nearly equal length.
"""

import contextlib
import time
from collections.abc import Sequence

from equipoise.comparison import configurations
from equipoise.comparison.compare import PANEL
from equipoise.comparison.configurations import Configuration
from equipoise.tracking import history
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store, outages
from equipoise.tracking.views import DIFFERENCE


def log_differences(store: Store, sweep: str, runs: Sequence[Logged]) -> None:
    """Log `difference/<metric>` to each run that has a counterpart in the baseline; nothing if the store is down.

    What is logged already with the same value is left as it is, so the same sweep may end again and again. The journals
    in the runs' folders, from which an interrupted run goes on, do not hold these metrics: they follow from the others.

    Parameters
    ----------
    runs : the sweep's finished runs, oldest first, with the metrics of the panel
    """
    from mlflow.entities import Metric

    with contextlib.suppress(*outages()):
        logged = {run.id: run.metrics for run in history.sweep_runs(store, sweep, [DIFFERENCE])}
        now = int(time.time() * 1000)
        for run, found in differences(runs):
            new = {key: value for key, value in found.items() if logged.get(run.id, {}).get(key) != value}
            if new:
                store.client.log_batch(run.id, [Metric(key, value, now, 0) for key, value in new.items()])


def differences(runs: Sequence[Logged]) -> list[tuple[Logged, dict[str, float]]]:
    """Return each run, of those that are comparable the newest, with its differences; the baseline's own are 0."""
    found = []
    for members in configurations.by_dataset(runs).values():
        by_settings = configurations.by_settings(members, configurations.varied_params(members))
        every = [Configuration((f"{settings}",), (dict(settings),), of_one) for settings, of_one in by_settings.items()]
        references = configurations.baselines(every, None)
        for one in every:
            reference = configurations.reference(one, references)
            for place, run in one.runs.items():
                counterpart = reference.runs.get(place) if reference else None
                if counterpart is not None:
                    found.append((run, _difference(run, counterpart)))
    return found


def _difference(run: Logged, baseline: Logged) -> dict[str, float]:
    keys = {name: f"test/{name}" for name in PANEL}
    return {
        f"{DIFFERENCE}{name}": run.metrics[key] - baseline.metrics[key]
        for name, key in keys.items()
        if key in run.metrics and key in baseline.metrics
    }
