"""Register the best model, ready to be used: raw rows in; class names, probabilities and notes out.

  python src/register.py                                     the best of the data set whose run ended last
  python src/register.py sweep=latest metric=val/macro_f1    the best of a sweep, by another metric
  python src/register.py run=RUN_ID                          this one

  name=mnist_lt       of the registered model; the MLflow experiment's name if not typed
  alias=champion      by which the version can be asked for
  metric=…            val/balanced_accuracy if not typed: the test split is for judging, not for choosing

Then: mlflow models predict -m models:/NAME@champion -i rows.csv -t csv --env-manager local
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.paths import project_root
from equipoise.core.schema import ConfigError

if TYPE_CHECKING:
    from equipoise.tracking.history import Logged
    from equipoise.tracking.store import Store

OPTIONS = ("run", "sweep", "metric", "name", "alias", "tracking")


def _register(words: Sequence[str]) -> None:
    options = key_values.read(words, OPTIONS)
    where = key_values.store(options)
    if "run" in options and "sweep" in options:
        raise ConfigError("run and sweep contradict each other: choose one of them")

    from equipoise.tracking.store import existing_store

    store = existing_store(project_root(), where, f"train one: {command('train')}")

    from equipoise.serving import register
    from equipoise.training import runtime

    metric = options.get("metric", "val/balanced_accuracy")
    runs = _candidates(store, options, metric)
    chosen = register.best(runs, metric)
    name = options.get("name") or store.client.get_experiment(chosen.experiment_id).name
    runtime.start("cpu", "auto", deterministic=True)
    made = register.register(store, chosen, name, options.get("alias", "champion"), metric)
    best = f"the best of {len(runs)} with {metric} {chosen.metrics[metric]:.4f}"
    print(f"{made.name}, version {made.version}: run {chosen.id}, {best}, is {made.uri}")
    print(f"Rows: {made.rows}")
    print(f"Probabilities: {made.probabilities}")
    print("To use it:")
    mlflow = f"  MLFLOW_TRACKING_URI={shlex.quote(store.uri)} mlflow models"
    print(f"{mlflow} predict -m {shlex.quote(made.uri)} -i rows.csv -t csv --env-manager local")
    print(f"{mlflow} serve -m {shlex.quote(made.uri)} --port 5001 --env-manager local")
    print("  curl http://127.0.0.1:5001/invocations -H 'Content-Type: text/csv' --data-binary @rows.csv")


def _candidates(store: "Store", options: Mapping[str, str], metric: str) -> "list[Logged]":
    """Return the runs to choose from: the typed run, a sweep's runs, or all runs of the latest run's experiment."""
    from equipoise.tracking import history

    if "run" in options:
        return history.chosen_runs(store, [options["run"]], [metric])
    if "sweep" in options:
        sweep = history.latest_sweep(store) if options["sweep"] == "latest" else options["sweep"]
        return history.sweep_runs(store, sweep, [metric])
    latest = history.latest_run(store)
    trained = history.filtered_runs(store, "tags.weights_sha256 LIKE '%'", [metric])
    return [run for run in trained if run.experiment_id == latest.experiment_id]


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _register)
