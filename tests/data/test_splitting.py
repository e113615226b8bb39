"""Splits: what holds for any labels."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.core.errors import ConfigError
from equipoise.data.labels import spelled
from equipoise.data.splitting import divide, given_splits, grouped
from equipoise.data.types import Times

NAMES = tuple("abcdef")


def options(**changed: Any) -> Any:
    """The options of conf/dataset/shared/whole.yaml."""
    defaults = {
        "test_fraction": 0.2,
        "validation_fraction": 0.1,
        "folds": None,
        "fold": 0,
        "min_count": 3,
        "rare": "error",
        "split_seed": 0,
    }
    return SimpleNamespace(**{**defaults, **changed})


@st.composite
def labels(draw: st.DrawFn) -> np.ndarray:
    """Three to six classes of at least ten samples, shuffled."""
    counts = draw(st.lists(st.integers(10, 80), min_size=3, max_size=6))
    return np.random.default_rng(draw(st.integers(0, 9999))).permutation(np.repeat(np.arange(len(counts)), counts))


@given(labels(), st.integers(0, 100))
def test_every_sample_stands_in_one_split_and_every_class_in_all(drawn: np.ndarray, seed: int) -> None:
    classes = NAMES[: drawn.max() + 1]
    found = divide(drawn, classes, options(split_seed=seed))
    together = np.concatenate(list(found.rows.values()))
    np.testing.assert_array_equal(np.sort(together), np.arange(len(drawn)))
    assert len(found.rows["test"]) == pytest.approx(0.2 * len(drawn), abs=len(classes) + 1)
    for rows in found.rows.values():
        assert (np.diff(rows) > 0).all()
        assert set(drawn[rows]) == set(range(len(classes)))
    share = np.bincount(drawn) / len(drawn)
    np.testing.assert_allclose(np.bincount(drawn[found.rows["train"]]) / len(found.rows["train"]), share, atol=0.08)
    again = divide(drawn, classes, options(split_seed=seed))
    assert all((again.rows[name] == found.rows[name]).all() for name in found.rows)


@given(labels())
def test_folds_are_a_partition(drawn: np.ndarray) -> None:
    classes = NAMES[: drawn.max() + 1]
    tests = [divide(drawn, classes, options(folds=4, fold=fold)).rows["test"] for fold in range(4)]
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(len(drawn)))


@given(labels(), st.integers(0, 50), st.sampled_from([None, 3]))
def test_groups_never_stand_on_both_sides(drawn: np.ndarray, seed: int, folds: int | None) -> None:
    groups = np.random.default_rng(seed).integers(0, 25, len(drawn))
    found = divide(drawn, NAMES[: drawn.max() + 1], options(split_seed=seed, folds=folds), groups)
    sides = [set(groups[rows]) for rows in found.rows.values()]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_given_splits_are_respected_and_the_rest_is_divided() -> None:
    drawn = np.tile([0, 1], 50)
    given_splits = np.zeros(100, np.int8)
    given_splits[:20] = 3
    found = divide(drawn, ("a", "b"), options(), given=given_splits)
    assert found.rows["test"].tolist() == list(range(20))
    assert len(found.rows["validation"]) == 8


@pytest.mark.parametrize("absent", ["validation", "test"])
def test_a_split_that_the_data_leave_out_is_cut_from_train(absent: str) -> None:
    drawn = np.random.default_rng(0).permutation(np.repeat([0, 1], [120, 60]))
    named = np.where(np.arange(180) < 140, 1, 5 - {"validation": 2, "test": 3}[absent]).astype(np.int8)
    found = divide(drawn, ("a", "b"), options(validation_fraction=0.3, test_fraction=0.3), given=named)
    kept = "test" if absent == "validation" else "validation"
    assert found.rows[kept].tolist() == list(range(140, 180))
    assert len(found.rows[absent]) == 42, "0.3 of the 140 that are named train"
    assert set(found.rows[absent]) | set(found.rows["train"]) == set(range(140))
    share = drawn[:140].mean()
    assert drawn[found.rows[absent]].mean() == pytest.approx(share, abs=1 / 42)
    assert found.notes == (
        f"the data name no {absent} split: it is cut from train (dataset.{absent}_fraction=0.3, stratified by class)",
    )


def test_samples_without_a_group_are_groups_of_their_own() -> None:
    found, notes = grouped(spelled(np.array(["p0", "", "p1", " p0", "NA", ""]), "g"), "dataset.group=pid", ["NA"])
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 5
    assert notes == ["dataset.group=pid: 3 of 6 samples have no value there, and each of them is a group of its own"]
    whole, notes = grouped(spelled(np.array([1.0, 2.0, np.nan, np.nan]), "g"), "dataset.group=pid", [])
    assert len(set(whole.tolist())) == 4
    assert len(notes) == 1
    assert grouped(spelled(np.array(["1", "1.0", "01", "2"]), "g"), "g", [])[0].tolist() == [0, 0, 0, 1], (
        "one patient however the number is written"
    )


def test_usual_words_for_no_value_are_no_group() -> None:
    found, notes = grouped(
        spelled(np.array(["p0", "-", "n/a", "#N/A", "unknown", "unknown"]), "g"), "dataset.group=pid", ["unknown"]
    )
    assert len(set(found.tolist())) == 6
    assert notes[0].startswith("dataset.group=pid: 5 of 6 samples have no value there")


def test_groups_that_are_nearly_one_are_told() -> None:
    _, notes = grouped(spelled(np.array(["Pat1", "pat1", "pat2"]), "g"), "dataset.group=pid", [])
    assert len(notes) == 1
    assert notes[0].startswith("dataset.group=pid: 'Pat1' and 'pat1' are different groups, and nearly the same text")


def test_folds_of_a_given_test_split_are_refused() -> None:
    given = np.array([1] * 30 + [2] * 10 + [3] * 10, dtype=np.int8)
    for some in (given, np.where(given == 1, 0, given).astype(np.int8)):
        with pytest.raises(ConfigError, match=r"dataset\.folds=5 has no effect: .*dataset\.folds=null"):
            divide(np.arange(50) % 2, NAMES[:2], options(folds=5), given=some)


def test_splits_are_named_as_people_name_them() -> None:
    words = np.array(["Train", " training ", "VAL", "valid", "validation", "test", "Testing", ""])
    found, notes = given_splits(spelled(words, "s"), "dataset.split=s")
    assert found.tolist() == [1, 1, 2, 2, 2, 3, 3, 0]
    assert notes == ["dataset.split=s: 1 of 8 samples names no split (''), and is divided here"]
    with pytest.raises(
        ConfigError,
        match=r"holds 'holdout'; known are train, validation, test, and a blank for what is to be divided here",
    ):
        given_splits(spelled(np.array(["train", "", "holdout"]), "s"), "dataset.split=s")


class TestRare:
    LABELS = np.array([0] * 20 + [1] * 20 + [2] * 2 + [3])

    def test_error_names_the_class_and_the_ways_out(self) -> None:
        with pytest.raises(ConfigError, match=r"class c \(2\), d \(1\); needed are 3 .*drop, merge .*keep_in_train"):
            divide(self.LABELS, NAMES[:4], options())

    def test_drop(self) -> None:
        found = divide(self.LABELS, NAMES[:4], options(rare="drop"))
        assert found.classes == ("a", "b")
        assert sum(map(len, found.rows.values())) == 40
        assert "dataset.rare=drop applied to class c (2), d (1)" in found.notes

    def test_merge(self) -> None:
        found = divide(self.LABELS, NAMES[:4], options(rare="merge"))
        assert found.classes == ("a", "b", "other")
        assert found.labels[40:].tolist() == [2, 2, 2]

    def test_keep_in_train(self) -> None:
        found = divide(self.LABELS, NAMES[:4], options(rare="keep_in_train"))
        assert found.classes == NAMES[:4]
        assert {40, 41, 42} <= set(found.rows["train"].tolist())

    def test_merging_too_few_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match=r"all rare classes together have 3 samples, fewer than dataset\.min_count=5"
        ):
            divide(self.LABELS, NAMES[:4], options(rare="merge", min_count=5))

    def test_folds_need_as_many_of_each_class(self) -> None:
        with pytest.raises(ConfigError, match=r"class b \(4\); needed are 5"):
            divide(np.array([0] * 20 + [1] * 4), ("a", "b"), options(folds=5))


def test_several_labels_are_divided_at_random() -> None:
    found = divide(np.random.default_rng(0).integers(0, 2, (100, 3)), ("a", "b", "c"), options())
    assert [len(found.rows[name]) for name in ("train", "validation", "test")] == [70, 10, 20]


def days(*values: float) -> Times:
    return Times("dataset.time=day", np.array(values, np.float64), lambda value: f"day {value:g}")


@pytest.mark.parametrize("seed", range(20))
def test_time_orders_the_splits_and_a_moment_is_in_one_of_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, generator.integers(3, 60), 150)
    times = days(*drawn)
    found = divide(np.zeros(150, np.int64), ("a",), options(split_seed=seed), times=times)
    together = np.concatenate(list(found.rows.values()))
    np.testing.assert_array_equal(np.sort(together), np.arange(150))
    train, validation, test = (times.values[found.rows[name]] for name in ("train", "validation", "test"))
    assert train.max() < validation.min() <= validation.max() < test.min()
    counts = np.unique(drawn, return_counts=True)[1]  # rows of one day, on which a border may not lie
    nearest = min(abs(30 - counts[place:].sum()) for place in range(2, len(counts)))
    assert abs(30 - len(test)) == nearest
    assert ("split_seed" in " ".join(found.notes)) is (seed != 0)


def test_borders_in_time_are_told() -> None:
    found = divide(np.tile([0, 1], 10), ("a", "b"), options(), times=days(*range(20)[::-1]))
    assert found.notes == (
        "dataset.time=day: splits are in order of time: train day 0 to day 13 (14 rows); "
        "validation day 14 to day 15 (2 rows); test day 16 to day 19 (4 rows)",
    )
    assert found.rows["test"].tolist() == [0, 1, 2, 3], "the last days stand first"


def test_a_class_of_later_rows_alone_is_refused_with_the_cause() -> None:
    labels = np.array([0, 1] * 8 + [2] * 4)
    with pytest.raises(ConfigError) as caught:
        divide(labels, ("a", "b", "new"), options(), times=days(*range(20)))
    assert "dataset.time=day: no training sample of class new: in order of time, training ends with day 13, and" in str(
        caught.value
    )
    assert "the first row of new is of day 16" in str(caught.value)
    several = np.stack([np.tile([0, 1], 10), np.arange(20) > 16], axis=1).astype(np.int64)
    with pytest.raises(ConfigError, match="no training sample of class late"):
        divide(several, ("often", "late"), options(), times=days(*range(20)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"folds": 5}, "dataset.folds=5 with dataset.time=day: a model would be trained on rows that are later"),
        ({"rare": "keep_in_train"}, "dataset.rare=keep_in_train with dataset.time=day"),
        ({"test_fraction": 0}, "dataset.test_fraction=0: the split would be empty"),
    ],
)
def test_what_time_leaves_no_room_for_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        divide(np.tile([0, 1], 10), ("a", "b"), options(**changed), times=days(*range(20)))
    assert said in str(caught.value)


def test_groups_and_too_few_moments_cannot_be_in_order_of_time() -> None:
    labels, groups = np.tile([0, 1], 10), np.arange(20) // 2
    with pytest.raises(ConfigError, match=r"dataset\.group with dataset\.time=day: a group may have rows before and"):
        divide(labels, ("a", "b"), options(), groups, times=days(*range(20)))
    with pytest.raises(ConfigError, match="its rows are of too few different times to be divided"):
        divide(labels, ("a", "b"), options(), times=days(*([1, 2] * 10)))


def test_test_rows_of_another_file_that_are_not_later_are_told() -> None:
    given_rows = np.array([0] * 16 + [3] * 4, np.int8)
    found = divide(np.tile([0, 1], 10), ("a", "b"), options(), given=given_rows, times=days(*range(16), 5, 6, 30, 31))
    assert found.rows["test"].tolist() == [16, 17, 18, 19]
    assert found.notes[-1] == "dataset.time=day: 2 test rows are no later than the last training row, as the data say"
