"""Predictions of any number of labels a sample, judged on the test split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from equipoise.core.schema import NONE, Booleans, Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.data.types import ClassCounts
from equipoise.methods import calibration
from equipoise.methods.cross_fitting import FEWEST, decided_apart
from equipoise.methods.decisions import LabelRule, label_rules
from equipoise.methods.losses import LOSSES
from equipoise.methods.priors import label_odds
from equipoise.methods.tasks.task import VALIDATION_RESAMPLES, Judging, Logits, Training, Verdict
from equipoise.metrics import multilabel
from equipoise.metrics.calibrated import Calibrated
from equipoise.metrics.intervals import Interval, label_intervals
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
    makers = label_rules(judging.decision, has_validation=len(validation.labels) > 0)
    fit = partial(calibration.calibrated_labels, judging.calibration, odds=moved.odds)
    calibrated, apart = fit(validation.labels, validation.logits)
    logits, is_calibrated = calibrated(values), judging.calibration != NONE
    if is_calibrated:
        tilted = moved.odds is None and not calibration.leaves_prior_known(judging.calibration)
        moved = OfLabels(None, moved.uncorrected if tilted else "", calibrated)
    rules = {name: make(validation.labels, apart) for name, make in makers.items()}
    decided = {name: rule(logits) for name, rule in rules.items()}
    predicted = decided[judging.decision.name]
    on_validation = _on_validation(validation, makers, fit if is_calibrated else None)
    kinds = {"label": labels, "predicted": predicted, "p": moved.raw(values)}
    kinds |= {} if moved.uncorrected else {"p_corrected": moved(values)}
    evaluation = multilabel.evaluate(labels, values, predicted, data.classes, data.counts)
    if is_calibrated:
        evaluation.summary["log_loss_corrected"] = float(
            multilabel.sample_scores(labels, predicted, logits)["log_loss"].mean()
        )
    few = calibration.notes(judging.calibration, validation.labels, len(data.classes))
    return Verdict(
        labels=labels,
        log_probabilities=np.log(moved.raw(values)),
        corrected=-np.logaddexp(0, -logits) if is_calibrated else None,
        evaluation=replace(evaluation, notes=(*evaluation.notes, *few)),
        intervals=label_intervals(labels, predicted, values, resamples=judging.resamples),
        rules=_by_rule(labels, decided),
        validation_rules=_by_rule(validation.labels, on_validation),
        validation_intervals=_validation_intervals(validation, on_validation.get(judging.decision.name), judging),
        decide=rules[judging.decision.name],
        probabilities=moved,
        predicted=predicted,
        predictions={
            f"{kind}({name})": columns[:, index]
            for index, name in enumerate(data.classes)
            for kind, columns in kinds.items()
        },
    )


def _by_rule(labels: Integers, decided: Mapping[str, Integers]) -> dict[str, dict[str, float]]:
    return {rule: multilabel.decision_metrics(labels, found) for rule, found in decided.items()}


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
    return {name: np.hstack([of_label(make, column) for column in columns]) for name, make in makers.items()}


def _validation_intervals(validation: Labelled, decided: Integers | None, judging: Judging) -> dict[str, Interval]:
    if decided is None:
        return {}
    resamples = min(judging.resamples, VALIDATION_RESAMPLES)
    return label_intervals(validation.labels, decided, validation.logits, resamples=resamples, ranked=False)
