"""A Keras model saved to the files that `mlflow.tensorflow.save_model` writes, in a fraction of its time.

MLflow would look whether the requirements that it is given are those of the environment, for which it reads the list of
files of every installed package: a second in each process. Those that are given here are taken from the environment.
"""

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core.schema import Floats

if TYPE_CHECKING:
    import keras

FLAVOR, DATA = "tensorflow", "data"
EXAMPLE, SERVING = "input_example.json", "serving_input_example.json"
CONDA, VIRTUALENV, REQUIREMENTS = "conda.yaml", "python_env.yaml", "requirements.txt"
BUILT_BY = ("pip", "setuptools", "wheel")


def save(model: "keras.Model", folder: Path, example: Floats, signature: Any, packages: Sequence[str]) -> None:
    """Write a model that needs no code of its own, and how MLflow loads it, into a folder that is made.

    Parameters
    ----------
    example : a few samples, float32 (samples, *shape)
    signature : MLflow's, of the model
    packages : that the model is loaded with, beside MLflow
    """
    import mlflow

    data = folder / DATA
    data.mkdir(parents=True)
    (data / "keras_module.txt").write_text("tensorflow.keras")
    (data / "save_format.txt").write_text("tf")
    model.save(data / "model.keras")
    (folder / EXAMPLE).write_text(json.dumps(example.tolist()))
    (folder / SERVING).write_text(json.dumps({"inputs": example.tolist()}, indent=2))
    described = mlflow.models.Model(signature=signature)
    described.saved_input_example_info = {"artifact_path": EXAMPLE, "type": "ndarray", "serving_input_path": SERVING}
    described.add_flavor(
        FLAVOR, code=None, data=DATA, model_type="keras", keras_version=version("tensorflow"), save_format="tf"
    )
    mlflow.pyfunc.add_to_model(
        described, loader_module="mlflow.tensorflow", data=DATA, conda_env=CONDA, python_env=VIRTUALENV, code=None
    )
    described.model_size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    described.save(str(folder / "MLmodel"))
    _write_requirements(folder, [f"{package}=={version(package)}" for package in ("mlflow", *packages)])


def _write_requirements(folder: Path, needed: Sequence[str]) -> None:
    """Write what the model is loaded with, as pip, Conda and virtualenv read it."""
    import yaml

    python, pip = platform.python_version(), _pinned("pip", "<=")
    conda = {"channels": ["conda-forge"], "dependencies": [f"python={python}", pip, {"pip": list(needed)}]}
    built_by = [_pinned(package, "==") for package in BUILT_BY]
    virtualenv = {"python": python, "build_dependencies": built_by, "dependencies": [f"-r {REQUIREMENTS}"]}
    (folder / REQUIREMENTS).write_text("\n".join(needed))
    for name, content in ((CONDA, {**conda, "name": "mlflow-env"}), (VIRTUALENV, virtualenv)):
        sort = name == CONDA  # as MLflow writes them
        (folder / name).write_text(yaml.safe_dump(content, default_flow_style=False, sort_keys=sort))


def _pinned(package: str, relation: str) -> str:
    try:
        return f"{package}{relation}{version(package)}"
    except PackageNotFoundError:
        return package
