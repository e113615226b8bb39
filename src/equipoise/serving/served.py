"""The model as it is served: raw rows to class names and probabilities, prepared and decided as when it was judged.

MLflow runs this file wherever it loads the model. The file and what it imports go with the model.
"""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from equipoise.core.paths import is_file
from equipoise.core.schema import Booleans, ConfigError, Floats, suggestion
from equipoise.data import preprocessing
from equipoise.data.arrays.scaled import SeriesPreprocessing
from equipoise.data.images.dataset import ImagePreprocessing
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.texts import TextPreprocessing
from equipoise.methods import decisions
from equipoise.metrics import probabilities
from equipoise.metrics.classification import class_logits
from equipoise.serving.served_form import IMAGE, TEXT
from equipoise.tracking.saved_model import load_keras
from equipoise.training.predictor import Predictor

MOST_BYTES = 256 << 20  # of an image's file


class Served(PythonModel):
    """A Keras model with all that it was judged with: what `prepare` learned, its classes, decision rule and priors."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["parts"])
        model = load_keras(folder / "model.keras", "the model", folder)
        self.shape = tuple(model.input_shape[1:])
        self.logits = Predictor(model)
        self.classes = json.loads((folder / "classes.json").read_text())
        self.decide = decisions.from_json(json.loads((folder / "decision.json").read_text()))
        self.probabilities = probabilities.from_json(json.loads((folder / "probabilities.json").read_text()))
        self.learned = preprocessing.read(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return each row's class, or 0 or 1 for each label, all probabilities, and a note on unknown values.

        A row that cannot be read has no class and no probabilities, and its note says why.

        Raises
        ------
        MlflowException
            If the rows do not have the form that the model takes. A server hands on only errors of this kind.
        """
        try:
            features, notes = self._features(model_input)
        except ConfigError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        if isinstance(self.learned, TextPreprocessing):
            unreadable: Booleans = np.array([bool(note) for note in notes], bool)
        else:
            unreadable = np.logical_not(np.isfinite(features).reshape(len(features), -1).all(axis=1))
            features = np.where(unreadable.reshape(-1, *[1] * len(self.shape)), np.float32(0), features)
        notes = [note or "holds NaN or infinity" if bad else note for note, bad in zip(notes, unreadable, strict=True)]
        table = self._judged(features, unreadable)
        table["notes"] = notes
        return table

    def _judged(self, features: Floats, unreadable: Booleans) -> pd.DataFrame:
        raw = self.logits(features) if len(features) else np.empty((0, len(self.classes)), np.float32)
        several = isinstance(self.decide, decisions.Above)
        logits = raw.astype(np.float64) if several else class_logits(raw)
        decided = self.decide(logits)
        if several:
            table = pd.DataFrame(decided, columns=[f"predicted({name})" for name in self.classes])
        else:
            table = pd.DataFrame({"predicted": np.array(self.classes)[decided]})
        if unreadable.any():
            table = table.astype(object)
            table[unreadable] = None
        kinds = {"p": self.probabilities(logits)} | (
            {} if self.probabilities.uncorrected else {"p_raw": self.probabilities.raw(logits)}
        )
        for kind, values in kinds.items():
            values = np.where(unreadable[:, np.newaxis], np.nan, values)
            table = table.join(pd.DataFrame(values, columns=[f"{kind}({name})" for name in self.classes]))
        return table

    def _features(self, rows: Any) -> tuple[Floats, list[str]]:
        """Return float32 (n, *shape) as training made them of such rows, NaN for unreadable rows, and a note a row."""
        if isinstance(self.learned, TablePreprocessing):
            rows = _by_column(rows)
            return self.learned.apply(rows), self.learned.unknown(rows)
        if isinstance(self.learned, ImagePreprocessing):
            return self._one_by_one(_column(rows, IMAGE), self._decoded)
        if isinstance(self.learned, TextPreprocessing):
            return self._texts(_column(rows, TEXT))
        if (
            isinstance(self.learned, SeriesPreprocessing)
            and not isinstance(rows, pd.DataFrame)
            and np.shape(rows[0]) != self.shape
        ):
            return self._one_by_one(rows, lambda series: self.learned.apply([np.asarray(series, np.float64)]))
        values = np.asarray(rows, dtype=np.float64).reshape(-1, *self.shape)
        return self.learned.apply(values), self.learned.unknown(values)

    def _texts(self, rows: Iterable[Any]) -> tuple[Any, list[str]]:
        """Return bytes (n,), of a row that is no text those of an empty one, and a note a row."""
        found: list[Any] = []
        notes = []
        for row in rows:
            try:
                found += self.learned.apply([row]).tolist()
                notes.append("")
            except ConfigError:
                found.append(b"")
                notes.append("is no text")
        return self.learned.apply(found), notes

    def _one_by_one(self, rows: Iterable[Any], apply: Callable[[Any], Floats]) -> tuple[Floats, list[str]]:
        """Apply it to each row by itself, so that a row that cannot be read does not affect the others."""
        found: list[Floats] = []
        notes = []
        for row in rows:
            try:
                found += [*apply(row)]
                notes.append("")
            except ConfigError as error:
                found.append(np.full(self.shape, np.nan, np.float32))
                notes.append(re.sub(r"^(image|series) 0 ", "", str(error)))
        return np.stack(found) if found else np.empty((0, *self.shape), np.float32), notes

    def _decoded(self, image: Any) -> Floats:
        """Return the features of an image: its encoded bytes, base64 of them, alone or in a data URL, or a path.

        Raises
        ------
        ConfigError
            If it is none of these. The message does not tell whether a file exists: any client may ask.
        """
        if isinstance(image, bytes | bytearray | memoryview | np.bytes_):
            return self.learned.apply([bytes(image)])
        unread = ConfigError("is no image: neither its bytes, nor base64 of them, nor the path of one that can be read")
        if not isinstance(image, str):
            raise unread
        path = Path(image)
        with contextlib.suppress(OSError, ConfigError):
            if is_file(path) and path.stat().st_size <= MOST_BYTES:
                return self.learned.apply([path.read_bytes()])
        try:
            data = base64.b64decode(re.sub(r"^data:[^,]*;base64,|\s", "", image), validate=True)
        except ValueError:
            raise unread from None
        return self.learned.apply([data])


def _by_column(rows: Any) -> pd.DataFrame:
    """Return rows as a data frame, from any form that one is made of; a mapping of single values is one row."""
    if isinstance(rows, Mapping) and all(np.ndim(value) == 0 for value in rows.values()):
        rows = [rows]
    return rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)


def _column(rows: Any, name: str) -> Iterable[Any]:
    """Return what a column holds; rows without columns are what it would hold."""
    if not isinstance(rows, pd.DataFrame | Mapping):
        return np.atleast_1d(np.asarray(rows, object))
    if name not in rows:
        raise ConfigError(
            f"there is no column '{name}', which holds the {name}s{suggestion(name, [str(name) for name in rows])}"
        )
    return rows[name]


mlflow.models.set_model(Served())
