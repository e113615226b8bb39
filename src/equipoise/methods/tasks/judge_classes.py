"""Predictions of one class a sample, judged on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE, Booleans, Floats, Integers, arguments
from equipoise.data.mixing import MIXES
from equipoise.data.prepared import Prepared
from equipoise.methods import calibration
from equipoise.methods.cross_fitting import cross_fitted
from equipoise.methods.deciders import ClassSets, Decide, names_of
from equipoise.methods.decisions import Decision, Known, Rule, applicable
from equipoise.methods.label_shift import Source
from equipoise.methods.priors import effective_prior
from equipoise.methods.tasks.judge_open import Judge, sets_apart, with_open
from equipoise.methods.tasks.task import VALIDATION_RESAMPLES, Judging, Logits, Training, Verdict
from equipoise.metrics import ranks
from equipoise.metrics.classification import (
    Predictions,
    class_logits,
    evaluate,
    frequency_groups,
    log_softmax,
    most_probable,
)
from equipoise.metrics.intervals import Interval, class_intervals, unranked_intervals
from equipoise.metrics.probabilities import OfClasses
from equipoise.metrics.reliability import with_reliability

MOST_PROBABLE = 5  # classes of each sample among the predictions, where there are too many for a column each


@dataclass(frozen=True)
class Answers:
    """What a model says of samples with one class each.

    Attributes
    ----------
    labels : int64 (n,), true class indices
    logits : float64 (n, classes)
    weights : float64 (n,), by which metrics count the samples; None: all alike
    """

    labels: Integers
    logits: Floats
    weights: Floats | None = None


@dataclass(frozen=True)
class Learned:
    """What is known of the training behind the answers.

    Attributes
    ----------
    prior : float64 (classes,), that the model learned under; None if it has no analytic form, or is not known
    groups : `many`, `medium` and `few` to the indices of their classes
    shares : float64 (classes,), of the classes in training; None if they are not known
    """

    prior: Floats | None
    groups: Mapping[str, Integers]
    shares: Floats | None = None


def judge_classes(data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
    """Judge the predictions on the test split; the decision rule is tuned on the validation split."""
    groups = frequency_groups(training.weights.counts, judging.groups)
    learned = Learned(learned_prior(training), groups, data.prior)
    test, validation = (
        Answers(np.asarray(data.split(name).labels), class_logits(found), _weights(data, name, judging))
        for name, found in (("test", logits.test), ("validation", logits.validation))
    )
    return judge_answers(data.classes, test, validation, learned, judging)


def learned_prior(training: Training) -> Floats | None:
    """Return the prior that the model learned under, float64 (classes,); None if it is not known."""
    # Which labels a mix by counts has moved depends on pairs.
    moves = training.mix != NONE and MIXES[training.mix].by_count and training.second_stage == NONE
    if moves or not training.moves_prior:
        return None
    return effective_prior(training.weights, training.loss, training.second_stage, training.sampling)


def _weights(data: Prepared, split: str, judging: Judging) -> Floats | None:
    """Return the row weights of a split, if metrics are to count by them."""
    if not judging.weighted:
        return None
    weights = data.split(split).weights
    if weights is None:
        raise ConfigError(
            f"evaluation.weighted=true: the {split} rows have no weights: name a file with the column of dataset.weight"
        )
    return np.asarray(weights)


def judge_answers(
    classes: Sequence[str], test: Answers, validation: Answers, learned: Learned, judging: Judging
) -> Verdict:
    """Judge a model's answers on test samples, whoever trained it; the decision rule is tuned on validation samples."""
    calibration.check(judging.calibration, validation.labels, classes)
    seen = validation.labels, validation.logits
    before = Known(*seen, learned.prior, judging.target, judging.costs, tuple(classes), judging.used)
    calibrated, known = calibration.calibrated(judging.calibration, before)
    rules, configured = _rules(known, judging.decision, classes), judging.decision.name
    decides = {
        name: rule(before if rule.before_calibration else known, **options) for name, (rule, options) in rules.items()
    }
    decide, values = decides[configured], calibrated(test.logits)
    judge = Judge(configured, decide, judging.costs, len(classes))
    predicted = {name: each(values) for name, each in decides.items()}
    predictions = Predictions(test.labels, test.logits, predicted[configured], test.weights)
    uncorrected = "" if known.effective is not None else judging.uncorrected()
    moved = OfClasses(known.effective, known.target, uncorrected, calibrated)
    log_probabilities = predictions.log_probabilities if values is test.logits else log_softmax(values)
    corrected = None if uncorrected else moved.corrected(log_probabilities)
    evaluation = evaluate(predictions, classes, learned.groups, corrected, judge.costs_of(configured))
    intervals = class_intervals(
        predictions, learned.groups, corrected, fixed=judging.test_counts_fixed, resamples=judging.resamples
    )
    on_validation, unjudged = cross_fitted(before, rules, judging.calibration)
    few = calibration.notes(judging.calibration, validation.labels, len(classes))
    sets = decide.sets(test.logits) if isinstance(decide, ClassSets) else None
    apart = None if sets is None else sets_apart(before, *rules[configured])
    notes = (*evaluation.notes, *few, *_told(decide), *unjudged)
    evaluation = with_open(replace(evaluation, notes=notes), judge.left_open(predictions, sets))
    return Verdict(
        labels=test.labels,
        log_probabilities=predictions.log_probabilities,
        corrected=corrected,
        evaluation=with_reliability(evaluation, predictions, corrected),
        intervals={name: found for name, found in intervals.items() if name in evaluation.summary},
        rules=judge.metrics(test.labels, test.weights, predicted, sets),
        validation_rules=judge.metrics(validation.labels, validation.weights, on_validation, apart),
        validation_intervals=_validation_intervals(validation, on_validation.get(configured), judging),
        decide=decide,
        probabilities=moved,
        predicted=predicted[configured],
        predictions=_predictions(classes, predictions, corrected, sets),
        source=Source(validation.labels, validation.logits, learned.prior, judging.calibration, learned.shares)
        if len(validation.labels)
        else None,
    )


