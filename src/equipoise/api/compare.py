"""Paired statistics of any scores: configurations measured on the same units."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Unpack

import numpy as np

from equipoise.api.scores import Columns, Scores, read, shared_by_all
from equipoise.api.shown import Shown
from equipoise.comparison import repetitions, significance
from equipoise.comparison.compare import said_of_families
from equipoise.comparison.repetitions import Difference, Place
from equipoise.core.errors import ConfigError, counted, suggestion
from equipoise.metrics.orientation import orientation

if TYPE_CHECKING:
    import pandas as pd

Units = Literal["splits", "folds", "data sets"]
PLAIN = ("none", "baseline")  # configurations that others are compared with, if no other is named


@dataclass(frozen=True, repr=False, eq=False)
class Compared(Shown):
    """Configurations with their paired differences to a baseline."""

    _title: str
    _frame: "pd.DataFrame"
    _notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """One line on the whole."""
        return self._title

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a configuration, best first.

        mean, its interval (low, high), the mean paired difference to the baseline, its interval (difference_low,
        difference_high), the two-sided p after Holm's correction, in how many pairs it is better, and of how many.
        What is not defined is NaN.
        """
        return self._frame

    @property
    def notes(self) -> tuple[str, ...]:
        """What the unit is, what p and intervals cover, and what was left out."""
        return self._notes


def compare(
    frame: "pd.DataFrame",
    *,
    units: Units = "splits",
    test_over_train: float | None = None,
    baseline: str | None = None,
    **columns: Unpack[Columns],
) -> Compared:
    """Compare configurations by scores on the same units: splits, folds, or data sets.

    Splits and folds of one data set share rows: p and intervals are of the corrected resampled t test (Nadeau & Bengio
    2003). Data sets share none: p is of Wilcoxon's signed-rank test (Demsar 2006), intervals are Student's. Seeds on a
    unit are averaged; on a single unit they are the pairs of a permutation test, which covers training noise alone. p
    is after Holm's correction.

    Parameters
    ----------
    frame : one row a score, with the columns unit, configuration and value
    units : what a unit is
    test_over_train : test samples over training samples of a split, such as 0.2 / 0.8; of folds it follows from their
        number. Without it there is neither p nor interval over splits
    baseline : the configuration to compare with; by default `none`, `baseline`, or the first of the frame
    columns : see `Columns`

    Raises
    ------
    ConfigError
        If a column or the baseline is missing, a score stands there twice, or no unit has all configurations.

    Examples
    --------
    >>> import pandas as pd, equipoise as eq
    >>> scores = pd.DataFrame({
    ...     "fold": [0, 1, 2] * 2, "weighting": ["none"] * 3 + ["balanced"] * 3,
    ...     "mcc": [0.50, 0.55, 0.60, 0.60, 0.66, 0.69],
    ... })
    >>> found = eq.compare(scores, units="folds", unit="fold", configuration="weighting", value="mcc")
    >>> found.frame[["mean", "difference", "p", "better", "pairs"]].round(3).to_dict("index")["balanced"]
    {'mean': 0.65, 'difference': 0.1, 'p': 0.008, 'better': 3.0, 'pairs': 3.0}
    >>> found.notes[0]
    'Units are 3 folds: rows of the test split of one are in the training split of others.'
    """
    if units not in ("splits", "folds", "data sets"):
        raise ConfigError(f"units={units}: give splits, folds or data sets{suggestion(units, ('splits', 'folds'))}")
    scores, left_out = shared_by_all(read(frame, columns))
    reference, value = _baseline([*scores], baseline), columns.get("value", "value")
    design = _design(scores[reference], units, test_over_train)
    lower = columns.get("lower_is_better", orientation(value) < 0)
    return _compared(value, scores, reference, replace(design, sign=-1 if lower else 1), left_out)


