"""Scores as a script has them in a frame, one a row: by configuration, and within it by unit and seed."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from equipoise.comparison.repetitions import Place
from equipoise.core.errors import ConfigError, counted, listing, suggestion

if TYPE_CHECKING:
    import pandas as pd

Scores = dict[str, dict[Place, float]]  # of each configuration, by unit and seed


class Columns(TypedDict, total=False):
    """The names of the frame's columns, and which values are better.

    Attributes
    ----------
    unit : by default `unit`; a list if several columns together name a unit
    configuration, value : by default `configuration` and `value`
    seed : repetitions on one unit; by default none
    lower_is_better : by default it follows from the value's name, such as `log_loss`
    """

    unit: str | Sequence[str]
    configuration: str
    value: str
    seed: str
    lower_is_better: bool


def read(frame: "pd.DataFrame", columns: Columns) -> Scores:
    """Return the scores that are there; NaN is none.

    Raises
    ------
    ConfigError
        If a column is missing or holds no numbers, or a score stands there twice.
    """
    unit = columns.get("unit", "unit")
    units = [unit] if isinstance(unit, str) else [*unit]
    configuration, value = columns.get("configuration", "configuration"), columns.get("value", "value")
    seed = [columns["seed"]] if "seed" in columns else []
    for name in (*units, *seed, configuration, value):
        if name not in frame.columns:
            raise ConfigError(f"there is no column {name}{suggestion(name, [str(key) for key in frame.columns])}")
    if frame[value].dtype.kind not in "fiu":
        raise ConfigError(f"the column {value} holds {frame[value].dtype}: give one number a row")
    found: Scores = {}
    for key, score in zip(frame[[configuration, *units, *seed]].itertuples(index=False), frame[value], strict=True):
        name, *rest = map(str, key)
        place = (*rest, "") if not seed else tuple(rest)
        of_one = found.setdefault(name, {})
        if place in of_one:
            more = "" if seed else "; are there several seeds? Name their column: seed=…"
            raise ConfigError(f"{name} has two scores on {' '.join(filter(None, place))}{more}")
        if not math.isnan(score):
            of_one[place] = float(score)
    return found


def shared_by_all(scores: Scores) -> tuple[Scores, list[str]]:
    """Return the scores at the places that all configurations have, and a note on the others.

    Raises
    ------
    ConfigError
        If there is one configuration only, no place that all of them have, or units differ in their number of seeds.
    """
    if len(scores) < 2:
        raise ConfigError(f"there is nothing to compare: the only configuration is {listing([*scores]) or 'missing'}")
    shared = set.intersection(*map(set, scores.values()))
    if not shared:
        raise ConfigError("no unit (with the same seed) has a score of every configuration, so there are no pairs")
    units = {place[:-1]: 0 for place in sorted(shared)}
    for place in shared:
        units[place[:-1]] += 1
    if len(set(units.values())) > 1:
        few = min(units, key=lambda unit: units[unit])
        raise ConfigError(f"units have different numbers of seeds, such as {' '.join(few)} with {units[few]}")
    left_out = sum(len(found) - len(shared) for found in scores.values())
    notes = [f"Omitted: {counted(left_out, 'score', 'scores')} on units that some configuration lacks."] * bool(
        left_out
    )
    kept = {name: {place: found[place] for place in sorted(shared)} for name, found in scores.items()}
    return kept, notes
