"""A loaded model's logits and the shape of its samples, whichever library it is of."""

import functools
import math
from collections.abc import Callable
from typing import Any

from equipoise.core.schema import Floats
from equipoise.methods.estimators import log_probabilities


def logits_of(model: Any) -> Callable[[Any], Floats]:
    """Return what makes logits, float32 (n, logits), of features, the same bits as when the model was judged."""
    if is_estimator(model):
        return functools.partial(log_probabilities, model)
    from equipoise.training.predictor import Predictor  # not before TensorFlow is started

    return Predictor(model)


def is_estimator(model: Any) -> bool:
    """Return whether the model answers with probabilities itself, as a Keras model does not."""
    return hasattr(model, "predict_proba")


def takes(model: Any, shape: tuple[int, ...]) -> bool:
    """Return whether the model takes samples of the shape, which an estimator flattens."""
    if is_estimator(model):
        return int(getattr(model, "n_features_in_", math.prod(shape))) == math.prod(shape)
    return bool(tuple(model.input_shape[1:]) == shape)


def taken_by(model: Any) -> str:
    """Say which samples the model takes."""
    return f"{model.n_features_in_} features" if is_estimator(model) else str(tuple(model.input_shape[1:]))
