"""Calibration: probabilities that hold, fitted on the validation split before any decision. NumPy and SciPy.

Logits are moved from the prior that the model learned under, where that is known, to the class frequencies of the
validation rows; the rest is fitted there, by the likelihood of these rows. Those frequencies are then the prior of the
calibrated logits, which every rule goes by, and from which `dataset.target_prior` moves. A temperature alone takes no
tilt out, so after it an unknown prior stays unknown.

A rule that is tuned on the rows that fit the calibration would be misled by them. So it is tuned on logits that are
cross-fitted: those of each of FOLDS folds are calibrated by the other folds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, Floats, Integers, KeyOf, Section
from equipoise.methods.decisions import Known
from equipoise.methods.folds import folds
from equipoise.metrics.calibrated import UNCHANGED, Affine, Beta, Calibrated, Steps, log_shares
from equipoise.metrics.classification import log_softmax

SCALES, MOST_BIAS = (0.01, 100.0), 50.0  # what is fitted stays within these, also where rows are told apart
ROWS_A_NUMBER = 10  # of the rarest class, for each number that is fitted a class (Peduzzi et al. 1996)
FITTED = "fitted the calibration"
ROWS_OF_STEPS = 1000  # below which isotonic regression overfits (Niculescu-Mizil & Caruana 2005, section 4)


@dataclass(frozen=True)
class Rows:
    """What a calibration is fitted to.

    Attributes
    ----------
    labels : int64 (n,) class indices, or 0 and 1 of (n, labels)
    logits : float64 (n, classes) or (n, labels), under the prior that is known or not
    offset : float64 (classes,), which moves the logits to the class frequencies of these rows; 0 where unknown
    """

    labels: Integers
    logits: Floats
    offset: Floats

    @property
    def exclusive(self) -> bool:
        """Whether a sample has one class."""
        return self.labels.ndim == 1

    @property
    def is_of(self) -> Floats:
        """1 where a sample has the class or label, else 0, float64 of the shape of the logits."""
        indices = np.arange(self.logits.shape[1])
        return (self.labels[:, np.newaxis] == indices if self.exclusive else self.labels).astype(np.float64)


def temperature(rows: Rows) -> Calibrated:
    """z / T, one T for all classes (Guo et al. 2017, section 4.2).

    A model that is too sure exaggerates what it has learned: under weights the tilt as well, under a loss that holds
    the prior itself not. So the known prior is taken out before or after, whichever makes the rows likelier.
    """
    of_loss = _class_loss if rows.exclusive else _label_loss
    orders = [_affine(rows, one_scale=True, biases=False), _scaled_first(rows)]
    return min(orders, key=lambda found: of_loss(found(rows.logits), rows.is_of)[0])


def bias_corrected(rows: Rows) -> Calibrated:
    """z / T + b_c, one T, and a bias a class: bias-corrected temperature scaling (Alexandari et al. 2020, eq. 3)."""
    return _affine(rows, one_scale=True, biases=True)


def vector(rows: Rows) -> Calibrated:
    """w_c z_c + b_c, a scale and a bias a class (Guo et al. 2017, eq. 8); of a label, Platt's scaling."""
    return _affine(rows, one_scale=False, biases=True)


def beta(rows: Rows) -> Calibrated:
    """a log p - b log(1 - p) + c for each class against the rest, a and b not below 0 (Kull et al. 2017, eq. 5).

    Probabilities of classes are renormalised.
    """
    log_p, log_rest = log_shares(rows.logits + rows.offset, exclusive=rows.exclusive)
    width, is_of = rows.logits.shape[1], rows.is_of

    def loss(found: Floats) -> tuple[float, Floats]:
        a, b, c = found.reshape(3, width)
        value, error = _label_loss(a * log_p - b * log_rest + c, is_of)
        return value, np.concatenate([(error * log_p).sum(0), -(error * log_rest).sum(0), error.sum(0)])

    start, bounds = (
        [1.0] * 2 * width + [0.0] * width,
        [(0.0, SCALES[1])] * 2 * width + [(-MOST_BIAS, MOST_BIAS)] * width,
    )
    a, b, c = _least(loss, start, bounds).reshape(3, width)
    return Beta(rows.offset, a, b, c, rows.exclusive)


def isotonic(rows: Rows) -> Calibrated:
    """The rising steps nearest to the rows, of each class against the rest (Zadrozny & Elkan 2002).

    Probabilities of classes are renormalised. Values stay 1 / (n + 2) away from 0 and 1, as by Laplace's rule of
    succession, and that part of it that a class has among all: n rows can show no more.
    """
    from sklearn.isotonic import IsotonicRegression

    p = np.exp(log_shares(rows.logits + rows.offset, exclusive=rows.exclusive)[0])
    least = 1 / ((len(p) + 2) * (p.shape[1] if rows.exclusive else 1))
    fits = [
        IsotonicRegression(y_min=least, y_max=1 - least).fit(scores, is_of)
        for scores, is_of in zip(p.T, rows.is_of.T, strict=True)
    ]
    scores, values = (tuple(getattr(fit, f"{of}_thresholds_") for fit in fits) for of in ("X", "y"))
    return Steps(rows.offset, scores, values, rows.exclusive)


