"""Pictures of a run as Matplotlib figures, legible with 2 classes, 100 and 10,000. No pyplot, no state.

A run has the colour of its weighting in all of them. Whatever else they show is grey, or set apart by a dash or a mark.

Margins are computed from the names that stand in them: a layout engine would draw everything twice more to find them.
So the pictures of runs on the same classes have their axes at the same places and can be laid over each other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.textpath import text_to_path
from matplotlib.ticker import NullLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from scipy import sparse

from equipoise.core.colors import INK, MUTED
from equipoise.core.schema import Floats, Integers
from equipoise.data.types import ClassCounts
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import ranks
from equipoise.metrics.classification import (
    Evaluation,
    confusion_of_groups,
    mistakes,
    precision_recall,
    reliability,
)
from equipoise.metrics.proportions import wilson

# Above this many classes, cells hold no counts, lines no labels, and axes only some of the names.
MOST_LABELLED = 20
# Above this many, groups of ranks stand for the classes.
MOST_DRAWN = 200
RANK_GROUPS = 20
MOST_PAIRS = 15
SPREAD = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles of a group
SMALL = 8  # points
ABOVE = 1.25  # of the highest value: room for the names of the lines
LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue, as the eye weighs them
# Settings of Matplotlib under which these pictures are drawn.
STYLE: Any = {
    # Fitting letters to pixels takes a tenth of a picture's time, and spaces them unevenly.
    "text.hinting": "none",
    # The default place of a title; when it is given, Matplotlib does not look for what the title could run into.
    "axes.titley": 1.0,
}


def confusion_matrix(counts: sparse.csr_array, classes: Sequence[str], head_to_tail: Integers, color: str) -> Figure:
    """Draw each true class's shares by colour and the counts in the cells.

    Of more than MOST_DRAWN classes, draw the shares of groups of ranks, and the most frequent mistakes beside them.
    """
    if len(classes) > MOST_DRAWN:
        return _confusion_of_groups(counts, classes, head_to_tail, color)
    confusion, count = counts.toarray(), len(classes)
    upright = max(map(len, classes)) <= 3
    name = _longest(_named(classes).values())
    side, left, bottom = float(np.clip(0.55 * count, 2.5, 12)), 0.5 + name, 0.5 if upright else 0.5 + name
    figure = Figure((left + side + 1.2, bottom + side + 0.4))
    axes = _axes(figure, left, bottom, side, side)
    totals = confusion.sum(axis=1, keepdims=True)
    confusion = confusion[:, :count]  # what is given no class has no column
    shares = np.divide(confusion, totals, out=np.full(confusion.shape, np.nan), where=totals > 0)
    image = axes.imshow(shares, cmap=_deepening(color), vmin=0, vmax=1, aspect="auto")
    _explain_colors(image, left + side, bottom, side, "share of the true class")
    if count <= MOST_LABELLED:
        for (row, column), cell in np.ndenumerate(confusion):
            if cell:
                dark = image.cmap(shares[row, column])[:3] @ LUMINANCE < 0.5
                axes.text(
                    column, row, str(cell), ha="center", va="center", fontsize=SMALL, color="white" if dark else INK
                )
    _name_beside(axes, classes)
    _name_below(axes, classes, upright=upright)
    axes.set(xlabel="predicted class", ylabel="true class", title="Confusion matrix, normalised by true class")
    return figure


def _confusion_of_groups(
    counts: sparse.csr_array, classes: Sequence[str], head_to_tail: Integers, color: str
) -> Figure:
    members = _groups(head_to_tail)
    blocks = confusion_of_groups(counts, list(members.values()))
    totals = np.array([[counts.sum(axis=1)[own].sum()] for own in members.values()])
    shares = np.divide(blocks, totals, out=np.full(blocks.shape, np.nan), where=totals > 0)
    name, side = 0.5 + _longest(_named(list(members)).values()), 5.5
    worst = _worst_pairs(counts, classes)
    bars = name + side + 1.6 + _longest([mistake for mistake, _, _ in worst])
    figure = Figure((bars + 4.6, name + side + 0.4))
    left, right = _axes(figure, name, name, side, side), _axes(figure, bars, name, 4, side)
    image = left.imshow(shares, cmap=_deepening(color), vmin=0, aspect="auto")
    _explain_colors(image, name + side, name, side, "share of the true group's samples")
    _name_beside(left, list(members))
    _name_below(left, list(members), upright=False)
    left.set(
        xlabel="group of the predicted class, by rank",
        ylabel="group of the true class, by rank",
        title=f"Confusion of {len(classes):,} classes",
    )
    _draw_pairs(right, worst, color)
    return figure


def _explain_colors(image: AxesImage, right: float, bottom: float, side: float, label: str) -> None:
    """Draw a bar of colours beside a square picture, whose right and lower edges and side are given in inches."""
    figure = image.get_figure(root=True)
    assert figure
    beside = _place(figure, right + 0.25, bottom + 0.1 * side, 0.2, 0.8 * side)
    figure.colorbar(image, cax=figure.add_axes(beside), label=label)


def _worst_pairs(counts: sparse.csr_array, classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the most frequent mistakes, each with how often it was made and out of how many samples of the true class.

    Of equally frequent ones, the larger share of the true class comes first.
    """
    return [
        (f"{_short(classes[row])} → {_short(classes[column])}", mistaken, support)
        for row, column, mistaken, support in mistakes(counts, MOST_PAIRS)
    ]


