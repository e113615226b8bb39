"""A race: candidates are judged on one repetition after another, and leave when they are shown to be worse.

An *entry* is a candidate with a decision rule. A repetition is another split with another seed, or another seed alone
where the data name their splits. All scores here are of validation rows, higher is better.

Two questions, two tests. *Is another repetition of this entry worth its time?* asks for the mean over all splits of
these very rows, of which the repetitions are independent draws: a paired t test, with the error spent over looks and
entries (`dropped`). *Is it better than doing nothing?* asks for other rows as well, which the splits share: the
corrected resampled t test of every comparison, one-sided, with Holm's correction, once, when the race is over
(`judge`). So the probability to depart from the baseline where nothing is better is about ALPHA at most. Where all
repetitions share their validation rows, no number of seeds tells what other rows would give, and nothing is shown.
"""

import bisect
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from equipoise.comparison import repetitions
from equipoise.comparison.repetitions import Difference, Place, Spread
from equipoise.comparison.significance import ALPHA
from equipoise.core.schema import Floats
from equipoise.metrics import multiplicity

FIRST_LOOK = 5  # repetitions; fewer show nothing after the correction for looks and entries
GROWTH = math.sqrt(2)  # of the repetitions from one look to the next
WIDER = 1.05  # an interval that is at most so many times as wide as with endless repetitions is as narrow as it gets
MOST_NEEDED = 10_000  # repetitions; a difference that needs more is not shown by repeating


class Entry(NamedTuple):
    """A candidate, by its label, with a decision rule."""

    candidate: str
    rule: str


Scores = Mapping[Entry, Mapping[int, float]]  # by the number of the repetition, from 0


@dataclass(frozen=True)
class Design:
    """What the repetitions are.

    Attributes
    ----------
    splits : whether each has validation rows of its own; otherwise all share theirs
    tests : whether each has test rows of its own
    validation_over_train, test_over_train : rows of the one over rows of the other, in a repetition
    """

    splits: bool
    tests: bool
    validation_over_train: float
    test_over_train: float


@dataclass(frozen=True)
class Nested:
    """What it is worth to choose by one repetition's validation rows: the entry that they prefer, on its test rows.

    Attributes
    ----------
    spread : of the chosen entries' test scores; without an interval if all repetitions share their test rows
    to_baseline : paired differences to the baseline on the same test rows
    chosen : how often each entry was
    """

    spread: Spread
    to_baseline: Difference
    chosen: Mapping[Entry, int]


@dataclass(frozen=True)
class Verdict:
    """What a race has shown.

    Attributes
    ----------
    choice : the entry to use: the highest of those shown to be better than the baseline, or else the baseline
    leader : the entry with the highest mean over the repetitions, of those in the race to its end
    differences : to the baseline, with simultaneous intervals, as `to_baseline` has them
    control : the highest of the baseline candidate's other rules, which need no other training; None without any
    to_control : the choice minus the control; None if one is the other, or a baseline's rule is the choice
    needed : repetitions in all that would show the leader's difference, if it stays as it is; None if no number would
    rows_needed : times as many rows that would show it then, roughly
    """

    choice: Entry
    leader: Entry
    differences: Mapping[Entry, Difference]
    control: Entry | None
    to_control: Difference | None
    needed: int | None
    rows_needed: float | None


def looks(most: int) -> list[int]:
    """Return the numbers of repetitions after which entries may be dropped: 5, 7, 10, 14, 20, 28, 40, 57 …"""
    found, number = [], 0
    while (repetitions := round(FIRST_LOOK * GROWTH**number)) <= most:
        found.append(repetitions)
        number += 1
    return found


