"""Keys that MLflow takes, and what is logged under them for each class or rank."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from equipoise.metrics import ranks
from equipoise.tracking.keys import by_class, class_keys, param_key, points, profile


def data(classes: tuple[str, ...], head_to_tail: list[int]) -> Any:
    """What keys are made of: the class names and their order by frequency."""
    return SimpleNamespace(classes=classes, head_to_tail=np.array(head_to_tail))


def test_class_keys_are_taken_by_mlflow_and_never_collide() -> None:
    keys = class_keys(["cat", "a/b", "a(b", "größer", "", "a_b", "..", "x" * 300])
    assert keys == {
        "cat": "cat",
        "a/b": "a_b",
        "a(b": "a_b_2",
        "größer": "größer",
        "": "_",
        "a_b": "a_b_3",
        "..": "__2",
        "x" * 300: "x" * 120,
    }


def test_a_param_s_key_is_taken_by_mlflow() -> None:
    assert param_key("loss.cost.a(b.größe, 1") == "loss.cost.a_b.größe_ 1"
    assert param_key("a" * 300) == "a" * 250


def test_values_of_few_classes_have_a_key_each() -> None:
    found = by_class(data(("b", "a/c"), [1, 0]), {"test/recall": np.array([0.25, 1])})
    assert found == {"test/recall/b": 0.25, "test/recall/a_c": 1}
    assert profile(data(("b", "a/c"), [1, 0]), np.array([0.25, 1])).tolist() == [1, 0.25]


def test_values_of_many_classes_are_means_of_groups_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "MOST_KEYED", 19)
    monkeypatch.setattr(ranks, "MOST_POINTS", 19)
    twenty = data(tuple("abcdefghijklmnopqrst"), list(range(19, -1, -1)))
    values = np.arange(20.0)  # by rank: 19, 18, …, NaN, 0
    values[1] = np.nan
    found = by_class(twenty, {"count": values})
    assert list(found)[:2] == ["count/ranks_1-2", "count/ranks_3-4"]
    assert list(found.values()) == [18.5, 16.5, 14.5, 12.5, 10.5, 8.5, 6.5, 4.5, 2.5, 0]
    np.testing.assert_array_equal(profile(twenty, values), values[::-1])
    assert points(twenty)[:2] == ["ranks_1-1", "ranks_2-2"], "a hundred groups, or as many as there are classes"


def test_of_more_than_twenty_classes_metrics_are_groups_and_profiles_are_whole() -> None:
    classes = tuple(f"c/{number}" for number in range(21))
    many = data(classes, list(range(20, -1, -1)))
    assert next(iter(by_class(many, {"weight": np.arange(21.0)}))) == "weight/ranks_1-2"
    assert points(many)[:2] == ["c_20", "c_19"]
    assert len(profile(many, np.arange(21.0))) == len(points(many)) == 21