def _design(places: Collection[Place], units: Units, test_over_train: float | None) -> "_Design":
    number = len({place[:-1] for place in places})
    ratio = 1 / (number - 1) if units == "folds" and number > 1 else math.nan
    return _Design(units, number, len(places) // number, ratio if test_over_train is None else test_over_train)


def _compared(value: str, scores: Scores, reference: str, design: "_Design", left_out: Sequence[str]) -> Compared:
    import pandas as pd

    title = f"{value} of {len(scores)} configurations on {design.number} {design.units}; differences are to {reference}"
    differences = _differences(scores, reference, design)
    rows = {name: _row(values, differences.get(name), design) for name, values in scores.items()}
    order = sorted(rows, key=lambda name: -design.sign * rows[name]["mean"])
    frame = pd.DataFrame([rows[name] for name in order], index=pd.Index(order, name="configuration"))
    return Compared(title, frame, (*design.notes(), *said_of_families([*differences.values()]), *left_out))


@dataclass(frozen=True)
class _Design:
    """What the scores were measured on.

    Attributes
    ----------
    number : of units
    seeds : on each unit
    test_over_train : of a unit; NaN if it is not known
    sign : 1 if higher is better, else -1
    """

    units: Units
    number: int
    seeds: int
    test_over_train: float
    sign: int = 1

    def notes(self) -> list[str]:
        """Return what the unit is, and what p and intervals cover."""
        averaged = f" Seeds: {self.seeds} on each, averaged." if self.seeds > 1 and self.number > 1 else ""
        if self.number == 1:
            one = self.units.removesuffix("s")
            return [
                f"The unit is one {one} with {counted(self.seeds, 'seed', 'seeds')}: p is of a paired permutation "
                f"test over the seeds, and covers the noise of training, not what another {one} would give."
            ]
        if self.units == "data sets":
            return [
                f"Units are {self.number} data sets, which share no rows.{averaged}",
                "p is of Wilcoxon's signed-rank test, intervals are Student's.",
            ]
        what = (
            f"Units are {self.number} {self.units}: rows of the test split of one are in the training split of others."
        )
        test = (
            "p and intervals are omitted: they depend on test over training samples; "
            "give test_over_train=0.2 / 0.8, say."
            if math.isnan(self.test_over_train)
            else "p and intervals are of the corrected resampled t test (Nadeau & Bengio 2003), "
            f"df {self.number - 1}, with n_test / n_train = {self.test_over_train:.3g}."
        )
        return [what + averaged, test]


def _baseline(names: Sequence[str], typed: str | None) -> str:
    if typed is not None and typed not in names:
        raise ConfigError(f"baseline={typed}: there is no such configuration{suggestion(typed, names)}")
    return typed or next((name for name in PLAIN if name in names), names[0])


def _differences(scores: Scores, reference: str, design: _Design) -> dict[str, Difference]:
    """Return the paired differences of the other configurations, after Holm's correction."""
    others, found = [name for name in scores if name != reference], {}
    for number, name in enumerate(others):
        values = scores[name]
        paired = {place: value - scores[reference][place] for place, value in values.items()}
        if design.units == "data sets" and design.number > 1:
            found[number] = repetitions.over_datasets(reference, repetitions.repeated(paired), design.sign)
        else:
            found[number] = repetitions.difference(reference, paired, design.test_over_train, design.sign, None)
    return {others[number]: difference for number, difference in repetitions.corrected(found).items()}


def _row(values: Mapping[Place, float], difference: Difference | None, design: _Design) -> dict[str, float]:
    spread = repetitions.spread(values, design.test_over_train)
    low, high = spread.low, spread.high
    if design.units == "data sets" and design.number > 1:
        low, high = significance.mean_interval(repetitions.repeated(values))
    row = {"mean": spread.mean, "low": low, "high": high}
    if difference is None:
        return row
    return row | {
        "difference": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p": np.nan if difference.p is None else difference.p,
        "better": difference.better,
        "pairs": difference.pairs,
    }
