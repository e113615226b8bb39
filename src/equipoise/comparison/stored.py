"""What a comparison's page reads of runs besides their final metrics: predictions, and the metric by epoch.

Reading is bounded, so that a page of hundreds of runs takes a second or two: few configurations have confusions.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from equipoise.comparison.compare import Row, Table
from equipoise.comparison.configurations import Configuration
from equipoise.core.schema import Floats
from equipoise.tracking import history
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store

PREDICTIONS = "evaluation/predictions.parquet"
MOST_BYTES = 50_000_000  # of a file of predictions
MOST_COMPARED = 6  # configurations, whose confusions are shown beside the baseline's
MOST_RUNS = 5  # of each of them
MOST_ASKED = 2  # runs of each, if a server has to send their predictions
MOST_CURVES = 12  # configurations with curves
MOST_HISTORIES = 40  # runs, if a server has to send their histories one by one


@dataclass(frozen=True)
class Confusion:
    """Where the samples of each class went, as shares of the class, means over runs.

    Attributes
    ----------
    classes : in the order of their names
    shares : float64 (classes, classes), true class by predicted class
    runs : that were read
    """

    classes: tuple[str, ...]
    shares: Floats
    runs: int


@dataclass(frozen=True)
class Curve:
    """A validation metric by epoch over the runs of a configuration, up to the last epoch that all of them reached.

    Attributes
    ----------
    epochs : from 1
    mean, low, high : float64 (epochs,); the lowest and the highest run
    runs : whose histories were read
    """

    epochs: Floats
    mean: Floats
    low: Floats
    high: Floats
    runs: int


def confusions(store: Store, table: Table) -> dict[str, Confusion]:
    """Return confusions by label: of the best configurations that have a baseline, and of their baselines.

    Configurations without predictions of one label are left out.
    """
    by_label = {label: row for row in table.rows for label in row.configuration.labels}
    compared = [row for row in table.rows if row.to_baseline and row.configuration.rule is None][:MOST_COMPARED]
    wanted: dict[str, Row] = {row.configuration.label: row for row in compared}
    for row in compared:
        baseline = by_label.get(row.to_baseline.reference) if row.to_baseline else None
        if baseline:
            wanted[baseline.configuration.label] = baseline
    found = {label: _confusion(store, row.configuration) for label, row in wanted.items()}
    return {label: one for label, one in found.items() if one is not None}


def _confusion(store: Store, configuration: Configuration) -> Confusion | None:
    read = []
    for run in list(configuration.runs.values())[: MOST_RUNS if store.is_local else MOST_ASKED]:
        with _predictions(store, run) as file:
            pairs = _pairs(file) if file else None
        if pairs:
            read.append(pairs)
    if not read:
        return None
    names = sorted({name for pairs in read for pair in pairs for name in pair if name is not None})
    places = {name: place for place, name in enumerate(names)}
    sums = np.zeros((len(names), len(names)))
    for pairs in read:
        counts, support = np.zeros_like(sums), np.zeros((len(names), 1))
        for (true, predicted), count in pairs.items():
            support[places[true]] += count
            if predicted is not None:
                counts[places[true], places[predicted]] = count
        sums += counts / np.maximum(support, 1)
    return Confusion(tuple(names), sums / len(read), len(read))


def _pairs(file: Path) -> dict[tuple[str, str | None], int] | None:
    """Count the pairs of true and predicted class, None for no class.

    Return None for predictions of several labels, or for huge ones.
    """
    from pyarrow import parquet

    if file.stat().st_size > MOST_BYTES:
        return None
    with parquet.ParquetFile(file) as opened:
        if not {"label", "predicted"} <= set(opened.schema_arrow.names):
            return None
        table = opened.read(columns=["label", "predicted"])
    counted = table.group_by(["label", "predicted"]).aggregate([([], "count_all")]).to_pydict()
    return {
        (str(true), None if predicted is None else str(predicted)): count
        for true, predicted, count in zip(counted["label"], counted["predicted"], counted["count_all"], strict=True)
    }


@contextlib.contextmanager
def _predictions(store: Store, run: Logged) -> Iterator[Path | None]:
    """Yield the file of a run's predictions; None if it has none."""
    from mlflow.exceptions import MlflowException

    place = artifacts(store, run)
    if place is not None:
        yield place / PREDICTIONS if (place / PREDICTIONS).is_file() else None
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = Path(store.client.download_artifacts(run.id, PREDICTIONS, folder))
        except (MlflowException, OSError):
            found = None
        yield found


def artifacts(store: Store, run: Logged) -> Path | None:
    """Return the folder of a run's artifacts; None if a server keeps them."""
    if not store.is_local:
        return None
    location = urlsplit(store.client.get_experiment(run.experiment_id).artifact_location)
    return Path(unquote(location.path)) / run.id / "artifacts" if location.scheme in ("", "file") else None


def curves(store: Store, rows: Sequence[Row], key: str) -> dict[str, Curve]:
    """Return the curves of configurations by label, without those whose runs have no such metric by epoch."""
    configured = [row.configuration for row in rows if row.configuration.rule is None][:MOST_CURVES]
    runs = [run.id for one in configured for run in one.runs.values()]
    points = history.by_epoch(store, runs if store.is_local else runs[:MOST_HISTORIES], key)
    found = {}
    for one in configured:
        of_runs = [points[run.id] for run in one.runs.values() if points.get(run.id)]
        reached = min((len(values) for values in of_runs), default=0)
        if reached:
            values = np.array([of_run[:reached] for of_run in of_runs])
            epochs = np.arange(1, reached + 1, dtype=np.float64)
            found[one.label] = Curve(epochs, values.mean(axis=0), values.min(axis=0), values.max(axis=0), len(of_runs))
    return found
