"""What class weights do to a Keras model: each class's part of the loss and of the gradient."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from equipoise.api.logits import checked_logits
from equipoise.api.weights import class_weights
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.data.types import LabelForm

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from equipoise.api.weights import Weights
    from equipoise.methods.implementations import PerSample
    from equipoise.training.audit import Shares


def audit(
    model: "keras.Model",
    x: Any,
    y: Any,
    weights: "Weights | None" = None,
    *,
    loss: "keras.losses.Loss | Callable[..., Any] | None" = None,
) -> "pd.DataFrame":
    """Measure each class's share of the loss and of the gradient, with the model as it is now.

    The gradient is that which reaches the logits: the sum over samples of the norm of d loss / d logits. Of more than
    20,000 samples, so many are drawn.

    Parameters
    ----------
    model : a Keras model that ends in logits
    x : features of training samples: an array, or for several inputs a tuple or a mapping of arrays
    y : their labels; of one-hot rows the loss gets one-hot rows
    weights : of `class_weights`; by default none
    loss : a loss of labels and logits, such as one of `equipoise.losses`; by default cross-entropy

    Returns
    -------
    One row a class: n, weight, weight_share, loss_share and gradient_share.

    Raises
    ------
    ConfigError
        If the model ends in probabilities, or the loss takes them, or gives no value a sample.

    Examples
    --------
    >>> import keras, numpy as np, equipoise as eq
    >>> model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2, kernel_initializer="zeros")])
    >>> x, y = np.zeros((4, 1)), [0, 0, 0, 1]
    >>> eq.audit(model, x, y, eq.class_weights(y, "balanced")).reset_index().round(3)
      class  n  weight  weight_share  loss_share  gradient_share
    0     0  3   0.667           0.5         0.5             0.5
    1     1  1   2.000           0.5         0.5             0.5
    """
    import pandas as pd

    w = class_weights(y, "none") if weights is None else weights
    shares = _shares(model, x, y, w, _per_sample(loss))
    columns = {"n": w.counts, "weight": w.weights, "weight_share": w.share}
    columns |= {"loss_share": shares.loss, "gradient_share": shares.gradient}
    return pd.DataFrame(columns, index=pd.Index(w.classes, name="class"))


def _shares(model: "keras.Model", x: Any, y: Any, weights: "Weights", function: "PerSample") -> "Shares":
    from equipoise.data.types import Samples
    from equipoise.training.audit import audit as measured

    classes = len(weights.classes)

    def predict(rows: Integers) -> Floats:
        found: Floats = np.asarray(model.predict(_rows(x, rows), verbose=0), np.float32)
        checked_logits(found, classes, "what the model says")
        return found

    labels = weights.indices(y)
    is_single = predict(np.arange(min(1, len(labels)))).shape[1] == 1
    form: LabelForm = "binary" if is_single else "one_hot" if np.ndim(y) == 2 and np.shape(y)[1] > 1 else "sparse"
    return measured(predict, function, Samples(np.arange(len(labels)), labels), weights.weights, form)


def _rows(x: Any, rows: Integers) -> Any:
    """Return these samples of the features, in the form that the model takes: an array, or several by name or place."""
    if isinstance(x, Mapping):
        return {name: np.asarray(values)[rows] for name, values in x.items()}
    return [np.asarray(values)[rows] for values in x] if isinstance(x, tuple) else np.asarray(x)[rows]


def _per_sample(loss: Any) -> "PerSample":
    """Return the loss as one value a sample."""
    from equipoise.methods.label_forms import cross_entropy

    if loss is None:
        return cross_entropy
    if getattr(loss, "from_logits", True) is False:
        raise ConfigError(f"loss {loss.name} takes probabilities: make it with from_logits=True")
    function: PerSample = loss.call if hasattr(loss, "call") else loss
    return function
