"""What `synthetic` shows, in tables and one sentence."""

import numpy as np
import pandas as pd
from marked import table

from analysis import regret
from analysis.decision import number
from analysis.hypotheses import FREE
from analysis.table import PRIMARY

SIDES = {"none": ("none", "argmax"), "weights": ("balanced", "argmax"), "free": ("none", FREE)}


def _at(runs: pd.DataFrame, setting: str = "small") -> pd.DataFrame:
    names = {"small": ["small", "centre"]}.get(setting, [setting])
    return runs[(runs["epochs"] == PRIMARY) & runs["setting"].isin(names)]


def sentence(table_of_runs: pd.DataFrame) -> str:
    """Return how the gain changes with the ratio, with rows of the rarest class held fixed; empty without runs."""
    gains = regret.paired(_at(regret.read(table_of_runs)), SIDES["weights"], SIDES["none"])
    if gains.empty or gains["ratio"].nunique() < 2:
        return ""
    found = _slope(gains)
    differences = regret.paired(_at(regret.read(table_of_runs)), SIDES["free"], SIDES["weights"])
    beside = regret.means(differences.assign(all=0), "gain", ["all"]).iloc[0]
    free = number(beside["mean"], (beside["low"], beside["high"]))
    return f"gain of `balanced`, a tenfold of the ratio: {found}<br>free − weights: {free}<br>{len(gains):,} pairs"


def _slope(gains: pd.DataFrame) -> str:
    """Return the slope over log10 of the ratio within (rows, separation), with its 95 % interval by draws."""
    cells = gains.groupby(regret.WHERE)["gain"].agg(["mean", "var", "count"]).reset_index()
    logs = np.log10(cells["ratio"])
    centred = logs - logs.groupby([cells["rarest"], cells["separation"]]).transform("mean")
    shares = centred / (centred**2).sum()
    mean = float((shares * cells["mean"]).sum())
    error = float(np.sqrt((shares**2 * cells["var"] / cells["count"]).sum()))
    return number(mean, (mean - 1.96 * error, mean + 1.96 * error))


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
