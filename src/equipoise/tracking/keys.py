"""The keys that MLflow takes: those of metrics and params, and what is logged of each class, under its key or its rank."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equipoise.core.schema import Floats
from equipoise.data.prepared import Prepared
from equipoise.metrics import ranks


def class_keys(classes: Sequence[str]) -> dict[str, str]:
    """Class names to what MLflow takes in a metric key; equal keys are told apart by `_2`, `_3` …"""
    keys: dict[str, str] = {}
    used: set[str] = set()
    for name in classes:
        # MLflow takes 250 characters for a whole key, and no part that is a path's «.» or «..».
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
    """A dotted config key as MLflow takes it: class names in it may hold anything."""
    return re.sub(r"[^\w .\-/]+", "_", key)[:250]


def by_class(data: Prepared, metrics: Mapping[str, Any]) -> dict[str, float]:
    """`{"test/recall": array}` to `{"test/recall/<class>": value}`; of many classes to the means of ten groups of ranks."""
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


def profile(data: Prepared, values: Floats) -> Floats:
    """A class's values by rank from head to tail; of many classes the means of a hundred groups of ranks."""
    if len(data.classes) > ranks.MOST_KEYED:
        return np.array(list(ranks.means(values, ranks.groups(data.head_to_tail, ranks.PROFILE_POINTS)).values()))
    return values[data.head_to_tail]
