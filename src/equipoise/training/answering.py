"""A loaded model's logits and the shape of its samples, whichever library it is of."""

import functools
import math
from collections.abc import Callable
from typing import Any

from equipoise.core.schema import Floats
from equipoise.data.types import Preprocessing
from equipoise.data.words import WordPreprocessing
from equipoise.methods.estimators import log_probabilities


def logits_of(model: Any, learned: Preprocessing | None) -> Callable[[Any], Floats]:
    """Return what makes logits, float32 (n, logits), of features, the same bits as when the model was judged.

    Parameters
    ----------
    learned : how raw rows became these features, if that is known
    """
    if is_estimator(model):
        return functools.partial(log_probabilities, model, words=_words(learned))
    from equipoise.training.predictor import Predictor  # not before TensorFlow is started

    return Predictor(model)


def is_estimator(model: Any) -> bool:
    """Return whether the model answers with probabilities itself, as a Keras model does not."""
    return hasattr(model, "predict_proba")


def takes(model: Any, shape: tuple[int, ...], learned: Preprocessing | None) -> bool:
    """Return whether the model takes samples of the shape, which an estimator flattens, or takes bags of words of."""
    if is_estimator(model):
        words = _words(learned)
        features = math.prod(shape) if words is None else words.ids
        return int(getattr(model, "n_features_in_", features)) == features
    return bool(tuple(model.input_shape[1:]) == shape)


def taken_by(model: Any) -> str:
    """Say which samples the model takes."""
    return f"{model.n_features_in_} features" if is_estimator(model) else str(tuple(model.input_shape[1:]))


def _words(learned: Preprocessing | None) -> WordPreprocessing | None:
    return learned if isinstance(learned, WordPreprocessing) else None
