"""Predictions of any number of labels a sample, judged on the test split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from equipoise.core.schema import NONE, Booleans, Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.data.types import ClassCounts
from equipoise.methods import calibration
from equipoise.methods.cross_fitting import FEWEST, decided_apart
from equipoise.methods.deciders import LabelSets
from equipoise.methods.decisions import DECISIONS, LabelRule, label_rules
from equipoise.methods.losses import LOSSES
from equipoise.methods.priors import label_odds
from equipoise.methods.tasks.judge_open import with_open
from equipoise.methods.tasks.task import VALIDATION_RESAMPLES, Judging, Logits, Training, Verdict
from equipoise.metrics import multilabel
from equipoise.metrics.calibrated import UNCHANGED, Calibrated
from equipoise.metrics.intervals import Interval, label_intervals
from equipoise.metrics.left_open import sets_of_labels
from equipoise.metrics.probabilities import OfLabels

# From labels and logits, (n, labels), to calibrated logits of any others, and cross-fitted ones of these.
Fit = Callable[[Integers, Floats], tuple[Calibrated, Floats]]


@dataclass(frozen=True)
class Labelled:
    """What a model says of samples with any number of labels.

    Attributes
    ----------
    labels : 0 and 1, int64 (n, labels)
    logits : float64 (n, labels)
    """

    labels: Integers
    logits: Floats


def judge_labels(data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
    """Judge the predictions on the test split; thresholds are tuned on the validation split."""
    test, validation = (
        Labelled(np.asarray(data.split(name).labels), np.asarray(values, np.float64))
        for name, values in (("test", logits.test), ("validation", logits.validation))
    )
    odds = label_odds(training.weights, training.loss)
    how = "" if LOSSES[training.loss.name].positives is None else " with gamma or clip"
    why = f"loss={training.loss.name}{how}: what it learns has no analytic form"
    return judge_labelled(data, test, validation, OfLabels(odds, "" if odds is not None else why), judging)


def judge_labelled(
    data: ClassCounts, test: Labelled, validation: Labelled, moved: OfLabels, judging: Judging
) -> Verdict:
    """Judge the predictions on the test samples.

    Parameters
    ----------
    data : the labels, and how many training samples have each
    validation : what thresholds are tuned on; without samples none is
    moved : makes probabilities of logits
    """
    labels, values = test.labels, test.logits
    calibration.check(judging.calibration, validation.labels, data.classes)
    name, has_validation = judging.decision.name, len(validation.labels) > 0
    makers = label_rules(judging.decision, data.classes, judging.used, has_validation=has_validation)
    fit = partial(calibration.calibrated_labels, judging.calibration, odds=moved.odds)
    calibrated, apart = fit(validation.labels, validation.logits)
    logits, is_calibrated = calibrated(values), judging.calibration != NONE
    if is_calibrated:
        tilted = moved.odds is None and not calibration.leaves_prior_known(judging.calibration)
        moved = OfLabels(None, moved.uncorrected if tilted else "", calibrated)
    rules = {
        each: make(validation.labels, validation.logits if _by_own_logits(each) else apart)
        for each, make in makers.items()
    }
    decide, decided = rules[name], {each: rule(logits) for each, rule in rules.items()}
    predicted, on_validation = decided[name], _on_validation(validation, makers, fit if is_calibrated else None)
    sets = decide.sets(values) if isinstance(decide, LabelSets) else None
    sets_apart = None if sets is None else _sets_apart(validation, makers[name])
    evaluation = multilabel.evaluate(labels, values, predicted, data.classes, data.counts)
    if is_calibrated:
        scores = multilabel.sample_scores(labels, predicted, logits)
        evaluation.summary["log_loss_corrected"] = float(scores["log_loss"].mean())
    few = calibration.notes(judging.calibration, validation.labels, len(data.classes))
    notes = (*evaluation.notes, *few, *([decide.note] if isinstance(decide, LabelSets) else []))
    left = None if sets is None else sets_of_labels(labels, sets)
    return Verdict(
        labels=labels,
        log_probabilities=np.log(moved.raw(values)),
        corrected=-np.logaddexp(0, -logits) if is_calibrated else None,
        evaluation=with_open(replace(evaluation, notes=notes), left),
        intervals=label_intervals(labels, predicted, values, resamples=judging.resamples),
        rules=_by_rule(labels, decided, name, sets),
        validation_rules=_by_rule(validation.labels, on_validation, name, sets_apart),
        validation_intervals=_validation_intervals(validation, on_validation.get(name), judging),
        decide=decide,
        probabilities=moved,
        predicted=predicted,
        predictions=_predictions(data.classes, test, predicted, moved, sets),
    )


def _by_own_logits(rule: str) -> bool:
    record = DECISIONS[rule].of_labels
    return record is not None and record.before_calibration


def _predictions(
    classes: Sequence[str], test: Labelled, predicted: Integers, moved: OfLabels, sets: Booleans | None
) -> dict[str, Any]:
    kinds: dict[str, Any] = {"label": test.labels, "predicted": predicted, "p": moved.raw(test.logits)}
    kinds |= {} if moved.uncorrected else {"p_corrected": moved(test.logits)}
    kinds |= {} if sets is None else {"set": sets}
    return {
        f"{kind}({name})": columns[:, index] for index, name in enumerate(classes) for kind, columns in kinds.items()
    }


def _sets_apart(validation: Labelled, make: LabelRule) -> Booleans | None:
    """Return the sets of the validation samples, bool (n, labels), each by the other folds; None of too few."""
    labels, logits = validation.labels, validation.logits
    if len(labels) < FEWEST:
        return None

    def tune(samples: Booleans) -> Callable[[Floats], Any]:
        decide: Any = make(labels[samples], logits[samples])
        sets: Callable[[Floats], Any] = decide.sets
        return sets

    return decided_apart(labels.sum(axis=1), logits, tune).astype(bool)


def _by_rule(
    labels: Integers, decided: Mapping[str, Integers], configured: str, sets: Booleans | None
) -> dict[str, dict[str, float]]:
    found = {rule: multilabel.decision_metrics(labels, predicted) for rule, predicted in decided.items()}
    if sets is not None and configured in found:
        found[configured] |= sets_of_labels(labels, sets).by_rule
    return found


def _on_validation(validation: Labelled, makers: Mapping[str, LabelRule], fit: Fit | None) -> dict[str, Integers]:
    """Return what every rule decides of the validation samples, each label by a threshold that they did not tune.

    Each label has folds of its own, since its threshold depends on no other label. A calibration may depend on all
    labels; then they share folds, in which samples with as many labels are dealt out in turn.
    """
    labels, logits = validation.labels, validation.logits
    if len(labels) < FEWEST:
        return {}

    def of_label(make: LabelRule, index: int) -> Integers:
        column = slice(index, index + 1)
        return decided_apart(
            labels[:, index],
            logits[:, column],
            lambda samples: make(labels[samples, column], logits[samples, column]),
        )

    def of_all(make: LabelRule, fit: Fit) -> Integers:
        def tune(samples: Booleans) -> Callable[[Floats], Integers]:
            calibrated, apart = fit(labels[samples], logits[samples])
            decide = make(labels[samples], apart)
            return lambda rows: decide(calibrated(rows))

        return decided_apart(labels.sum(axis=1), logits, tune)

    if fit is not None:
        return {name: of_all(make, fit) for name, make in makers.items()}
    columns = range(labels.shape[1])
    return {
        name: of_all(make, lambda _, found: (UNCHANGED, found))
        if _by_own_logits(name)
        else np.hstack([of_label(make, column) for column in columns])
        for name, make in makers.items()
    }


def _validation_intervals(validation: Labelled, decided: Integers | None, judging: Judging) -> dict[str, Interval]:
    if decided is None:
        return {}
    resamples = min(judging.resamples, VALIDATION_RESAMPLES)
    return label_intervals(validation.labels, decided, validation.logits, resamples=resamples, ranked=False)