def dropped(scores: Scores, baseline: Entry) -> dict[Entry, int]:
    """Return the entries that are shown to be worse than the leader, and after how many repetitions they were.

    At look k each entry that is left is compared with the one of the highest mean by a one-sided paired t test at
    ALPHA / (k (k + 1)) / (entries - 1). The levels of all looks and entries sum to ALPHA, so the probability that the
    best entry is ever dropped is at most ALPHA, whatever the number of looks, if differences are roughly normal. It is
    higher where an entry gains rarely and much, as by the one validation row of a rare class. The baseline stays: all
    others are compared with it.
    """
    left, found = list(scores), dict[Entry, int]()
    most = max((max(values, default=-1) + 1 for values in scores.values()), default=0)
    for number, look in enumerate(looks(most), start=1):
        if any(repetition not in scores[entry] for entry in left for repetition in range(look)):
            break  # not yet
        columns = np.array([[scores[entry][repetition] for repetition in range(look)] for entry in left])
        differences = columns[columns.mean(axis=1).argmax()] - columns
        level = ALPHA / (number * (number + 1)) / max(1, len(scores) - 1)
        worse = _one_sided(differences) <= level
        found |= {entry: look for entry, is_worse in zip(left, worse, strict=True) if is_worse and entry != baseline}
        left = [entry for entry in left if entry not in found]
    return found


def _one_sided(differences: Floats) -> Floats:
    """Return p of a mean of at most 0 in each row, by Student's t; 1 where a row does not vary."""
    from scipy.special import stdtr

    count = differences.shape[1]
    mean, deviation = differences.mean(axis=1), differences.std(axis=1, ddof=1)
    varies = deviation > repetitions.ROUNDING
    t = np.divide(mean, deviation / math.sqrt(count), where=varies, out=np.zeros(len(mean)))
    return np.where(varies, stdtr(count - 1, -t), 1.0)


def enough(ratio: float) -> int:
    """Return the repetitions beyond which the corrected interval narrows by no more than WIDER.

    Its width goes by sqrt(1 / J + ratio), where `ratio` is validation rows over training rows.
    """
    return math.ceil(1 / ((WIDER**2 - 1) * ratio)) if ratio > 0 else MOST_NEEDED


def judge(scores: Scores, baseline: Entry, design: Design) -> Verdict:
    """Return what the race has shown; it departs from the baseline only for an entry that is shown to be better.

    Raises
    ------
    ValueError
        If the baseline has no score.
    """
    if not scores.get(baseline):
        raise ValueError("the baseline has no score")
    differences = to_baseline(scores, baseline, design)
    gone = dropped(scores, baseline)
    gain = gains({entry: values for entry, values in scores.items() if entry not in gone}, scores[baseline])
    better = [entry for entry in gain if entry in differences and differences[entry].is_shown]
    choice = max(better, key=gain.__getitem__, default=baseline)
    leader = max(gain, key=gain.__getitem__)
    rules = [entry for entry in gain if entry.candidate == baseline.candidate and entry != baseline]
    control = max(rules, key=gain.__getitem__, default=None)
    to_control = None
    if control and choice.candidate != baseline.candidate:
        to_control = _difference(scores, choice, control, design)
    needed, rows = (None, None)
    if choice == baseline and gain[leader] > 0:
        needed, rows = _needed(scores, leader, baseline, design, differences[leader].comparisons)
    return Verdict(choice, leader, differences, control, to_control, needed, rows)


def to_baseline(scores: Scores, baseline: Entry, design: Design) -> dict[Entry, Difference]:
    """Return each entry's paired difference to the baseline; p is one-sided, after Holm's correction for all of them.

    The ends of its interval are 95 % bounds that hold for all entries at once, by Bonferroni, and so for one that was
    chosen for being high, too. Without splits there is neither.
    Entries that always score the same as the baseline have none; of those that always score the same as one another,
    which are one way by two names, one counts.
    """
    found: dict[Entry, Difference] = {}
    same: dict[tuple[tuple[int, float], ...], Entry] = {}
    for entry, values in scores.items():
        shared = _paired(values, scores[baseline])
        if entry == baseline or not any(shared.values()):
            continue
        first = same.setdefault(tuple(sorted(shared.items())), entry)
        if first == entry:
            found[entry] = _difference(scores, entry, baseline, design)
    p = multiplicity.holm([_p_better(one) for one in found.values()])
    found = {
        entry: _simultaneous(replace(one, p=adjusted if design.splits else None, needed=0, comparisons=len(found)))
        for (entry, one), adjusted in zip(found.items(), p, strict=True)
    }
    firsts = {entry: same.get(tuple(sorted(_paired(scores[entry], scores[baseline]).items()))) for entry in scores}
    return {entry: found[first] for entry, first in firsts.items() if first is not None and entry != baseline}


