"""From a model's logits to the probabilities of where it will be used, as they are logged and served. Pure NumPy.

A weighted loss teaches other class frequencies than those of the data, and the model's own probabilities are those
of that tilted prior. Where it has an analytic form they are moved to the prior of use; otherwise it is said why not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.metrics.classification import log_softmax, move_prior


@dataclass(frozen=True)
class OfClasses:
    """Of one class a sample, from logits of shape (n, classes).

    Attributes
    ----------
    effective : float64 (classes,), the prior that the model learned under, or None if it has no analytic form
    target : float64 (classes,), that of where the model will be used
    uncorrected : why `effective` is None, in a sentence's part; "" if it is not
    """

    effective: Floats | None
    target: Floats
    uncorrected: str = ""

    def corrected(self, log_probabilities: Floats) -> Floats:
        """The model's log probabilities, (n, classes), under the target prior; to the bit the same if the two are equal."""
        if self.effective is None or np.array_equal(self.effective, self.target):
            return log_probabilities
        return move_prior(log_probabilities, self.effective, self.target)

    def raw(self, logits: Floats) -> Floats:
        """The model's own, float64 (n, classes)."""
        probabilities: Floats = np.exp(log_softmax(logits))
        return probabilities

    def __call__(self, logits: Floats) -> Floats:
        """Under the target prior, as far as the learned one is known."""
        probabilities: Floats = np.exp(self.corrected(log_softmax(logits)))
        return probabilities


@dataclass(frozen=True)
class OfLabels:
    """Of any number of labels a sample, from logits of shape (n, labels).

    Weighing the positives of a label by v multiplies the odds that are learned by v (Elkan 2001, theorem 1).

    Attributes
    ----------
    odds : float64 (labels,), what the loss multiplied each label's odds by, or None if that has no analytic form
    uncorrected : as of `OfClasses`
    """

    odds: Floats | None
    uncorrected: str = ""

    def raw(self, logits: Floats) -> Floats:
        """The model's own, float64 (n, labels)."""
        probabilities: Floats = 1 / (1 + np.exp(-logits))
        return probabilities

    def __call__(self, logits: Floats) -> Floats:
        """With the odds that the training labels have, as far as the factor is known."""
        return self.raw(logits if self.odds is None else logits - np.log(self.odds))


Probabilities = OfClasses | OfLabels


def as_json(probabilities: Probabilities) -> dict[str, Any]:
    """As data, from which `from_json` makes it again."""
    values = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(probabilities).items()
    }
    return {"kind": type(probabilities).__name__, **values}


def from_json(data: Mapping[str, Any]) -> Probabilities:
    """What `as_json` wrote."""
    kinds: Mapping[str, Any] = {"OfClasses": OfClasses, "OfLabels": OfLabels}
    made: Probabilities = kinds[data["kind"]](
        **{
            name: np.array(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name != "kind"
        }
    )
    return made
