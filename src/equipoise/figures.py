"""Pictures of a run, as Matplotlib figures. Legible with 2 classes and with 100; no pyplot, no state."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from equipoise.data.prepared import Prepared
from equipoise.metrics import Evaluation, reliability
from equipoise.options import Floats, Integers
from equipoise.weighting import ClassWeights

# More classes than this, and cells hold no counts, lines no labels, and axes only some of the names.
MOST_LABELLED = 20
INK, MUTED, ACCENT, CONTRAST = "#333333", "#8a8a8a", "#1f6fb4", "#d1701f"


def confusion_matrix(confusion: Integers, classes: Sequence[str]) -> Figure:
    """Shares of each true class by colour, counts in the cells."""
    count = len(classes)
    side = float(np.clip(0.55 * count + 2, 4.5, 14))
    figure = Figure((side + 1, side), layout="constrained")
    axes = figure.subplots()
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.full(confusion.shape, np.nan), where=totals > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if count <= MOST_LABELLED:
        for (row, column), cell in np.ndenumerate(confusion):
            if cell:
                axes.text(column, row, str(cell), ha="center", va="center", fontsize=8, color="white" if shares[row, column] > 0.55 else INK)
    for axis in (axes.xaxis, axes.yaxis):
        _name_ticks(axis, classes)
    axes.tick_params(axis="x", rotation=0 if max(map(len, classes)) <= 3 else 90)
    axes.set(xlabel="predicted class", ylabel="true class", title="Confusion matrix, normalised by true class")
    return figure


def precision_recall_curves(labels: Integers, probabilities: Floats, evaluation: Evaluation, data: Prepared) -> Figure:
    """One curve a class, coloured from head to tail; of many classes, those at evenly spaced ranks."""
    from sklearn.metrics import precision_recall_curve

    figure = Figure((7.5, 5), layout="constrained")
    axes = figure.subplots()
    defined = [index for index in data.head_to_tail if not np.isnan(evaluation.per_class["average_precision"][index])]
    chosen = _spread(defined, 10)
    for index, color in zip(chosen, _head_to_tail_colors(len(chosen)), strict=True):
        precision, recall, _ = precision_recall_curve(labels[:, index] if labels.ndim == 2 else labels == index, probabilities[:, index])
        average = evaluation.per_class["average_precision"][index]
        axes.plot(recall, precision, color=color, linewidth=1.6, label=f"{_short(data.classes[index])}  n={data.counts[index]}  AP {average:.2f}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03), title="Precision and recall of each class against the rest")
    title = "head to tail" if len(chosen) == len(defined) else f"{len(chosen)} of {len(defined)} classes, head to tail"
    _legend_outside(axes, title)
    return figure


def training_curves(history: Sequence[dict[str, float]]) -> Figure:
    """Losses on the left, what validation says on the right."""
    figure = Figure((10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    marker = "o" if len(history) < 3 else None
    for axes, keys in ((left, ("train/loss", "val/loss", "val/log_loss")), (right, ("val/balanced_accuracy", "val/macro_f1", "val/accuracy"))):
        for key, color, style in zip(keys, (INK, ACCENT, CONTRAST), ("-", "-", "--"), strict=True):
            axes.plot(epochs, [metrics[key] for metrics in history], style, color=color, marker=marker, label=key, linewidth=1.6)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    left.set(title="Loss (val/log_loss is unweighted)", ylim=(0, None))
    right.set(title="Validation", ylim=(0, 1.02))
    return figure


def reliability_diagram(labels: Integers, log_probabilities: Floats, corrected: Floats | None) -> Figure:
    """Accuracy against confidence of the top class, before and after the prior is moved."""
    figure = Figure((5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
    axes.text(0.97, 0.93, "perfect", color=MUTED, ha="right", va="top", rotation=41, fontsize=9)
    for name, values, color, style in (("as predicted", log_probabilities, INK, "-"), ("moved to the target prior", corrected, CONTRAST, "--")):
        if values is not None:
            confidence, accuracy, sizes = reliability(labels, values)
            filled = sizes > 0
            axes.plot(confidence[filled], accuracy[filled], style, color=color, linewidth=1.4, label=name)
            axes.scatter(confidence[filled], accuracy[filled], s=8 + 160 * sizes[filled] / sizes.sum(), color=color)
    axes.set(xlabel="confidence (larger dots: more samples)", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02), title="Reliability")
    axes.legend(frameon=False, loc="lower right")
    return figure


def what_the_weights_did(data: Prepared, weights: ClassWeights, evaluation: Evaluation, shares: Mapping[str, Floats]) -> Figure:
    """Counts, weights, shares and recall of the classes, from head to tail.

    Parameters
    ----------
    shares : of them `gradient_share_start` and `gradient_share`, if they are there, are drawn beside the weights' share
    """
    order = data.head_to_tail
    names = [data.classes[index] for index in order]
    figure = Figure((11, 6.5), layout="constrained")
    panels = figure.subplots(2, 2).flat
    recall = evaluation.per_class["recall"][order]
    share = weights.share[order]
    equal = weights.counts[order] / weights.counts.sum()
    for axes, values, title, form in (
        (panels[0], weights.counts[order], "Training samples (log scale)", "{:d}"),
        (panels[1], weights.weights[order], "Weight (log scale)", "{:.3g}"),
        (panels[2], share, "Share of all weight", "{:.0%}"),
        (panels[3], recall, "Recall on the test split", "{:.2f}"),
    ):
        _bars(axes, values, names, form)
        axes.set_title(title, loc="left", fontsize=11)
    for axes in (panels[0], panels[1]):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 1.5, high * 2)
    marks = np.arange(len(names))
    panels[2].step(np.append(marks - 0.5, marks[-1] + 0.5), np.append(equal, equal[-1]), where="post", color=CONTRAST, label="without weights")
    highest = max(share.max(), equal.max())
    for key, label, mark in (("gradient_share_start", "of the gradient, before training", "o"), ("gradient_share", "of the gradient, after training", "D")):
        if key in shares:
            panels[2].plot(marks, shares[key][order], mark, color=INK, markersize=4, markerfacecolor="none" if mark == "o" else INK, label=label)
            highest = max(highest, np.nanmax(shares[key], initial=0))
    panels[2].set_ylim(0, highest * 1.15)
    panels[2].legend(frameon=False)
    panels[3].set_ylim(0, 1.12)
    panels[3].axhline(np.nanmean(recall), color=CONTRAST, linewidth=1.2)
    panels[3].set_title(f"Recall on the test split (line: mean {np.nanmean(recall):.3f}, the balanced accuracy)", loc="left", fontsize=11)
    panels[2].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.supxlabel("class, from head to tail", fontsize=10)
    return figure


def _bars(axes: Axes, values: Floats | Integers, names: Sequence[str], form: str) -> None:
    marks = np.arange(len(names))
    shown = np.nan_to_num(np.asarray(values, dtype=float))
    axes.bar(marks, shown, color=ACCENT, width=0.8)
    axes.margins(x=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    if len(names) <= MOST_LABELLED:
        for mark, value in zip(marks, values, strict=True):
            text = "undefined" if np.isnan(float(value)) else form.format(value)
            axes.annotate(text, (mark, np.nan_to_num(float(value))), (0, 2), textcoords="offset points", ha="center", fontsize=8, color=INK)
    _name_ticks(axes.xaxis, names)
    axes.tick_params(axis="x", rotation=0 if max(map(len, names)) <= 5 else 90)


def _name_ticks(axis: object, names: Sequence[str]) -> None:
    """Name every class, or evenly spaced ones so that the names do not run into each other."""
    marks = _spread(range(len(names)), MOST_LABELLED)
    axis.set_ticks(marks, [_short(names[mark]) for mark in marks], fontsize=8)  # type: ignore[attr-defined]


def _spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _head_to_tail_colors(count: int) -> Floats:
    from matplotlib import colormaps

    colors: Floats = colormaps["viridis"](np.linspace(0, 0.92, count))
    return colors


def _legend_outside(axes: Axes, title: str) -> None:
    axes.legend(frameon=False, fontsize=8, title=title, title_fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
