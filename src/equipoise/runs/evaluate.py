"""The step `evaluate`: what a trained model is worth on the test split. Without TensorFlow."""

from dataclasses import dataclass, replace

import numpy as np

from equipoise.config import advice
from equipoise.config.model import Config
from equipoise.config.naming import run_name
from equipoise.core.clock import clock
from equipoise.data.prepared import Prepared
from equipoise.methods.costs import cost_matrix
from equipoise.methods.priors import target_prior
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.tasks.task import Judging, Logits, Verdict
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.intervals import rough_note
from equipoise.reports.evidence import Evidence
from equipoise.reports.fonts import lettering
from equipoise.runs.weigh import notes, shown, training
from equipoise.training.trained import Trained


@dataclass(frozen=True)
class Evaluated:
    """What is known of a trained model: its evidence, and the verdict that it is taken from."""

    evidence: Evidence
    verdict: Verdict


@clock.part("evaluate")
def evaluate(config: Config, data: Prepared, weights: ClassWeights, trained: Trained) -> Evaluated:
    """Judge the model's predictions on the test split."""
    task, logits = task_of(data), Logits(trained.logits, trained.validation_logits)
    verdict = task.judge(data, logits, training(config, data, weights), _judging(config, data, weights))
    evidence = Evidence(
        name=run_name(config),
        data=data,
        weighting=config.weighting.name,
        weights=shown(config, data, weights),
        optimizer=config.trainer.optimizer,
        labels=verdict.labels,
        log_probabilities=verdict.log_probabilities,
        corrected=verdict.corrected,
        evaluation=_with_notes(verdict, data),
        intervals=verdict.intervals,
        rules=verdict.rules,
        history=trained.history,
        shares=trained.shares if task.has_class_parts else {},
        warnings=notes(config, data, weights),
    )
    return Evaluated(evidence, verdict)


def _judging(config: Config, data: Prepared, weights: ClassWeights) -> Judging:
    return Judging(
        decision=config.decision,
        costs=None if config.cost is None else cost_matrix(config.cost, data.classes),
        target=target_prior(config.dataset, data),
        groups=config.evaluation.groups,
        resamples=config.evaluation.resamples,
        uncorrected=advice.uncorrected(config, weights),
    )


def _with_notes(verdict: Verdict, data: Prepared) -> Evaluation:
    """Return the evaluation with notes on classes with few samples, and on names that no font shows."""
    labels = verdict.labels
    counts = np.bincount(labels, minlength=len(data.classes)) if labels.ndim == 1 else labels.sum(axis=0)
    more = (rough_note(verdict.intervals, counts, data.classes), lettering(data.classes).note)
    return replace(verdict.evaluation, notes=(*verdict.evaluation.notes, *filter(None, more)))
