"""Draw the pictures of a search as Matplotlib figures, without pyplot."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from equipoise.core.colors import INK, MUTED
from equipoise.core.schema import Booleans, Floats


def history(numbers: Sequence[int], values: Floats, metric: str, sign: int) -> Figure:
    """Draw each finished trial's metric, and the best one up to it.

    Parameters
    ----------
    sign : 1 if higher is better, else -1
    """
    figure = Figure((7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(numbers, values, "o", color=MUTED, markersize=4, label="trial")
    axes.step(
        numbers,
        sign * np.maximum.accumulate(sign * values),
        where="post",
        color=INK,
        linewidth=1.6,
        label="best so far",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=metric, title=f"{metric} over the trials")
    axes.legend(frameon=False)
    return figure


def importances(shares: Mapping[str, float], metric: str) -> Figure:
    """Draw the part of the metric's variance over the trials that each option explains."""
    figure = Figure((7, 1.2 + 0.4 * len(shares)), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(shares)[::-1], list(shares.values())[::-1], color=INK)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set(xlabel="share of the variance over the trials", xlim=(0, 1), title=f"What {metric} depends on")
    return figure


def front(values: Floats, on_front: Booleans, numbers: Sequence[int], metrics: Sequence[str]) -> Figure:
    """Draw two metrics of each finished trial, and number the trials that no other beats in both.

    Parameters
    ----------
    values : of shape (trials, 2)
    on_front : whether no other trial beats this one in both metrics, of shape (trials,)
    """
    figure = Figure((6, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*values[~on_front].T, "o", color=MUTED, markersize=4, label="trial")
    best = values[on_front][np.argsort(values[on_front][:, 0])]
    axes.plot(*best.T, "o-", color=INK, linewidth=1, label="none beats it in both")
    for number, point in zip(np.array(numbers)[on_front], values[on_front], strict=True):
        axes.annotate(str(number), point, xytext=(4, 4), textcoords="offset points", fontsize=8, color=INK)
    axes.set(xlabel=metrics[0], ylabel=metrics[1], title=f"{metrics[0]} against {metrics[1]}")
    axes.legend(frameon=False)
    return figure
