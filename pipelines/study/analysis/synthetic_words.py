"""What `synthetic` shows, in tables and one sentence."""

import numpy as np
import pandas as pd
from marked import table

from analysis import regret
from analysis.decision import number
from analysis.hypotheses import FREE
from analysis.table import PRIMARY

WHOLE = 36  # cells of the design: rows, ratios and separations
SIDES = {"none": ("none", "argmax"), "weights": ("balanced", "argmax"), "free": ("none", FREE)}


def _at(runs: pd.DataFrame, setting: str = "small") -> pd.DataFrame:
    names = {"small": ["small", "centre"]}.get(setting, [setting])
    return runs[(runs["epochs"] == PRIMARY) & runs["setting"].isin(names)]


def sentence(table_of_runs: pd.DataFrame) -> str:
    """Return how the gain changes with the ratio, with rows of the rarest class held fixed.

    It is empty until all cells have all draws: a slope over a part of them is another one.
    """
    gains = regret.paired(_at(regret.read(table_of_runs)), SIDES["weights"], SIDES["none"])
    cells = gains.groupby(regret.WHERE).size()
    if gains["ratio"].nunique() < 2 or len(cells) < WHOLE or cells.nunique() > 1:
        return ""
    found = _slope(gains)
    differences = regret.paired(_at(regret.read(table_of_runs)), SIDES["free"], SIDES["weights"])
    free = {
        rarest: number(*regret.over_draws(rows.groupby("division")["gain"].mean()))
        for rarest in sorted(differences["rarest"].unique())
        for rows in [differences[differences["rarest"] == rarest]]
    }
    by_rows = "".join(f"<br>free − weights, {rarest:g} rows: {told}" for rarest, told in free.items())
    return f"gain of `balanced`, a tenfold of the ratio: {found}{by_rows}<br>{len(gains):,} pairs"


def _slope(gains: pd.DataFrame) -> str:
    """Return the slope over log10 of the ratio within (rows, separation), of each draw, with its 95 % interval."""
    logs = np.log10(gains["ratio"])
    centred = logs - logs.groupby([gains["division"], gains["rarest"], gains["separation"]]).transform("mean")
    of_draws = gains.assign(above=centred * gains["gain"], square=centred**2).groupby("division")[["above", "square"]]
    sums = of_draws.sum()
    return number(*regret.over_draws(sums["above"] / sums["square"]))


def sections(table_of_runs: pd.DataFrame) -> str:
    """Return regret by rows, ratio and separation, for each capacity; empty without runs."""
    runs = regret.read(table_of_runs)
    if runs.empty:
        return ""
    parts = [
        "Regret against the Bayes rule of balanced accuracy, Φ(s / 2): means over draws, 95 % intervals by Student's t."
    ]
    for setting in ("linear", "small"):
        here = _at(runs, setting)
        if not here.empty:
            parts += [f"### {setting}, {PRIMARY} epochs", _regrets(here)]
    return "\n\n".join(parts)


def _regrets(runs: pd.DataFrame) -> str:
    lines = []
    for place, rows in runs.groupby(regret.WHERE):
        rarest, ratio, apart = place
        limit = float(regret.lost_to_prior(np.array(apart), np.array(ratio)))
        line = [f"{rarest:g}", f"{ratio:g}", f"{apart:g}", f"{limit:.3f}"]
        for method, rule in SIDES.values():
            side = rows[(rows["method"] == method) & (rows["rule"] == rule)]
            one = regret.means(side.assign(all=0), "regret", ["all"])
            line.append(number(*_ends(one)) if len(one) else "–")
        lines.append([*line, str(rows.groupby(["method", "rule"]).size().min())])
    heading = ["rarest rows", "ratio", "separation", "limit without weights", *SIDES, "draws"]
    return table(heading, lines)


def _ends(one: pd.DataFrame) -> tuple[float, tuple[float, float]]:
    return float(one["mean"].iloc[0]), (float(one["low"].iloc[0]), float(one["high"].iloc[0]))
