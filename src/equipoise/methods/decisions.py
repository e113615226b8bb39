"""From logits to predicted classes. Pure NumPy.

A decision rule takes what is known before the test split is seen, and returns the decision: a function from
logits, float64 (n, classes), to class indices, int64 (n,). A rule tunes on the validation split alone.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field

from equipoise.core import plugins
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.core.schema import ConfigError, Floats, Integers, KeyOf, Section, arguments
from equipoise.metrics.classification import TIE, best_nearest, cuts, log_softmax, move_prior, row_blocks
from equipoise.metrics.counts import COUNTED, Counts
from equipoise.metrics.multilabel import SCORES, best_thresholds

TAUS = np.linspace(0, 3, 61)  # tried by tau=auto
MOST_PASSES = 10  # over the classes, when their biases are tuned
MOST_CANDIDATES = 256  # biases tried for one class at a time


@dataclass(frozen=True)
class Known:
    """What a rule may use.

    Attributes
    ----------
    labels : int64 (n,), class indices of the validation split
    logits : float64 (n, classes), of the same samples
    effective : float64 (classes,), the prior that the model learned under, or None if it has no analytic form
    target : float64 (classes,), the prior where the model will be used
    costs : float64 (true class, predicted class), or None
    """

    labels: Integers
    logits: Floats
    effective: Floats | None
    target: Floats
    costs: Floats | None

    def copy(self) -> "Known":
        """Return the same in arrays of its own, which may be changed."""
        return copy.deepcopy(self)


@dataclass(frozen=True)
class Biased:
    """argmax of z + b, b of shape (classes,)."""

    bias: Floats

    def __call__(self, logits: Floats) -> Integers:
        return _chosen(lambda rows: rows + self.bias, logits)


@dataclass(frozen=True)
class LeastCost:
    """The class of least expected cost, under the target prior where the effective one is known."""

    costs: Floats
    effective: Floats | None
    target: Floats

    def __call__(self, logits: Floats) -> Integers:
        log_p = log_softmax(logits)
        if self.effective is not None:
            log_p = move_prior(log_p, self.effective, self.target)
        return _chosen(lambda rows: -(np.exp(rows) @ self.costs), log_p)


@dataclass(frozen=True)
class Above:
    """Every label of a sample whose logit is above its threshold: 0 and 1 of shape (n, labels)."""

    thresholds: Floats

    def __call__(self, logits: Floats) -> Integers:
        return (logits > self.thresholds).astype(np.int64)


Decide = Biased | LeastCost | Above
LabelRule = Callable[[Integers, Floats], Decide]  # from labels and logits of the validation split, (n, labels)


def as_json(decide: Decide) -> dict[str, Any]:
    """Return the decision as data that `from_json` reads."""
    return {
        "kind": type(decide).__name__,
        **{name: value if value is None else value.tolist() for name, value in vars(decide).items()},
    }


def from_json(data: Mapping[str, Any]) -> Decide:
    """Return the decision that `as_json` wrote."""
    kinds: Mapping[str, Callable[..., Decide]] = {kind.__name__: kind for kind in get_args(Decide)}
    return kinds[data["kind"]](
        **{name: value if value is None else np.array(value) for name, value in data.items() if name != "kind"}
    )


def argmax(known: Known) -> Decide:
    """The most probable class."""
    return Biased(np.zeros(len(known.target)))


def logit_adjusted(known: Known, *, tau: Literal["auto"] | Annotated[float, Field(ge=0)]) -> Decide:
    """argmax of z - tau log q, q the model's effective prior (Menon et al. 2021, post hoc).

    `auto`: the tau with the best balanced accuracy on the validation split; of equally good ones that nearest to 1.
    """
    assert known.effective is not None, "the record says that the rule needs it"
    log_prior = np.log(known.effective)
    if tau == "auto":
        scores = [
            _score(known, Biased(-candidate * log_prior)(known.logits), "balanced_accuracy") for candidate in TAUS
        ]
        tau = best_nearest(TAUS, np.array(scores), to=1.0)
    return Biased(-tau * log_prior)


def tuned(
    known: Known, *, metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall"]
) -> Decide:
    """argmax of z + b, the bias of each class in turn set to what is best for the metric on the validation split.

    Coordinate ascent from b = 0 until a pass over the classes improves nothing; of equally good biases it takes that
    nearest to 0. With two classes it tunes a threshold.
    """
    leaders = Leaders(known.logits)
    best = _score(known, leaders.first, metric)
    for _ in range(MOST_PASSES):
        before = best
        for index in range(len(leaders.bias)):
            candidate, score = _best_bias(known, leaders, index, metric)
            if score > best + TIE:
                leaders.set_bias(index, candidate)
                best = score
        if best == before:
            break
    return Biased(leaders.bias)


def cost(known: Known) -> Decide:
    """argmin over j of the sum over i of p_i M[i, j]: the least expected cost under the target prior (Elkan 2001)."""
    assert known.costs is not None, "the record says that the rule needs them"
    return LeastCost(known.costs, known.effective, known.target)


def _even_odds(labels: Integers, logits: Floats) -> Above:
    """Return the decision that gives each label that is more probable than not."""
    return Above(np.zeros(labels.shape[1]))


def _tuned_thresholds(labels: Integers, logits: Floats, *, metric: Annotated[str, KeyOf(SCORES)]) -> Above:
    """Return the decision with the threshold of each label that is best for the metric on these samples."""
    return Above(best_thresholds(labels, logits, metric))


@dataclass(frozen=True)
class Rule:
    """A decision rule and all that is known of it.

    Attributes
    ----------
    function : from `Known` and options to the decision
    beside : the options with which every run tries it beside the configured rule: those of its YAML
    of_labels : the same for several labels a sample, from labels and logits of the validation split, int64 and
        float64 (n, labels); None: it is not for them
    needs_prior : whether it needs the prior that the model learned under
    needs_costs : whether it needs the costs of confusions
    needs_validation : whether it needs samples to be tuned on
    most_classes : with more it takes hours
    most_beside : with more classes it is left to those who ask for it
    instead : another rule, for those who cannot use it
    own : whether it is the user's own, which returns the bias of each class
    """

    function: Callable[..., Decide]
    beside: Mapping[str, Any] = field(default_factory=dict)
    of_labels: "Rule | None" = None
    needs_prior: bool = False
    needs_costs: bool = False
    needs_validation: bool = False
    most_classes: float = math.inf
    most_beside: float = math.inf
    instead: str = ""
    own: bool = False

    def __call__(self, known: Known, **options: Any) -> Decide:
        """Return the decision; `options` are the function's.

        Raises
        ------
        ConfigError
            If the user's own function returns anything but one finite number a class.
        """
        with plugins.telling(f"decision={self.function.__name__}", self.function):
            found = self.function(known.copy() if self.own else known, **options)
            return _biased(found, self.function.__name__, len(known.target)) if self.own else found

    def is_tuned(self, options: Mapping[str, Any]) -> bool:
        """Return whether the decision depends on the validation samples; that of the user's own function may."""
        return self.own or self.needs_validation or options.get("tau") == "auto"

    def is_applicable(self, known: Known) -> bool:
        """Return whether it can stand beside the configured rule: all that it needs is known, and it takes no time."""
        return (
            (known.effective is not None or not self.needs_prior)
            and (known.costs is not None or not self.needs_costs)
            and (len(known.labels) > 0 or not self.needs_validation)
            and len(known.target) <= self.most_beside
        )