def _rules(known: Known, configured: Decision, classes: Sequence[str]) -> dict[str, tuple[Rule, Mapping[str, Any]]]:
    """Return the configured rule with its options, and every other for which all that it needs is known."""
    return {
        name: (rule, arguments(configured, rule.function, classes) if name == configured.name else rule.beside)
        for name, rule in applicable(known, configured.name).items()
    }


def _told(decide: Decide) -> list[str]:
    """Return what a reader must know of the decision."""
    note = getattr(decide, "note", "")
    return [note] if note else []


def _validation_intervals(answers: Answers, decided: Integers | None, judging: Judging) -> dict[str, Interval]:
    if decided is None:
        return {}
    resamples = min(judging.resamples, VALIDATION_RESAMPLES)
    predictions = Predictions(answers.labels, answers.logits, decided, answers.weights)
    return unranked_intervals(predictions, fixed=judging.test_counts_fixed, resamples=resamples)


def _predictions(
    classes: Sequence[str], found: Predictions, corrected: Floats | None, sets: Booleans | None
) -> dict[str, Any]:
    """Return the columns of the predictions; `predicted` is None of a sample that is given no class."""
    names, labels = np.array(classes), found.labels
    columns: dict[str, Any] = {"label": names[labels], "predicted": names_of(found.predicted, classes)}
    if sets is not None:
        columns |= {"set_size": sets.sum(axis=1), "set(label)": sets[np.arange(len(labels)), labels]}
        if len(names) <= ranks.MOST_POINTS:
            columns |= {f"set({name})": column for name, column in zip(classes, sets.T, strict=True)}
    log_probabilities = {"": found.log_probabilities} | ({} if corrected is None else {"_corrected": corrected})
    for kind, values in log_probabilities.items():
        if len(names) <= ranks.MOST_POINTS:
            by_class = zip(classes, np.exp(values).T, strict=True)
            columns |= {f"p{kind}({name})": column for name, column in by_class}
            continue
        columns[f"p{kind}(label)"] = np.exp(values[np.arange(len(labels)), labels])
        highest = most_probable(values, MOST_PROBABLE) if kind == "" else ()
        for place, (top, probability) in enumerate(highest, start=1):
            columns |= {f"top_{place}": names[top], f"p(top_{place})": probability}
    return columns
