"""A race: who leaves, what is shown, and what the choice is worth on rows that did not choose."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from equipoise.comparison import racing
from equipoise.comparison.racing import Design, Entry

NONE, A, B = Entry("none", "argmax"), Entry("a", "argmax"), Entry("b", "argmax")
DESIGN = Design(splits=True, tests=True, validation_over_train=0.15, test_over_train=0.3)


def scores(columns: dict[Entry, np.ndarray]) -> dict[Entry, dict[int, float]]:
    return {entry: dict(enumerate(values.tolist())) for entry, values in columns.items()}


def drawn(means: dict[Entry, float], repetitions: int, seed: int, noise: float = 0.02) -> dict[Entry, dict[int, float]]:
    """Scores that share each repetition's luck."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.05, repetitions)
    return scores({entry: mean + shared + generator.normal(0, noise, repetitions) for entry, mean in means.items()})


def test_looks_grow_by_the_root_of_two() -> None:
    assert racing.looks(4) == []
    assert racing.looks(60) == [5, 7, 10, 14, 20, 28, 40, 57]


def test_an_entry_is_dropped_at_the_first_look_whose_t_test_shows_it() -> None:
    found = drawn({NONE: 0.8, A: 0.7, B: 0.795}, 40, seed=1)
    dropped = racing.dropped(found, NONE)
    assert set(dropped) == {A}
    expected = None
    for number, look in enumerate(racing.looks(40), start=1):
        means = {entry: np.mean([found[entry][key] for key in range(look)]) for entry in found}
        leader = max(means, key=means.__getitem__)
        first, second = ([found[entry][key] for key in range(look)] for entry in (leader, A))
        if stats.ttest_rel(first, second, alternative="greater").pvalue <= 0.05 / (number * (number + 1)) / 2:
            expected = look
            break
    assert dropped[A] == expected == 5


def test_the_baseline_stays_and_a_look_waits_for_all_that_are_left() -> None:
    found = drawn({NONE: 0.2, A: 0.8, B: 0.5}, 20, seed=0)
    assert set(racing.dropped(found, NONE)) == {B}
    assert racing.dropped({**found, B: {0: 0.5, 1: 0.5}}, NONE) == {}, "b has two repetitions, and a look needs five"
    short = {**found, B: {key: found[B][key] for key in range(5)}}
    assert racing.dropped(short, NONE) == {B: 5}, "what was dropped has no later repetitions"


def test_the_best_is_seldom_dropped_however_often_one_looks() -> None:
    """At most 5 % by construction; of 400 races with 23 entries, 32 would be 3 standard errors above it."""
    names = [Entry(f"{number}", "argmax") for number in range(23)]
    wrong = 0
    for seed in range(400):
        dropped = racing.dropped(drawn(dict.fromkeys(names, 0.5) | {names[5]: 0.5005}, 57, seed), names[0])
        wrong += names[5] in dropped
    assert wrong <= 32


def test_it_departs_only_for_what_is_shown_and_names_the_highest_of_these() -> None:
    tuned = Entry("none", "tuned")
    found = drawn({NONE: 0.70, tuned: 0.78, A: 0.80, B: 0.70}, 20, seed=3)
    verdict = racing.judge(found, NONE, DESIGN)
    assert (verdict.choice, verdict.leader, verdict.control) == (A, A, tuned)
    p = {}
    for entry in (tuned, A, B):
        difference = np.array([found[entry][key] - found[NONE][key] for key in range(20)])
        error = difference.std(ddof=1) * math.sqrt(1 / 20 + 0.15)
        p[entry] = stats.t.sf(difference.mean() / error, 19)
    least, middle, most = sorted(p, key=p.__getitem__)
    adjusted = {least: 3 * p[least], middle: max(3 * p[least], 2 * p[middle])}
    adjusted[most] = max(adjusted[middle], p[most])
    assert {entry: one.p for entry, one in verdict.differences.items()} == pytest.approx(adjusted)
    assert {one.comparisons for one in verdict.differences.values()} == {3}
    assert verdict.to_control is not None
    assert verdict.to_control.mean == pytest.approx(verdict.differences[A].mean - verdict.differences[tuned].mean)


def test_where_nothing_is_shown_it_stays_and_says_what_would_show_it() -> None:
    found = drawn({NONE: 0.70, A: 0.706, B: 0.69}, 10, seed=8, noise=0.01)
    verdict = racing.judge(found, NONE, DESIGN)
    assert (verdict.choice, verdict.leader) == (NONE, A)
    difference = np.array([found[A][key] - found[NONE][key] for key in range(10)])
    mean, deviation = difference.mean(), difference.std(ddof=1)

    def shown(count: int, ratio: float = 0.15) -> bool:
        error = deviation * math.sqrt(1 / count + ratio)
        return bool(2 * stats.t.sf(mean / error, count - 1) <= 0.05)

    if verdict.needed is None:
        assert not shown(racing.enough(0.15))
        assert verdict.rows_needed is not None
        assert verdict.rows_needed > 1
    else:
        assert shown(verdict.needed)
        assert not shown(verdict.needed - 1)
    more = racing.judge(found, NONE, Design(True, True, 0.001, 0.3))
    assert more.needed is not None
    assert shown(more.needed, 0.001)
    assert not shown(more.needed - 1, 0.001)


