"""Recall by slice: counts by hand, Fisher's p by enumeration, Holm's correction, and false alarms in simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import pytest
from scipy import stats

from equipoise.core.schema import Integers
from equipoise.metrics.multiplicity import holm
from equipoise.metrics.slices import SliceRecall, fisher_p, recall_by_slice


@dataclass(frozen=True)
class Column:
    names: tuple[str, ...]
    codes: Integers


def column(values: Sequence[str]) -> Column:
    names, codes = np.unique(np.array(values), return_inverse=True)
    return Column(tuple(map(str, names)), codes)


def by_name(recalls: Sequence[SliceRecall]) -> dict[tuple[str, str], SliceRecall]:
    return {(one.label, one.where): one for one in recalls}


def made(counts: Mapping[str, tuple[int, int]]) -> tuple[Integers, Integers, Column]:
    """Return samples of class 1 in slices of so many hits of so many."""
    slices = [name for name, (_, support) in counts.items() for _ in range(support)]
    predicted = [int(row < hits) for hits, support in counts.values() for row in range(support)]
    return np.ones(len(slices), np.int64), np.array(predicted), column(slices)


def test_counts_and_order_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    predicted = np.array([0, 0, 1, 0, 1, 0, 0, 1])
    slicing = column(["DE", "DE", "DE", "FR", "DE", "DE", "FR", "FR"])
    # Class b in DE: 1 of 2, in FR: 1 of 2; class a in DE: 2 of 3, in FR: 1 of 1. No sample is in IT.
    with_empty = Column((*slicing.names, "IT"), slicing.codes)
    found = recall_by_slice(labels, predicted, ("a", "b"), {"country": with_empty})
    assert [(one.label, one.where, one.hits, one.support) for one in found.recalls] == [
        ("b", "country=DE", 1, 2),
        ("b", "country=FR", 1, 2),
        ("a", "country=DE", 2, 3),
        ("a", "country=FR", 1, 1),
        ("a", "country=IT", 0, 0),
        ("b", "country=IT", 0, 0),
    ]
    assert len(found.with_samples) == 4
    assert found.tests == 2, "the two slices of a class are one test"
    one = found.recalls[2]
    assert (one.rest_hits, one.rest_support, one.recall, one.rest) == (1, 1, 2 / 3, 1)
    wilson = stats.binomtest(2, 3).proportion_ci(0.95, "wilson")
    assert (one.low, one.high) == pytest.approx((wilson.low, wilson.high))


def test_fishers_p_is_what_counting_all_tables_gives() -> None:
    """Of 7 hits among 5 + 15 samples, all tables of the same margins, by their number of ways."""
    hits, support, all_hits, samples = 0, 5, 7, 20
    ways = {k: comb(all_hits, k) * comb(samples - all_hits, support - k) for k in range(support + 1)}
    extreme = sum(count for count in ways.values() if count <= ways[hits])
    assert fisher_p(hits, support, all_hits - hits, samples - support) == pytest.approx(
        extreme / comb(samples, support)
    )


def test_what_is_shown_and_what_is_not() -> None:
    labels, predicted, slicing = made({"DE": (10, 60), "FR": (55, 60), "IT": (40, 60), "few": (1, 2)})
    found = recall_by_slice(labels, predicted, ("ok", "fraud"), {"country": slicing})
    plain = {
        name: stats.fisher_exact([[h, n - h], [106 - h, 182 - n - 106 + h]]).pvalue
        for name, (h, n) in {"DE": (10, 60), "FR": (55, 60), "IT": (40, 60), "few": (1, 2)}.items()
    }
    recalls = {one.name: one for one in found.with_samples}
    assert found.tests == 4
    assert {name: recalls[name].p for name in plain} == pytest.approx(plain)
    assert [recalls[name].adjusted for name in plain] == pytest.approx(holm(list(plain.values())))
    assert {name: one.finding for name, one in recalls.items()} == {
        "DE": "lower",
        "FR": "higher",
        "IT": "not shown to differ",
        "few": "too few rows",
    }


def test_the_family_is_all_of_one_call() -> None:
    """A second column without any difference makes the same table weigh less; a class without a rest is no test."""
    labels, predicted, slicing = made({"DE": (3, 20), "FR": (11, 20)})
    alone = recall_by_slice(labels, predicted, ("ok", "fraud"), {"country": slicing})
    other = column([f"{row % 5}" for row in range(40)])
    both = recall_by_slice(
        labels, predicted, ("ok", "fraud"), {"country": slicing, "part": other, "one": column(["x"] * 40)}
    )
    assert (alone.tests, both.tests) == (1, 6)
    first, second = (by_name(found.recalls)["fraud", "country=DE"] for found in (alone, both))
    assert first.adjusted == first.p == second.p == pytest.approx(second.adjusted / 6)
    assert (first.finding, second.finding) == ("lower", "not shown to differ")
    whole = by_name(both.recalls)["fraud", "one=x"]
    assert (whole.recall, whole.finding) == (14 / 40, "no rest")
    assert np.isnan([whole.rest, whole.p, whole.adjusted]).all()


def test_a_slice_is_small_if_no_count_of_hits_could_be_shown_to_differ() -> None:
    """3 of 3 found where all others are missed is shown, though 3 are few; 2 never are among 40 tests."""
    labels, predicted, slicing = made({"few": (3, 3), "many": (5, 200)})
    assert recall_by_slice(labels, predicted, ("ok", "fraud"), {"c": slicing}).recalls[-1 - 2].finding == "higher"
    many = {f"s{index:02}": (50, 100) for index in range(39)}
    labels, predicted, slicing = made({"few": (0, 2), **many})
    found = {one.name: one for one in recall_by_slice(labels, predicted, ("ok", "fraud"), {"c": slicing}).with_samples}
    assert {name for name, one in found.items() if one.is_small} == {"few"}


def test_several_labels_a_sample() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
    predicted = np.array([[1, 1], [0, 1], [1, 0], [1, 1]])
    found = by_name(recall_by_slice(labels, predicted, ("rain", "wind"), {"s": column(["a", "a", "b", "b"])}).recalls)
    assert {key: (one.hits, one.support) for key, one in found.items()} == {
        ("rain", "s=a"): (1, 2),
        ("rain", "s=b"): (0, 0),
        ("wind", "s=a"): (1, 1),
        ("wind", "s=b"): (0, 1),
    }


@pytest.mark.slow
def test_false_alarms_are_rare_where_no_slice_differs() -> None:
    """The chance of any false alarm in a call is at most 5 %, whatever the sizes of classes and slices."""
    generator, alarms, calls = np.random.default_rng(0), 0, 150
    for _ in range(calls):
        labels = generator.choice(3, 400, p=[0.7, 0.25, 0.05])
        right = generator.random(400) < np.array([0.9, 0.6, 0.4])[labels]
        slicing = column(generator.choice(["a", "b", "c", "d"], 400, p=[0.5, 0.3, 0.15, 0.05]).tolist())
        found = recall_by_slice(labels, np.where(right, labels, (labels + 1) % 3), ("x", "y", "z"), {"s": slicing})
        alarms += any(one.finding in ("lower", "higher") for one in found.recalls)
    assert alarms <= stats.binom.ppf(0.999, calls, 0.05)