@dataclass(frozen=True)
class Method:
    """A calibration and all that is known of it.

    Attributes
    ----------
    function : from the validation rows to the map of logits
    numbers : how many numbers it fits for each class; 0: one for all of them
    fewest : rows below which it is said to overfit
    has_tilt : whether it leaves a tilt of the classes in that is not known
    has_steps : whether it makes scores equal that differ
    """

    function: Callable[[Rows], Calibrated]
    numbers: int
    fewest: int = 0
    has_tilt: bool = False
    has_steps: bool = False

    def __call__(self, rows: Rows) -> Calibrated:
        return self.function(rows)


CALIBRATIONS: Mapping[str, Method] = {
    "temperature": Method(temperature, 0, has_tilt=True),
    "bias_corrected": Method(bias_corrected, 1),
    "vector": Method(vector, 2),
    "beta": Method(beta, 3),
    "isotonic": Method(isotonic, 0, fewest=ROWS_OF_STEPS, has_steps=True),
}


class Calibration(Section):
    """How probabilities are calibrated; no calibration has an option."""

    name: Annotated[str, KeyOf(CALIBRATIONS, NONE)]


def leaves_prior_known(name: str) -> bool:
    """Return whether the prior is known after this calibration, whatever it was before."""
    return name != NONE and not CALIBRATIONS[name].has_tilt


def calibrated(name: str, known: Known) -> tuple[Calibrated, Known]:
    """Return the map that is fitted to the validation rows, and what a decision rule may use after it.

    The rule's logits are cross-fitted, and its prior is that of the rows; of a temperature alone, only if it was known
    before. Without calibration nothing changes.

    Parameters
    ----------
    name : of the calibration, or none
    known : with labels and logits of one class a sample
    """
    if name == NONE:
        return UNCHANGED, known
    method, rows = CALIBRATIONS[name], _rows(known.labels, known.logits, known.effective)
    after = _prior_after(name, rows.labels, known.effective, len(known.target))
    return method(rows), replace(known, logits=_apart(method, rows), effective=after, used=(*known.used, FITTED))


def fitted(name: str, labels: Integers, logits: Floats, effective: Floats | None) -> tuple[Calibrated, Floats | None]:
    """Return the map that is fitted to these rows, and the prior of its logits as `calibrated` knows it.

    Parameters
    ----------
    labels, logits : int64 (n,) and float64 (n, classes)
    effective : float64 (classes,), the prior of the logits; None: not known
    """
    if name == NONE:
        return UNCHANGED, effective
    found = CALIBRATIONS[name](_rows(labels, logits, effective))
    return found, _prior_after(name, labels, effective, logits.shape[1])


def calibrated_labels(name: str, labels: Integers, logits: Floats, odds: Floats | None) -> tuple[Calibrated, Floats]:
    """Return the same for several labels a sample: the map, and cross-fitted logits, float64 (n, labels).

    Parameters
    ----------
    odds : float64 (labels,), the factor by which the loss multiplied each label's odds; None: not known
    """
    if name == NONE:
        return UNCHANGED, logits
    offset = np.zeros(logits.shape[1]) if odds is None else -np.log(odds)
    rows = Rows(labels, logits, offset)
    return CALIBRATIONS[name](rows), _apart(CALIBRATIONS[name], rows)


def check(name: str, labels: Integers, classes: Sequence[str]) -> None:
    """Refuse validation rows that cannot calibrate every class.

    Raises
    ------
    ConfigError
        If there are none, none of a class, or, of labels, all have the label.
    """
    if name == NONE:
        return
    if not len(labels):
        raise ConfigError(f"calibration={name} is fitted on validation rows, and there are none")
    kinds = np.arange(len(classes))
    is_of = labels[:, np.newaxis] == kinds if labels.ndim == 1 else labels.astype(bool)
    held = is_of.sum(axis=0)
    for what, lacking in (("none", held == 0), ("all", held == len(labels))):
        if lacking.any():
            found = listing([label for label, lacks in zip(classes, lacking.tolist(), strict=True) if lacks])
            raise ConfigError(
                f"calibration={name}: of the {len(labels)} validation rows {what} "
                f"{'is' if what == 'none' else 'are'} of {found}, whose probability cannot be calibrated so; "
                "choose other validation rows, or calibration=none"
            )


