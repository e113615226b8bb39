"""The four figures: by length, by rows of the rarest class, by family, and `synthetic`. PNGs whose bytes repeat."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from analysis import regret
from analysis.contrasts import Contrast, difference, effects, families, shared
from analysis.hierarchy import Alike, Posterior, alike, infer
from analysis.hypotheses import CAPACITIES, FEWEST, FREE, REGION, setting_name
from analysis.table import LENGTHS, PRIMARY, Cell, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by those who see few colours.
COLORS = {"none": "#666666", "balanced": "#D55E00", "post_hoc": "#0072B2"}
NAMES = {"none": "no weights", "balanced": "weights (balanced)", "post_hoc": "free (post hoc, τ = 1)"}
DOTS = 110  # an inch
NEW = 1.96  # standard errors of a bar


def drawn(study: Study) -> dict[str, bytes]:
    """Return each figure that has data, by its file name."""
    figures: Mapping[str, Callable[[Study], Figure | None]] = {
        "length.png": by_length,
        "rarest.png": by_rarest,
        "families.png": by_family,
        "synthetic.png": of_synthetic,
    }
    made = {name: draw(study) for name, draw in figures.items()}
    return {name: _png(figure) for name, figure in made.items() if figure is not None}


def _png(figure: "Figure") -> bytes:
    held = BytesIO()
    figure.savefig(held, format="png", dpi=DOTS, metadata={"Software": None})
    return held.getvalue()


def _new(rows: int, columns: int, size: tuple[float, float]) -> tuple["Figure", np.ndarray]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if columns > 1 else False)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, linewidth=0.6)
    return figure, axes


def _region(axes: "Axes", *, upright: bool = False) -> None:
    (axes.axvspan if upright else axes.axhspan)(-REGION, REGION, color="#009E73", alpha=0.15, linewidth=0)
    (axes.axvline if upright else axes.axhline)(0, color="black", linewidth=0.8)


def _rows_axis(axes: "Axes", rows: Sequence[float]) -> None:
    """Give the axis a logarithmic scale with plain numbers."""
    axes.set_xscale("log")
    ticks = [tick for tick in (10, 30, 100, 300, 1000, 3000) if min(rows) / 1.5 <= tick <= max(rows) * 1.5]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()


def by_length(study: Study) -> "Figure | None":
    """Draw balanced accuracy, and its gain over no weights, against epochs, for each capacity of which there is any."""
    found = {setting: _by_length(study, setting) for setting in CAPACITIES}
    shown = {setting: points for setting, points in found.items() if points}
    if not shown:
        return None
    figure, axes = _new(2, len(shown), (3.2 * len(shown) + (len(shown) == 1), 5.6))
    for column, (setting, points) in enumerate(shown.items()):
        upper, lower = axes[:, column]
        _region(lower)
        for shift, name in zip((1.0, 0.97, 1.03), NAMES, strict=True):
            x, drawn = np.array(LENGTHS) * shift, {"marker": "o", "color": COLORS[name], "label": NAMES[name]}
            upper.plot(x, [each.mean for each in points[name, "level"]], **drawn)
            if gains := points.get((name, "gain")):
                mean = np.array([each.mean for each in gains])
                bars = np.abs(np.array([each.interval for each in gains]).T - mean)
                lower.errorbar(x, mean, bars, capsize=3, **drawn)
        for one in (upper, lower):
            one.set_xscale("log")
            one.set_xticks(LENGTHS, [f"{epochs:,}" for epochs in LENGTHS])
            one.minorticks_off()
        upper.set_title(f"{setting_name(setting)} network, {points['none', 'level'][0].families} families", fontsize=10)
        lower.set_xlabel("epochs")
    axes[0, 0].set_ylabel("balanced accuracy,\nplain mean")
    axes[1, 0].set_ylabel("balanced accuracy,\ngain over no weights")
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure


def _by_length(study: Study, setting: str) -> dict[tuple[str, str], list[Alike | Posterior]]:
    """Return levels and gains at each length over the families that have all, or nothing below five families."""
    sides = {"none": ("none", "argmax"), "balanced": ("balanced", "argmax"), "post_hoc": ("none", FREE)}
    base = {epochs: Cell("none", epochs=epochs, setting=setting) for epochs in LENGTHS}
    contrasts: dict[tuple[str, str, int], Contrast] = {}
    for name, (method, rule) in sides.items():
        for epochs in LENGTHS:
            of = Cell(method, rule, epochs, setting)
            contrasts[name, "level", epochs] = ((of, 1.0),)
            if of != base[epochs]:
                contrasts[name, "gain", epochs] = difference(of, base[epochs])
    each = shared({key: effects(study, contrast) for key, contrast in contrasts.items()})
    found: dict[tuple[str, str], list[Alike | Posterior]] = {}
    for (name, told, _), one in each.items():
        means = families(one)
        if len(means.names) < FEWEST:
            return {}
        made = alike(means.effects) if told == "level" else infer(means.effects, means.variances)
        found.setdefault((name, told), []).append(made)
    return found


def by_rarest(study: Study) -> "Figure | None":
    """Draw the gain of weights, and free minus weights, against rows of the rarest class; a point a data set."""
    pairs = {
        "weights − none": difference(Cell("balanced"), Cell("none")),
        "free − weights": difference(Cell("none", FREE), Cell("balanced")),
    }
    found = {title: effects(study, contrast) for title, contrast in pairs.items()}
    if not all(len(each.values) for each in found.values()):
        return None
    figure, axes = _new(2, 1, (7.2, 5.4))
    for one, (title, each) in zip(axes[:, 0], found.items(), strict=True):
        _region(one)
        rarest = np.array([dataset.rarest for dataset in each.datasets])
        ratios = np.log10([dataset.ratio for dataset in each.datasets])
        reach = NEW * np.sqrt(each.variances)
        one.errorbar(rarest, each.values, reach, fmt="none", ecolor="#bbbbbb", linewidth=0.8, zorder=1)
        for is_high, marker in ((False, "o"), (True, "^")):
            chosen = (ratios >= 1) == is_high
            points = one.scatter(
                rarest[chosen], each.values[chosen], marker=marker, alpha=0.85, s=30, zorder=2,
                c=ratios[chosen], cmap="viridis", vmin=0.3, vmax=2, edgecolors="white", linewidths=0.4,
                label=f"ratio {'10 or more' if is_high else 'below 10'}",
            )  # fmt: skip
        _rows_axis(one, rarest.tolist())
        one.set_ylabel(f"balanced accuracy,\n{title}")
    axes[0, 0].legend(frameon=False, fontsize=8)
    bar = figure.colorbar(points, ax=axes[:, 0].tolist(), label="imbalance ratio", extend="max")
    bar.set_ticks(np.log10([2, 5, 10, 30, 100]).tolist(), labels=["2", "5", "10", "30", "100"])
    axes[1, 0].set_xlabel(f"rows in the rarest class (small network, {PRIMARY} epochs; bars: 95 % by measurement)")
    return figure


def by_family(study: Study) -> "Figure | None":
    """Draw the forest: each family's mean with the error of measurement, and the mean of all."""
    pairs = {
        "weights − none": difference(Cell("balanced"), Cell("none")),
        "free − weights": difference(Cell("none", FREE), Cell("balanced")),
    }
    means = {title: families(effects(study, contrast)) for title, contrast in pairs.items()}
    if any(len(each.names) < FEWEST for each in means.values()):
        return None
    first = means["weights − none"]
    order = [first.names[place] for place in np.argsort(first.effects)]
    order += sorted(set(means["free − weights"].names) - set(order))
    figure, axes = _new(1, 2, (8, 1.2 + 0.22 * len(order)))
    for one, (title, each), color in zip(axes[0], means.items(), ("balanced", "post_hoc"), strict=True):
        _region(one, upright=True)
        rows = [order.index(name) + 1 for name in each.names]
        one.errorbar(each.effects, rows, xerr=NEW * np.sqrt(each.variances), fmt="o", ms=4, color=COLORS[color])
        both: tuple[Alike | Posterior, ...] = alike(each.effects), infer(each.effects, each.variances)
        for row, mean in enumerate(both, start=-1):
            one.plot(mean.interval, [row, row], color="black", linewidth=3)
            one.plot(mean.mean, row, "D", color="black", ms=6)
        one.set_title(title, fontsize=10)
        one.set_xlabel(f"difference of balanced accuracy,\nsmall network, {PRIMARY} epochs", fontsize=9)
    axes[0, 0].set_yticks(range(-1, len(order) + 1), ["plain mean", "model's mean", *order], fontsize=8)
    return figure


