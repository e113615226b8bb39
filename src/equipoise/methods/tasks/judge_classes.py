"""Predictions of one class a sample, judged on the test split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from equipoise.core.schema import Floats, Integers, arguments
from equipoise.data.prepared import Prepared
from equipoise.methods.decisions import DECISIONS, Decide, Decision, Known, applicable
from equipoise.methods.priors import effective_prior
from equipoise.methods.tasks.task import Judging, Logits, Training, Verdict
from equipoise.metrics import ranks
from equipoise.metrics.classification import (
    Predictions,
    class_logits,
    decision_metrics,
    evaluate,
    frequency_groups,
    most_probable,
)
from equipoise.metrics.intervals import class_intervals
from equipoise.metrics.probabilities import OfClasses

MOST_PROBABLE = 5  # classes of each sample among the predictions, where there are too many for a column each


def judge_classes(data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
    """Judge the predictions on the test split; the decision rule is tuned on the validation split."""
    labels, values = np.asarray(data.split("test").labels), class_logits(logits.test)
    weights, costs, target = training.weights, judging.costs, judging.target
    effective = effective_prior(weights, training.loss, training.second_stage, training.sampling)
    validation = np.asarray(data.split("validation").labels)
    known = Known(validation, class_logits(logits.validation), effective, target, costs)
    decide = _decision(known, judging.decision, data)
    predicted = decide(values)
    groups = frequency_groups(weights.counts, judging.groups)
    predictions = Predictions(labels, values, predicted)
    evaluation = evaluate(predictions, data.classes, groups, effective, target, costs)
    moved = OfClasses(effective, target, "" if effective is not None else judging.uncorrected)
    log_probabilities = {"": predictions.log_probabilities}
    if effective is not None:
        log_probabilities["_corrected"] = moved.corrected(log_probabilities[""])
    fixed, resamples = data.test_counts_fixed, judging.resamples
    corrected = log_probabilities.get("_corrected")
    intervals = class_intervals(predictions, groups, corrected, fixed=fixed, resamples=resamples)
    return Verdict(
        labels=labels,
        log_probabilities=log_probabilities[""],
        corrected=corrected,
        evaluation=evaluation,
        intervals={name: found for name, found in intervals.items() if name in evaluation.summary},
        rules=_by_rule(known, judging.decision.name, predicted, labels, values),
        decide=decide,
        probabilities=moved,
        predictions=_predictions(data, labels, predicted, log_probabilities),
    )


def _decision(known: Known, decision: Decision, data: Prepared) -> Decide:
    rule = DECISIONS[decision.name].function
    return rule(known, **arguments(decision, rule, data.classes))


def _by_rule(
    known: Known, configured: str, predicted: Integers, labels: Integers, logits: Floats
) -> dict[str, dict[str, float]]:
    """Return the metrics of every rule for which all that it needs is known; `predicted` is by the configured one."""
    found = {}
    for name, rule in applicable(known).items():
        decided = predicted if name == configured else rule.function(known, **rule.beside)(logits)
        found[name] = decision_metrics(labels, decided, logits.shape[1], known.costs)
    return found


def _predictions(
    data: Prepared, labels: Integers, predicted: Integers, log_probabilities: Mapping[str, Floats]
) -> dict[str, Any]:
    names = np.array(data.classes)
    columns = {"label": names[labels], "predicted": names[predicted]}
    for kind, values in log_probabilities.items():
        if len(names) <= ranks.MOST_KEYED:
            by_class = zip(data.classes, np.exp(values).T, strict=True)
            columns |= {f"p{kind}({name})": column for name, column in by_class}
            continue
        columns[f"p{kind}(label)"] = np.exp(values[np.arange(len(labels)), labels])
        highest = most_probable(values, MOST_PROBABLE) if kind == "" else ()
        for place, (top, probability) in enumerate(highest, start=1):
            columns |= {f"top_{place}": names[top], f"p(top_{place})": probability}
    return columns