def notes(name: str, labels: Integers, classes: int) -> list[str]:
    """Return a sentence if the validation rows are few for what is fitted to them."""
    if name == NONE:
        return []
    method, rows = CALIBRATIONS[name], len(labels)
    held = (
        np.bincount(labels, minlength=classes) if labels.ndim == 1 else np.minimum(labels.sum(0), (1 - labels).sum(0))
    )
    rarest, wanted = int(held.min()), ROWS_A_NUMBER * method.numbers
    cure = "calibration=temperature fits one number"
    if rows < method.fewest:
        return [f"calibration={name} fits steps to {rows:,} validation rows, and wants {method.fewest:,}; {cure}"]
    if rarest >= wanted:
        return []
    several = f"{method.numbers} number{'s' * (method.numbers > 1)}"
    return [
        f"calibration={name} fits {several} a class, and the rarest has {rarest} validation rows of {wanted}; {cure}"
    ]


def _apart(method: Method, rows: Rows) -> Floats:
    """Return the logits of each row as the other folds calibrate it."""
    by = rows.labels if rows.exclusive else rows.labels.sum(axis=1)
    fold, found, is_of = folds(by), np.array(rows.logits, np.float64), rows.is_of
    for each in np.unique(fold):
        rest, held_out = fold != each, fold == each
        # What lacks a class says nothing of it: such a fold is calibrated by all rows.
        lacks = ((is_of[rest].sum(axis=0) == 0) & is_of.any(axis=0)).any() or (
            not rows.exclusive and (is_of[rest].all(axis=0) & ~is_of.all(axis=0)).any()
        )
        part = rows if lacks else replace(rows, labels=rows.labels[rest], logits=rows.logits[rest])
        found[held_out] = method(part)(rows.logits[held_out])
    return found


def _rows(labels: Integers, logits: Floats, effective: Floats | None) -> Rows:
    classes = logits.shape[1]
    offset = np.zeros(classes) if effective is None else np.log(_frequencies(labels, classes)) - np.log(effective)
    return Rows(labels, logits, offset)


def _prior_after(name: str, labels: Integers, effective: Floats | None, classes: int) -> Floats | None:
    """Return the prior of calibrated logits, float64 (classes,); None if it is not known."""
    return None if effective is None and CALIBRATIONS[name].has_tilt else _frequencies(labels, classes)


def _frequencies(labels: Integers, classes: int) -> Floats:
    """Return the share of each class, float64 (classes,); of a class without rows half a row counts."""
    counts = np.maximum(np.bincount(labels, minlength=classes), 0.5)
    shares: Floats = counts / counts.sum()
    return shares


def _affine(rows: Rows, *, one_scale: bool, biases: bool) -> Affine:
    logits, is_of, width = rows.logits + rows.offset, rows.is_of, rows.logits.shape[1]
    scales = 1 if one_scale else width
    of_loss = _class_loss if rows.exclusive else _label_loss

    def loss(found: Floats) -> tuple[float, Floats]:
        value, error = of_loss(logits * found[:scales] + (found[scales:] if biases else 0), is_of)
        by_class = (error * logits).sum(0)
        of_scale = by_class.sum(keepdims=True) if one_scale else by_class
        return value, np.concatenate([of_scale, error.sum(0)]) if biases else of_scale

    more = width if biases else 0
    found = _least(loss, [1.0] * scales + [0.0] * more, [SCALES] * scales + [(-MOST_BIAS, MOST_BIAS)] * more)
    scale, bias = np.broadcast_to(found[:scales], width), found[scales:] if biases else np.zeros(width)
    return Affine(scale.copy(), rows.offset * scale + bias)


def _scaled_first(rows: Rows) -> Affine:
    """Return one scale, after which the logits are moved to the class frequencies of the rows."""
    of_loss, is_of = _class_loss if rows.exclusive else _label_loss, rows.is_of

    def loss(found: Floats) -> tuple[float, Floats]:
        value, error = of_loss(rows.logits * found + rows.offset, is_of)
        return value, (error * rows.logits).sum(keepdims=True).ravel()

    scale = np.repeat(_least(loss, [1.0], [SCALES]), rows.logits.shape[1])
    return Affine(scale, rows.offset)


def _class_loss(logits: Floats, is_of: Floats) -> tuple[float, Floats]:
    """Return the mean log loss over samples, and its derivative by the logits, of their shape."""
    log_p = log_softmax(logits)
    return -float((log_p * is_of).sum() / len(logits)), (np.exp(log_p) - is_of) / len(logits)


def _label_loss(logits: Floats, is_of: Floats) -> tuple[float, Floats]:
    """Return the same where each column is a question of its own."""
    value = float((np.logaddexp(0, logits) - is_of * logits).sum() / len(logits))
    return value, (1 / (1 + np.exp(-np.clip(logits, -700, 700))) - is_of) / len(logits)


def _least(
    loss: Callable[[Floats], tuple[float, Floats]], start: Sequence[float], bounds: Sequence[tuple[float, float]]
) -> Floats:
    """Return where a convex loss, with its derivative, is least within the bounds."""
    from scipy.optimize import minimize

    how = {"maxiter": 2000, "maxfun": 20_000, "ftol": 1e-13, "gtol": 1e-9}
    found: Floats = minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options=how).x
    return found
