"""What a rule that leaves rows or classes open is judged by, beside the metrics that every rule has. Pure NumPy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.methods.cross_fitting import FEWEST, decided_apart
from equipoise.methods.deciders import ClassSets, Decide, Rejecting
from equipoise.methods.decisions import Known, Rule
from equipoise.metrics.classification import Evaluation, Predictions, decision_metrics
from equipoise.metrics.left_open import LeftOpen, rejections, sets_of_classes


@dataclass(frozen=True)
class Judge:
    """By what rules are judged beside a configured one that may leave rows or classes open.

    Attributes
    ----------
    configured : its name
    decide : the configured rule
    costs : float64 (true class, predicted class), as typed, or None
    classes : how many there are
    """

    configured: str
    decide: Decide
    costs: Floats | None
    classes: int

    def costs_of(self, rule: str) -> Floats | None:
        """Return what a rule is judged by, with a last column for no class where the configured one gives none.

        If rejecting has a cost, it is by the same costs for all rules, and a mistake costs 1 if nothing else was said;
        if it has none, a rule that rejects has no expected cost.
        """
        if not isinstance(self.decide, Rejecting):
            return self.costs
        return self.decide.all_costs if self.decide.all_costs is not None or rule == self.configured else self.costs

    def metrics(
        self, labels: Integers, weights: Floats | None, by_rule: Mapping[str, Integers], sets: Booleans | None
    ) -> dict[str, dict[str, float]]:
        """Return the metrics of what each rule predicts, int64 (n,); `sets` are those of the configured rule."""
        found = {}
        for name, predicted in by_rule.items():
            found[name] = decision_metrics(labels, predicted, self.classes, self.costs_of(name), weights)
            if isinstance(self.decide, Rejecting):
                found[name] |= rejections(labels, predicted, self.classes, weights).by_rule
            if sets is not None and name == self.configured:
                found[name] |= sets_of_classes(labels, sets, weights).by_rule
        return found

    def left_open(self, predictions: Predictions, sets: Booleans | None) -> LeftOpen | None:
        """Return what the configured rule leaves open; None if it gives every row one class."""
        labels, weights = predictions.labels, predictions.weights
        if isinstance(self.decide, Rejecting):
            return rejections(labels, predictions.predicted, self.classes, weights)
        return None if sets is None else sets_of_classes(labels, sets, weights)


def sets_apart(known: Known, rule: Rule, options: Mapping[str, Any]) -> Booleans | None:
    """Return the sets of validation samples, bool (n, classes), each by the other folds.

    None for a rule that gives no sets, and of fewer than FEWEST samples.
    """
    if len(known.labels) < FEWEST or not isinstance(rule(known, **options), ClassSets):
        return None

    def tune(samples: Booleans) -> Any:
        decide: Any = rule(replace(known, labels=known.labels[samples], logits=known.logits[samples]), **options)
        return decide.sets

    return decided_apart(known.labels, known.logits, tune).astype(bool)


def with_open(evaluation: Evaluation, found: LeftOpen | None) -> Evaluation:
    """Return the evaluation with what is left open among its metrics."""
    if found is None:
        return evaluation
    return replace(
        evaluation, summary=evaluation.summary | found.summary, per_class=evaluation.per_class | found.per_class
    )
