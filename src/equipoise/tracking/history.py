"""Runs read back from the store, fast: a comparison gets what it needs of thousands of runs in a second or two.

MLflow's client cannot ask for some metrics only, and takes half a minute for 2,000 runs of 300 metrics. A store that
is a SQLite file is therefore read by SQL, read-only. Its schema is no public interface: where it is not as expected,
and for a server, the client is asked instead, with the same result. No file of a run is opened: what its metrics do not
hold is in tags and profiles. Runs of older versions, which logged more metrics, read the same.
"""

import ast
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from equipoise.config.identity import OWN_FILES
from equipoise.config.model import JUDGING, below
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.typed import VALUES
from equipoise.tracking.artifacts import CONFIG, read_json
from equipoise.tracking.store import PAGE, Store

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

SQLITE = "sqlite:///"
JUDGED_UNDER = "judged_under"  # tag of a run that was judged again: the options, since params cannot be changed
# Tags that hold, as JSON, what a comparison reads of a run and MLflow's metrics do not: the classes from head to tail
# with their counts, and by split ("" is the test split) what each decision rule makes of the model's answers.
CLASS_COUNTS, RULES = "class_counts", "decision_rules"
PROFILE = "profile/"  # metrics whose steps are ranks of classes
COUNTED = 20  # runs of a server, which takes long to word many
AT_ONCE = 500  # run ids in one statement; SQLite's oldest limit is 999


@dataclass(frozen=True)
class Logged:
    """One finished run, with the metrics that were asked for, at their latest step.

    Attributes
    ----------
    started : milliseconds since 1970
    profiles : of the profiles that were asked for, the values by rank, where many classes have no metrics of their own
    """

    id: str
    experiment_id: str
    started: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    profiles: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def class_counts(self) -> dict[str, float]:
        """The training samples of each class, from head to tail, by the key that its metrics have.

        Of more than 1,000 classes, the means of groups of ranks; empty if they are not known.
        """
        if CLASS_COUNTS in self.tags:
            return {name: float(count) for name, count in json.loads(self.tags[CLASS_COUNTS]).items()}
        # An older version logged metrics.
        of_each = {key.removeprefix("count/"): n for key, n in self.metrics.items() if key.startswith("count/")}
        return dict(sorted(of_each.items(), key=lambda item: -item[1]))

    def by_class(self, metric: str) -> dict[str, float]:
        """Return a metric of each class, from head to tail, by the key of the class; NaN where it is not defined."""
        points = self.profiles.get(f"{PROFILE}{metric}", {})
        names = list(self.class_counts)
        keys = {name: f"test/{metric}/{name}" for name in names}
        if not points or any(key in self.metrics for key in keys.values()):
            return {name: self.metrics.get(key, float("nan")) for name, key in keys.items()}
        if len(names) <= max(points):  # their names are too long for a tag
            names = [f"rank {rank + 1}" for rank in range(max(points) + 1)]
        return {name: points.get(rank, float("nan")) for rank, name in enumerate(names)}


def as_logged(run: "MlflowRun", metrics: Sequence[str]) -> Logged:
    """Return an MLflow run with the metrics that are asked for: keys, or their beginnings up to a `/`."""
    kept = dict(_kept({**run.data.metrics, **_of_rules(run.data.tags)}, metrics))
    return Logged(
        run.info.run_id,
        str(run.info.experiment_id),
        run.info.start_time,
        _in_force(run.data.params, run.data.tags),
        dict(run.data.tags),
        kept,
    )


def sweep_runs(store: Store, sweep: str, metrics: Sequence[str]) -> list[Logged]:
    """Return the finished runs of a sweep, oldest first, without its summary run.

    Parameters
    ----------
    metrics : keys, or their beginnings up to a `/`
    """
    if store.uri.startswith(SQLITE):
        try:
            return _from_sqlite(
                store, "SELECT run_uuid FROM tags WHERE key = 'sweep_id' AND value = ?", [sweep], metrics
            )
        except sqlite3.DatabaseError:
            pass
    return _from_client(store, f"tags.sweep_id = '{sweep}'", metrics)


