"""Predictions of any number of labels a sample, judged on the test split."""

import numpy as np

from equipoise.data.prepared import Prepared
from equipoise.methods.decisions import of_labels
from equipoise.methods.priors import label_odds
from equipoise.methods.tasks.task import Judging, Logits, Training, Verdict
from equipoise.metrics import multilabel
from equipoise.metrics.intervals import label_intervals
from equipoise.metrics.probabilities import OfLabels


def judge_labels(data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
    """Judge the predictions on the test split; thresholds are tuned on the validation split."""
    validation, labels = (np.asarray(data.split(name).labels) for name in ("validation", "test"))
    values, for_tuning = np.asarray(logits.test, np.float64), np.asarray(logits.validation, np.float64)
    rules = of_labels(judging.decision, validation, for_tuning)
    decided = {name: rule(values) for name, rule in rules.items()}
    predicted = decided[judging.decision.name]
    odds = label_odds(training.weights, training.loss)
    why = f"loss={training.loss.name} with gamma or clip: what it learns has no analytic form"
    moved = OfLabels(odds, "" if odds is not None else why)
    kinds = {"label": labels, "predicted": predicted, "p": moved.raw(values)}
    kinds |= {} if moved.uncorrected else {"p_corrected": moved(values)}
    return Verdict(
        labels=labels,
        log_probabilities=np.log(moved.raw(values)),
        corrected=None,
        evaluation=multilabel.evaluate(labels, values, predicted, data.classes, data.counts),
        intervals=label_intervals(labels, predicted, values, resamples=judging.resamples),
        rules={rule: multilabel.decision_metrics(labels, found) for rule, found in decided.items()},
        decide=rules[judging.decision.name],
        probabilities=moved,
        predictions={
            f"{kind}({name})": columns[:, index]
            for index, name in enumerate(data.classes)
            for kind, columns in kinds.items()
        },
    )
