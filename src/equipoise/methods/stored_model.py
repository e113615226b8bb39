"""A model's file, whichever library it is of: found, and loaded without running what may lie beside it."""

from pathlib import Path
from typing import Any

from equipoise.core.errors import ConfigError
from equipoise.methods import saved_estimator
from equipoise.methods.saved_estimator import load_estimator
from equipoise.methods.saved_model import load_keras

KERAS, ESTIMATOR = "model.keras", saved_estimator.FILE
PLACES = (f"data/{KERAS}", KERAS, ESTIMATOR)  # below the folder of a model: as MLflow writes it, and among parts


def model_in(folder: Path, name: str) -> Path:
    """Return the file of the model in a folder.

    Raises
    ------
    ConfigError
        If there is none of a format that is loaded.
    """
    for place in PLACES:
        if (folder / place).is_file():
            return folder / place
    raise ConfigError(f"{name} has no {KERAS} and no {ESTIMATOR}; no other format is loaded, since it could run code")


def load_stored(file: Path, name: str, carried: Path | None = None) -> Any:
    """Return a Keras model, uncompiled, or an estimator.

    Parameters
    ----------
    name : what messages call the model
    carried : see `load_keras`

    Raises
    ------
    ConfigError
        If it is damaged, or needs code that is not here.
    """
    return (load_estimator if file.name == ESTIMATOR else load_keras)(file, name, carried)
