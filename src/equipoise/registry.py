"""The best run's model in MLflow's registry, with all that it needs to be used: encoders, class names, decision rule."""

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipoise import comparison, runtime
from equipoise.data import preprocessing
from equipoise.data.columns import TablePreprocessing
from equipoise.data.preprocessing import PREPROCESSING
from equipoise.data.sources import Preprocessing
from equipoise.evaluation import DECISION
from equipoise.logged import Logged
from equipoise.options import ConfigError
from equipoise.paths import code_root
from equipoise.store import Store, load_model, read_json

# What the code that travels with the model imports.
REQUIREMENTS = ("tensorflow", "keras", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str
    run: Logged
    uri: str


def best(runs: Sequence[Logged], metric: str) -> Logged:
    """The run whose latest value of the metric is best; of several equal ones the oldest.

    Raises
    ------
    ConfigError
        If no run has a model and the metric.
    """
    candidates = [run for run in runs if metric in run.metrics and "weights_sha256" in run.tags]
    if not candidates:
        raise ConfigError(f"metric={metric}: no finished run with a model has it; try val/balanced_accuracy or test/macro_f1")
    lower = metric.split("/")[-1] in comparison.LOWER_IS_BETTER
    return min(candidates, key=lambda run: run.metrics[metric] * (1 if lower else -1))


def register(store: Store, run: Logged, name: str, alias: str, metric: str) -> Registered:
    """Make a new version of the registered model from a run, and point the alias at it."""
    import mlflow

    runtime.start("cpu", "auto", deterministic=True)
    decision = read_json(store, run.id, DECISION)
    classes = list(read_json(store, run.id, "weights.json"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example was not provided")  # it would have to be someone's data
        parts = Path(folder) / "parts"
        parts.mkdir()
        model = load_model(store, run.id)
        model.save(parts / "model.keras")
        (parts / "decision.json").write_text(json.dumps(decision))
        (parts / "classes.json").write_text(json.dumps(classes))
        (parts / PREPROCESSING).write_text(json.dumps(read_json(store, run.id, PREPROCESSING)))
        learned = preprocessing.read(parts)
        found = store.client.create_logged_model(run.experiment_id, name="served", source_run_id=run.id)
        mlflow.pyfunc.log_model(
            model_id=found.model_id,
            name="served",
            python_model=str(code_root() / "src" / "equipoise" / "serving.py"),
            code_paths=[str(code_root() / "src" / "equipoise")],
            artifacts={"parts": str(parts)},
            signature=_signature(learned, classes, several=decision["kind"] == "Above"),
            pip_requirements=_requirements(),
            metadata={"classes": classes, "decision": run.params["decision.name"], "input": _input(learned)},
        )
    uri = f"models:/{found.model_id}"
    with contextlib.suppress(mlflow.exceptions.MlflowException):  # it is there already
        store.client.create_registered_model(name)
    tags = {"metric": metric, "value": str(run.metrics[metric]), "decision": run.params["decision.name"], "weights_sha256": run.tags["weights_sha256"]}
    made = store.client.create_model_version(name, uri, run.id, tags=tags, model_id=found.model_id)
    store.client.set_registered_model_alias(name, alias, made.version)
    return Registered(name, str(made.version), run, f"models:/{name}@{alias}")


def _signature(learned: Preprocessing, classes: Sequence[str], *, several: bool) -> Any:
    """A table's columns may hold numbers or text; what is no table has no names for its columns."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    given = [ColSpec(DataType.long, f"predicted({name})") for name in classes] if several else [ColSpec(DataType.string, "predicted")]
    outputs = Schema([*given, *(ColSpec(DataType.double, f"p({name})") for name in classes)])
    if not isinstance(learned, TablePreprocessing):
        return ModelSignature(outputs=outputs)
    return ModelSignature(Schema([ColSpec(AnyType(), column.name) for column in learned.columns]), outputs)


def _input(learned: Preprocessing) -> str:
    if isinstance(learned, TablePreprocessing):
        return "the table's own columns"
    return f"one row a sample: its raw values of shape {getattr(learned, 'shape', ())}, flattened in C order"


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{package}=={version(package)}" for package in REQUIREMENTS]
