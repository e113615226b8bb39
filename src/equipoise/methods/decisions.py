"""From logits to predicted classes. Pure NumPy.

A decision rule takes what is known before the test split is seen, and returns the decision: a function from
logits, float64 (n, classes), to class indices, int64 (n,). A rule tunes on the validation split alone.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.core.schema import Floats, Integers, KeyOf, PerClass, Positive, Section, SomeClasses, arguments
from equipoise.methods import prediction_sets, rejection
from equipoise.methods.biases import ascended
from equipoise.methods.constraints import Constraints
from equipoise.methods.deciders import (
    Above,
    Biased,
    ClassSets,
    Decide,
    LabelSets,
    LeastCost,
    MostProbable,
    Rejecting,
    log_probabilities,
)
from equipoise.metrics.classification import NEAR, TIE, best_nearest
from equipoise.metrics.counts import COUNTED, Counts, mean_of_defined
from equipoise.metrics.multilabel import SCORES, best_thresholds

NEVER = 1e9  # a bias that no logit outweighs
TAUS = np.linspace(0, 3, 61)  # tried by tau=auto
CONFIDENCE = 0.95  # with which abstain shows its error, unless another is typed
Share = Annotated[float, Field(gt=0, lt=1)]


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
    classes : their names, as far as they matter
    used : what these samples have chosen before, such as `fitted the calibration`: so they come about as new ones do,
        and not exactly; calibrated logits are cross-fitted
    """

    labels: Integers
    logits: Floats
    effective: Floats | None
    target: Floats
    costs: Floats | None
    classes: tuple[str, ...] = ()
    used: tuple[str, ...] = ()

    def copy(self) -> "Known":
        """Return the same in arrays of its own, which may be changed."""
        return copy.deepcopy(self)


LabelRule = Callable[[Integers, Floats], Decide]  # from labels and logits of the validation split, (n, labels)


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


def prior_adjusted(known: Known) -> Decide:
    """argmax of z - log q + log pi: the most probable class where the frequencies are those of `dataset.target_prior`.

    q is the prior that the model learned under (Saerens, Latinne & Decaestecker 2002, eq. 2.4).
    """
    assert known.effective is not None, "the record says that the rule needs it"
    return MostProbable(known.effective, known.target)


def tuned(
    known: Known, *, metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall"]
) -> Decide:
    """argmax of z + b, the bias of each class in turn set to what is best for the metric on the validation split.

    Coordinate ascent from b = 0 until a pass over the classes improves nothing; of equally good biases it takes that
    nearest to 0. With two classes it tunes a threshold.
    """
    return Biased(ascended(known.labels, known.logits, COUNTED[metric]))


def f_beta(known: Known, *, beta: Positive | SomeClasses) -> Decide:
    """argmax of z + b, b tuned as by `tuned` for F_beta, in which recall counts beta times as much as precision.

    A number: the mean of F_beta over classes. Numbers of classes, `{fraud: 2}`: the mean over these alone (van
    Rijsbergen 1979).
    """
    squared = np.full(len(known.target), beta) ** 2 if np.ndim(beta) == 0 else np.asarray(beta) ** 2
    named = ~np.isnan(squared)

    def score(counts: Counts) -> Floats:
        both = (1 + squared) * counts.hits
        whole = squared * counts.support + counts.predictions
        values = np.where(counts.support > 0, both / np.where(whole > 0, whole, 1), np.nan)
        return np.nan_to_num(mean_of_defined(values[..., named]))

    return Biased(ascended(known.labels, known.logits, score))


def constrained(
    known: Known,
    *,
    recall: SomeClasses | None,
    precision: SomeClasses | None,
    maximise: Literal["accuracy", "balanced_accuracy", "macro_f1", "mcc", "worst_class_recall"],
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None,
) -> Decide:
    """argmax of z + b, b tuned as by `tuned` for a metric among those biases that keep what is asked of classes.

    `recall: {fraud: 0.9}` and `precision: {fraud: 0.5}` are the least that validation rows must show; if not all can be
    reached, what is lacking is made small, and told. With `confidence` a recall counts with the lower end of its exact
    one-sided interval; of two classes and recalls alone this is a bound for new rows, whatever their distribution.
    """
    nothing = np.full(len(known.target), np.nan)
    asked = Constraints(nothing if recall is None else recall, nothing if precision is None else precision, confidence)
    bias = ascended(known.labels, known.logits, asked.above_all(COUNTED[maximise]))
    return Biased(bias, asked.told(known.labels, known.logits, bias, known.classes, known.used))


def top_k(known: Known, *, budget: SomeClasses | None) -> Decide:
    """The class with the budget for the rows that are likeliest to be of it, at most this share of all; else argmax.

    `budget: {fraud: 0.01}` is 1 alert in 100 rows. The threshold is a margin over the other classes that at most
    k = share (n + 1) - 1 of n validation rows exceed: so a new row exceeds it with a probability of at most the share,
    whatever the distribution, if rows come as the validation rows do, which have chosen nothing else, such as a
    calibration or an epoch to stop at.
    """
    assert budget is not None, "the record's check says that there is one"
    (index,) = np.flatnonzero(~np.isnan(budget))
    others = np.delete(known.logits, index, axis=1).max(axis=1)
    margin = np.sort(known.logits[:, index].astype(np.float64) - others)[::-1]
    most, bias = math.floor(budget[index] * (len(margin) + 1) + TIE) - 1, np.zeros(len(known.target))
    name, rows = known.classes[int(index)], len(margin)
    if most < 0:
        bias[index] = -NEVER
        return Biased(bias, f"decision=top_k: {rows} validation rows cannot show a share as small as {budget[index]:g}")
    above = margin[margin > margin[most] + NEAR * (1 + abs(margin[most]))]  # what differs by rounding alone is equal
    bias[index] = -(above[-1] + margin[most]) / 2 if len(above) else -margin[0] - 1
    alerts = int((Biased(bias)(known.logits) == index).sum())
    return Biased(bias, f"decision=top_k: {alerts} of {rows} validation rows are {name} (at most {budget[index]:g})")


def cost(known: Known) -> Decide:
    """argmin over j of the sum over i of p_i M[i, j]: the least expected cost under the target prior (Elkan 2001)."""
    assert known.costs is not None, "the record says that the rule needs them"
    return LeastCost(known.costs, known.effective, known.target)


def abstain(
    known: Known,
    *,
    reject_cost: Positive | PerClass | None,
    error: Share | None,
    coverage: Share | None,
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None,
) -> Decide:
    """The class of least expected cost, or no class where that is above a limit.

    `reject_cost: 0.2`, or by class, in units of the top-level `cost`, without which every mistake costs 1: rejected
    where the probabilities expect that to be cheaper, so without `cost` where max p < 1 - reject_cost (Chow 1970).
    All of this is under the target prior.

    `error: 0.05`: as many rows as possible are decided while at most this share of them is wrong, for new rows with
    the confidence given, by the exact upper end of what is decided, over 20 shares (after Geifman & El-Yaniv 2017,
    algorithm 1). `coverage: 0.9`: at least this share of new rows is decided, on average over validation splits. Both
    hold for new rows that come as the validation rows do, class frequencies included: where a rare class becomes
    frequent, more is decided wrongly. So costs are under these frequencies, and `dataset.target_prior` changes nothing.

    A row without a class is found by no class: it lowers recall and accuracy, and no precision.
    """
    costs = 1 - np.eye(len(known.target)) if known.costs is None else known.costs
    decide = Rejecting(costs, known.effective, known.target, math.inf)
    if reject_cost is not None:
        limit: float | Floats = np.broadcast_to(np.asarray(reject_cost, np.float64), len(costs)).copy()
        worth = rejection.worth_of_cost(knows_prior=known.effective is not None)
    else:
        decide = replace(decide, target=_frequencies(known))
        expected, wrong = decide.least_cost(known.logits), decide(known.logits) != known.labels
        if coverage is not None:
            found = rejection.limit_for_coverage(expected, coverage)
            worth = rejection.worth_of_coverage(coverage, known.used)
        else:
            assert error is not None, "the record's check says that there is one"
            sure = CONFIDENCE if confidence is None else confidence
            found = rejection.limit_for_error(expected, wrong, error, sure)
            worth = rejection.worth_of_error(found, error, sure, known.used)
        limit = min(found.limit, float(costs.max()) + 1)  # JSON has no infinity
    decide = replace(decide, limit=limit)
    return replace(decide, note=rejection.told(known.labels, decide(known.logits), worth))


def _frequencies(known: Known) -> Floats:
    """Return the class frequencies of the validation rows, above 0 for a class without any."""
    counts = np.bincount(known.labels, minlength=len(known.target)) + 1 / len(known.target)
    found: Floats = counts / counts.sum()
    return found


def conformal(known: Known, *, alpha: Share | SomeClasses) -> Decide:
    """The most probable class, and beside it a set that holds the true class with a probability of at least 1 - alpha.

    That is kept for each class by itself, rare ones too: a class is in the set if its probability is at least the l-th
    lowest among the n_c validation rows of the class, l = floor(alpha (n_c + 1)) (Vovk 2012, label conditional; Sadinle
    et al. 2019). Of several labels the set holds those that are not ruled out, and each by itself is kept.

    A number for all classes, or numbers of some, `{fraud: 0.05}`; the others have 0.1. A class with fewer than
    1 / alpha - 1 validation rows is in every set. Sets go by the model's own logits, so `calibration` takes nothing
    from the guarantee; early stopping does, and is named.
    """
    classes = len(known.target)
    levels, is_of = prediction_sets.by_class(alpha, classes), np.eye(classes, dtype=np.int64)[known.labels]
    scores = np.exp(log_probabilities(known.logits, known.effective, known.target))
    return ClassSets(
        prediction_sets.least_scores(scores, is_of, levels, 0.0),
        known.effective,
        known.target,
        prediction_sets.told(is_of.sum(axis=0), levels, known.classes, known.used),
    )


def _even_odds(labels: Integers, logits: Floats) -> Above:
    """Return the decision that gives each label that is more probable than not."""
    return Above(np.zeros(labels.shape[1]))


def _tuned_thresholds(labels: Integers, logits: Floats, *, metric: Annotated[str, KeyOf(SCORES)]) -> Above:
    """Return the decision with the threshold of each label that is best for the metric on these samples."""
    return Above(best_thresholds(labels, logits, metric))


def _label_sets(
    labels: Integers,
    logits: Floats,
    classes: Sequence[str] = (),
    used: Sequence[str] = (),
    *,
    alpha: Share | SomeClasses,
) -> LabelSets:
    """Return the decision that gives likely labels, and the set of those that are not ruled out by these samples."""
    levels = prediction_sets.by_class(alpha, labels.shape[1])
    note = prediction_sets.told(labels.sum(axis=0), levels, classes, used, "label")
    return LabelSets(prediction_sets.least_scores(logits, labels, levels, -NEVER), note)


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
    asked : whether it is tried only where it is configured, since it has no options that suit all data
    ranks : whether it goes by the order of scores, so that equal ones harm it
    before_calibration : whether it is tuned on the model's own logits, whose guarantee no calibration takes
    tuning : its options that, if they are given, make it depend on the validation samples
    leaves_open : whether it gives some rows no class, or rows several, which a race by one metric cannot value
    constrains : whether it keeps a limit that the metric of a race does not know
    check : refuses options that mean nothing together, or for so many classes
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
    asked: bool = False
    ranks: bool = False
    before_calibration: bool = False
    tuning: tuple[str, ...] = ()
    leaves_open: bool = False
    constrains: bool = False
    check: Callable[..., None] | None = None

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
        given = any(options.get(name) is not None for name in self.tuning)
        return self.own or self.needs_validation or given or options.get("tau") == "auto"

    def is_applicable(self, known: Known) -> bool:
        """Return whether it can stand beside the configured rule: all that it needs is known, and it takes no time."""
        return (
            not self.asked
            and (known.effective is not None or not self.needs_prior)
            and (known.costs is not None or not self.needs_costs)
            and (len(known.labels) > 0 or not self.needs_validation)
            and len(known.target) <= self.most_beside
        )


def _check_constrained(*, recall: Floats | None, precision: Floats | None, **_: Any) -> None:
    """Refuse constraints that ask nothing, or more than there is."""
    asked = np.concatenate([[np.nan], *(each for each in (recall, precision) if each is not None)])
    if np.isnan(asked).all():
        raise ConfigError(
            "decision=constrained keeps what is asked of classes: type decision.recall={CLASS: 0.9}, "
            "decision.precision={CLASS: 0.5}, or both"
        )
    if (asked > 1).any():
        raise ConfigError(f"decision=constrained: recall and precision are at most 1, not {np.nanmax(asked):g}")


def _check_top_k(*, budget: Floats | None) -> None:
    """Refuse a budget of no class or of several, and one that is no share."""
    named = np.empty(0) if budget is None else budget[~np.isnan(budget)]
    if len(named) != 1:
        raise ConfigError(
            f"decision=top_k has a budget for one class, not {len(named)}: type decision.budget={{CLASS: 0.01}}, the "
            "largest share of rows that may be given to it"
        )
    if not 0 < named[0] < 1:
        raise ConfigError(f"decision.budget: a share of rows is above 0 and below 1, not {named[0]:g}")


def _check_abstain(
    *, reject_cost: Any, error: float | None, coverage: float | None, confidence: float | None, **_: Any
) -> None:
    """Refuse to abstain by nothing, or by several limits at once, and a confidence in what is not tested."""
    given = sum(each is not None for each in (reject_cost, error, coverage))
    if given != 1:
        raise ConfigError(
            f"decision=abstain goes by one limit, not {given}: type decision.reject_cost=0.2 (a mistake costs 1, or "
            "what cost={…} says), decision.error=0.05 (of the rows that are decided) or decision.coverage=0.9 (the "
            "share of rows that are)"
        )
    if confidence is not None and error is None:
        raise ConfigError(
            f"decision.confidence={confidence:g} has no effect: it is how sure decision.error is kept; leave it out, "
            "or type decision.error in place of the other limit"
        )


def _check_conformal(*, alpha: float | Floats) -> None:
    """Refuse what is no probability."""
    levels = np.atleast_1d(np.asarray(alpha, np.float64))
    odd = levels[~np.isnan(levels) & ~((levels > 0) & (levels < 1))]
    if len(odd):
        raise ConfigError(f"decision.alpha: the share of misses is above 0 and below 1, not {odd[0]:g}")


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
    "prior_adjusted": Rule(prior_adjusted, needs_prior=True, asked=True, instead="tuned"),
    "tuned": Rule(
        tuned,
        beside={"metric": "balanced_accuracy"},
        of_labels=Rule(_tuned_thresholds, beside={"metric": "macro_f1"}),
        needs_validation=True,
        most_classes=1000,
        most_beside=200,
        instead="logit_adjusted",
    ),
    "f_beta": Rule(f_beta, needs_validation=True, asked=True, most_classes=1000, instead="logit_adjusted"),
    "constrained": Rule(
        constrained,
        needs_validation=True,
        asked=True,
        most_classes=200,
        instead="tuned",
        constrains=True,
        check=_check_constrained,
    ),
    "top_k": Rule(
        top_k,
        needs_validation=True,
        asked=True,
        ranks=True,
        instead="tuned",
        constrains=True,
        check=_check_top_k,
    ),
    "abstain": Rule(
        abstain,
        asked=True,
        tuning=("error", "coverage"),
        leaves_open=True,
        most_classes=1000,
        instead="argmax",
        check=_check_abstain,
    ),
    "conformal": Rule(
        conformal,
        of_labels=Rule(_label_sets, needs_validation=True, before_calibration=True),
        needs_validation=True,
        asked=True,
        before_calibration=True,
        leaves_open=True,
        check=_check_conformal,
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


def label_rules(
    decision: Decision, classes: Sequence[str], used: Sequence[str] = (), *, has_validation: bool
) -> dict[str, LabelRule]:
    """Return every rule for several labels a sample: the configured one, and the others with the options of `beside`.

    Each takes labels and logits of the validation split, (n, labels); without samples there is no rule that is tuned.

    Parameters
    ----------
    used : what the validation samples have chosen before
    """
    found: dict[str, LabelRule] = {}
    for name, rule in DECISIONS.shipped.items():
        if rule.of_labels is None or (rule.needs_validation and not has_validation):
            continue
        function, is_configured = rule.of_labels.function, name == decision.name
        if is_configured:
            options = arguments(decision, function, classes)
            # What is asked for tells what it is worth, class by class.
            found[name] = partial(function, **options, **({"classes": classes, "used": used} if rule.asked else {}))
        elif not rule.asked:
            found[name] = partial(function, **rule.of_labels.beside)
    return found


def _score(known: Known, predicted: Integers, metric: str) -> float:
    return float(COUNTED[metric](Counts.of(known.labels, predicted, known.logits.shape[1])))
