"""Predictions of any number of labels a sample, of any library, judged as a run judges its own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from equipoise.api.evaluation import Evaluation
from equipoise.config.choice import choice
from equipoise.config.messages import explained
from equipoise.config.model import EvaluationOptions
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, arguments
from equipoise.data.types import ClassCounts
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.tasks.judge_labels import Labelled, judge_labelled
from equipoise.methods.tasks.task import Judging
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.probabilities import OfLabels
from equipoise.reports.evidence import Evidence
from equipoise.runs.evaluate import Evaluated, with_notes

TAKEN = (
    "calibration",
    "decision",
    "decision_options",
    "resamples",
    "several_labels",
    "name",
)  # of what `evaluate` takes
UNKNOWN = "nothing is known of the training, so no probability is corrected for weights of positives"


def has_several(labels: Any) -> bool:
    """Return whether the labels are rows of 0 and 1 of which some do not hold exactly one 1."""
    if np.ndim(labels) != 2 or np.shape(labels)[1] < 2:
        return False
    found = np.asarray(labels)
    return found.dtype.kind in "iufb" and bool(np.isin(found, (0, 1)).all() and (found.sum(axis=1) != 1).any())


def evaluate_labels(
    y_test: Any, logits: Any, names: Sequence[Any] | None, validation: tuple[Any, Any] | None, how: Mapping[str, Any]
) -> Evaluation:
    """Judge the predictions; see `evaluate`.

    Raises
    ------
    ConfigError
        If labels, logits and names do not fit each other, or an option is wrong or means nothing here.
    """
    test = _labelled(y_test, logits, ("y_test", "logits"))
    width = test.labels.shape[1]
    labels = tuple(map(str, range(width) if names is None else names))
    if len(labels) != width or len(set(labels)) < width:
        raise ConfigError(f"classes: give {width} different names, one for each column of y_test")
    tuned_on = Labelled(np.empty((0, width), np.int64), np.empty((0, width)))
    if validation is not None:
        tuned_on = _labelled(*validation, ("the validation labels", "the validation logits"))
        if tuned_on.labels.shape[1] != width:
            raise ConfigError(f"the validation labels have {tuned_on.labels.shape[1]} columns, and y_test {width}")
    judging = _judging(how, labels, has_validation=len(tuned_on.labels) > 0)
    data = ClassCounts(labels, test.labels.sum(axis=0))
    verdict = judge_labelled(data, test, tuned_on, OfLabels(None, "weights are not known"), judging)
    evidence = Evidence(
        name=how.get("name", "evaluation"),
        data=data,
        weighting="none",
        weights=ClassWeights(labels, data.counts, np.ones(width)),
        optimizer="",
        labels=verdict.labels,
        log_probabilities=verdict.log_probabilities,
        corrected=verdict.corrected,
        evaluation=with_notes(verdict, labels),
        intervals=verdict.intervals,
        rules=verdict.rules,
        validation_rules=verdict.validation_rules,
        history=(),
        shares={},
        warnings=(UNKNOWN,),
        is_training_known=False,
        predicted=verdict.predicted,
        calibration=how.get("calibration", NONE),
    )
    return Evaluation(Evaluated(evidence, verdict, {"row": np.arange(len(test.labels))}))


def _labelled(labels: Any, logits: Any, where: tuple[str, str]) -> Labelled:
    """Return labels and logits of the same shape, (n, labels)."""
    truth, values = np.asarray(labels), np.asarray(logits)
    if truth.ndim != 2 or truth.dtype.kind not in "iufb" or not np.isin(truth, (0, 1)).all():
        raise ConfigError(f"{where[0]}: give 0 and 1 for each label of each sample, (n, labels)")
    if values.shape != truth.shape or values.dtype.kind not in "fiu":
        raise ConfigError(f"{where[1]} has the shape {values.shape}, and {where[0]} {truth.shape}: they must be equal")
    if not np.isfinite(values).all():
        raise ConfigError(f"{where[1]} holds NaN or infinity; of probabilities: eq.logits(…, several_labels=True)")
    if len(values) and ((values >= 0) & (values <= 1)).all() and len(np.unique(values)) > 2:
        raise ConfigError(
            f"{where[1]} lies between 0 and 1 as probabilities do: eq.logits(probabilities, several_labels=True)"
        )
    return Labelled(truth.astype(np.int64), values.astype(np.float64))


def _judging(how: Mapping[str, Any], labels: Sequence[str], *, has_validation: bool) -> Judging:
    odd = [key for key, value in how.items() if key not in TAKEN and value is not None]
    if odd:
        raise ConfigError(f"{listing(odd)}: means nothing where a sample has several labels; leave it out")
    typed = {"groups": "terciles", "resamples": how.get("resamples", 1000), "weighted": False, "pictures": True}
    try:
        options = EvaluationOptions.model_validate(typed)
    except ValidationError as error:
        raise ConfigError(explained(error, typed)) from None
    name = how.get("decision", "argmax")
    given = how.get("decision_options", {})
    # Of labels it is F1 that a threshold is tuned for, unless something else is asked for.
    decision = choice("decision", name, {"metric": "macro_f1", **given} if name == "tuned" else given)
    rule = DECISIONS[name]
    if rule.of_labels is None:
        raise ConfigError(f"decision={name} is not for several labels a sample: use argmax, tuned or conformal")
    if rule.check is not None:
        rule.check(**arguments(decision, rule.function, labels))
    if rule.needs_validation and not has_validation:
        raise ConfigError(f"decision={name} needs validation=(labels, logits)")
    return Judging(
        decision=decision,
        costs=None,
        target=np.full(len(labels), 1 / len(labels)),
        groups=options.groups,
        resamples=options.resamples,
        uncorrected=lambda: "weights are not known",
        test_counts_fixed=False,
        calibration=choice("calibration", how.get("calibration", NONE), {}).name,
    )