def _biased(found: Any, name: str, classes: int) -> Biased:
    bias = np.asarray(found)
    if bias.shape != (classes,) or bias.dtype.kind not in "fiu" or not np.isfinite(bias).all():
        raise ConfigError(
            f"decision={name}: its function returns {bias.dtype} of shape {bias.shape}; "
            f"it must return one finite bias a class, ({classes},), which is added to the logits"
        )
    return Biased(bias.astype(np.float64))


def _of_own(function: Callable[..., Any], _own: Own) -> Rule:
    return Rule(function, own=True)


SHIPPED: Mapping[str, Rule] = {
    "argmax": Rule(argmax, of_labels=Rule(_even_odds)),
    "logit_adjusted": Rule(logit_adjusted, beside={"tau": 1.0}, needs_prior=True, instead="tuned"),
    "tuned": Rule(
        tuned,
        beside={"metric": "balanced_accuracy"},
        of_labels=Rule(_tuned_thresholds, beside={"metric": "macro_f1"}),
        needs_validation=True,
        most_classes=1000,
        most_beside=200,
        instead="logit_adjusted",
    ),
    "cost": Rule(cost, needs_costs=True),
}

DECISIONS: Registry[Rule] = Registry("decision", SHIPPED, _of_own)


class Decision(Section):
    """The keys that every decision rule has."""

    name: str


def applicable(known: Known, configured: str) -> dict[str, Rule]:
    """Return the configured rule, and the shipped ones for which all that they need is known."""
    found = {name: rule for name, rule in DECISIONS.shipped.items() if name == configured or rule.is_applicable(known)}
    return found if configured in DECISIONS.shipped else {configured: DECISIONS[configured], **found}


