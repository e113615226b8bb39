"""Logits as a script has them: of a Keras model, or made of the probabilities of any library."""

import warnings
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats
from equipoise.metrics.classification import class_logits

NEAR = 1e-3  # to 1, of the sum of a row of probabilities
EPSILON = float(np.finfo(np.float64).eps)


def logits(probabilities: Any, *, several_labels: bool = False) -> Floats:
    """Return logits of the probabilities of any library, for `evaluate`: their logarithms.

    Probabilities of 0 and 1 are taken for 2.2e-16 and 1 - 2.2e-16, as scikit-learn's `log_loss` does.

    Parameters
    ----------
    probabilities : (n, classes), such as `predict_proba(x)`; or (n,), those of the second of two classes
    several_labels : whether each column is the probability of a label of its own, (n, labels); their logits are the
        logarithms of the odds

    Returns
    -------
    float64 (n, classes), or (n, 1).

    Raises
    ------
    ConfigError
        If a value is not between 0 and 1, or a row does not sum to 1.

    Examples
    --------
    >>> import equipoise as eq
    >>> eq.logits([[0.5, 0.5], [0.9, 0.1]]).round(3)
    array([[-0.693, -0.693],
           [-0.105, -2.303]])
    >>> eq.logits([0.5, 0.1]).round(3)
    array([[ 0.   ],
           [-2.197]])
    >>> eq.logits([[0.5, 0.9]], several_labels=True).round(3)
    array([[0.   , 2.197]])
    """
    found: Floats = np.asarray(probabilities, np.float64)
    if found.ndim not in (1, 2) or not ((found >= 0) & (found <= 1)).all():
        raise ConfigError("probabilities: give numbers between 0 and 1, of shape (n, classes) or (n,)")
    kept = np.clip(found, EPSILON, 1 - EPSILON)
    if several_labels or found.ndim == 1 or found.shape[1] == 1:
        odds: Floats = np.log(kept / (1 - kept))
        return odds.reshape(-1, 1) if found.ndim == 1 else odds
    if not _sum_to_one(found):
        raise ConfigError(
            "probabilities: a row does not sum to 1; if a sample may have several labels: several_labels=True"
        )
    logarithms: Floats = np.log(kept)
    return logarithms


def checked_logits(values: Any, classes: int, where: str) -> Floats:
    """Return logits of shape (n, classes); a single logit z stands for (0, z).

    Parameters
    ----------
    where : what messages call them

    Raises
    ------
    ConfigError
        If the shape is another, a value is not finite, or they are probabilities.
    """
    found: Floats = np.asarray(values)
    if found.ndim == 1:
        found = found[:, np.newaxis]
    columns = (2, 1) if classes == 2 else (classes,)
    if found.ndim != 2 or found.dtype.kind not in "fiu" or found.shape[1] not in columns:
        raise ConfigError(f"{where} has the shape {np.shape(values)}; needed is one number a class, (n, {classes})")
    if not np.isfinite(found).all():
        raise ConfigError(f"{where} holds NaN or infinity; of probabilities of 0: eq.logits(probabilities)")
    if found.shape[1] > 1 and len(found) and (found >= 0).all() and _sum_to_one(found):
        raise ConfigError(f"{where} has rows that sum to 1, which are probabilities: eq.logits(probabilities)")
    if found.shape[1] == 1 and ((found >= 0) & (found <= 1)).all() and len(np.unique(found)) > 1:
        warnings.warn(f"{where} lies between 0 and 1; of probabilities: eq.logits(probabilities)", stacklevel=4)
    return class_logits(found)


def _sum_to_one(rows: Floats) -> bool:
    return bool(np.abs(rows.sum(axis=1) - 1).max(initial=0) <= NEAR)
