"""Predictions of any library, judged as a run judges its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from equipoise.api.evaluate_labels import evaluate_labels, has_several
from equipoise.api.evaluation import Evaluation
from equipoise.api.labels import class_names, indices_of
from equipoise.api.logits import checked_logits
from equipoise.config.choice import choice
from equipoise.config.messages import explained
from equipoise.config.model import EvaluationOptions
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, Floats, arguments
from equipoise.data.types import ClassCounts
from equipoise.methods.calibration import leaves_prior_known
from equipoise.methods.costs import cost_matrix, costs_as_matrix
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LossOptions
from equipoise.methods.priors import effective_prior
from equipoise.methods.tasks.judge_classes import Answers, Learned, judge_answers
from equipoise.methods.tasks.task import Judging, Verdict
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import frequency_groups
from equipoise.reports.evidence import Evidence
from equipoise.runs.evaluate import Evaluated, with_notes

if TYPE_CHECKING:
    from equipoise.api.weights import Weights
    from equipoise.losses import Loss

UNKNOWN = (
    "nothing is known of the training, so classes have no groups, no probability is corrected, and no rule adjusts "
    "logits: give weights=eq.class_weights(y_train, …), with none for a model without weights"
)


class How(TypedDict, total=False):
    """How predictions are judged.

    Attributes
    ----------
    loss : the loss of `equipoise.losses` that the model was trained with; by default cross-entropy
    costs : of confusions, (true class, predicted class), or by names, `{"cat": {"dog": 5}}`, where others cost 1
    decision, decision_options : the rule that predicts, an option of `decision=` (docs/methods.md), by default argmax
    calibration : how probabilities are calibrated on validation, an option of `calibration=`; by default none
    target_prior : class frequencies where the model will be used: `training`, `uniform`, or one number a class, such as
        `eq.estimate_prior(…).target_prior`
    groups : of classes by training samples: `terciles`, or two counts; by default terciles
    resamples : of the bootstrap for intervals; by default 1000
    test_counts_fixed : whether a design fixed how many test samples each class has
    several_labels : whether a sample may have any number of labels; by default, whether y_test has rows of 0 and 1, one
        number a label, of which some do not hold exactly one 1
    name : of the model, for the page
    """

    loss: "Loss"
    costs: npt.ArrayLike | Mapping[str, Mapping[str, float]] | None
    decision: str
    decision_options: Mapping[str, Any]
    calibration: str
    target_prior: Literal["training", "uniform"] | npt.ArrayLike
    groups: Literal["terciles"] | tuple[int, int]
    resamples: int
    test_counts_fixed: bool
    several_labels: bool
    name: str


def evaluate(
    y_test: Any,
    logits: Any,
    classes: Sequence[Any] | None = None,
    *,
    validation: tuple[Any, Any] | None = None,
    weights: "Weights | None" = None,
    **how: Unpack[How],
) -> Evaluation:
    """Judge a model's predictions, whatever library trained it, as a run judges its own.

    Parameters
    ----------
    y_test : the class of each test sample, as text, number or one-hot row; of several labels a sample 0 and 1,
        (n, labels)
    logits : (n, classes), or (n,) of the second of two classes, or (n, labels); of probabilities:
        `eq.logits(probabilities)`
    classes : names in the order of the logits; by default those of `weights`, or 0, 1, 2 …
    validation : labels and logits of other samples, on which decision rules are tuned; without it none is tuned
    weights : of `class_weights`, that the model was trained with (`none` for a model without any). They tell the
        training counts and, with the loss, the prior that the model learned under; without them no probability is
        corrected, and no rule adjusts logits
    how : see `How`

    Raises
    ------
    ConfigError
        If labels, logits and classes do not fit each other, or an option is wrong.

    Examples
    --------
    >>> import equipoise as eq
    >>> logits = [[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.0]]
    >>> r = eq.evaluate([0, 0, 1, 1], logits, ["cat", "dog"], validation=([0, 1], [[1.0, 0.0], [0.5, 0.0]]))
    >>> r.metrics["balanced_accuracy"]
    0.75
    >>> r.rules.loc[["argmax", "tuned"], "balanced_accuracy"].to_dict()
    {'argmax': 0.75, 'tuned': 1.0}

    A sample may have any number of labels; here the second one's threshold is tuned to 1.5.

    >>> labels, scores = [[1, 0], [1, 1], [0, 0], [0, 1]], [[1.0, 1.0], [2.0, 2.0], [-1.0, -2.0], [-3.0, 3.0]]
    >>> eq.evaluate(labels, scores, validation=(labels, scores), decision="tuned").metrics["subset_accuracy"]
    1.0
    """
    if how.get("several_labels", has_several(y_test)):
        return evaluate_labels(y_test, logits, classes, validation, {**how, "weights": weights})
    names = _names(y_test, logits, classes, weights)
    return _of_classes(y_test, logits, names, validation, weights, how)


def _of_classes(
    y_test: Any,
    logits: Any,
    names: tuple[str, ...],
    validation: tuple[Any, Any] | None,
    weights: "Weights | None",
    how: How,
) -> Evaluation:
    test = _answers(y_test, logits, names, ("y_test", "logits"))
    labels, seen = validation or ((), np.empty((0, len(names))))
    tuned_on = _answers(labels, seen, names, ("the validation labels", "the validation logits"))
    judging, prior = _judging(names, weights, how), _prior(weights, how)
    _check_decision(judging, names, prior, tuned_on)
    groups = {} if weights is None else frequency_groups(weights.counts, judging.groups)
    verdict = judge_answers(names, test, tuned_on, Learned(prior, groups), judging)
    evidence = _evidence(verdict, names, weights, how)
    return Evaluation(Evaluated(evidence, verdict, {"row": np.arange(len(test.labels))}))


def _names(y_test: Any, logits: Any, classes: Sequence[Any] | None, weights: "Weights | None") -> tuple[str, ...]:
    """Return the names of the classes, in the order of the logits."""
    if classes is None and weights is None:
        kind = np.asarray(y_test).dtype.kind
        if kind == "b" and np.ndim(y_test) == 1:
            return ("false", "true")
        if kind not in "iufb":
            raise ConfigError("classes is missing: the names of the classes in the order of the logits")
        columns = np.shape(logits)[1] if np.ndim(logits) == 2 else 1
        return tuple(map(str, range(max(2, columns))))
    names = class_names(y_test, weights.classes if classes is None and weights else classes, "y_test")
    if weights is not None and weights.classes != names:
        raise ConfigError(f"weights are of the classes {listing(weights.classes)}, and the logits of {listing(names)}")
    return names


def _answers(labels: Any, logits: Any, names: Sequence[str], where: tuple[str, str]) -> Answers:
    found = checked_logits(logits, len(names), where[1])
    indices = indices_of(labels, names, where[0]) if len(found) else np.empty(0, np.int64)
    if len(indices) != len(found):
        raise ConfigError(f"{where[0]} has {len(indices)} samples, and {where[1]} {len(found)}")
    return Answers(indices, found)


def _judging(names: Sequence[str], weights: ClassWeights | None, how: How) -> Judging:
    typed = {
        "groups": how.get("groups", "terciles"),
        "resamples": how.get("resamples", 1000),
        "weighted": False,
        "pictures": True,
    }
    try:
        options = EvaluationOptions.model_validate(typed)
    except ValidationError as error:
        raise ConfigError(explained(error, typed)) from None
    return Judging(
        decision=choice("decision", how.get("decision", "argmax"), how.get("decision_options", {})),
        costs=_costs(how.get("costs"), names),
        target=_target(how.get("target_prior", "training"), len(names), weights),
        groups=options.groups,
        resamples=options.resamples,
        uncorrected=lambda: "weights are not given" if weights is None else "the loss has no analytic prior",
        test_counts_fixed=how.get("test_counts_fixed", False),
        calibration=_calibration(how),
    )


def _calibration(how: How) -> str:
    return str(choice("calibration", how.get("calibration", NONE), {}).name)


def _costs(given: Any, names: Sequence[str]) -> Floats | None:
    """Return the costs of confusions, float64 (true class, predicted class)."""
    if given is None:
        return None
    costs = cost_matrix(given, names) if isinstance(given, Mapping) else costs_as_matrix(given)
    if costs.shape != (len(names), len(names)):
        raise ConfigError(f"costs has the shape {costs.shape} for {len(names)} classes")
    return costs


def _target(typed: Any, classes: int, weights: ClassWeights | None) -> Floats:
    """Return the prior where the model will be used, float64 (classes,)."""
    if isinstance(typed, str):
        if typed not in ("training", "uniform"):
            cure = "; of rows without labels: eq.estimate_prior(…).target_prior" if typed == "estimate" else ""
            raise ConfigError(f"target_prior={typed}: give training, uniform, or one number a class{cure}")
        known = typed == "training" and weights is not None
        return weights.counts / weights.counts.sum() if known and weights else np.full(classes, 1 / classes)
    prior: Floats = np.asarray(typed, np.float64)
    if prior.shape != (classes,) or not (np.isfinite(prior) & (prior > 0)).all():
        raise ConfigError(f"target_prior={prior.tolist()}: give a number above 0 for each of {classes} classes")
    normalised: Floats = prior / prior.sum()
    return normalised


def _prior(weights: ClassWeights | None, how: How) -> Floats | None:
    """Return the prior that the model learned under, float64 (classes,); None if it is not known."""
    options = getattr(how["loss"], "options", None) if "loss" in how else choice("loss", "custom", {})
    if not isinstance(options, LossOptions):
        raise ConfigError("loss: give one of equipoise.losses, or nothing for cross-entropy")
    if "loss" in how and weights is None:
        raise ConfigError("loss needs weights, too: the prior that a model learned under depends on both")
    return None if weights is None else effective_prior(weights, options)


def _check_decision(judging: Judging, names: Sequence[str], prior: Floats | None, validation: Answers) -> None:
    """Refuse a rule that needs what was not given."""
    name, rule = judging.decision.name, DECISIONS[judging.decision.name]
    options = arguments(judging.decision, rule.function, names)
    if rule.check is not None:
        rule.check(**options)
    is_tuned = rule.is_tuned(options) and not rule.own
    lacking = {
        "validation=(labels, logits)": is_tuned and not len(validation.labels),
        "costs": rule.needs_costs and judging.costs is None,
        "weights, and a loss whose prior is known": rule.needs_prior
        and prior is None
        and not leaves_prior_known(judging.calibration),
    }
    for what, is_lacking in lacking.items():
        if is_lacking:
            raise ConfigError(f"decision={name} needs {what}")


def _evidence(verdict: Verdict, names: tuple[str, ...], weights: "Weights | None", how: How) -> Evidence:
    counts = np.bincount(verdict.labels, minlength=len(names))
    known = ClassWeights(names, counts, np.ones(len(names))) if weights is None else weights
    return Evidence(
        name=how.get("name", "evaluation"),
        data=ClassCounts(names, known.counts),
        weighting="none" if weights is None else weights.weighting,
        weights=known,
        optimizer="",
        labels=verdict.labels,
        log_probabilities=verdict.log_probabilities,
        corrected=verdict.corrected,
        evaluation=with_notes(verdict, names),
        intervals=verdict.intervals,
        rules=verdict.rules,
        validation_rules=verdict.validation_rules,
        history=(),
        shares={},
        warnings=(UNKNOWN,) if weights is None else (),
        is_training_known=weights is not None,
        calibration=how.get("calibration", NONE),
    )
