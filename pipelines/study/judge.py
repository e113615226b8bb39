"""Judge what a run of the study has logged, by every rule that is free, at each length of its training."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config
from equipoise.core.schema import BEST, Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.methods import calibration
from equipoise.methods.cross_fitting import cross_fitted
from equipoise.methods.deciders import Decide
from equipoise.methods.decisions import DECISIONS, Known
from equipoise.methods.priors import target_prior
from equipoise.methods.tasks.judge_classes import learned_prior
from equipoise.metrics.classification import class_logits, log_softmax
from equipoise.metrics.probabilities import OfClasses
from equipoise.runs.weigh import training, weigh

FREE = ("none", "boosting")  # methods without weights, whose models every rule decides
TAUS = (0.0, 0.25, 0.5, 0.75, 1.0)
TUNED = "balanced_accuracy"


@dataclass(frozen=True)
class Judged:
    """What one rule makes of one model.

    Attributes
    ----------
    confusion, validation : int64 (classes * classes,), counts by true and then predicted class, of test rows and of
        validation rows, which `tuned` decides cross-fitted; after a temperature their logits alone are cross-fitted
    log_loss : of the test rows, with the class frequencies of the training rows; NaN where the prior that the model
        learned under is not known
    """

    rule: str
    confusion: Integers
    validation: Integers
    log_loss: float


@dataclass(frozen=True)
class Context:
    """What a run was trained on and judged against."""

    test: Integers  # labels, int64 (n,)
    validation: Integers
    classes: int
    known: Known  # its logits are of no model yet
    uncorrected: str  # why the prior is not known

    def confusion(self, labels: Integers, predicted: Integers) -> Integers:
        """Return the counts by true and then predicted class, int64 (classes * classes,)."""
        found: Integers = np.bincount(labels * self.classes + predicted, minlength=self.classes**2)
        return found


def context(config: Config, data: Prepared) -> Context:
    """Return it."""
    weights = weigh(config, data)
    effective = learned_prior(training(config, data, weights))
    uncorrected = "" if effective is not None else advice.uncorrected(config, weights)
    labels = {name: np.asarray(data.split(name).labels) for name in ("test", "validation")}
    nothing = np.empty((0, len(data.classes)))
    known = Known(labels["validation"], nothing, effective, _prior(config, data), None, data.classes)
    return Context(labels["test"], labels["validation"], len(data.classes), known, uncorrected)


def _prior(config: Config, data: Prepared) -> Floats:
    """Return the class frequencies of the training rows, whatever the rows of `synthetic` are judged by."""
    dataset = config.dataset.model_copy(update={"target_prior": "training"})
    return target_prior(dataset, data)


def by_rules(
    of: Context, test: Floats, validation: Floats, *, free: bool, calibrated: bool = False
) -> Iterator[Judged]:
    """Yield what argmax makes of the logits, and with `free` every other rule; the last one only if `calibrated`.

    Parameters
    ----------
    test, validation : float32 (n, logits)
    """
    test, validation = class_logits(test), class_logits(validation)
    known = replace(of.known, logits=validation)
    yield _judged(of, "argmax", known, test, DECISIONS["argmax"](known))
    if not free:
        return
    decides = [DECISIONS["logit_adjusted"](known, tau=tau) for tau in TAUS]
    yield _judged(of, "post_hoc", known, test, decides[-1])
    scores = [balanced_accuracy(of.confusion(known.labels, decide(validation)), of.classes) for decide in decides]
    nearest = len(TAUS) - 1 - int(np.argmax(scores[::-1]))  # of equally good ones that nearest to 1
    yield _judged(of, "post_hoc_validated", known, test, decides[nearest])
    rule, options = DECISIONS["tuned"], {"metric": TUNED}
    found = _judged(of, "tuned", known, test, rule(known, **options))
    decided, _ = cross_fitted(known, {"tuned": (rule, options)})
    yield replace(found, validation=of.confusion(known.labels, decided["tuned"])) if decided else found
    if calibrated:
        calibrate, after = calibration.calibrated("temperature", known)
        yield _judged(of, "temperature_tuned", after, calibrate(test), rule(after, **options))


def _judged(of: Context, name: str, known: Known, test: Floats, decide: Decide) -> Judged:
    moved = OfClasses(known.effective, known.target, of.uncorrected)
    log_loss = float("nan")
    if not of.uncorrected:
        corrected = moved.corrected(log_softmax(test))
        log_loss = float(-corrected[np.arange(len(test)), of.test].mean())
    confusions = (of.confusion(of.test, decide(test)), of.confusion(known.labels, decide(known.logits)))
    return Judged(name, *confusions, log_loss)


def majority(of: Context) -> Judged:
    """Return what the most frequent class makes: so a training is judged that has diverged."""
    top = int(np.argmax(of.known.target))
    test, validation = (of.confusion(labels, np.full(len(labels), top)) for labels in (of.test, of.validation))
    return Judged("argmax", test, validation, float("nan"))


def balanced_accuracy(confusion: Integers, classes: int) -> float:
    """Return the mean recall of the classes that have rows."""
    matrix = confusion.reshape(classes, classes)
    rows = matrix.sum(axis=1)
    return float((np.diag(matrix)[rows > 0] / rows[rows > 0]).mean())


def lengths(content: bytes) -> dict[int | str, tuple[Floats, Floats]]:
    """Return the logits that `evaluation/earlier.npz` holds, of test and validation rows, by epochs and BEST."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found: Mapping[str, Any] = dict(arrays)
    names = [name.removeprefix("test_") for name in found if name.startswith("test_")]
    return {name if name == BEST else int(name): (found[f"test_{name}"], found[f"validation_{name}"]) for name in names}
