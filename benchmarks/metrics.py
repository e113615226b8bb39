"""Time the numbers of an evaluation and of an epoch against scikit-learn's functions for the same numbers.

Values that both compute are checked to be equal. Both include the confusion matrix; this project's evaluation also
includes calibration errors, an interval of each recall, and the geometric mean.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.metrics.classification import Predictions, epoch_metrics, evaluate, log_softmax
from paired import in_turn, ratio, summary, table

ROUNDS = 5
SIZES = ((11_600, 10), (100_000, 100))
OURS, THEIRS, REPORT = "Equipoise", "scikit-learn, the same numbers", "`classification_report` alone"
Numbers = Mapping[str, Any]


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds of each way at each size, after checking that the values are equal."""
    found, lines = {}, []
    for rows, classes in SIZES:
        labels, logits = _predictions(rows, classes)
        for name, functions in {
            "epoch": (epoch_metrics, _epoch_by_sklearn),
            "evaluation": (_evaluation, _evaluation_by_sklearn),
        }.items():
            _check(*(function(labels, logits) for function in functions))
            ways = {
                way: _timed(function, labels, logits)
                for way, function in zip((OURS, THEIRS, REPORT), (*functions, _report), strict=True)
            }
            case = f"{name}, {rows:,} × {classes}"
            print(f" {case}", flush=True)
            times = in_turn(ways, rounds)
            found[case] = summary(times)
            medians = (f"{1000 * statistics.median(times[way]):.1f} ms" for way in (OURS, THEIRS, REPORT))
            lines.append(
                [case, *medians, str(ratio(times[OURS], times[THEIRS])), str(ratio(times[OURS], times[REPORT]))]
            )
    heading = ["numbers of one", OURS, THEIRS, REPORT, "of the same numbers'", "of the report's"]
    return found, table(heading, lines)


def _predictions(rows: int, classes: int) -> tuple[Integers, Floats]:
    """Return labels with a long tail, and logits that carry some information about them."""
    generator = np.random.default_rng(0)
    shares = 0.01 ** (np.arange(classes) / classes)
    labels = np.concatenate([np.arange(classes), generator.choice(classes, rows - classes, p=shares / shares.sum())])
    logits = generator.normal(size=(rows, classes)) + 2 * (labels[:, np.newaxis] == np.arange(classes))
    return labels, logits


def _timed(function: Callable[[Integers, Floats], Numbers], labels: Integers, logits: Floats) -> Callable[[], float]:
    def taken() -> float:
        start = time.perf_counter()
        function(labels, logits)
        return time.perf_counter() - start

    return taken


def _check(ours: Numbers, theirs: Numbers) -> None:
    """Check that this project computes scikit-learn's values."""
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-9, err_msg=name)


def _evaluation(labels: Integers, logits: Floats) -> Numbers:
    classes = logits.shape[1]
    predictions = Predictions(labels, logits, logits.argmax(axis=1))
    names = [str(index) for index in range(classes)]
    found = evaluate(predictions, names, {})
    return {
        **found.summary,
        **{f"{name} of each": values for name, values in found.per_class.items()},
        "confusion": found.confusion.toarray(),
    }


def _epoch_by_sklearn(labels: Integers, logits: Floats) -> Numbers:
    from sklearn import metrics

    predicted = logits.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "log_loss": metrics.log_loss(labels, _probabilities(logits)),
    }


def _evaluation_by_sklearn(labels: Integers, logits: Floats) -> Numbers:
    from sklearn import metrics
    from sklearn.preprocessing import label_binarize

    predicted, probabilities, classes = logits.argmax(axis=1), _probabilities(logits), logits.shape[1]
    report = metrics.classification_report(labels, predicted, output_dict=True, zero_division=0)
    truth = label_binarize(labels, classes=np.arange(classes))
    average_precision, auroc = (
        function(truth, probabilities, average=None)
        for function in (metrics.average_precision_score, metrics.roc_auc_score)
    )
    return {
        **_epoch_by_sklearn(labels, logits),
        "weighted_f1": report["weighted avg"]["f1-score"],
        "mcc": metrics.matthews_corrcoef(labels, predicted),
        "cohen_kappa": metrics.cohen_kappa_score(labels, predicted),
        "brier": np.square(probabilities - truth).sum(axis=1).mean(),
        "macro_average_precision": average_precision.mean(),
        "macro_auroc": auroc.mean(),
        "average_precision of each": average_precision,
        "auroc of each": auroc,
        **{f"{name} of each": [report[str(index)][key] for index in range(classes)] for name, key in _KEYS.items()},
        "confusion": metrics.confusion_matrix(labels, predicted),
    }


_KEYS = {"recall": "recall", "precision": "precision", "f1": "f1-score"}


def _report(labels: Integers, logits: Floats) -> Numbers:
    from sklearn.metrics import classification_report

    return dict(classification_report(labels, logits.argmax(axis=1), output_dict=True, zero_division=0))


def _probabilities(logits: Floats) -> Floats:
    return np.exp(log_softmax(logits))
