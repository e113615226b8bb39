"""The model as it is served: raw rows to class names and probabilities, prepared and decided as when it was judged.

MLflow runs this file wherever it loads the model. The file and what it imports go with the model.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from equipoise.core.errors import ConfigError
from equipoise.serving.answers import answers_of


class Served(PythonModel):
    """A model's answers, as MLflow asks for them."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["parts"])
        self.answers = answers_of(folder, carried=folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the answer to each row.

        Raises
        ------
        MlflowException
            If the rows do not have the form that the model takes. A server hands on only errors of this kind.
        """
        try:
            return self.answers(model_input)
        except ConfigError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


mlflow.models.set_model(Served())
