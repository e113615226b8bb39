"""The best run's model in MLflow's registry, with all that it takes to use it.

That is: what was learned of the raw data, the class names, the decision rule and the priors.
"""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equipoise.core import plugins
from equipoise.core.paths import package_folder
from equipoise.core.schema import ConfigError
from equipoise.data import preprocessing
from equipoise.metrics import probabilities
from equipoise.metrics.orientation import orientation
from equipoise.metrics.probabilities import OfClasses, Probabilities
from equipoise.serving import served_form
from equipoise.serving.parts import write_parts
from equipoise.serving.served_form import CLASSES, KERAS, PROBABILITIES
from equipoise.tracking.artifacts import load_model, read_text
from equipoise.tracking.history import Logged
from equipoise.tracking.saved_model import own_modules
from equipoise.tracking.store import Store

# Packages that the code which goes with the model imports.
REQUIREMENTS = ("tensorflow", "keras", "numpy", "pandas", "pyarrow", "pydantic", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes
    ----------
    rows : what the model takes, in a sentence
    probabilities : what p(class) is, in a sentence
    """

    name: str
    version: str
    run: Logged
    uri: str
    rows: str
    probabilities: str


def best(runs: Sequence[Logged], metric: str) -> Logged:
    """Return the run whose latest value of the metric is best; of several equal ones the oldest.

    Raises
    ------
    ConfigError
        If no run has a model and the metric.
    """
    candidates = [run for run in runs if metric in run.metrics and "weights_sha256" in run.tags]
    if not candidates:
        raise ConfigError(
            f"metric={metric}: no finished run with a model has it; try val/balanced_accuracy or test/macro_f1"
        )
    return max(candidates, key=lambda run: run.metrics[metric] * orientation(metric))


def register(store: Store, run: Logged, name: str, alias: str, metric: str) -> Registered:
    """Make a new version of the registered model from a run, and point the alias at it; TensorFlow must be started.

    Raises
    ------
    ConfigError
        If an older version logged the run, with less than serving needs.
    """
    import mlflow

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        parts = Path(folder) / "parts"
        parts.mkdir()
        write_parts(lambda path: read_text(store, run.id, path), run.id, parts)
        classes = json.loads((parts / CLASSES).read_text(encoding="utf-8"))
        model = load_model(store, run.id)
        model.save(parts / KERAS)
        own = filter(None, map(plugins.of_module, own_modules(model.to_json())))
        for file in (file for each in own for file in plugins.files_of(each)):
            shutil.copy(file, parts)
        learned = preprocessing.read(parts)
        moved = probabilities.from_json(json.loads((parts / PROBABILITIES).read_text(encoding="utf-8")))
        about = {"decision": run.params["decision.name"], "probabilities": _said(moved, run)}
        found = store.client.create_logged_model(run.experiment_id, name="served", source_run_id=run.id)
        mlflow.pyfunc.log_model(
            model_id=found.model_id,
            name="served",
            python_model=str(package_folder() / "serving" / "served.py"),
            code_paths=[str(package_folder())],
            artifacts={"parts": str(parts)},
            signature=served_form.signature(learned, classes, moved),
            input_example=served_form.example(learned),
            pip_requirements=_requirements(),
            metadata={"classes": classes, "input": served_form.said(learned), **about},
        )
    uri = f"models:/{found.model_id}"
    with contextlib.suppress(mlflow.exceptions.MlflowException):  # it exists already
        store.client.create_registered_model(name)
    tags = {"metric": metric, "value": str(run.metrics[metric]), **about, "weights_sha256": run.tags["weights_sha256"]}
    made = store.client.create_model_version(name, uri, run.id, tags=tags, model_id=found.model_id)
    store.client.set_registered_model_alias(name, alias, made.version)
    return Registered(
        name, str(made.version), run, f"models:/{name}@{alias}", served_form.said(learned), about["probabilities"]
    )


def _said(moved: Probabilities, run: Logged) -> str:
    if moved.uncorrected:
        return f"p(class) is the model's own and not corrected, since {moved.uncorrected}"
    if isinstance(moved, OfClasses):
        target = run.params.get("dataset.target_prior", "training")
        where = f"to dataset.target_prior={target}, from the prior that the model learned under"
    else:
        where = "to the odds of the training labels"
    return f"p(class) is moved {where}; p_raw(class) is the model's own"


def _requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{package}=={version(package)}" for package in REQUIREMENTS]
