"""Which jobs of a race come next, given what is known and how much time is left. Nothing runs here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from equipoise.comparison import racing
from equipoise.comparison.racing import Entry, Scores

Job = tuple[str, int]  # a candidate's label, and the repetition
Over = Literal["time", "worse", "enough"]


@dataclass(frozen=True)
class Pace:
    """How fast a race goes.

    Attributes
    ----------
    left : seconds until the time is up
    cost : seconds of one job in one worker, as the latest batch says; not known before the second batch
    batches : that this process has launched
    at_once : jobs that the launcher runs at the same time
    enough : repetitions beyond which nothing more is learned
    """

    left: float
    cost: float
    batches: int
    at_once: int
    enough: int


@dataclass(frozen=True)
class Next:
    """The next jobs, the candidates that are left out for want of time, and why the race is over if there are none."""

    jobs: tuple[Job, ...] = ()
    lost: Sequence[str] = ()
    over: Over = "time"


def next_jobs(scores: Scores, labels: Sequence[str], baseline: Entry, pace: Pace) -> Next:
    """Return the first repetition that a candidate which is left does not have, for all that do not have it.

    Parameters
    ----------
    labels : of the candidates, the baseline's first
    """
    done = {label: {n for e, values in scores.items() if e.candidate == label for n in values} for label in labels}
    gone = racing.dropped(scores, baseline) if baseline in scores else {}
    racing_on = {entry.candidate for entry in scores if entry not in gone} | {baseline.candidate}
    left = [label for label in labels if not done[label] or label in racing_on]
    if len(left) == 1 and len(labels) > 1:
        return Next(over="worse")
    number = min(next(n for n in range(len(done[label]) + 1) if n not in done[label]) for label in left)
    if number >= pace.enough:
        return Next(over="enough")
    missing = [(label, number) for label in left if number not in done[label]]
    if pace.batches < 2:  # the first job pays for imports and the graph, the second batch tells what a job takes
        first = 1 if pace.batches == 0 else pace.at_once
        return Next(tuple(missing[:first]) if pace.left > pace.cost else ())
    room = int(pace.left / pace.cost) * pace.at_once
    if pace.batches == 2 and len(done[baseline.candidate]) == 1 and room < racing.FIRST_LOOK * len(left):
        lost = left[max(1, room // racing.FIRST_LOOK) :]
        kept = [label for label in labels if label not in lost]
        return replace(next_jobs(scores, kept, baseline, replace(pace, batches=3)), lost=lost)
    if room < len(missing):  # the baseline and those that promise most
        gain = {label: _highest(scores, label, gone) for label, _ in missing} | {baseline.candidate: np.inf}
        missing = sorted(missing, key=lambda job: -gain[job[0]])[:room]
    makes_no_pair = len(labels) > 1 and [label for label, _ in missing] == [baseline.candidate]
    return Next(() if makes_no_pair else tuple(missing))


def _highest(scores: Scores, label: str, gone: Mapping[Entry, int]) -> float:
    """Return the highest mean of a candidate's rules that are left; -inf without any."""
    means = (np.mean([*values.values()]) for e, values in scores.items() if e.candidate == label and e not in gone)
    return float(max(means, default=-np.inf))
