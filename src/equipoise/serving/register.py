"""A run's model in MLflow's registry, with all that it takes to use it.

That is: what was learned of the raw data, the class names, the decision rule and the priors.
"""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise.core import plugins
from equipoise.core.paths import package_folder
from equipoise.core.schema import NONE
from equipoise.data import preprocessing
from equipoise.methods import deciders
from equipoise.methods.models import estimator, packages_of
from equipoise.methods.saved_estimator import own_modules_in
from equipoise.methods.saved_model import own_modules
from equipoise.methods.stored_model import KERAS
from equipoise.metrics import probabilities
from equipoise.metrics.probabilities import OfClasses, OfLabels, Probabilities
from equipoise.runs.estimate_prior import TAG
from equipoise.serving import served_form
from equipoise.serving.parts import write_parts
from equipoise.serving.served_form import CLASSES, DECISION, PROBABILITIES
from equipoise.tracking.artifacts import download_model, load_model, read_bytes
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store

# Packages that the code which goes with the model imports.
REQUIREMENTS = ("numpy", "pandas", "pyarrow", "pydantic", "rich", "scikit-learn", "scipy", "skops")


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


def register(store: Store, run: Logged, name: str, alias: str, why: Mapping[str, str]) -> Registered:
    """Make a new version of the registered model from a run, and point the alias at it.

    TensorFlow must be started for a Keras model.

    Parameters
    ----------
    run : that trained the model, or judged it again: its decision rule and its priors are those of the version
    why : tags of the version that tell why it is this run

    Raises
    ------
    ConfigError
        If an older version logged the run, with less than serving needs.
    """
    import mlflow

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        parts = Path(folder) / "parts"
        parts.mkdir()
        write_parts(lambda path: read_bytes(store, run.id, path), run.id, parts)
        classes = json.loads((parts / CLASSES).read_text(encoding="utf-8"))
        trained = run.tags.get("evaluated_run", run.id)
        _write_model(store, trained, run.params["model.name"], parts)
        learned = preprocessing.read(parts)
        moved = probabilities.from_json(json.loads((parts / PROBABILITIES).read_text(encoding="utf-8")))
        decide = deciders.from_json(json.loads((parts / DECISION).read_text(encoding="utf-8")))
        about = {"decision": run.params["decision.name"], "probabilities": _said(moved, run)}
        found = store.client.create_logged_model(run.experiment_id, name="served", source_run_id=trained)
        mlflow.pyfunc.log_model(
            model_id=found.model_id,
            name="served",
            python_model=str(package_folder() / "serving" / "served.py"),
            code_paths=[str(package_folder())],
            artifacts={"parts": str(parts)},
            signature=served_form.signature(learned, classes, moved, decide),
            input_example=served_form.example(learned),
            pip_requirements=_requirements(run.params["model.name"]),
            metadata={"classes": classes, "input": served_form.said(learned), **about},
        )
    uri = f"models:/{found.model_id}"
    with contextlib.suppress(mlflow.exceptions.MlflowException):  # it exists already
        store.client.create_registered_model(name)
    tags = {**why, **about, "weights_sha256": run.tags["weights_sha256"]}
    made = store.client.create_model_version(name, uri, run.id, tags=tags, model_id=found.model_id)
    store.client.set_registered_model_alias(name, alias, made.version)
    return Registered(
        name, str(made.version), run, f"models:/{name}@{alias}", served_form.said(learned), about["probabilities"]
    )


def _said(moved: Probabilities, run: Logged) -> str:
    if moved.uncorrected:
        return f"p(class) is the model's own and not corrected, since {moved.uncorrected}"
    fitted = run.params.get("calibration.name", NONE)
    if fitted != NONE:
        also = "" if isinstance(moved, OfLabels) else f" and moved to dataset.target_prior={_target(run)}"
        return (
            f"p(class) is calibrated (calibration={fitted}, on validation rows){also}; p_raw(class) is the model's own"
        )
    if isinstance(moved, OfClasses):
        where = f"to dataset.target_prior={_target(run)}, from the prior that the model learned under"
    else:
        where = "to the odds of the training labels"
    return f"p(class) is moved {where}; p_raw(class) is the model's own"


def _target(run: Logged) -> str:
    found = run.params.get("dataset.target_prior", "training")
    return f"{found} ({run.tags[TAG]})" if TAG in run.tags else found


def _write_model(store: Store, run: str, name: str, parts: Path) -> None:
    """Write the model into the folder of parts, with files of its own classes; Keras saves it as its version does."""
    if estimator(name) is not None:
        modules = own_modules_in(download_model(store, run, parts))
    else:
        model = load_model(store, run)
        model.save(parts / KERAS)
        modules = own_modules(model.to_json())
    own = filter(None, map(plugins.of_module, modules))
    for file in (file for each in own for file in plugins.files_of(each)):
        shutil.copy(file, parts)


def _requirements(model: str) -> list[str]:
    from importlib.metadata import version

    return [f"{package}=={version(package)}" for package in dict.fromkeys((*packages_of(model), *REQUIREMENTS))]