def test_nothing_is_claimed_where_nothing_is_better() -> None:
    """Splits share rows: each data set has an effect of its own, as large as the correction allows for.

    400 data sets, 10 splits and 8 alternatives; with a true rate of 5 %, 33 would be 3 standard errors above it.
    """
    generator = np.random.default_rng(0)
    names = [NONE, *(Entry(f"{number}", "argmax") for number in range(8))]
    claimed = 0
    for _ in range(400):
        luck = generator.normal(0, 0.02 * math.sqrt(0.15), len(names))
        columns = luck + generator.normal(0, 0.02, (10, len(names)))
        found = scores(dict(zip(names, columns.T, strict=True)))
        claimed += racing.judge(found, NONE, DESIGN).choice != NONE
    assert claimed <= 33


def test_one_way_by_two_names_is_one_alternative() -> None:
    found = drawn({NONE: 0.7, A: 0.75}, 8, seed=0)
    twice = {**found, B: found[A], Entry("none", "tuned"): found[NONE]}
    differences = racing.to_baseline(twice, NONE, DESIGN)
    assert set(differences) == {A, B}
    assert differences[A] == differences[B]
    assert differences[A].comparisons == 1


def test_seeds_on_the_same_validation_rows_show_nothing() -> None:
    """Other rows may prefer another entry, and no number of seeds tells."""
    found = drawn({NONE: 0.7, A: 0.8}, 40, seed=0)
    verdict = racing.judge(found, NONE, Design(False, False, 0.15, 0.3))
    assert (verdict.choice, verdict.leader, verdict.needed, verdict.rows_needed) == (NONE, A, None, None)
    assert verdict.differences[A].p is None
    assert math.isnan(verdict.differences[A].low)


def test_bounds_hold_for_all_alternatives_at_once() -> None:
    found = drawn({NONE: 0.7, A: 0.75, B: 0.76}, 12, seed=5)
    for entry, one in racing.to_baseline(found, NONE, DESIGN).items():
        difference = np.array([found[entry][key] - found[NONE][key] for key in range(12)])
        error = difference.std(ddof=1) * math.sqrt(1 / 12 + 0.15)
        reach = stats.t.ppf(1 - 0.05 / 2, 11) * error
        assert (one.low, one.high) == pytest.approx((one.mean - reach, one.mean + reach))


def test_nested_judges_by_the_test_rows_what_the_validation_rows_prefer() -> None:
    validation = {NONE: {0: 0.5, 1: 0.6, 2: 0.7}, A: {0: 0.6, 1: 0.5, 2: 0.7}}
    test = {NONE: {0: 0.4, 1: 0.5, 2: 0.6}, A: {0: 0.45, 1: 0.9, 2: 0.9}}
    found = racing.nested(validation, test, NONE, DESIGN)
    assert found is not None
    assert found.chosen == {A: 1, NONE: 2}, "of equal scores the first entry"
    assert found.spread.mean == pytest.approx((0.45 + 0.5 + 0.6) / 3)
    assert found.to_baseline.mean == pytest.approx(0.05 / 3)
    assert racing.nested(validation, {}, NONE, DESIGN) is None
    same = racing.nested(validation, test, NONE, Design(True, False, 0.15, 0.3))
    assert same is not None
    assert math.isnan(same.spread.low), "test rows that all repetitions share"


def test_enough_is_where_more_repetitions_narrow_nothing() -> None:
    count = racing.enough(0.15)
    assert math.sqrt((1 / count + 0.15) / 0.15) <= 1.05 < math.sqrt((1 / (count - 1) + 0.15) / 0.15)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(0, 30))
def test_the_order_and_a_common_shift_change_nothing(seed: int, entries: int, repetitions: int) -> None:
    names = [Entry(f"{number}", "argmax") for number in range(entries)]
    found = drawn({name: 0.5 + 0.01 * number for number, name in enumerate(names)}, repetitions, seed)
    shifted = {
        entry: {key: value + 0.125 * (key % 4) for key, value in found[entry].items()} for entry in reversed(found)
    }
    assert racing.dropped(found, names[0]).items() == racing.dropped(shifted, names[0]).items()
    assert names[0] not in racing.dropped(found, names[0])
