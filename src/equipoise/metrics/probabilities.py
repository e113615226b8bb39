"""From a model's logits to probabilities under the target prior, as they are logged and served. Pure NumPy.

Under a weighted loss a model learns other class frequencies than those of the data, and its own probabilities are
under that tilted prior. If the prior has an analytic form, they are moved to the target prior; otherwise the reason
why they are not is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.metrics.calibrated import UNCHANGED, Calibrated, as_data, from_data
from equipoise.metrics.classification import log_softmax, move_prior


@dataclass(frozen=True)
class OfClasses:
    """Probabilities of samples with one class each, from logits of shape (n, classes).

    Attributes
    ----------
    effective : float64 (classes,), the prior of the calibrated logits, or None if it has no analytic form
    target : float64 (classes,), the prior where the model will be used
    uncorrected : why `effective` is None, as part of a sentence; "" if it is not
    calibrated : makes calibrated logits of the model's
    """

    effective: Floats | None
    target: Floats
    uncorrected: str = ""
    calibrated: Calibrated = UNCHANGED

    def corrected(self, log_probabilities: Floats) -> Floats:
        """Move calibrated log probabilities, (n, classes), to the target prior; of equal priors not a bit changes."""
        if self.effective is None or np.array_equal(self.effective, self.target):
            return log_probabilities
        return move_prior(log_probabilities, self.effective, self.target)

    def raw(self, logits: Floats) -> Floats:
        """Return the model's own probabilities, float64 (n, classes)."""
        probabilities: Floats = np.exp(log_softmax(logits))
        return probabilities

    def __call__(self, logits: Floats) -> Floats:
        """Return probabilities under the target prior, or the model's own if the learned prior is not known."""
        probabilities: Floats = np.exp(self.corrected(log_softmax(self.calibrated(logits))))
        return probabilities


@dataclass(frozen=True)
class OfLabels:
    """Probabilities of samples with any number of labels, from logits of shape (n, labels).

    Weighting the positives of a label by v multiplies the odds that are learned by v (Elkan 2001, theorem 1).

    Attributes
    ----------
    odds : float64 (labels,), the factor by which the loss multiplied each label's odds, or None if it has no
        analytic form; once they are calibrated there is no factor left
    uncorrected, calibrated : as for `OfClasses`
    """

    odds: Floats | None
    uncorrected: str = ""
    calibrated: Calibrated = UNCHANGED

    def raw(self, logits: Floats) -> Floats:
        """Return the model's own probabilities, float64 (n, labels)."""
        probabilities: Floats = 1 / (1 + np.exp(-logits))
        return probabilities

    def __call__(self, logits: Floats) -> Floats:
        """Return probabilities with the odds of the training labels, or the model's own if the factor is not known."""
        logits = self.calibrated(logits)
        return self.raw(logits if self.odds is None else logits - np.log(self.odds))


Probabilities = OfClasses | OfLabels


def as_json(probabilities: Probabilities) -> dict[str, Any]:
    """Return the probabilities as data, from which `from_json` makes them again."""
    values = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(probabilities).items()
    }
    return {"kind": type(probabilities).__name__, **values, "calibrated": as_data(probabilities.calibrated)}


def from_json(data: Mapping[str, Any]) -> Probabilities:
    """Make the probabilities that `as_json` wrote; older runs knew no calibration."""
    kinds: Mapping[str, Any] = {"OfClasses": OfClasses, "OfLabels": OfLabels}
    fields = {
        name: np.array(value) if isinstance(value, list) else value
        for name, value in data.items()
        if name not in ("kind", "calibrated")
    }
    calibrated = from_data(data["calibrated"]) if "calibrated" in data else UNCHANGED
    made: Probabilities = kinds[data["kind"]](**fields, calibrated=calibrated)
    return made
