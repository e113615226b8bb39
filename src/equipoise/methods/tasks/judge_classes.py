"""Predictions of one class a sample, judged on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from equipoise.core.schema import NONE, ConfigError, Floats, Integers, arguments
from equipoise.data.mixing import MIXES
from equipoise.data.prepared import Prepared
from equipoise.methods.cross_fitting import cross_fitted
from equipoise.methods.decisions import Decision, Known, Rule, applicable
from equipoise.methods.priors import effective_prior
from equipoise.methods.tasks.task import VALIDATION_RESAMPLES, Judging, Logits, Training, Verdict
from equipoise.metrics import ranks
from equipoise.metrics.classification import (
    Predictions,
    class_logits,
    decision_metrics,
    evaluate,
    frequency_groups,
    most_probable,
)
from equipoise.metrics.intervals import Interval, class_intervals, unranked_intervals
from equipoise.metrics.probabilities import OfClasses

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
    """

    prior: Floats | None
    groups: Mapping[str, Integers]


def judge_classes(data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
    """Judge the predictions on the test split; the decision rule is tuned on the validation split."""
    weights = training.weights
    drawn = weights, training.loss, training.second_stage, training.sampling
    moves = training.mix != NONE and MIXES[training.mix].by_count and training.second_stage == NONE
    prior = None if moves else effective_prior(*drawn)  # which labels were moved depends on pairs
    learned = Learned(prior, frequency_groups(weights.counts, judging.groups))
    test, validation = (
        Answers(np.asarray(data.split(name).labels), class_logits(found), _weights(data, name, judging))
        for name, found in (("test", logits.test), ("validation", logits.validation))
    )
    return judge_answers(data.classes, test, validation, learned, judging)


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
    labels, values, effective = test.labels, test.logits, learned.prior
    costs, target = judging.costs, judging.target
    known = Known(validation.labels, validation.logits, effective, target, costs)
    rules = _rules(known, judging.decision, classes)
    decides = {name: rule(known, **options) for name, (rule, options) in rules.items()}
    predicted = {name: decide(values) for name, decide in decides.items()}
    configured = judging.decision.name
    predictions = Predictions(labels, values, predicted[configured], test.weights)
    evaluation = evaluate(predictions, classes, learned.groups, effective, target, costs)
    moved = OfClasses(effective, target, "" if effective is not None else judging.uncorrected())
    log_probabilities = {"": predictions.log_probabilities}
    if effective is not None:
        log_probabilities["_corrected"] = moved.corrected(log_probabilities[""])
    corrected = log_probabilities.get("_corrected")
    intervals = class_intervals(
        predictions, learned.groups, corrected, fixed=judging.test_counts_fixed, resamples=judging.resamples
    )
    on_validation, unjudged = cross_fitted(known, rules)
    of_rules = ((validation, on_validation), (test, predicted))
    on_validation_by_rule, by_rule = (
        {
            name: decision_metrics(true.labels, found, values.shape[1], costs, true.weights)
            for name, found in decided.items()
        }
        for true, decided in of_rules
    )
    return Verdict(
        labels=labels,
        log_probabilities=log_probabilities[""],
        corrected=corrected,
        evaluation=replace(evaluation, notes=(*evaluation.notes, *unjudged)),
        intervals={name: found for name, found in intervals.items() if name in evaluation.summary},
        rules=by_rule,
        validation_rules=on_validation_by_rule,
        validation_intervals=_validation_intervals(validation, on_validation.get(configured), judging),
        decide=decides[configured],
        probabilities=moved,
        predicted=predicted[configured],
        predictions=_predictions(classes, labels, predicted[configured], log_probabilities),
    )


def _rules(known: Known, configured: Decision, classes: Sequence[str]) -> dict[str, tuple[Rule, Mapping[str, Any]]]:
    """Return the configured rule with its options, and every other for which all that it needs is known."""
    return {
        name: (rule, arguments(configured, rule.function, classes) if name == configured.name else rule.beside)
        for name, rule in applicable(known, configured.name).items()
    }


def _validation_intervals(answers: Answers, decided: Integers | None, judging: Judging) -> dict[str, Interval]:
    if decided is None:
        return {}
    resamples = min(judging.resamples, VALIDATION_RESAMPLES)
    predictions = Predictions(answers.labels, answers.logits, decided, answers.weights)
    return unranked_intervals(predictions, fixed=judging.test_counts_fixed, resamples=resamples)


def _predictions(
    classes: Sequence[str], labels: Integers, predicted: Integers, log_probabilities: Mapping[str, Floats]
) -> dict[str, Any]:
    names = np.array(classes)
    columns = {"label": names[labels], "predicted": names[predicted]}
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
