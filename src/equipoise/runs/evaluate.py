"""What a trained model is worth: its logits judged on the test split, and all of it logged. Without TensorFlow."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config
from equipoise.config.naming import run_name
from equipoise.core.clock import clock
from equipoise.core.schema import Floats, arguments
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.prepared import Prepared
from equipoise.methods.costs import cost_matrix
from equipoise.methods.decisions import BESIDE, DECISIONS, Above, Decide, Known, applicable, as_json
from equipoise.methods.priors import effective_prior, label_odds, target_prior
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import multilabel, probabilities, ranks
from equipoise.metrics.classification import (
    Evaluation,
    Predictions,
    class_logits,
    decision_metrics,
    evaluate,
    frequency_groups,
    most_probable,
)
from equipoise.metrics.intervals import class_intervals, label_intervals, rough_note
from equipoise.metrics.probabilities import OfClasses, OfLabels, Probabilities
from equipoise.reports import run_page
from equipoise.reports.evidence import Evidence
from equipoise.reports.fonts import lettering
from equipoise.runs import record
from equipoise.tracking import keys
from equipoise.tracking.run import Run
from equipoise.training.trained import Trained

# Below the run's folder.
PREDICTIONS = "evaluation/predictions.parquet"
DECISION = "evaluation/decision.json"
PROBABILITIES = "evaluation/probabilities.json"
MOST_PROBABLE = 5  # classes of each sample in predictions.parquet, where there are too many for a column each


@clock.part("evaluate")
def evaluate_and_log(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    """All that is known of the predictions on the test split; it is logged, but for its pictures."""
    return (_evaluate_labels if data.several_labels else _evaluate_classes)(config, data, weights, trained, log)


@clock.part("pictures")
def draw_and_log(evidence: Evidence, log: Run) -> None:
    """The pictures and the report."""
    log_drawn(run_page.draw(evidence, log.folder), log)


def log_drawn(files: Sequence[str], log: Run) -> None:
    """What `report.draw` has left in the run's folder."""
    for file in files:
        log.log_placed(file)
    if run_page.CONFUSION in files:
        log.log_image(run_page.CONFUSION, "confusion_matrix")


