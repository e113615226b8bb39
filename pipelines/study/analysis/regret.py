"""`synthetic`: regret against the Bayes rule of balanced accuracy, which is known, and the gain of weights."""

import re

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from analysis.pooled import PRIMARY, measure
from equipoise.core.schema import Floats

NAME = r"synthetic_r?(?P<rarest>\d+)_q?(?P<ratio>\d+)_s?(?P<separation>[\d.]+)"
WHERE = ["rarest", "ratio", "separation"]
RUN = ["setting", "epochs", "division", "fold", "seed"]


def bayes(separation: Floats) -> Floats:
    """Return the highest balanced accuracy on two Gaussians so many standard deviations apart: Φ(s / 2)."""
    found: Floats = ndtr(np.asarray(separation) / 2)
    return found


def lost_to_prior(separation: Floats, ratio: Floats) -> Floats:
    """Return the regret of the Bayes rule under the training prior, which moves the cut by log(ratio) / s."""
    half, moved = np.asarray(separation) / 2, np.log(ratio) / np.asarray(separation)
    found: Floats = bayes(separation) - (ndtr(half - moved) + ndtr(half + moved)) / 2
    return found


def read(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run of `synthetic`: where, how, and the regret of balanced accuracy."""
    rows = table[table["dataset"].astype(str).str.fullmatch(NAME)]
    found = rows[["method", "rule", *RUN]].reset_index(drop=True)
    if rows.empty:
        return found.assign(**{name: pd.Series(dtype=float) for name in (*WHERE, "regret")})
    parts = [re.fullmatch(NAME, str(name)) for name in rows["dataset"]]
    for name in WHERE:
        found[name] = [float(part[name]) for part in parts if part]
    confusions = [np.asarray(cells).reshape(2, 2) for cells in rows["confusion"]]
    found["regret"] = bayes(found["separation"].to_numpy()) - measure(PRIMARY, np.stack(confusions))
    return found


def paired(runs: pd.DataFrame, of: tuple[str, str], minus: tuple[str, str]) -> pd.DataFrame:
    """Return the gain in balanced accuracy of one (method, rule) over another, on the same draw of the same data."""
    keys = [*WHERE, *RUN]
    sides = [
        runs[(runs["method"] == method) & (runs["rule"] == rule)].set_index(keys)["regret"]
        for method, rule in (of, minus)
    ]
    return (sides[1] - sides[0]).dropna().rename("gain").reset_index()


def over_draws(values: pd.Series) -> tuple[float, tuple[float, float]]:
    """Return the mean of one number a draw with its 95 % interval by Student's t.

    A draw has the same test noise in every cell, and cells that differ in their separation alone share their training
    noise, too, so that draws are the unit.
    """
    mean, count = float(values.mean()), len(values)
    reach = float(stdtrit(count - 1, 0.975) * values.std() / np.sqrt(count)) if count > 1 else float("nan")
    return mean, (mean - reach, mean + reach)


def means(rows: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    """Return the mean of each group of draws with its 95 % interval by Student's t."""
    grouped = rows.groupby(by)[value].agg(["mean", "std", "count"]).reset_index()
    reach = stdtrit(grouped["count"] - 1, 0.975) * grouped["std"] / np.sqrt(grouped["count"])
    return grouped.assign(low=grouped["mean"] - reach, high=grouped["mean"] + reach).drop(columns="std")
