"""What is known of a run once its predictions are there: the values that its pictures, page and tables show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from equipoise.core.schema import NONE, Floats, Integers
from equipoise.data.types import ClassCounts
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.classification import Evaluation, total_variation
from equipoise.metrics.intervals import Interval
from equipoise.metrics.slices import Slices
from equipoise.reports.page import Fact

# What a table of the validation split, or of the test split, is for.
CHOOSING = "for choosing, cross-fitted"
JUDGING = "for judging, not choosing"

ROUNDING = 1e-9  # of a sum of shares

ByRule: TypeAlias = Mapping[str, Mapping[str, float]]  # decision rule to its metrics


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run once its predictions are there.

    Attributes
    ----------
    labels : int64 (n,), of the test split; with several labels per sample 0 and 1 of shape (n, labels)
    log_probabilities, corrected : (n, classes), as predicted, and after they are calibrated and the prior is moved; the
        latter is None if they are not calibrated and the prior that the model learned under has no analytic form
    calibration : the name of how probabilities were calibrated; `none` if they were not
    intervals : metric to the ends of its 95 % interval
    rules : decision rule to its metrics
    validation_rules : the same of the validation split, each rule judged on samples that did not tune it
    optimizer : "" if it is not known
    history : one mapping per epoch; empty if the model was not trained here
    shares : what the audit measured, each float64 (classes,)
    is_training_known : if not, `data` and `weights` count the test samples of each class, and no weight has a meaning
    slices : recall by class and slice, if slices were asked for
    model : in a sentence, which rows the logged model has learned from, if it is not the model that is judged
    predicted : 0 and 1, (n, labels), by the configured rule, where a sample has any number of labels; None elsewhere
    earlier : after how many epochs the model was judged as well, to `rules` and `validation_rules` of it; BEST last
    best : after how many epochs BEST is
    facts : where the run comes from, for the page's header: data, configuration, command, commit, versions, date, run
    """

    name: str
    data: ClassCounts
    weighting: str
    weights: ClassWeights
    optimizer: str
    labels: Integers
    log_probabilities: Floats
    corrected: Floats | None
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    rules: ByRule
    validation_rules: ByRule
    history: Sequence[dict[str, float]]
    shares: Mapping[str, Floats]
    warnings: Sequence[str]
    is_training_known: bool = True
    slices: Slices | None = None
    model: str = ""
    predicted: Integers | None = None
    facts: Sequence[Fact] = ()
    calibration: str = NONE
    earlier: Mapping[int | str, tuple[ByRule, ByRule]] = field(default_factory=dict)
    best: int = 0

    @property
    def correction(self) -> str:
        """What the corrected probabilities are called."""
        return "moved to the target prior" if self.calibration == NONE else f"calibrated ({self.calibration})"

    @property
    def prediction_shift(self) -> float:
        """Total variation between the class frequencies as predicted and as they are in the test split."""
        per_class = self.evaluation.per_class
        rejected = 1 - float(per_class["predicted_share"].sum())
        apart = rejected / 2 if rejected > ROUNDING else 0.0  # no class is one more, which no sample has
        return total_variation(per_class["predicted_share"], per_class["prevalence"]) + apart