def _evaluate_classes(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    labels = np.asarray(data.split("test").labels)
    logits = class_logits(trained.logits)
    effective, target = (
        effective_prior(weights, config.loss, config.trainer.second_stage, record.drawing(config, data)),
        target_prior(config.dataset, data),
    )
    costs = None if config.cost is None else cost_matrix(config.cost, data.classes)
    known = Known(
        np.asarray(data.split("validation").labels), class_logits(trained.validation_logits), effective, target, costs
    )
    rule = DECISIONS[config.decision.name]
    decide = rule(known, **arguments(config.decision, rule, data.classes))
    predicted = decide(logits)
    by_rule = {}
    for name in applicable(known):
        decided = predicted if name == config.decision.name else DECISIONS[name](known, **BESIDE[name])(logits)
        by_rule[name] = decision_metrics(labels, decided, len(data.classes), costs)
    groups = frequency_groups(weights.counts, config.evaluation.groups)
    predictions = Predictions(labels, logits, predicted)
    evaluation = evaluate(predictions, data.classes, groups, effective, target, costs)
    moved = OfClasses(effective, target, "" if effective is not None else advice.uncorrected(config, weights))
    log_probabilities = {"": predictions.log_probabilities}
    if effective is not None:
        log_probabilities["_corrected"] = moved.corrected(log_probabilities[""])
    resamples, fixed = config.evaluation.resamples, data.test_counts_fixed
    corrected = log_probabilities.get("_corrected")
    intervals = class_intervals(predictions, groups, corrected, fixed=fixed, resamples=resamples)
    intervals = {name: interval for name, interval in intervals.items() if name in evaluation.summary}
    note = rough_note(intervals, np.bincount(labels, minlength=len(data.classes)), data.classes)
    evidence = Evidence(
        name=run_name(config),
        data=data,
        weighting=config.weighting.name,
        weights=advice.as_shown(config, data, weights),
        optimizer=config.trainer.optimizer,
        labels=labels,
        log_probabilities=log_probabilities[""],
        corrected=corrected,
        evaluation=_with_notes(evaluation, note, lettering(data.classes).note),
        intervals=intervals,
        rules=by_rule,
        history=trained.history,
        shares=trained.shares,
        warnings=record.notes(config, weights),
    )
    _log_numbers(log, evidence)
    _log_parquet(log, data, _predictions(data, labels, predicted, log_probabilities))
    _log_tables(log, data, evidence.weights, evaluation, decide, moved)
    return evidence


def _evaluate_labels(config: Config, data: Prepared, weights: ClassWeights, trained: Trained, log: Run) -> Evidence:
    validation, labels = (np.asarray(data.split(name).labels) for name in ("validation", "test"))
    logits, validation_logits = (
        np.asarray(trained.logits, np.float64),
        np.asarray(trained.validation_logits, np.float64),
    )
    metric = getattr(config.decision, "metric", "macro_f1")
    rules = {
        rule: Above(multilabel.thresholds(rule, metric, validation, validation_logits)) for rule in ("argmax", "tuned")
    }
    decided = {name: rule(logits) for name, rule in rules.items()}
    predicted = decided[config.decision.name]
    evaluation = multilabel.evaluate(labels, logits, predicted, data.classes, data.counts)
    by_rule = {rule: multilabel.decision_metrics(labels, found) for rule, found in decided.items()}
    intervals = label_intervals(labels, predicted, logits, resamples=config.evaluation.resamples)
    odds = label_odds(weights, config.loss)
    moved = OfLabels(
        odds,
        "" if odds is not None else f"loss={config.loss.name} with gamma or clip: what it learns has no analytic form",
    )
    evidence = Evidence(
        name=run_name(config),
        data=data,
        weighting=config.weighting.name,
        weights=weights,
        optimizer=config.trainer.optimizer,
        labels=labels,
        log_probabilities=np.log(moved.raw(logits)),
        corrected=None,
        evaluation=_with_notes(
            evaluation, rough_note(intervals, labels.sum(axis=0), data.classes), lettering(data.classes).note
        ),
        intervals=intervals,
        rules=by_rule,
        history=trained.history,
        shares={},
        warnings=[],
    )
    _log_numbers(log, evidence)
    kinds = {"label": labels, "predicted": predicted, "p": moved.raw(logits)}
    kinds |= {} if moved.uncorrected else {"p_corrected": moved(logits)}
    columns = {
        f"{kind}({name})": values[:, index] for index, name in enumerate(data.classes) for kind, values in kinds.items()
    }
    _log_parquet(log, data, columns)
    _log_tables(log, data, weights, evaluation, rules[config.decision.name], moved)
    return evidence


def _with_notes(evaluation: Evaluation, *notes: str | None) -> Evaluation:
    return replace(evaluation, notes=(*evaluation.notes, *(note for note in notes if note is not None)))


def _log_numbers(log: Run, evidence: Evidence) -> None:
    data, evaluation = evidence.data, evidence.evaluation
    log.log_metrics(
        {"samples/test": len(evidence.labels), **{f"test/{name}": value for name, value in evaluation.summary.items()}}
    )
    log.log_metrics(
        {
            f"test/{name}_{end}": getattr(interval, end)
            for name, interval in evidence.intervals.items()
            for end in ("low", "high")
        }
    )
    log.log_metrics(keys.by_class(data, {f"test/{name}": values for name, values in evaluation.per_class.items()}))
    if not data.several_labels:
        log.log_metrics({"test/prediction_shift": evidence.prediction_shift})
    log.log_metrics(
        {
            f"decision/{rule}/{name}": value
            for rule, metrics in evidence.rules.items()
            for name, value in metrics.items()
        }
    )
    for name in ("recall", "precision", "f1"):
        log.log_profile(f"profile/{name}", keys.profile(data, evaluation.per_class[name]))


def _predictions(
    data: Prepared, labels: Any, predicted: Any, log_probabilities: Mapping[str, Floats]
) -> dict[str, Any]:
    names = np.array(data.classes)
    columns = {"label": names[labels], "predicted": names[predicted]}
    for kind, values in log_probabilities.items():
        if len(names) <= ranks.MOST_KEYED:
            columns |= {f"p{kind}({name})": column for name, column in zip(data.classes, np.exp(values).T, strict=True)}
            continue
        columns[f"p{kind}(label)"] = np.exp(values[np.arange(len(labels)), labels])
        for place, (top, probability) in enumerate(most_probable(values, MOST_PROBABLE) if kind == "" else (), start=1):
            columns |= {f"top_{place}": names[top], f"p(top_{place})": probability}
    return columns


def _log_parquet(log: Run, data: Prepared, columns: Mapping[str, Any]) -> None:
    """A row for each test sample: the columns, and where the sample is found again."""
    import pandas as pd

    file = log.folder / PREDICTIONS
    file.parent.mkdir(exist_ok=True)
    pd.DataFrame({**columns, **_origins(data)}).to_parquet(file, index=False)
    log.log_file(file, "evaluation")


def _origins(data: Prepared) -> dict[str, Any]:
    """`row`, the number of each test sample in its file, from 0, or in the split if it comes from none; of an image `path`."""
    samples = data.split("test")
    if isinstance(samples.features, ImageFiles):
        return {"path": [os.fsdecode(path) for path in samples.features.paths]}
    return {"row": np.arange(len(samples.labels)) if samples.rows is None else np.asarray(samples.rows)}


def _log_tables(
    log: Run, data: Prepared, weights: ClassWeights, evaluation: Evaluation, decide: Decide, moved: Probabilities
) -> None:
    order = data.head_to_tail
    columns: dict[str, list[Any]] = {"class": [data.classes[index] for index in order]}
    # MLflow compares the first column that is not the key: recall.
    columns |= {
        name: [None if np.isnan(value) else float(value) for value in values[order]]
        for name, values in evaluation.per_class.items()
    }
    columns |= {"count": weights.counts[order].tolist(), "weight": weights.weights[order].tolist()}
    log.log_table(columns, "evaluation/per_class.json")
    log.log_json(keys.class_keys(data.classes), "evaluation/classes.json")
    log.log_json(as_json(decide), DECISION)
    log.log_json(probabilities.as_json(moved), PROBABILITIES)
