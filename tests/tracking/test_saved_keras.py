"""What is saved of a Keras model is what MLflow would have saved."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from equipoise.tracking import saved_keras
from equipoise.tracking.run import LOADED_WITH

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]
OF_THE_MOMENT = ("model_uuid", "utc_time_created", "model_size_bytes")


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "MLmodel").read_text())
    return {key: value for key, value in found.items() if key not in OF_THE_MOMENT}


def test_every_file_is_the_one_that_mlflow_writes(tmp_path: Path) -> None:
    import mlflow

    from equipoise.methods import models

    model = models.mlp((2, 1), 3, hidden=(4,), dropout=0.5, embedding="auto")
    example = np.array([[[0.1], [2]], [[-1e-9], [3]]], np.float32)
    signature = mlflow.models.infer_signature(example, model(example).numpy())
    ours, theirs = tmp_path / "ours" / "model", tmp_path / "theirs"
    saved_keras.save(model, ours, example, signature, LOADED_WITH)
    needed = [f"{package}=={version(package)}" for package in LOADED_WITH]
    mlflow.tensorflow.save_model(
        model, str(theirs), signature=signature, input_example=example, pip_requirements=needed
    )
    (theirs / "data" / "global_custom_objects.cloudpickle").unlink(missing_ok=True)
    files = sorted(str(file.relative_to(theirs)) for file in theirs.rglob("*") if file.is_file())
    assert files == sorted(str(file.relative_to(ours)) for file in ours.rglob("*") if file.is_file())
    assert described(ours) == described(theirs)
    for name in set(files) - {"MLmodel", "data/model.keras"}:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    loaded = mlflow.tensorflow.load_model(str(ours))
    np.testing.assert_array_equal(loaded(example).numpy(), model(example).numpy())
    assert json.loads((ours / "input_example.json").read_text()) == example.tolist()