def _draw_pairs(axes: Axes, worst: Sequence[tuple[str, int, int]], color: str) -> None:
    """Draw a bar for each of the `_worst_pairs`."""
    axes.barh(np.arange(len(worst)), [mistaken for _, mistaken, _ in worst], color=color)
    for place, (_, mistaken, support) in enumerate(worst):
        text = f"{mistaken} of {support} ({mistaken / support:.0%})"
        axes.annotate(text, (0, place), (6, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axes.set_yticks(np.arange(len(worst)), [name for name, _, _ in worst], fontsize=SMALL)
    axes.invert_yaxis()
    axes.locator_params(axis="x", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel="test samples", title="Most frequent mistakes, true → predicted")


def precision_recall_curves(
    labels: Integers, log_probabilities: Floats, evaluation: Evaluation, data: ClassCounts, run_color: str
) -> Figure:
    """Draw one curve per class, coloured from head to tail; of more than ten classes, those at evenly spaced ranks.

    Of more than MOST_DRAWN, draw how average precision spreads over the ranks.
    """
    average_precision = evaluation.per_class["average_precision"]
    if len(data.classes) > MOST_DRAWN:
        figure = Figure((7.5, 5))
        axes = _axes(figure, 0.75, 0.6, 6.5, 4)
        _spread_by_rank(axes, average_precision, data.head_to_tail, run_color)
        axes.set(
            xlabel="rank of the class, from head to tail",
            ylabel="average precision",
            title="Average precision of each class against the rest",
        )
        return figure
    defined = [index for index in data.head_to_tail if not np.isnan(average_precision[index])]
    chosen = _spread(defined, 10)
    names = [
        f"{_short(data.classes[index])}  n={data.counts[index]}  AP {average_precision[index]:.2f}" for index in chosen
    ]
    title = "head to tail" if len(chosen) == len(defined) else f"{len(chosen)} of {len(defined)} classes, head to tail"
    figure = Figure((6.8 + _longest([*names, title]), 5))
    axes = _axes(figure, 0.75, 0.6, 5.2, 4)
    for index, name, color in zip(chosen, names, _head_to_tail_colors(len(chosen)), strict=True):
        truth = labels[:, index] == 1 if labels.ndim == 2 else labels == index
        precision, recall = precision_recall(truth, log_probabilities[:, index])
        axes.plot(recall, precision, color=color, linewidth=1.6, label=name)
    axes.set(
        xlabel="recall",
        ylabel="precision",
        xlim=(0, 1.01),
        ylim=(0, 1.03),
        title="Precision and recall of each class against the rest",
    )
    axes.legend(
        frameon=False, fontsize=SMALL, title=title, title_fontsize=SMALL, loc="center left", bbox_to_anchor=(1.01, 0.5)
    )
    return figure


def training_curves(history: Sequence[dict[str, float]], color: str) -> Figure:
    """Draw the losses on the left, that of training in grey, and the validation metrics on the right."""
    figure = Figure((10, 4))
    left, right = (_axes(figure, edge, 0.6, 4.2, 3) for edge in (0.6, 5.6))
    epochs = np.arange(1, len(history) + 1)
    marker = "o" if len(history) < 3 else None
    for axes, keys in (
        (left, ("train/loss", "val/loss", "val/log_loss")),
        (right, ("val/balanced_accuracy", "val/macro_f1", "val/accuracy")),
    ):
        for key, style in zip(keys, ("-", "--", ":") if axes is right else ("-", "-", "--"), strict=True):
            drawn = INK if key == "train/loss" else color
            axes.plot(
                epochs,
                [metrics[key] for metrics in history],
                style,
                color=drawn,
                marker=marker,
                label=key,
                linewidth=1.6,
            )
        axes.set_xlabel("epoch")
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        # A place that is given: Matplotlib would look for the best one by comparing it with every line.
        axes.legend(frameon=False, loc="upper right" if axes is left else "lower right")
    left.set(title="Loss (val/log_loss is unweighted)", ylim=(0, ABOVE * left.get_ylim()[1]))
    right.set(title="Validation", ylim=(0, 1.02))
    return figure


def reliability_diagram(labels: Integers, log_probabilities: Mapping[str, Floats], color: str) -> Figure:
    """Draw accuracy against the confidence in the top class, with 95 % intervals, for one or two kinds of probability.

    Parameters
    ----------
    log_probabilities : by the name of their kind, (n, classes)
    """
    figure = Figure((5.5, 5))
    axes = _axes(figure, 0.75, 0.6, 4.6, 4)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    axes.text(0.97, 0.93, "perfect", color=MUTED, ha="right", va="top", rotation=41, fontsize=9)
    looks = (("-", color), ("--", "white"))
    for (name, values), (style, filling) in zip(log_probabilities.items(), looks, strict=False):
        binned = reliability(labels, values)
        confidence, accuracy, sizes = (found[binned[2] > 0] for found in binned)
        axes.plot(confidence, accuracy, style, color=color, linewidth=1.4, label=name)
        axes.vlines(confidence, *wilson(accuracy * sizes, sizes), color=color, linewidth=0.8, alpha=0.6)
        areas = 8 + 160 * sizes / sizes.sum()
        axes.scatter(confidence, accuracy, s=areas, color=color, facecolor=filling, zorder=3)
    axes.set(
        xlabel="confidence (larger dots: more samples; bars: 95 %)",
        ylabel="accuracy",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        title="Reliability",
    )
    axes.legend(frameon=False, loc="lower right")
    return figure


def what_the_weights_did(
    data: ClassCounts, weights: ClassWeights, evaluation: Evaluation, shares: Mapping[str, Floats], color: str
) -> Figure:
    """Draw counts, weights, shares and recall of the classes, from head to tail.

    Of more than MOST_DRAWN classes, draw the shares of groups of ranks and how recall spreads over them. The lower
    panels name the classes, and their bars stand below those of the upper ones.

    Parameters
    ----------
    shares : `gradient_share_start` and `gradient_share`, as far as they are there, are drawn beside the weights' share
    """
    order = data.head_to_tail
    many = len(order) > MOST_DRAWN
    names = [data.classes[index] for index in order]
    groups = _groups(order) if many else {name: order[rank : rank + 1] for rank, name in enumerate(names)}
    upper, lower = 0.3 if many else 0.1, 0.3 + _below_bars(list(groups))
    figure = Figure((11, 5.6 + upper + lower))
    panels = [_axes(figure, edge, bottom, 4.8, 2.4) for bottom in (2.8 + upper + lower, lower) for edge in (0.6, 6.05)]
    _draw_on_log_scale(panels[0], weights.counts[order], "Training samples", "{:d}", color)
    _draw_on_log_scale(panels[1], weights.weights[order], "Weight", "{:.3g}", color)
    _draw_shares(panels[2], weights, groups, shares, color)
    _draw_recall(panels[3], evaluation.per_class["recall"], order, names, color)
    label = "class, from head to tail" + (", by rank" if many else "")
    figure.text(0.5, 0.1 / figure.get_figheight(), label, ha="center", fontsize=10)
    return figure


def _draw_on_log_scale(axes: Axes, values: Floats | Integers, title: str, form: str, color: str) -> None:
    """Draw a value of each class, from head to tail: as bars, or of many classes as a line."""
    seen = values[values > 0]
    # Set before anything is drawn: equal values have no range of their own.
    axes.set(yscale="log", ylim=(seen.min() / 1.6, seen.max() * 2.5))
    # A power of ten with an exponent is a formula, which takes as long as all other text.
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    if len(values) > MOST_DRAWN:
        axes.plot(np.arange(1, len(values) + 1), values, color=color)
        axes.spines[["top", "right"]].set_visible(False)
    else:
        _bars(axes, values, color, form)
        axes.set_xticks([])
    axes.set_title(f"{title} (log scale)", loc="left", fontsize=11)


def _draw_recall(axes: Axes, recall: Floats, head_to_tail: Integers, names: Sequence[str], color: str) -> None:
    """Draw the recall of each class as bars, or of many classes how it spreads; the names are from head to tail."""
    if len(head_to_tail) > MOST_DRAWN:
        _spread_by_rank(axes, recall, head_to_tail, color)
    else:
        _bars(axes, recall[head_to_tail], color, "{:.2f}")
        _name_below(axes, names, upright=_is_short(names))
        axes.set_ylim(0, 1.12)
    mean = float(np.nanmean(recall))
    axes.axhline(mean, color=INK, linewidth=1.2, linestyle="--")
    axes.set_title(f"Recall on the test split (line: balanced accuracy, {mean:.3f})", loc="left", fontsize=11)


def _draw_shares(
    axes: Axes, weights: ClassWeights, groups: Mapping[str, Integers], shares: Mapping[str, Floats], color: str
) -> None:
    """Draw each group's share of all weight, with its share without weights and its share of the gradient."""

    def summed(values: Floats) -> Floats:
        return np.array([values[members].sum() for members in groups.values()])

    share, equal = summed(weights.share), summed(weights.counts / weights.counts.sum())
    marks = np.arange(len(groups))
    _bars(axes, share, color)
    _name_below(axes, list(groups), upright=_is_short(list(groups)))
    axes.set_title("Share of all weight", loc="left", fontsize=11)
    edges, steps = np.append(marks - 0.5, marks[-1] + 0.5), np.append(equal, equal[-1])
    axes.step(edges, steps, where="post", color=INK, linewidth=1.2, label="without weights")
    highest = max(share.max(), equal.max())
    for key, label, mark in (
        ("gradient_share_start", "of the gradient, before training", "o"),
        ("gradient_share", "of the gradient, after training", "D"),
    ):
        if key in shares:
            found, filling = summed(shares[key]), "none" if mark == "o" else INK
            axes.plot(marks, found, mark, color=INK, markersize=4, markerfacecolor=filling, label=label)
            highest = max(highest, np.nanmax(found, initial=0))
    axes.set_ylim(0, highest * ABOVE)
    axes.legend(frameon=False, loc="upper right")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _spread_by_rank(axes: Axes, values: Floats, head_to_tail: Integers, color: str) -> None:
    """Draw how a value between 0 and 1 spreads over the classes of each group of ranks.

    Shown are the mean, the median, the middle half and the middle four fifths of the classes.
    """
    groups = _groups(head_to_tail)
    places = (np.arange(len(groups)) + 0.5) * len(head_to_tail) / len(groups)
    lines = ranks.quantiles(values, groups, SPREAD)
    means = list(ranks.means(values, groups).values())
    axes.fill_between(
        places, lines[0], lines[4], color=color, alpha=0.15, linewidth=0, label="10 to 90 % of the classes"
    )
    axes.fill_between(places, lines[1], lines[3], color=color, alpha=0.3, linewidth=0, label="25 to 75 %")
    axes.plot(places, lines[2], color=color, label="median")
    axes.plot(places, means, "--", color=INK, linewidth=1.2, label="mean")
    axes.set(xlim=(0, len(head_to_tail)), ylim=(0, 1.03))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=SMALL, loc="upper right")


def _groups(head_to_tail: Integers) -> dict[str, Integers]:
    """Return the classes of each group of ranks, by its name, such as `1–500`."""
    found = ranks.groups(head_to_tail, RANK_GROUPS)
    return {name.removeprefix("ranks_").replace("-", "–"): members for name, members in found.items()}


def _bars(axes: Axes, values: Floats | Integers, color: str, form: str | None = None) -> None:
    """Draw bars; if a form is given and they are not too many, write their values above them in place of an axis."""
    marks = np.arange(len(values))
    shown = np.nan_to_num(np.asarray(values, dtype=float))
    # One shape, every second step of which is empty: many rectangles would each be drawn by themselves.
    heights = np.zeros(2 * len(marks) - 1)
    heights[::2] = shown
    axes.stairs(heights, np.add.outer(marks, (-0.4, 0.4)).ravel(), fill=True, color=color)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    if form and len(values) <= MOST_LABELLED:
        axes.set_yticks([])
        above = axes.transData + ScaledTranslation(0, 2 / 72, axes.figure.dpi_scale_trans)
        for mark, value, height in zip(marks, values, shown, strict=True):
            text = "undefined" if np.isnan(float(value)) else form.format(value)
            axes.text(float(mark), float(height), text, transform=above, ha="center", fontsize=SMALL, color=INK)


def _below_bars(names: Sequence[str]) -> float:
    """Return the inches that the names of bars take."""
    return 0.3 if _is_short(names) else 0.15 + _longest(_named(names).values())


def _is_short(names: Sequence[str]) -> bool:
    return max(map(len, names)) <= 5


def _name_below(axes: Axes, names: Sequence[str], *, upright: bool) -> None:
    """Name the places of the horizontal axis by texts, since each tick is five things to draw."""
    axes.set_xticks([])
    down = ScaledTranslation(0, -4 / 72, axes.figure.dpi_scale_trans)
    below = blended_transform_factory(axes.transData, axes.transAxes) + down
    for place, name in _named(names).items():
        axes.text(place, 0, name, transform=below, ha="center", va="top", fontsize=SMALL, rotation=0 if upright else 90)


def _name_beside(axes: Axes, names: Sequence[str]) -> None:
    """Name the places of the vertical axis by texts."""
    axes.set_yticks([])
    left = ScaledTranslation(-4 / 72, 0, axes.figure.dpi_scale_trans)
    beside = blended_transform_factory(axes.transAxes, axes.transData) + left
    for place, name in _named(names).items():
        axes.text(0, place, name, transform=beside, ha="right", va="center", fontsize=SMALL)


def _named(names: Sequence[str]) -> dict[int, str]:
    """Return the text at each place: every name, or evenly spaced ones, so that they do not run into each other."""
    return {mark: _short(names[mark]) for mark in _spread(range(len(names)), MOST_LABELLED)}


def _longest(texts: Iterable[str]) -> float:
    """Return the inches that the longest of some texts takes in the small font."""
    font = FontProperties(size=SMALL)
    points = (float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) for text in texts)
    return max(points, default=0.0) / 72


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches, with few numbers, and with their labels at the edges of the figure.

    To set the labels close to the numbers, Matplotlib would measure each number twice more.
    """
    axes = figure.add_axes(_place(figure, left, bottom, width, height))
    axes.xaxis.set_label_coords(0.5, 0.1, blended_transform_factory(axes.transAxes, figure.dpi_scale_trans))
    axes.xaxis.label.set_verticalalignment("bottom")
    axes.yaxis.set_label_coords(0.27, 0.5, blended_transform_factory(figure.dpi_scale_trans, axes.transAxes))
    axes.locator_params(nbins=5)
    return axes


def _place(
    figure: Figure, left: float, bottom: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return a place in inches as shares of the figure."""
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up


def _spread(items: Sequence[int], most: int) -> list[int]:
    """Return at most so many of the items, evenly spaced, with the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]


def _short(name: str) -> str:
    """Cut a name and show it literally: Matplotlib reads `$…$` as a formula and omits labels that begin with `_`."""
    cut = name if len(name) <= 18 else name[:17] + "…"
    return (" " if cut.startswith("_") else "") + cut.replace("$", r"\$")


def _deepening(color: str) -> LinearSegmentedColormap:
    """Return the colours from white through a colour to a dark shade of it."""
    return LinearSegmentedColormap.from_list(color, ["white", color, tuple(0.35 * np.array(to_rgb(color)))])


def _head_to_tail_colors(count: int) -> Floats:
    from matplotlib import colormaps

    colors: Floats = colormaps["viridis"](np.linspace(0, 0.92, count))
    return colors