def gains(scores: Scores, baseline: Mapping[int, float]) -> dict[Entry, float]:
    """Return each entry's mean paired difference to the baseline, over the repetitions that both have."""
    paired = {entry: [*_paired(values, baseline).values()] for entry, values in scores.items()}
    return {entry: float(np.mean(differences)) for entry, differences in paired.items() if differences}


def nested(scores: Scores, tested: Scores, baseline: Entry, design: Design) -> Nested | None:
    """Return what the choice by each repetition's validation rows scores on its test rows; None without any.

    No test row of a repetition chooses in it. Which entries are still there was decided in earlier repetitions, whose
    validation rows overlap these. Of equal scores the first entry is chosen.

    Parameters
    ----------
    tested : scores of the test rows, by entry and repetition
    """
    chosen: dict[int, Entry] = {}
    for repetition in sorted(tested.get(baseline, {})):
        there = [entry for entry in scores if repetition in scores[entry] and repetition in tested.get(entry, {})]
        if there:
            chosen[repetition] = max(there, key=lambda entry: scores[entry][repetition])
    if not chosen:
        return None
    values = {repetition: tested[entry][repetition] for repetition, entry in chosen.items()}
    differences = {repetition: value - tested[baseline][repetition] for repetition, value in values.items()}
    ratio = design.test_over_train if design.tests else math.nan
    return Nested(
        repetitions.spread(_places(values), ratio),
        repetitions.difference(baseline.candidate, _places(differences), ratio, 1, None),
        dict(Counter(chosen.values()).most_common()),
    )


def _simultaneous(found: Difference) -> Difference:
    """Return the difference with bounds that hold for all comparisons at once; without p there is none.

    Each end is a 95 % bound, as the one-sided test has it: what Bonferroni's correction shows is above 0.
    """
    from scipy.special import stdtrit

    if found.p is None or math.isnan(found.low):
        return replace(found, low=math.nan, high=math.nan)
    each, all_of_them = (stdtrit(found.pairs - 1, 1 - level) for level in (ALPHA / 2, ALPHA / found.comparisons))
    reach = (found.high - found.low) / 2 * float(all_of_them / each)
    return replace(found, low=found.mean - reach, high=found.mean + reach)


def _p_better(found: Difference) -> float:
    """Return p of a difference of at most 0, from the two-sided one; 1 where the test is not defined."""
    if found.p is None:
        return 1.0
    return found.p / 2 if found.mean > 0 else 1 - found.p / 2


def _paired(values: Mapping[int, float], others: Mapping[int, float]) -> dict[int, float]:
    return {repetition: value - others[repetition] for repetition, value in values.items() if repetition in others}


def _places(values: Mapping[int, float]) -> dict[Place, float]:
    """Return values by the places that a comparison knows: each repetition is a split of its own."""
    return {(f"{key:06}", "", "0"): value for key, value in values.items()}


def _difference(scores: Scores, entry: Entry, reference: Entry, design: Design) -> Difference:
    shared = _places(_paired(scores[entry], scores[reference]))
    ratio = design.validation_over_train if design.splits else math.nan
    return repetitions.difference(reference.candidate, shared, ratio, 1, None)


def _needed(
    scores: Scores, entry: Entry, baseline: Entry, design: Design, comparisons: int
) -> tuple[int | None, float | None]:
    """Return how many repetitions, or if none would do how many times as many rows, would show a difference as it is.

    The first step of Holm's correction is the one to pass. More rows narrow the spread of the differences by the root
    of their number.
    """
    from scipy.special import stdtrit

    differences = np.array(list(_paired(scores[entry], scores[baseline]).values()))
    if len(differences) < 2 or not design.splits:
        return None, None
    mean, deviation, ratio = differences.mean(), differences.std(ddof=1), design.validation_over_train

    def reach(count: int) -> float:
        return float(stdtrit(count - 1, 1 - ALPHA / comparisons) * deviation * math.sqrt(1 / count + ratio))

    last = max(enough(ratio), len(differences))
    counts = range(len(differences) + 1, last + 1)
    found = bisect.bisect_left(counts, True, key=lambda count: reach(count) <= mean)
    needed = counts[found] if found < len(counts) else None
    return needed, None if needed else (reach(last) / mean) ** 2


def orders(entries: Sequence[Entry]) -> list[str]:
    """Return the candidates of the entries, each once, in their order."""
    return list(dict.fromkeys(entry.candidate for entry in entries))