def chosen_runs(store: Store, ids: Sequence[str], metrics: Sequence[str]) -> list[Logged]:
    """Return the finished runs with these ids, oldest first.

    Raises
    ------
    ConfigError
        If one of them is not in the store, or not finished.
    """
    from mlflow.exceptions import MlflowException

    found = []
    for name in ids:
        try:
            run = store.client.get_run(name)
        except MlflowException:
            raise ConfigError(f"there is no run {name} in {store.uri}") from None
        if run.info.status != "FINISHED":
            raise ConfigError(f"run {name} is {run.info.status}; only a finished run has results")
        found.append(_profiled(store, as_logged(run, metrics), metrics))
    return sorted(found, key=lambda run: run.started)


def trained_run(store: Store, run: str, metrics: Sequence[str] = ()) -> Logged:
    """Return the finished run that has trained a model; `run` is its id, or `latest`.

    Raises
    ------
    ConfigError
        If there is no such run, or it has trained no model.
    """
    if run == "latest":
        trained = latest_run(store)
    else:
        (trained,) = chosen_runs(store, [run], metrics)
    if "weights_sha256" not in trained.tags or "kind" in trained.tags:
        raise ConfigError(f"run={trained.id}: that run trained no model; give the id of one that did")
    return trained


def judged_run(store: Store, run: str) -> Logged:
    """Return the finished run that has trained a model, or has judged one again; `run` is its id, or `latest`.

    Raises
    ------
    ConfigError
        If there is no such run, or it is of another kind.
    """
    if run != "latest":
        (found,) = chosen_runs(store, [run], ())
        if found.tags.get("kind") == "evaluation" and "evaluated_run" in found.tags:
            return found
    return trained_run(store, run)


def filtered_runs(store: Store, condition: str, metrics: Sequence[str]) -> list[Logged]:
    """Return the finished runs that match an MLflow filter, oldest first.

    Raises
    ------
    ConfigError
        If MLflow does not understand the filter.
    """
    from mlflow.exceptions import MlflowException

    try:
        return _from_client(store, condition, metrics)
    except MlflowException as error:
        raise ConfigError(f"filter={condition}: {error.message}") from None


