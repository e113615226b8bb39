"""The step `evaluate`: what a trained model is worth on the test split. Without TensorFlow."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config
from equipoise.config.naming import run_name
from equipoise.core.clock import clock
from equipoise.core.schema import Floats
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.prepared import Prepared
from equipoise.methods.costs import cost_matrix
from equipoise.methods.priors import target_prior
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.tasks.task import Judging, Logits, Verdict
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.intervals import rough_note
from equipoise.reports.evidence import ByRule, Evidence
from equipoise.reports.fonts import lettering
from equipoise.runs.weigh import corrections, notes, shown, training
from equipoise.training.earlier import Answers, Length
from equipoise.training.trained import Trained

REFITTED = "been learned by the model that is logged (trainer.refit=true)"


@dataclass(frozen=True)
class Evaluated:
    """What is known of a trained model.

    Attributes
    ----------
    verdict : what the evidence is taken from
    origins : columns that say where each test sample is found again
    corrections : what corrects the class balance beside the weights, each float64 (classes,)
    rule : the configured decision rule; "" if none is
    lengths : after how many epochs the model was asked, to its logits, all epochs and BEST among them; empty if only
        after all
    """

    evidence: Evidence
    verdict: Verdict
    origins: Mapping[str, Any]
    corrections: Mapping[str, Floats] = field(default_factory=dict)
    rule: str = ""
    lengths: Mapping[Length, Logits] = field(default_factory=dict)


@clock.part("evaluate")
def evaluate(config: Config, data: Prepared, weights: ClassWeights, trained: Trained) -> Evaluated:
    """Judge the model's predictions on the test split."""
    task, logits = task_of(data), Logits(trained.logits, trained.validation_logits)
    verdict = task.judge(data, logits, training(config, data, weights), _judging(config, data, weights))
    evidence = Evidence(
        name=run_name(config),
        data=replace(data, drawn=None),  # rows that are trained on, of which no picture is made
        weighting=config.weighting.name,
        weights=shown(config, data, weights),
        optimizer=config.trainer.optimizer,
        labels=verdict.labels,
        log_probabilities=verdict.log_probabilities,
        corrected=verdict.corrected,
        evaluation=with_notes(verdict, data.classes),
        intervals=verdict.intervals,
        rules=verdict.rules,
        validation_rules=verdict.validation_rules,
        history=trained.history,
        shares=trained.shares if task.has_class_parts else {},
        warnings=notes(config, data, weights),
        predicted=verdict.predicted if data.several_labels else None,
        calibration=config.calibration.name,
        earlier={
            epochs: _by_rule(without_intervals(config, data, weights, Logits(*answers)))
            for epochs, answers in trained.earlier.items()
        },
        best=trained.best,
    )
    corrected = corrections(config, data, weights)
    return Evaluated(evidence, verdict, _origins(data), corrected, config.decision.name, _lengths(trained))


def _lengths(trained: Trained) -> dict[Length, Logits]:
    if not trained.earlier:
        return {}
    last: dict[Length, Answers] = {len(trained.history): (trained.logits, trained.validation_logits)}
    return {epochs: Logits(*answers) for epochs, answers in {**trained.earlier, **last}.items()}


def _by_rule(verdict: Verdict) -> tuple[ByRule, ByRule]:
    return verdict.rules, verdict.validation_rules


def rehearsed(config: Config, data: Prepared, weights: ClassWeights) -> Verdict:
    """Judge made-up logits in place of a model's, without intervals: whether the decision rule does what it is for.

    Raises
    ------
    ConfigError
        If the rule fails, or returns what is no decision.
    """
    generator = np.random.default_rng(0)
    width = 1 if config.dataset.labels == "binary" else len(data.classes)
    made_up = {
        name: generator.normal(size=(len(data.split(name).labels), width)).astype(np.float32)
        for name in ("test", "validation")
    }
    return without_intervals(config, data, weights, Logits(**made_up))


def without_intervals(
    config: Config, data: Prepared, weights: ClassWeights, logits: Logits, used: tuple[str, ...] = ()
) -> Verdict:
    """Judge the logits as `evaluate` does, but for intervals: what is wanted is the decision rule.

    Parameters
    ----------
    used : what the validation rows have chosen, besides what the config tells
    """
    judging = _judging(config, data, weights)
    judging = replace(judging, resamples=0, used=(*judging.used, *used))
    return task_of(data).judge(data, logits, training(config, data, weights), judging)


def _judging(config: Config, data: Prepared, weights: ClassWeights) -> Judging:
    return Judging(
        decision=config.decision,
        costs=None if config.cost is None else cost_matrix(config.cost, data.classes),
        target=target_prior(config.dataset, data),
        groups=config.evaluation.groups,
        resamples=config.evaluation.resamples,
        uncorrected=partial(advice.uncorrected, config, weights),
        test_counts_fixed=data.test_counts_fixed,
        weighted=config.evaluation.weighted,
        calibration=config.calibration.name,
        used=_used(config),
    )


def _used(config: Config) -> tuple[str, ...]:
    """Return what the validation rows have chosen before a decision rule sees them."""
    trainer = config.trainer
    stopped = "chosen the epoch to stop at" if trainer.early_stopping is not None else ""
    return tuple(filter(None, (stopped, REFITTED if trainer.refit else "")))


def with_notes(verdict: Verdict, classes: Sequence[str]) -> Evaluation:
    """Return the evaluation with notes on classes with few samples, and on names that no font shows."""
    labels = verdict.labels
    counts = np.bincount(labels, minlength=len(classes)) if labels.ndim == 1 else labels.sum(axis=0)
    more = (rough_note(verdict.intervals, counts, classes), lettering(classes).note)
    return replace(verdict.evaluation, notes=(*verdict.evaluation.notes, *filter(None, more)))


def _origins(data: Prepared) -> dict[str, Any]:
    """Return where the test samples are found again.

    Of an image its `path`; else `row`, its number in its file, from 0, or in the split if it comes from no file.
    """
    samples = data.split("test")
    if isinstance(samples.features, ImageFiles):
        return {"path": [os.fsdecode(path) for path in samples.features.paths]}
    return {"row": np.arange(len(samples.labels)) if samples.rows is None else np.asarray(samples.rows)}