def label_rules(decision: Decision, *, has_validation: bool) -> dict[str, LabelRule]:
    """Return every rule for several labels a sample: the configured one, and the others with the options of `beside`.

    Each takes labels and logits of the validation split, (n, labels); without samples there is no rule that is tuned.
    """
    found: dict[str, LabelRule] = {}
    for name, rule in DECISIONS.shipped.items():
        if rule.of_labels is not None and (has_validation or not rule.needs_validation):
            function = rule.of_labels.function
            options = arguments(decision, function) if name == decision.name else rule.of_labels.beside
            found[name] = partial(function, **options)
    return found


def _chosen(score: Callable[[Floats], Floats], values: Floats) -> Integers:
    """Return the class with the highest score, int64 (n,), a block of rows at a time."""
    chosen = np.empty(len(values), np.int64)
    for rows in row_blocks(values.shape):
        chosen[rows] = np.argmax(score(np.asarray(values[rows], np.float64)), axis=1)
    return chosen


class Leaders:
    """The two best classes of each sample, under biases that change one at a time.

    To find them afresh for each class would take most of the time of tuning a hundred classes.

    Attributes
    ----------
    bias : float64 (classes,)
    first, second : int64 (n,), the class with the highest z + b, and the one after it; of equal ones the first
    """

    def __init__(self, logits: Floats) -> None:
        self.logits, self.bias = logits, np.zeros(logits.shape[1])
        self._sums = np.array(logits, np.float64)
        self.first, self.second = (np.empty(len(logits), np.int64) for _ in range(2))
        self._find(np.arange(len(logits)))

    def set_bias(self, index: int, bias: float) -> None:
        """Set the bias of one class: of a sample of which it was no leader and is none, the leaders stay."""
        self.bias[index] = bias
        sums = self.logits[:, index].astype(np.float64) + bias
        second = self._sums[np.arange(len(sums)), self.second]
        concerned = (self.first == index) | (self.second == index) | (sums >= second)
        self._sums[:, index] = sums
        self._find(np.flatnonzero(concerned))

    def rivals(self, index: int) -> tuple[Integers, Floats]:
        """Return the best of the other classes, int64 (n,), and its z + b, float64 (n,)."""
        rival: Integers = np.where(self.first == index, self.second, self.first)
        return rival, self._sums[np.arange(len(rival)), rival]

    def _find(self, rows: Integers) -> None:
        sums, each = self._sums[rows], np.arange(len(rows))
        self.first[rows] = first = np.argmax(sums, axis=1)
        sums[each, first] = -np.inf
        self.second[rows] = np.argmax(sums, axis=1)


def _best_bias(known: Known, leaders: Leaders, index: int, metric: str) -> tuple[float, float]:
    """Return the best bias of one class while those of the others are fixed, and its score.

    Of equally good biases it is that nearest to 0. From some bias on, its threshold, a sample is given to the class;
    between two thresholds nothing changes. So the counts behind the metric follow, for all candidates at once, from
    sums over the sorted thresholds.
    """
    classes = len(leaders.bias)
    rival, of_rival = leaders.rivals(index)
    threshold = of_rival - known.logits[:, index]
    candidates = cuts(threshold)
    if len(candidates) > MOST_CANDIDATES:
        candidates = candidates[np.linspace(0, len(candidates) - 1, MOST_CANDIDATES).round().astype(int)]
    place = np.searchsorted(candidates, threshold)  # the first candidate that takes the sample

    def lost(chosen: Any) -> Floats:
        """Return how many of the chosen samples each rival has lost at each candidate, (candidates, classes)."""
        cells = np.bincount(place[chosen] * classes + rival[chosen], minlength=(len(candidates) + 1) * classes)
        sums: Floats = cells.reshape(-1, classes)[: len(candidates)].cumsum(axis=0).astype(np.float64)
        return sums

    everywhere, right = np.ones(len(rival), bool), rival == known.labels
    taken, missed = lost(everywhere), lost(right)
    predicted = np.bincount(rival, minlength=classes) - taken
    hits = np.bincount(rival[right], minlength=classes) - missed
    predicted[:, index] = taken.sum(axis=1)
    hits[:, index] = lost(known.labels == index).sum(axis=1)
    scores = COUNTED[metric](Counts(hits, predicted, np.bincount(known.labels, minlength=classes)))
    return best_nearest(candidates, scores, to=0.0), float(scores.max())


def _score(known: Known, predicted: Integers, metric: str) -> float:
    return float(COUNTED[metric](Counts.of(known.labels, predicted, known.logits.shape[1])))
