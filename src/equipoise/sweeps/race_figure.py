"""Draw a race as a Matplotlib figure, without pyplot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from equipoise.core.colors import MUTED, weighting_color
from equipoise.core.schema import Floats

MARKS, DASHES = "osD^vPX*<>hp", ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Line:
    """One candidate.

    Attributes
    ----------
    differences : to the baseline, one a repetition, in order
    is_dropped : whether it left the race after the last of them
    """

    name: str
    weighting: str
    differences: Floats
    is_dropped: bool


def race_figure(lines: Sequence[Line], metric: str) -> Figure:
    """Draw each candidate's mean difference to the baseline after each repetition; a cross ends a dropped one.

    The colour is that of the weighting; mark and dash tell those of one colour apart.
    """
    figure = Figure((8, 3.6 + 0.12 * len(lines)), layout="constrained")
    axes = figure.subplots()
    for number, line in enumerate(lines):
        count = np.arange(1, len(line.differences) + 1)
        means = np.cumsum(line.differences) / count
        color = weighting_color(line.weighting)
        (drawn,) = axes.plot(count, means, DASHES[number % 4], color=color, linewidth=1.8, label=line.name)
        drawn.set(marker=MARKS[number % len(MARKS)], markersize=5, markevery=max(1, len(count) // 8))
        if line.is_dropped:
            axes.plot(count[-1:], means[-1:], "x", color=color, markersize=11, markeredgewidth=2.5)
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=":")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="repetitions", ylabel="mean difference so far")
    axes.set_title(f"{metric} minus that of no weights with argmax", loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return figure
