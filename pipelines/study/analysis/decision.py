"""The table to act on: the gain of weights and of what is free, by rows of the rarest class, ratio, learner and length.

A cell is the mean over families of a contrast on the data sets of its stratum, by the hierarchical model. Below five
families it is empty. Below 30 rows in the rarest class there is `synthetic` alone, whose cells are means over draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis import regret
from analysis.choosing import CHOSEN
from analysis.contrasts import Contrast, Effects, difference, effects, families
from analysis.hierarchy import infer
from analysis.hypotheses import FEWEST, FREE
from analysis.pooled import PRIMARY
from analysis.table import BOOSTED, Cell, DataSet, Study

RARE = ((0, 30), (30, 100), (100, 300), (300, 10**9))
RATIOS = ((2.0, 10.0), (10.0, float("inf")))
FREE_MINUS_WEIGHTS = "free − weights"
SIDES = ("weights", "free", FREE_MINUS_WEIGHTS)
EMPTY = "–"


@dataclass(frozen=True)
class Learner:
    """A column: what is trained, and for how long."""

    title: str
    epochs: int
    setting: str = "centre"
    method: str = "none"
    weighed: str = "balanced"


LEARNERS = (
    Learner("small network, 30 epochs", 30),
    Learner("small, 300", 300),
    Learner("small, 1,000", 1000),
    Learner("small, length by validation", CHOSEN),
    Learner("linear, 300", 300, "linear"),
    Learner("large, 300", 300, "large"),
    Learner("boosted trees", BOOSTED, method="boosting", weighed="boosting_balanced"),
)


@dataclass(frozen=True)
class Stratum:
    """Data sets of so many rows in the rarest class, at such a ratio."""

    rarest: tuple[int, int]
    ratio: tuple[float, float]

    def holds(self, dataset: DataSet) -> bool:
        return self.rarest[0] <= dataset.rarest < self.rarest[1] and self.ratio[0] <= dataset.ratio < self.ratio[1]

    @property
    def titles(self) -> tuple[str, str]:
        low, high = self.rarest
        rows = "all" if (low, high) == (0, 10**9) else f"{low} or more" if high == 10**9 else f"{low} to {high - 1}"
        ratio = "all" if self.ratio[0] < 2 else "below 10" if self.ratio[1] == 10 else "10 or more"
        return (f"below {high} \\*" if not low and high < 10**9 else rows), ratio


EVERYWHERE = Stratum((0, 10**9), (0.0, float("inf")))


def strata() -> Iterator[Stratum]:
    yield EVERYWHERE
    for rarest in RARE[1:]:
        for ratio in RATIOS:
            yield Stratum(rarest, ratio)


def contrast(learner: Learner, of: str) -> Contrast:
    """Return the gain over no weights of `weights` or `free`, or weights minus free."""
    base = Cell(learner.method, "argmax", learner.epochs, learner.setting)
    weighed = Cell(learner.weighed, "argmax", learner.epochs, learner.setting)
    free = Cell(learner.method, FREE, learner.epochs, learner.setting)
    sides = {"weights": (weighed, base), "free": (free, base), FREE_MINUS_WEIGHTS: (free, weighed)}
    return difference(*sides[of])


def lines(study: Study, metric: str) -> list[list[str]]:
    """Return the lines of the table for one metric: each cell both gains, and their difference."""
    found = {
        (place, of): effects(study, contrast(learner, of), metric)
        for place, learner in enumerate(LEARNERS)
        for of in SIDES
    }
    rows = []
    for stratum in strata():
        cells = []
        for place in range(len(LEARNERS)):
            each = [cell(found[place, of].where(stratum.holds)) for of in SIDES]
            count = len(families(found[place, "weights"].where(stratum.holds)).names)
            cells.append(_lines_of(each, f"{count} families"))
        rows.append([*stratum.titles, *cells])
    return rows


def _lines_of(each: list[str], count: str) -> str:
    told = [f"{side} {number_of}" for side, number_of in zip(SIDES, each, strict=True)]
    return EMPTY if EMPTY in each else "<br>".join([*told, count])


def full(heading: list[str], lines: list[list[str]]) -> tuple[list[str], list[list[str]], str]:
    """Return the table without lines and columns that are wholly empty, and a sentence that names these."""
    columns = [place for place in range(len(heading)) if place < 2 or any(line[place] != EMPTY for line in lines)]
    kept = [line for line in lines if any(value != EMPTY for value in line[2:])]
    left_out = [f"{line[0]} rows at ratio {line[1]}" for line in lines if line not in kept]
    left_out += [heading[place] for place in range(len(heading)) if place not in columns]
    note = f"Left out, with fewer than five families: {'; '.join(left_out)}." if left_out else ""
    return [heading[place] for place in columns], [[line[place] for place in columns] for line in kept], note


def cell(found: Effects) -> str:
    """Return mean and interval of effects, or a dash below five families."""
    means = families(found)
    if len(means.names) < FEWEST:
        return EMPTY
    posterior = infer(means.effects, means.variances)
    return number(posterior.mean, posterior.interval)


def number(mean: float, interval: tuple[float, float]) -> str:
    """Return a mean with its interval, such as +0.031 (0.012 to 0.050)."""
    low, high = (f"{end:.3f}".replace("-", "−") for end in interval)
    return f"**{signed(mean)}** ({low} to {high})"


def signed(value: float, places: int = 3) -> str:
    """Return a number with its sign, a minus as printers set it."""
    return f"{value:+.{places}f}".replace("-", "−")


def synthetic_lines(table: pd.DataFrame) -> list[list[str]]:
    """Return the lines below 30 rows: of `synthetic`, balanced accuracy, means over separations and draws."""
    runs = regret.read(table)
    if runs.empty:
        return []
    rows = []
    for ratio in RATIOS:
        stratum = Stratum(RARE[0], ratio)
        cells = []
        for learner in LEARNERS:
            setting = {"centre": "small"}.get(learner.setting, learner.setting)
            each = [_of_draws(runs, stratum, (learner.epochs, setting), of) for of in SIDES]
            cells.append(_lines_of(each, "synthetic"))
        rows.append([*stratum.titles, *cells])
    return rows


def _of_draws(runs: pd.DataFrame, stratum: Stratum, at: tuple[int, str], of: str) -> str:
    weights, free, none = ("balanced", "argmax"), ("none", FREE), ("none", "argmax")
    gains = regret.paired(
        runs, *{"weights": (weights, none), "free": (free, none), FREE_MINUS_WEIGHTS: (free, weights)}[of]
    )
    low, high = stratum.ratio
    here = (gains["rarest"] < stratum.rarest[1]) & (gains["ratio"] >= low) & (gains["ratio"] < high)
    here &= (gains["epochs"] == at[0]) & gains["setting"].isin([at[1], *(["centre"] if at[1] == "small" else [])])
    chosen = gains[here]
    if len(chosen) < FEWEST:
        return EMPTY
    return number(*regret.over_draws(chosen.groupby("division")["gain"].mean()))


METRIC_TITLES = {
    PRIMARY: "each class counts the same: balanced accuracy",
    "macro_f1": "false alarms count, too: macro F1",
}
METRIC_TITLES |= {"mcc": "false alarms count, too: MCC"}
