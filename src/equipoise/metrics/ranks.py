"""Groups of classes by rank, from the most to the least frequent, to summarise ten thousand classes. Pure NumPy."""

from itertools import pairwise

import numpy as np

from equipoise.core.schema import Floats, Integers

MOST_KEYED = 20  # classes; up to so many, each has metrics of its own in MLflow
MOST_POINTS = 1000  # classes; up to so many, each has a point of its own in a profile, and a column of predictions
GROUPS = 10
PROFILE_POINTS = 100


def groups(head_to_tail: Integers, count: int = GROUPS) -> dict[str, Integers]:
    """Return nearly equal groups of classes, head first, by names such as `ranks_1-1000`."""
    cuts = np.linspace(0, len(head_to_tail), min(count, len(head_to_tail)) + 1).round().astype(int)
    return {f"ranks_{low + 1}-{high}": head_to_tail[low:high] for low, high in pairwise(cuts)}


def means(values: Floats, members: dict[str, Integers]) -> dict[str, float]:
    """Return each group's mean over the classes whose value is defined; NaN for a group without any."""
    defined = {name: values[found][~np.isnan(values[found])] for name, found in members.items()}
    return {name: float(found.mean()) if len(found) else np.nan for name, found in defined.items()}


def quantiles(values: Floats, members: dict[str, Integers], shares: tuple[float, ...]) -> Floats:
    """Return the quantiles of each group's values that are defined, (shares, groups); NaN for a group without any."""
    defined = [values[found][~np.isnan(values[found])] for found in members.values()]
    return np.array([np.quantile(found, shares) if len(found) else np.full(len(shares), np.nan) for found in defined]).T