def of_synthetic(study: Study) -> "Figure | None":
    """Draw the regret against rows of the rarest class, by ratio and separation; small networks, 300 epochs."""
    runs = regret.read(study.table)
    runs = runs[(runs["epochs"] == PRIMARY) & runs["setting"].isin(["small", "centre"])]
    if runs.empty:
        return None
    ratios, separations = (sorted(runs[name].unique()) for name in ("ratio", "separation"))
    figure, axes = _new(len(separations), len(ratios), (9, 2.3 * len(separations) + 0.6))
    for (line, column), one in np.ndenumerate(axes):
        here = runs[(runs["separation"] == separations[line]) & (runs["ratio"] == ratios[column])]
        for method, rule in (("none", "argmax"), ("balanced", "argmax"), ("none", FREE)):
            name = method if rule == "argmax" else rule
            of_side = here[(here["method"] == method) & (here["rule"] == rule)]
            if of_side.empty:
                continue
            found = regret.means(of_side, "regret", ["rarest"])
            reach = np.nan_to_num((found["high"] - found["low"]) / 2)
            one.errorbar(
                found["rarest"],
                found["mean"],
                reach,
                marker="o",
                ms=4,
                capsize=2,
                color=COLORS[name],
                label=NAMES[name],
            )
        limit = float(regret.lost_to_prior(np.array(separations[line]), np.array(ratios[column])))
        one.axhline(limit, linestyle="--", color=COLORS["none"], linewidth=0.9)
        _rows_axis(one, runs["rarest"].tolist())
        one.set_title(f"ratio {ratios[column]:g}, {separations[line]:g} deviations apart", fontsize=9)
    for one in axes[-1]:
        one.set_xlabel("rows in the rarest class")
    for one in axes[:, 0]:
        one.set_ylabel("regret")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure
