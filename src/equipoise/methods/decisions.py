"""From logits to predicted classes. Pure NumPy.

A decision rule takes what is known before the test split is seen, and returns the decision: a function from
logits, float64 (n, classes), to class indices, int64 (n,). Whatever a rule tunes, it tunes on the validation split.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.schema import Floats, Integers, Section
from equipoise.metrics.classification import TIE, best_nearest, cuts, log_softmax, move_prior, row_blocks
from equipoise.metrics.counts import COUNTED, Counts

TAUS = np.linspace(0, 3, 61)  # tried by tau=auto
MOST_PASSES = 10  # over the classes, when their biases are tuned
MOST_CANDIDATES = 256  # biases tried for one class at a time
MOST_TUNED_CLASSES = 200  # beyond this, tuning is left to those who ask for it …
MOST_BIASES = 1000  # … and beyond this it would take hours


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


@dataclass(frozen=True)
class Biased:
    """argmax of z + b, b of shape (classes,)."""

    bias: Floats

    def __call__(self, logits: Floats) -> Integers:
        return _chosen(lambda rows: rows + self.bias, logits)


@dataclass(frozen=True)
class LeastCost:
    """The class of the least expected cost, after the prior is moved from the effective to the target one, if that is known."""

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
    """Of several labels a sample, each whose logit is above its threshold: 0 and 1 of shape (n, labels)."""

    thresholds: Floats

    def __call__(self, logits: Floats) -> Integers:
        return (logits > self.thresholds).astype(np.int64)


Decide = Biased | LeastCost | Above


def as_json(decide: Decide) -> dict[str, Any]:
    """A decision as data, from which `from_json` makes it again."""
    return {
        "kind": type(decide).__name__,
        **{name: value if value is None else value.tolist() for name, value in vars(decide).items()},
    }


def from_json(data: Mapping[str, Any]) -> Decide:
    """The decision that `as_json` wrote."""
    kinds: Mapping[str, Callable[..., Decide]] = {"Biased": Biased, "LeastCost": LeastCost, "Above": Above}
    return kinds[data["kind"]](
        **{name: value if value is None else np.array(value) for name, value in data.items() if name != "kind"}
    )


def argmax(known: Known) -> Decide:
    """The most probable class."""
    return Biased(np.zeros(len(known.target)))


def logit_adjusted(known: Known, *, tau: Literal["auto"] | Annotated[float, Field(ge=0)]) -> Decide:
    """argmax of z - tau log q, q the model's effective prior (Menon et al. 2021, post hoc).

    `auto`: the tau with the best balanced accuracy on the validation split, of several equal ones that nearest to 1.
    """
    assert known.effective is not None, "applicable() says whether there is one"
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

    Coordinate ascent from b = 0 until a pass over the classes improves nothing; of equally good biases that nearest to 0.
    With two classes, the tuning of a threshold.
    """
    bias = np.zeros(known.logits.shape[1])
    best = _score(known, np.argmax(known.logits, axis=1), metric)
    for _ in range(MOST_PASSES):
        before = best
        for index in range(len(bias)):
            candidate, score = _best_bias(known, bias, index, metric)
            if score > best + TIE:
                bias[index], best = candidate, score
        if best == before:
            break
    return Biased(bias)


def cost(known: Known) -> Decide:
    """argmin over j of the sum over i of p_i M[i, j]: the least expected cost under the target prior (Elkan 2001)."""
    assert known.costs is not None, "applicable() says whether there are any"
    return LeastCost(known.costs, known.effective, known.target)


DECISIONS: Mapping[str, Callable[..., Decide]] = {
    "argmax": argmax,
    "logit_adjusted": logit_adjusted,
    "tuned": tuned,
    "cost": cost,
}

# The options of each rule where it stands beside the configured one: those of its YAML.
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "argmax": {},
    "logit_adjusted": {"tau": 1.0},
    "tuned": {"metric": "balanced_accuracy"},
    "cost": {},
}


class Decision(Section):
    """The keys that every decision rule has."""

    name: str


def applicable(known: Known) -> list[str]:
    """The rules for which everything they need is known."""
    possible = {
        "logit_adjusted": known.effective is not None,
        "tuned": len(known.target) <= MOST_TUNED_CLASSES,
        "cost": known.costs is not None,
    }
    return [name for name in DECISIONS if possible.get(name, True)]


def _chosen(score: Callable[[Floats], Floats], values: Floats) -> Integers:
    """The class with the highest score, int64 (n,), a block of rows at a time."""
    chosen = np.empty(len(values), np.int64)
    for rows in row_blocks(values.shape):
        chosen[rows] = np.argmax(score(np.asarray(values[rows], np.float64)), axis=1)
    return chosen


def _best_bias(known: Known, bias: Floats, index: int, metric: str) -> tuple[float, float]:
    """The best bias of one class, of equal ones that nearest to 0, those of the others fixed, and its score.

    A sample is given to the class from some bias on, its threshold; between two thresholds nothing changes. So
    the counts behind the metric follow, for all candidates at once, from sums over the sorted thresholds.
    """
    classes = len(bias)
    others = known.logits + bias
    others[:, index] = -np.inf
    rival = np.argmax(others, axis=1)
    threshold = others[np.arange(len(rival)), rival] - known.logits[:, index]
    candidates = cuts(threshold)
    if len(candidates) > MOST_CANDIDATES:
        candidates = candidates[np.linspace(0, len(candidates) - 1, MOST_CANDIDATES).round().astype(int)]
    place = np.searchsorted(candidates, threshold)  # the first candidate that takes the sample

    def lost(chosen: Any) -> Floats:
        """What each rival has lost of the chosen samples at each candidate, (candidates, classes)."""
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
