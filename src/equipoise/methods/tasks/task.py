"""What every task does: from labels to weights, metrics of an epoch, decisions and the evaluation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from equipoise.core.schema import NONE, Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import Resampling, Sampling
from equipoise.data.types import Dataset
from equipoise.methods.deciders import Decide
from equipoise.methods.decisions import Decision
from equipoise.methods.label_shift import Source
from equipoise.methods.losses import Known, LossOptions
from equipoise.methods.weighting import ClassWeights, Weighting
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.intervals import Interval
from equipoise.metrics.probabilities import Probabilities

# Resamples for intervals on the validation split, which tell choices that are alike from those that are not.
VALIDATION_RESAMPLES = 200


@dataclass(frozen=True)
class Training:
    """What a model was trained under.

    Attributes
    ----------
    weights : of the classes, as they were put in
    second_stage : `none`, or the stage that made the last layer anew
    sampling : how samples were drawn; None: each once an epoch
    mix : how samples were mixed
    moves_prior : whether weights and sampling move the class frequencies that the model answers for as they do under a
        log loss
    """

    weights: ClassWeights
    loss: LossOptions
    second_stage: str = NONE
    sampling: Sampling | Resampling | None = None
    mix: str = NONE
    moves_prior: bool = True


@dataclass(frozen=True)
class Judging:
    """How predictions are to be judged.

    Attributes
    ----------
    costs : float64 (true class, predicted class), or None
    target : float64 (classes,), the prior where the model will be used
    groups : `terciles`, or two training counts
    resamples : for the bootstrap's intervals
    uncorrected : says why no probability can be corrected; asked where a model's prior has no analytic form
    test_counts_fixed : whether the test samples of each class are as many as a design wants, not as many as were found
    weighted : whether metrics count samples by their row weights
    calibration : the name of how probabilities are calibrated
    used : what the validation rows have chosen already, such as `chosen the epoch to stop at`
    """

    decision: Decision
    costs: Floats | None
    target: Floats
    groups: Any
    resamples: int
    uncorrected: Callable[[], str]
    test_counts_fixed: bool
    weighted: bool = False
    calibration: str = NONE
    used: tuple[str, ...] = ()


@dataclass(frozen=True)
class Logits:
    """What a model answers, float32 (n, logits), of the two splits that it has not learned from."""

    test: Floats
    validation: Floats


@dataclass(frozen=True)
class Verdict:
    """What is known of a model's predictions on the test split.

    Attributes
    ----------
    labels : of the test split
    log_probabilities : (n, classes), as predicted
    corrected : the same, calibrated and moved to the target prior; None if they are not
    rules : decision rule to metrics of what it makes of the same logits
    validation_rules : the same of the validation split, each rule judged on samples that did not tune it; empty
        without validation samples
    validation_intervals : of the configured rule there, without macro AP and AUROC
    decide : the configured rule, as tuned
    probabilities : from logits to the probabilities where the model will be used
    predicted : by the configured rule, of the form of the labels; NO_CLASS of a sample that it gives no class
    predictions : a column each, a row for each test sample
    source : what validation rows say of the model, where a sample has one class and there are any
    """

    labels: Integers
    log_probabilities: Floats
    corrected: Floats | None
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    rules: Mapping[str, Mapping[str, float]]
    validation_rules: Mapping[str, Mapping[str, float]]
    validation_intervals: Mapping[str, Interval]
    decide: Decide
    probabilities: Probabilities
    predicted: Integers
    predictions: Mapping[str, Any]
    source: Source | None = None


class Task(Protocol):
    """What a sample's label is, and all that follows from it.

    Attributes
    ----------
    has_class_parts : whether a sample has one class, so that each class has a part of the loss and of the prior
    """

    has_class_parts: bool

    def weigh(self, weighting: Weighting, loss: LossOptions, data: Prepared) -> ClassWeights:
        """Return the weights that the weighting makes of the training counts."""

    def known(self, data: Prepared, costs: Floats | None) -> Known:
        """Return what a loss may know of the training split."""

    def loss_options(self, weighting: Weighting, loss: LossOptions) -> LossOptions:
        """Return the options of the loss as the weighting has them."""

    def factors(self, weights: ClassWeights) -> Floats:
        """Return what training multiplies each sample's loss by, by its class, float64 (classes,)."""

    def shown(self, weights: ClassWeights, loss: LossOptions, dataset: Dataset, data: Prepared) -> ClassWeights:
        """Return the weights as tables show them."""

    def example_labels(self, classes: int, samples: int) -> Integers:
        """Return labels in which every class occurs, or as many as fit."""

    def epoch_metrics(self, labels: Integers, logits: Floats) -> dict[str, float]:
        """Return the few metrics that are watched while training, unweighted."""

    def epoch_metrics_of_each(self, labels: Integers, logits: Floats) -> list[dict[str, float]]:
        """Return the same of each of several models, whose logits are (models, n, logits)."""

    def judge(self, data: Prepared, logits: Logits, training: Training, judging: Judging) -> Verdict:
        """Judge the predictions on the test split; whatever is tuned is tuned on the validation split."""
