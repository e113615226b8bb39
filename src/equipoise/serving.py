"""The model as it is served: raw columns to class names and probabilities, by the decision rule that it was judged under.

MLflow runs this file wherever it loads the model. It and what it imports travel with the model.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from equipoise import decisions
from equipoise.data import preprocessing
from equipoise.data.columns import TablePreprocessing
from equipoise.metrics import class_logits, log_softmax
from equipoise.options import Floats
from equipoise.saved_model import load_keras

BATCH = 1024


class Served(PythonModel):
    """A Keras model with the encoders of its table, if it learned from one, its classes and its decision rule."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["parts"])
        self.model = load_keras(folder / "model.keras", "the model")
        self.classes = json.loads((folder / "classes.json").read_text())
        self.decide = decisions.from_json(json.loads((folder / "decision.json").read_text()))
        self.learned = preprocessing.read(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Each row's class, or for several labels 0 and 1 a label, and all probabilities."""
        features = self._features(model_input)
        starts = range(0, len(features), BATCH)
        raw = np.concatenate([np.asarray(self.model(features[start : start + BATCH], training=False)) for start in starts])
        if isinstance(self.decide, decisions.Above):
            logits: Floats = raw.astype(np.float64)
            given = pd.DataFrame(self.decide(logits), columns=[f"predicted({name})" for name in self.classes])
            return given.join(self._table(1 / (1 + np.exp(-logits))))
        logits = class_logits(raw)
        names = np.array(self.classes)[self.decide(logits)]
        return pd.DataFrame({"predicted": names}).join(self._table(np.exp(log_softmax(logits))))

    def _table(self, probabilities: Floats) -> pd.DataFrame:
        return pd.DataFrame(probabilities, columns=[f"p({name})" for name in self.classes])

    def _features(self, rows: pd.DataFrame) -> Floats:
        """Prepared as the training rows were; of what is no table, one row is one sample's values in their order."""
        if not isinstance(self.learned, TablePreprocessing):
            return self.learned.apply(np.asarray(rows).reshape(-1, *self.model.input_shape[1:]))
        return self.learned.apply(rows)


mlflow.models.set_model(Served())
