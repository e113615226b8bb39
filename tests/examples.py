"""A run that was never trained: plausible data, weights, logits and metrics, for what draws and reports."""

from dataclasses import replace

import numpy as np

from equipoise.data.types import ClassCounts
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import multilabel
from equipoise.metrics.classification import Evaluation, Predictions, evaluate, frequency_groups, log_softmax
from equipoise.metrics.intervals import Interval
from equipoise.reports.evidence import Evidence


def example(
    classes: int, absent: bool = False, name: str = "class number"
) -> tuple[ClassCounts, ClassWeights, Evaluation, np.ndarray, np.ndarray]:
    """Return a plausible run over so many classes; with `absent`, the last one has no test sample."""
    generator = np.random.default_rng(0)
    counts = np.maximum(3, (1000 * 0.01 ** (np.arange(classes) / (classes - 1))).astype(np.int64))
    names = tuple(f"{name} {index}" for index in range(classes))
    labels = np.repeat(np.arange(classes - absent), 30)
    logits = generator.normal(size=(len(labels), classes)) + 3 * np.eye(classes)[labels]
    data = ClassCounts(names, counts)
    predictions = Predictions(labels, logits, logits.argmax(axis=1))
    evaluation = evaluate(predictions, names, frequency_groups(counts, "terciles"), predictions.log_probabilities)
    return data, ClassWeights(names, counts, counts.sum() / (classes * counts)), evaluation, labels, logits


def evidence(classes: int, *, trained: bool = True, corrected: bool = True) -> Evidence:
    data, weights, evaluation, labels, logits = example(classes, absent=classes > 2)
    history = [
        {
            f"{split}/{name}": 0.5
            for split in ("train", "val")
            for name in ("loss", "log_loss", "balanced_accuracy", "macro_f1", "accuracy")
        }
    ] * 10
    rule = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall"), 0.75)
    return Evidence(
        name="balanced <b>&</b> cnn",
        data=data,
        weighting="balanced",
        weights=weights,
        optimizer="sgd",
        labels=labels,
        log_probabilities=log_softmax(logits),
        corrected=log_softmax(logits) if corrected else None,
        evaluation=evaluation,
        intervals={"balanced_accuracy": Interval(0.1234, 0.9876)},
        validation_rules={"argmax": {**rule, "mcc": 0.625}},
        rules={"argmax": rule, **({"logit_adjusted": {**rule, "balanced_accuracy": 0.875}} if corrected else {})},
        history=history if trained else [],
        shares={"gradient_share": weights.share},
        warnings=["weights that do nothing"],
    )


def evidence_of_labels(count: int) -> Evidence:
    """A run whose samples have any number of so many labels; the weights are 1."""
    generator = np.random.default_rng(0)
    often = np.linspace(0.4, 0.05, count)
    labels = (generator.random((300, count)) < often).astype(np.int64)
    labels[0] = 1
    logits = generator.normal(size=labels.shape) + 2.5 * labels - 1.5
    predicted = (logits > 0).astype(np.int64)
    names, counts = tuple(f"label {index}" for index in range(count)), (3000 * often).astype(np.int64)
    rules = {
        name: multilabel.decision_metrics(labels, found)
        for name, found in (("argmax", predicted), ("tuned", (logits > 0.5).astype(np.int64)))
    }
    return replace(
        evidence(2),
        data=ClassCounts(names, counts),
        weights=ClassWeights(names, counts, np.ones(count)),
        labels=labels,
        log_probabilities=-np.log1p(np.exp(-logits)),
        corrected=None,
        evaluation=multilabel.evaluate(labels, logits, predicted, names, counts),
        intervals={"macro_f1": Interval(0.25, 0.75)},
        rules=rules,
        validation_rules=rules,
        shares={},
        predicted=predicted,
    )
