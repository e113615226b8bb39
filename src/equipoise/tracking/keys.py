"""The keys that MLflow takes: of params, of metrics, and of what is logged for each class or rank."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.data.types import ClassCounts
from equipoise.metrics import ranks


def class_keys(classes: Sequence[str]) -> dict[str, str]:
    """Return for each class name what MLflow takes in a metric key; equal keys get `_2`, `_3` … at their end."""
    keys: dict[str, str] = {}
    used: set[str] = set()
    for name in classes:
        # MLflow takes 250 characters for a whole key, and no part that means a folder, as `.` and `..` do.
        slug = re.sub(r"[^\w .-]+|^\.+$", "_", name).strip()[:120] or "_"
        key = slug
        for number in itertools.count(2):
            if key not in used:
                break
            key = f"{slug}_{number}"
        used.add(key)
        keys[name] = key
    return keys


def param_key(key: str) -> str:
    """Return a dotted config key as MLflow takes it: the class names in it may hold any character."""
    return re.sub(r"[^\w .\-/]+", "_", key)[:250]


def by_class(data: ClassCounts, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return `{"test/recall/<class>": value}` for `{"test/recall": array}`; for many classes means of groups of ranks.

    Parameters
    ----------
    metrics : key to values in class order, (classes,)
    """
    if len(data.classes) > ranks.MOST_KEYED:
        members = ranks.groups(data.head_to_tail)
        found = {name: ranks.means(np.asarray(values, np.float64), members) for name, values in metrics.items()}
        return {f"{name}/{group}": value for name, means in found.items() for group, value in means.items()}
    keys = class_keys(data.classes)
    return {
        f"{name}/{keys[label]}": float(values[index])
        for name, values in metrics.items()
        for index, label in enumerate(data.classes)
    }


def profile(data: ClassCounts, values: Floats) -> Floats:
    """Return the classes' values by rank from head to tail; for many classes the means of a hundred groups of ranks.

    Parameters
    ----------
    values : in class order, (classes,)
    """
    if len(data.classes) > ranks.MOST_POINTS:
        return np.array(list(ranks.means(values, ranks.groups(data.head_to_tail, ranks.PROFILE_POINTS)).values()))
    return values[data.head_to_tail]


def points(data: ClassCounts) -> list[str]:
    """Return the names of a profile's points from head to tail: the classes' keys, or the groups of their ranks."""
    if len(data.classes) > ranks.MOST_POINTS:
        return list(ranks.groups(data.head_to_tail, ranks.PROFILE_POINTS))
    keys = class_keys(data.classes)
    return [keys[data.classes[index]] for index in data.head_to_tail]
