"""Classes by rank, from the most to the least frequent, in groups: what is shown of ten thousand where no one reads each. Pure NumPy."""

from itertools import pairwise

import numpy as np

from equipoise.core.schema import Floats, Integers

MOST_KEYED = 1000  # classes of which each has its own keys in MLflow, and its own step in a profile
GROUPS = 10
PROFILE_POINTS = 100


def groups(head_to_tail: Integers, count: int = GROUPS) -> dict[str, Integers]:
    """`ranks_1-1000` to the classes of these ranks: as many nearly equal groups, head first, as there are to be."""
    cuts = np.linspace(0, len(head_to_tail), min(count, len(head_to_tail)) + 1).round().astype(int)
    return {f"ranks_{low + 1}-{high}": head_to_tail[low:high] for low, high in pairwise(cuts)}


def means(values: Floats, members: dict[str, Integers]) -> dict[str, float]:
    """The mean of each group over the classes of which the value is defined; NaN of a group without any."""
    defined = {name: values[found][~np.isnan(values[found])] for name, found in members.items()}
    return {name: float(found.mean()) if len(found) else np.nan for name, found in defined.items()}
