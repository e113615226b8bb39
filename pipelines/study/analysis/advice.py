"""What to do, in four lines: each says what was found, and which side is ahead only where an interval shows it."""

import math
from collections.abc import Iterator

from analysis.choosing import CHOSEN
from analysis.contrasts import Families, effects, families
from analysis.decision import FREE_MINUS_WEIGHTS, Learner, contrast, number
from analysis.hierarchy import Posterior, alike, infer
from analysis.hypotheses import FEWEST
from analysis.pooled import PRIMARY
from analysis.table import BEST, BOOSTED, LENGTHS, Study
from analysis.table import PRIMARY as MIDDLE

CHOSEN_LENGTH = Learner("", CHOSEN)
SHORT, LONG = Learner("", LENGTHS[0]), Learner("", MIDDLE)
STOPPED, STOPPED_LINEAR = Learner("", BEST), Learner("", BEST, "linear")
TREES = Learner("", BOOSTED, method="boosting", weighed="boosting_balanced")
MACRO_F1 = "macro_f1"
SURE = 0.975  # that one side is ahead


def written(study: Study) -> str:
    """Return the lines whose numbers are there; empty if there are none."""
    lines = [f"- {line}" for line in _lines(study)]
    return "\n".join(["**What to do**, on such data:\n", *lines]) if lines else ""


def _lines(study: Study) -> Iterator[str]:
    if ahead := _ahead(study, CHOSEN_LENGTH):
        both = [_posterior(study, CHOSEN_LENGTH, of).interval[0] > 0 for of in ("weights", "free")]
        plain = " do not take the most probable class of a model without weights." if all(both) else ""
        yield (
            f"**If each class counts the same**,{plain} In a small network whose length validation rows chose, weights "
            f"gain {_gain(study, CHOSEN_LENGTH, 'weights')} of balanced accuracy, and what is free "
            f"{_gain(study, CHOSEN_LENGTH, 'free')} without a training; {ahead}."
        )
    if ahead := _ahead(study, STOPPED):
        linear = _ahead(study, STOPPED_LINEAR)
        yield (
            f"**If you stop early** by the score of a model's own classes, in small networks {ahead}"
            f"{f'; in linear ones {linear}' if linear else ''}. A model without weights may stop too soon for the free "
            "rule: stop by the score of the adjusted classes, as in the line above."
        )
    if ahead := _ahead(study, SHORT, MACRO_F1):
        yield (
            f"**If false alarms count, too** (macro F1), after {LENGTHS[0]} epochs {ahead}; weights gain "
            f"{_gain(study, SHORT, 'weights', MACRO_F1)} over none, and after {MIDDLE} epochs "
            f"{_gain(study, LONG, 'weights', MACRO_F1)}."
        )
    if ahead := _ahead(study, TREES):
        yield (
            f"**In boosted trees**, weights gain {_gain(study, TREES, 'weights')} of balanced accuracy, and what is "
            f"free {_gain(study, TREES, 'free')}; {ahead}."
        )


def _gain(study: Study, learner: Learner, of: str, metric: str = PRIMARY) -> str:
    posterior = _posterior(study, learner, of, metric)
    return number(posterior.mean, posterior.interval)


def _posterior(study: Study, learner: Learner, of: str, metric: str = PRIMARY) -> Posterior:
    found = _means(study, learner, of, metric)
    return infer(found.effects, found.variances)


def _ahead(study: Study, learner: Learner, metric: str = PRIMARY) -> str:
    """Return which of weights and free is ahead, if their difference shows it; empty below five families."""
    found = _means(study, learner, FREE_MINUS_WEIGHTS, metric)
    if len(found.names) < FEWEST:
        return ""
    posterior, plain = infer(found.effects, found.variances), alike(found.effects)
    told = (
        f"{FREE_MINUS_WEIGHTS} {number(posterior.mean, posterior.interval)}, families alike "
        f"{number(plain.mean, plain.interval).replace('**', '')}"
    )
    above = posterior.probability(0, math.inf)
    if above > SURE:
        return f"free is ahead ({told})"
    return f"weights are ahead ({told})" if above < 1 - SURE else f"neither is shown to be ahead ({told})"


def _means(study: Study, learner: Learner, of: str, metric: str) -> Families:
    return families(effects(study, contrast(learner, of), metric))