def run_count(store: Store) -> str:
    """Return how many runs are in the store; a server cannot count them, so of many it is asked for the first alone."""
    if store.uri.startswith(SQLITE):
        with contextlib.suppress(sqlite3.DatabaseError), _reading(store) as connection:
            return str(connection.execute("SELECT COUNT(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0])
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = store.client.search_runs(experiments, max_results=COUNTED)
    return f"{len(found)} or more" if found.token else str(len(found))


def metrics_of_any(store: Store, experiment: str, sweep: str | None) -> tuple[dict[str, float], int]:
    """Return the metrics of an experiment's finished runs, each with the value of one run, and the number of the runs.

    Of a server, only the newest runs count, as many as it gives at once.

    Parameters
    ----------
    sweep : id of the sweep whose runs alone count; None: all runs of the experiment
    """
    if store.uri.startswith(SQLITE):
        with contextlib.suppress(sqlite3.DatabaseError), _reading(store) as connection:
            return _metrics_from_sqlite(connection, experiment, sweep)
    condition = "attributes.status = 'FINISHED'" + ("" if sweep is None else f" and tags.sweep_id = '{sweep}'")
    newest = store.client.search_runs(
        [experiment], condition, order_by=["attributes.start_time DESC"], max_results=PAGE
    )
    found = {key: value for run in reversed(newest) for key, value in run.data.metrics.items() if value == value}
    return found, len(newest)


def _metrics_from_sqlite(
    connection: sqlite3.Connection, experiment: str, sweep: str | None
) -> tuple[dict[str, float], int]:
    runs = "FROM runs WHERE experiment_id = ? AND status = 'FINISHED' AND lifecycle_stage = 'active'"
    values: list[int | str] = [int(experiment)]
    if sweep is not None:
        runs += " AND run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'sweep_id' AND value = ?)"
        values.append(sweep)
    metrics = "SELECT key, MAX(value) FROM latest_metrics WHERE is_nan = 0"
    found = dict(connection.execute(f"{metrics} AND run_uuid IN (SELECT run_uuid {runs}) GROUP BY key", values))
    return found, int(connection.execute(f"SELECT COUNT(*) {runs}", values).fetchone()[0])


def by_epoch(store: Store, runs: Sequence[str], key: str) -> dict[str, list[float]]:
    """Return a metric of each run by epoch, by the run's id; runs without it are left out.

    A server is asked run by run.
    """
    found: dict[str, dict[int, float]] = {}
    if store.uri.startswith(SQLITE):
        with contextlib.suppress(sqlite3.DatabaseError), _reading(store) as connection:
            for start in range(0, len(runs), AT_ONCE):
                part = runs[start : start + AT_ONCE]
                points = connection.execute(
                    "SELECT run_uuid, step, value FROM metrics WHERE is_nan = 0 AND key = ? "
                    f"AND run_uuid IN ({','.join('?' * len(part))}) ORDER BY step, timestamp",
                    [key, *part],
                )
                for run, step, value in points:
                    found.setdefault(run, {})[step] = value
            return {run: list(values.values()) for run, values in found.items()}
    for run in runs:
        for point in sorted(store.client.get_metric_history(run, key), key=lambda point: (point.step, point.timestamp)):
            found.setdefault(run, {})[point.step] = point.value
    return {run: list(values.values()) for run, values in found.items()}


def latest_sweep(store: Store) -> str:
    """Return the id of the sweep that the newest run belongs to.

    Raises
    ------
    ConfigError
        If the store has no sweep.
    """
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = store.client.search_runs(
        experiments, "tags.sweep_id LIKE '%'", order_by=["attributes.start_time DESC"], max_results=1
    )
    if not found:
        raise ConfigError(
            f"sweep=latest: no sweep is logged yet; start one: {command('train')} -m weighting=none,balanced seed=0,1,2"
        )
    return str(found[0].data.tags["sweep_id"])


@dataclass(frozen=True)
class LoggedConfig:
    """The config that a run was computed under, as a tree of typed values.

    Attributes
    ----------
    working_directory : folder that its relative paths start from; None if it is not known
    own_files : where each option of the user's own came from, as `loss=hinge` from `plugins/hinge.py`
    """

    tree: Mapping[str, Any]
    working_directory: Path | None
    own_files: Mapping[str, str] = field(default_factory=dict)


def config_of(store: Store, run: Logged) -> LoggedConfig:
    """Return the run's config from its artifact, or, for a run of an older version, as far as MLflow's params tell it.

    Raises
    ------
    ConfigError
        If the artifact is damaged.
    """
    from mlflow.exceptions import MlflowException

    try:
        own_files = json.loads(run.tags.get(OWN_FILES, "{}"))
        found = read_json(store, run.id, CONFIG)
        return LoggedConfig(found["config"], Path(found["working_directory"]), own_files)
    except (MlflowException, OSError):
        return LoggedConfig(from_params(run.params), None)
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"run={run.id}: its {CONFIG} is damaged: train again") from None


def from_params(params: Mapping[str, str]) -> dict[str, Any]:
    """Return the tree of a config from the texts that MLflow has made of its values."""
    tree: dict[str, Any] = {}
    for key, text in params.items():
        *path, last = key.split(".")
        below: Any = tree
        for part in path:
            if not isinstance(below.get(part), dict):
                below[part] = {}
            below = below[part]
        below[last] = _value(text)
    return tree


def _value(text: str) -> Any:
    """Return a param's value as it was before MLflow made text of it."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def latest_run(store: Store) -> Logged:
    """Return the newest finished run, with all its metrics; evaluations and summaries of sweeps do not count.

    Raises
    ------
    ConfigError
        If no run is finished.
    """
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    newest_first = ["attributes.start_time DESC"]
    token = None
    while token is None or token:
        page = store.client.search_runs(
            experiments, "attributes.status = 'FINISHED'", order_by=newest_first, max_results=20, page_token=token
        )
        for run in page:
            if "kind" not in run.data.tags:
                return as_logged(run, [*run.data.metrics, "decision/", "val/decision/"])
        token = page.token or ""
    raise ConfigError(f"run=latest: no run is finished yet; train one: {command('train')}")


def _from_sqlite(store: Store, which: str, values: Sequence[str], metrics: Sequence[str]) -> list[Logged]:
    with _reading(store) as connection:
        condition = f"run_uuid IN ({which}) AND status = 'FINISHED' AND lifecycle_stage = 'active'"
        rows = connection.execute(
            f"SELECT run_uuid, experiment_id, start_time FROM runs WHERE {condition} ORDER BY start_time", values
        ).fetchall()
        ids = [row[0] for row in rows]
        params = _values(connection, "params", ids)
        tags = _values(connection, "tags", ids)
        keys = [key for key in metrics if not key.startswith(PROFILE)]
        matching = " OR ".join("key GLOB ?" if key.endswith("/") else "key = ?" for key in keys) or "0"
        patterns = [f"{_literal(key)}*" if key.endswith("/") else key for key in keys]
        found = _values(connection, "latest_metrics", ids, f" AND is_nan = 0 AND ({matching})", patterns)
        profiles = _profiles(connection, [name for name in ids if _is_grouped(found[name])], metrics)
    read = [
        Logged(
            name,
            str(experiment),
            started,
            _in_force(params[name], tags[name]),
            tags[name],
            {**found[name], **dict(_kept(_of_rules(tags[name]), metrics))},
            profiles.get(name, {}),
        )
        for name, experiment, started in rows
    ]
    return [run for run in read if "kind" not in run.tags]


def _reading(store: Store) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"file:{quote(store.uri.removeprefix(SQLITE))}?mode=ro", uri=True))


def _values(
    connection: sqlite3.Connection, table: str, ids: Sequence[str], condition: str = "", values: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {name: {} for name in ids}
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        which = f"run_uuid IN ({','.join('?' * len(part))})"
        for name, key, value in connection.execute(
            f"SELECT run_uuid, key, value FROM {table} WHERE {which}{condition}", [*part, *values]
        ):
            found[name][key] = value
    return found


def _is_grouped(metrics: Mapping[str, float]) -> bool:
    """Return whether the metrics by class are those of groups of ranks."""
    return any(key.startswith("test/recall/ranks_1-") for key in metrics)


def _profiles(
    connection: sqlite3.Connection, ids: Sequence[str], metrics: Sequence[str]
) -> dict[str, dict[str, dict[int, float]]]:
    """Return the points of the profiles that are asked for, by run, key and rank; of points logged twice the last."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    keys = [key for key in metrics if key.startswith(PROFILE)]
    for start in range(0, len(ids) if keys else 0, AT_ONCE):
        part = ids[start : start + AT_ONCE]
        which = f"key IN ({','.join('?' * len(keys))}) AND run_uuid IN ({','.join('?' * len(part))})"
        points = f"SELECT run_uuid, key, step, value FROM metrics WHERE is_nan = 0 AND {which} ORDER BY timestamp"
        for name, key, rank, value in connection.execute(points, [*keys, *part]):
            found.setdefault(name, {}).setdefault(key, {})[rank] = value
    return found


def _profiled(store: Store, run: Logged, metrics: Sequence[str]) -> Logged:
    """Return the run with the profiles that are asked for, which MLflow's client gives one at a time."""
    keys = [key for key in metrics if key.startswith(PROFILE)]
    if not keys or not _is_grouped(run.metrics):
        return run
    history = {key: store.client.get_metric_history(run.id, key) for key in keys}
    profiles = {
        key: {point.step: point.value for point in sorted(points, key=lambda point: point.timestamp)}
        for key, points in history.items()
    }
    return replace(run, profiles={key: points for key, points in profiles.items() if points})


def _of_rules(tags: Mapping[str, str]) -> dict[str, float]:
    """Return what each decision rule makes of the same answers, by the keys that an older version logged it under."""
    by_split: dict[str, dict[str, dict[str, float]]] = json.loads(tags.get(RULES, "{}"))
    return {
        f"{split}decision/{rule}/{name}": value
        for split, rules in by_split.items()
        for rule, found in rules.items()
        for name, value in found.items()
    }


def _literal(key: str) -> str:
    """Return the key as GLOB takes it literally."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in key)


def _from_client(store: Store, condition: str, metrics: Sequence[str]) -> list[Logged]:
    finished = f"{condition} and attributes.status = 'FINISHED'"
    found = (as_logged(run, metrics) for run in store.search(finished) if "kind" not in run.data.tags)
    return [_profiled(store, run, metrics) for run in found]


def _kept(values: Mapping[str, float], metrics: Sequence[str]) -> Iterator[tuple[str, float]]:
    whole = {key for key in metrics if not key.startswith(PROFILE)}
    beginnings = tuple(key for key in metrics if key.endswith("/"))
    return (
        (key, value) for key, value in values.items() if value == value and (key in whole or key.startswith(beginnings))
    )


def _in_force(params: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """Return the config that the metrics were computed under, without `dataset` and `overrides` of `mlflow run`."""
    config = {key: value for key, value in params.items() if "." in key or key in VALUES}
    if JUDGED_UNDER not in tags:
        return config
    judged: dict[str, str] = json.loads(tags[JUDGED_UNDER])
    return {key: value for key, value in config.items() if not below(key, JUDGING)} | judged
