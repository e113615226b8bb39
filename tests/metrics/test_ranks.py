"""Groups of ranks, by hand."""

import numpy as np

from equipoise.metrics import ranks


def test_groups_are_nearly_equal_and_begin_with_the_head() -> None:
    found = ranks.groups(np.array([4, 0, 2, 1, 3]), 2)
    assert {name: members.tolist() for name, members in found.items()} == {"ranks_1-2": [4, 0], "ranks_3-5": [2, 1, 3]}
    assert list(ranks.groups(np.arange(3))) == ["ranks_1-1", "ranks_2-2", "ranks_3-3"], "no more groups than classes"
    assert sorted(np.concatenate(list(ranks.groups(np.arange(10_007)[::-1]).values()))) == list(range(10_007))


def test_means_leave_out_classes_without_a_value() -> None:
    found = ranks.means(np.array([1.0, np.nan, 2.0, np.nan]), {"a": np.array([0, 1, 2]), "b": np.array([3])})
    assert found["a"] == 1.5
    assert np.isnan(found["b"])
