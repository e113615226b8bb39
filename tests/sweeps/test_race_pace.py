"""Which jobs of a race come next: within the time, the baseline always in them, and those that promise most."""

import math

import numpy as np
import pytest

from equipoise.comparison.racing import Entry, Scores
from equipoise.sweeps.race_pace import Next, Pace, next_jobs

NONE = Entry("none", "argmax")
LABELS = ["none", "a", "b", "c"]


def scores(done: dict[str, int], means: dict[str, float] | None = None) -> Scores:
    generator = np.random.default_rng(0)
    means = means or {}
    return {
        Entry(label, "argmax"): {n: means.get(label, 0.5) + generator.normal(0, 0.01) for n in range(count)}
        for label, count in done.items()
        if count
    }


def pace(left: float = 1000, *, cost: float = 1, batches: int = 5, at_once: int = 1, enough: int = 75) -> Pace:
    return Pace(left, cost, batches, at_once, enough)


def test_the_first_job_is_the_baselines_and_the_second_batch_tells_the_cost() -> None:
    assert next_jobs({}, LABELS, NONE, pace(cost=0, batches=0)).jobs == (("none", 0),)
    first = scores({"none": 1})
    assert next_jobs(first, LABELS, NONE, pace(batches=1)).jobs == (("a", 0),)
    assert next_jobs(first, LABELS, NONE, pace(batches=1, at_once=2)).jobs == (("a", 0), ("b", 0))
    assert next_jobs(first, LABELS, NONE, pace(batches=2)).jobs == (("a", 0), ("b", 0), ("c", 0))


def test_a_repetition_that_a_kill_has_broken_is_completed_first() -> None:
    found = scores({"none": 4, "a": 4, "b": 3, "c": 3})
    assert next_jobs(found, LABELS, NONE, pace(batches=2)).jobs == (("b", 3), ("c", 3))


def test_what_is_shown_to_be_worse_trains_no_more() -> None:
    found = scores(dict.fromkeys(LABELS, 5), {"a": 0.2, "b": 0.6})
    assert next_jobs(found, LABELS, NONE, pace()).jobs == (("none", 5), ("b", 5))
    best = scores(dict.fromkeys(LABELS, 5), {"none": 0.9})
    assert next_jobs(best, LABELS, NONE, pace()) == Next(over="worse")
    assert next_jobs(scores(dict.fromkeys(LABELS, 75)), LABELS, NONE, pace()) == Next(over="enough")


def test_the_last_repetition_is_of_those_that_promise_most_and_never_the_baseline_alone() -> None:
    found = scores(dict.fromkeys(LABELS, 4), {"c": 0.6, "a": 0.55})
    assert next_jobs(found, LABELS, NONE, pace(3.5)).jobs == (("none", 4), ("c", 4), ("a", 4))
    assert next_jobs(found, LABELS, NONE, pace(1.5)).jobs == ()


def test_where_the_time_is_too_short_the_last_candidates_are_left_out() -> None:
    first = scores({"none": 1, "a": 1})
    found = next_jobs(first, LABELS, NONE, pace(12, batches=2))
    assert (found.jobs, found.lost) == ((("none", 1), ("a", 1)), ["b", "c"])


@pytest.mark.parametrize("cost", [0.4, 1.7, 6.0])
@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_a_budget_is_kept(cost: float, at_once: int) -> None:
    """Simulated: each job takes its cost, give or take a fifth; the race ends within a repetition of the budget."""
    generator, budget, spent, batches, latest = np.random.default_rng(1), 60.0, 8.0, 0, 0.0
    done = dict.fromkeys(LABELS, 0)
    labels = list(LABELS)
    while True:
        found = next_jobs(
            scores(done),
            labels,
            NONE,
            pace(budget - spent, cost=latest, batches=batches, at_once=at_once, enough=10**6),
        )
        labels = [label for label in labels if label not in found.lost]
        if not found.jobs:
            break
        for label, number in found.jobs:
            assert number == done[label]
            done[label] += 1
        rounds = math.ceil(len(found.jobs) / at_once)
        took = rounds * cost * generator.uniform(0.8, 1.2)
        spent, batches, latest = spent + took, batches + 1, took / rounds
    assert budget - 2 * cost * len(LABELS) <= spent <= budget + cost * len(LABELS) * 0.4
