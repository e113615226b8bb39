"""The charts of a run's page, legible with 2 classes, 100 and 10,000; classes go from head to tail in all of them.

A run has the colour of its weighting in all of them. Whatever else they show has the colour of the text, or is set
apart by a dash or a mark. In the data a class is its place among the names, so that no name can do harm.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from equipoise.core.colors import MUTED, weighting_color
from equipoise.core.schema import Floats, Integers
from equipoise.metrics import ranks
from equipoise.metrics.classification import confusion_of_groups, mistakes
from equipoise.reports.charts import INK, Spec, csv, drawn, field, name_axis, series, told
from equipoise.reports.evidence import Evidence
from equipoise.reports.page import Chart

MOST_NAMED = 40  # classes; up to so many, each has a row with its name, and above it a place by rank
MOST_DRAWN = 200  # above this many, groups of ranks stand for the classes
MOST_LABELLED = 20  # above this many, a matrix names only some of its classes
MOST_COUNTED = 12  # above this many, the cells of a confusion matrix hold no counts
RANK_GROUPS = 20
MOST_PAIRS = 15
MOST_EPOCHS = 300  # points of a curve
FLATTENING = 8  # if a loss is so many times higher than another, their axis is logarithmic
ROW, HIGH_ROW = 24, 32  # pixels
SQUARE = 560
DEEP = 0.6  # share of the deepest colour above which a cell's count is not in the colour of the text
SPREAD = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles of a group
LOSSES = {
    "train/loss": "training loss, as weighted",
    "val/loss": "validation loss, as weighted",
    "val/log_loss": "validation log loss, unweighted",
}
SCORES = {"val/balanced_accuracy": "balanced accuracy", "val/macro_f1": "macro F1", "val/accuracy": "accuracy"}
DASHES: Sequence[list[int]] = ([1, 0], [6, 3], [2, 2])
SHARES = {
    "loss_share_start": "loss, start",
    "loss_share": "loss, end",
    "gradient_share_start": "gradient, start",
    "gradient_share": "gradient, end",
}
OF_LINES = {"symbolType": "stroke", "symbolSize": 300}  # options of a legend
MARKS = ("circle", "square", "triangle-up", "triangle-down", "cross", "diamond")
UNIT = {"scale": {"domain": [0, 1]}}
NAME = {"calculate": "names[datum.place]", "as": "name"}


def best_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """Return the epoch of the lowest unweighted validation log loss, from 1."""
    return int(np.argmin([metrics["val/log_loss"] for metrics in history])) + 1


def training_curves(evidence: Evidence) -> list[Chart]:
    """Draw the losses and the validation metrics by epoch, with the epoch of the lowest validation log loss marked."""
    found = []
    for title, titles in (("loss", LOSSES), ("validation split", SCORES)):
        keys = [key for key in titles if all(key in metrics for metrics in evidence.history)]
        if keys:
            found.append(_by_epoch(evidence, {key: titles[key] for key in keys}, title))
    return found


def _by_epoch(evidence: Evidence, titles: Mapping[str, str], title: str) -> Chart:
    history, color = evidence.history, weighting_color(evidence.weighting)
    best, names = best_epoch(history), list(titles.values())
    evenly = np.linspace(1, len(history), min(len(history), MOST_EPOCHS)).round()
    epochs = np.unique(np.append(evenly, best)).astype(int)
    values = np.array([[history[epoch - 1][key] for epoch in epochs] for key in titles])
    is_log = title == "loss" and bool((values > 0).all()) and values.max() > FLATTENING * values.min()
    dashes = [DASHES[2], *DASHES[:2]] if title == "loss" else DASHES
    colors = [MUTED if key == "train/loss" else color for key in titles]
    look = {"color": series(names, colors, **OF_LINES), "strokeDash": series(names, dashes, **OF_LINES)}
    x = field("epoch", scale={"nice": False, "zero": False}, axis={"tickMinStep": 1, "format": "d", "grid": False})
    y = field("value", f"{title}, log scale" if is_log else title)
    y["scale"] = {"type": "log", "nice": False} if is_log else {"zero": title == "loss"}
    tooltip = told(curve="", epoch="epoch:.0f", value="value:.4g")
    spec = {
        "data": csv(
            epoch=np.tile(epochs, len(names)),
            series=np.repeat(np.arange(len(names)), len(epochs)),
            value=values.ravel(),
        ),
        "transform": [{"calculate": f"{names!r}[datum.series]", "as": "curve"}],
        "height": 240,
        "layer": [
            {
                "name": f"{INK}_best",
                "data": csv(best=np.array([best])),
                "mark": {"type": "rule", "strokeDash": [4, 3]},
                "encoding": {"x": field("best", "epoch")},
            },
            {
                "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 20} if len(epochs) < 40 else False},
                "encoding": {"x": x, "y": y, **look},
            },
            {"mark": {"type": "point", "size": 120, "opacity": 0}, "encoding": {"x": x, "y": y, "tooltip": tooltip}},
        ],
    }
    what = f"{title[0].upper()}{title[1:]} by epoch"
    return drawn(spec, f"{what}; the dashed line is epoch {best}, of the lowest validation log loss")


def recall(evidence: Evidence, what: str = "class") -> list[Chart]:
    """Draw the recall of each class with its interval, and its precision.

    Of more than MOST_NAMED classes each is a point by rank; of more than MOST_DRAWN, groups of ranks show how recall
    spreads. Then those of the lowest recall have rows of their own.
    """
    order, values = evidence.data.head_to_tail, evidence.evaluation.per_class["recall"]
    if len(order) <= MOST_NAMED:
        return [_recall_rows(evidence, order, f"Recall of each {what} on the test split, head to tail")]
    worst = np.argsort(values, kind="stable")[:MOST_NAMED]
    lowest = _recall_rows(evidence, worst, f"The {len(worst)} with the lowest recall, of {len(order):,}")
    if len(order) <= MOST_DRAWN:
        return [_recall_by_rank(evidence, what), lowest]
    return [spread(evidence, "recall", f"How recall spreads, by {RANK_GROUPS} groups of ranks"), lowest]


def _recall_rows(evidence: Evidence, shown: Integers, caption: str) -> Chart:
    title = "recall and precision"  # one for all layers, or else all are shown
    spec = {
        "data": _class_columns(evidence, shown),
        "transform": [NAME],
        "height": ROW * len(shown),
        "encoding": {"y": _rows(), "tooltip": _class_tooltip(evidence)},
        "layer": [
            {"mark": _bar(evidence), "encoding": {"x": field("recall", title, **UNIT)}},
            {
                "name": f"{INK}_interval",
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"x": field("low", title), "x2": {"field": "high"}},
            },
            {
                "name": f"{INK}_precision",
                "mark": {"type": "point", "shape": "diamond", "size": 60, "strokeWidth": 1.6},
                "encoding": {"x": field("precision", title)},
            },
        ],
    }
    caption += "; the line is its 95 % interval, the diamond is precision"
    return drawn(spec, caption, _labels(evidence, shown))


def _recall_by_rank(evidence: Evidence, what: str) -> Chart:
    order, color, title = evidence.data.head_to_tail, weighting_color(evidence.weighting), "recall and precision"
    spec = {
        "data": _class_columns(evidence, order),
        "transform": [NAME],
        "height": 300,
        "encoding": {"x": _by_rank(len(order)), "tooltip": _class_tooltip(evidence)},
        "layer": [
            {
                "mark": {"type": "rule", "color": color, "opacity": 0.4, "strokeWidth": 3},
                "encoding": {"y": field("low", title, **UNIT), "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "color": color, "filled": True, "size": 40, "opacity": 1},
                "encoding": {"y": field("recall", title)},
            },
            {
                "name": f"{INK}_precision",
                "mark": {"type": "point", "shape": "diamond", "size": 26, "opacity": 0.7},
                "encoding": {"y": field("precision", title)},
            },
        ],
    }
    caption = f"Recall of each {what} with its 95 % interval, and precision as a diamond, from head to tail"
    return drawn(spec, caption, _labels(evidence, order))


def spread(evidence: Evidence, metric: str, caption: str) -> Chart:
    """Draw how a metric between 0 and 1 spreads over the classes of each group of ranks."""
    order, color = evidence.data.head_to_tail, weighting_color(evidence.weighting)
    values, groups = evidence.evaluation.per_class[metric], ranks.groups(order, RANK_GROUPS)
    quantiles = dict(zip(("p10", "p25", "median", "p75", "p90"), ranks.quantiles(values, groups, SPREAD), strict=True))
    means = np.array(list(ranks.means(values, groups).values()))
    places = (np.arange(len(groups)) + 0.5) * len(order) / len(groups) - 0.5
    title = metric.replace("_", " ")

    def band(low: str, high: str, opacity: float) -> Spec:
        ends = {"y": field(low, title, **UNIT), "y2": {"field": high}}
        return {"mark": {"type": "area", "color": color, "opacity": opacity}, "encoding": ends}

    told_numbers = {key: f"{key}:.3f" for key in ("mean", *quantiles)}
    spec = {
        "data": csv(place=places, group=np.arange(len(groups)), mean=means, **quantiles),
        "transform": [{"calculate": "names[datum.group]", "as": "ranks"}],
        "height": 280,
        "encoding": {"x": _by_rank(len(order)), "tooltip": told(ranks="ranks", **told_numbers)},
        "layer": [
            band("p10", "p90", 0.18),
            band("p25", "p75", 0.3),
            {
                "mark": {"type": "line", "color": color, "point": {"size": 30, "color": color}},
                "encoding": {"y": field("median", title)},
            },
            {
                "name": f"{INK}_mean",
                "mark": {"type": "line", "strokeDash": [5, 3]},
                "encoding": {"y": field("mean", title)},
            },
        ],
    }
    caption += ": the middle 80 % and 50 % of the classes, the median (line) and the mean (dashed)"
    return drawn(spec, caption, _ranks_of(groups))


def confusion(evidence: Evidence) -> Chart:
    """Draw the confusion matrix, each true class as shares of its samples.

    Of more than MOST_DRAWN classes, groups of ranks stand for the classes.
    """
    order, counts = evidence.data.head_to_tail, evidence.evaluation.confusion
    support, rejected = counts.sum(axis=1), int(counts[:, counts.shape[0] :].sum())
    without = f", without {rejected:,} samples that are given no class" if rejected else ""
    if len(order) <= MOST_DRAWN:
        names = [evidence.data.classes[index] for index in order]
        cells = counts[order][:, order].toarray()
        return matrix(evidence, cells, names, f"Confusion matrix{without}", of=support[order])
    groups = ranks.groups(order, RANK_GROUPS)
    cells, of = confusion_of_groups(counts, list(groups.values())), [support[own].sum() for own in groups.values()]
    title = f"Confusion of {len(order):,} classes, by groups of ranks{without}"
    return matrix(evidence, cells, _ranks_of(groups), title, of=np.array(of))


def instead(evidence: Evidence) -> list[Chart]:
    """Draw which label is predicted wrongly where another is missed; return nothing if that never happens.

    Of more than MOST_NAMED labels, those that are missed most often are shown.
    """
    if evidence.predicted is None:
        return []
    there, predicted = evidence.labels == 1, evidence.predicted == 1
    order = evidence.data.head_to_tail
    often = np.argsort(-(there & ~predicted).sum(axis=0)[order], kind="stable")[:MOST_NAMED]
    shown = order[np.sort(often)]
    missed, wrong = (found[:, shown].astype(np.int64) for found in (there & ~predicted, ~there & predicted))
    cells = missed.T @ wrong
    if not cells.any():
        return []
    title = "Missed labels, and which are predicted wrongly in the same samples"
    return [matrix(evidence, cells, _labels(evidence, shown), title, of=missed.sum(axis=0))]


def matrix(evidence: Evidence, cells: Integers, names: Sequence[str], title: str, of: Integers | None = None) -> Chart:
    """Draw counts (true, predicted), both from head to tail, by their shares of the true class's samples.

    Parameters
    ----------
    of : those samples, (true,); None: the sums of the rows
    """
    true, predicted = np.nonzero(cells)
    of = (cells.sum(axis=1) if of is None else of)[true]
    share, size = cells[true, predicted] / of, len(names)
    most = max(float(share.max(initial=0)), 0.01)
    scale = {"domain": list(range(size)), "paddingInner": min(0.04, 0.004 * size) if size <= MOST_NAMED else 0}
    axis = {"labelOverlap": size > MOST_LABELLED}
    place = {"type": "ordinal", "scale": scale}
    depth: Spec = {"field": "share", "type": "quantitative", "legend": None}
    depth["scale"] = {"domain": [0, most], "range": [0.1, 1]}
    spec = {
        "data": csv(true=true, predicted=predicted, count=cells[true, predicted], of=of, share=share),
        "transform": [
            {"calculate": "names[datum.true]", "as": "truth"},
            {"calculate": "names[datum.predicted]", "as": "taken"},
        ],
        "height": int(np.clip(38 * size, 110, 460)),
        "view": {"stroke": MUTED, "strokeOpacity": 0.4},
        "encoding": {
            "x": {
                "field": "predicted",
                **place,
                "axis": name_axis(title="predicted", labelAngle=0 if size <= 3 else -60, **axis),
            },
            "y": {"field": "true", **place, "axis": name_axis(title="true", **axis)},
            "tooltip": told(truth="true", taken="predicted", count="samples:,d", of="of:,d", share="share:.1%"),
        },
        "layer": [
            {"mark": {"type": "rect", "color": weighting_color(evidence.weighting)}, "encoding": {"opacity": depth}},
            *(_counts(evidence, DEEP * most) if size <= MOST_COUNTED else []),
        ],
    }
    caption = f"{title}: the deeper the colour, the larger the share of the true class; head to tail"
    return drawn(spec, caption, names, SQUARE)


def _counts(evidence: Evidence, deep: float) -> list[Spec]:
    """Return the layers of the counts in the cells, of which some have a deep colour behind them."""
    color = weighting_color(evidence.weighting)
    red, green, blue = bytes.fromhex(color[1:])
    on_deep = "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "#111111"
    text = {"text": {"field": "count", "type": "quantitative", "format": ",d"}}
    return [
        {
            "name": f"{INK}_counts",
            "transform": [{"filter": f"datum.share <= {deep:.6f}"}],
            "mark": {"type": "text", "fontSize": 11},
            "encoding": text,
        },
        {
            "transform": [{"filter": f"datum.share > {deep:.6f}"}],
            "mark": {"type": "text", "fontSize": 11, "fontWeight": 600, "color": on_deep},
            "encoding": text,
        },
    ]


def most_frequent_mistakes(evidence: Evidence) -> list[Chart]:
    """Draw the most frequent mistakes as bars; return nothing if there are none, or all are in the matrix."""
    found, classes = mistakes(evidence.evaluation.confusion, MOST_PAIRS), evidence.data.classes
    if not found or len(classes) < 4:
        return []
    names = [f"{_cut(classes[true])} → {_cut(classes[predicted])}" for true, predicted, _, _ in found]
    _, _, counts, of = np.array(found).T
    spec = {
        "data": csv(place=np.arange(len(found)), count=counts, of=of),
        "transform": [NAME, {"calculate": "datum.count / datum.of", "as": "share"}],
        "height": HIGH_ROW * len(found),
        "encoding": {
            "y": {"field": "place", "type": "ordinal", "axis": None},
            "tooltip": told(name="true → predicted", count="samples:,d", of="of:,d", share="share:.1%"),
        },
        "layer": [
            {
                "mark": {"type": "bar", "color": weighting_color(evidence.weighting), "height": 8, "yOffset": 7},
                "encoding": {"x": field("count", "test samples", axis={"tickMinStep": 1, "format": ",d"})},
            },
            {
                "name": f"{INK}_names",
                "mark": {"type": "text", "align": "left", "x": 0, "yOffset": -5, "limit": {"expr": "width"}},
                "encoding": {"text": {"field": "name", "type": "nominal"}},
            },
        ],
    }
    return [drawn(spec, "The most frequent mistakes, true → predicted", names, SQUARE)]


def shares(evidence: Evidence) -> Chart:
    """Draw each class's share of the samples, of all weight, and of the loss and the gradient as far as measured.

    Of more than MOST_NAMED classes, groups of ranks stand for the classes.
    """
    weights, order = evidence.weights, evidence.data.head_to_tail
    of_classes = len(order) <= MOST_NAMED
    groups = ranks.groups(order, len(order) if of_classes else RANK_GROUPS)
    found: dict[str, Floats] = {"samples": weights.counts / weights.counts.sum(), "weight": weights.share}
    found |= {title: evidence.shares[key] for key, title in SHARES.items() if key in evidence.shares}
    titles = list(found)
    values = np.array([[each[members].sum() for members in groups.values()] for each in found.values()])
    colors = [MUTED, weighting_color(evidence.weighting), *[MUTED] * 4]
    spec = {
        "data": csv(
            place=np.tile(np.arange(len(groups)), len(found)),
            series=np.repeat(np.arange(len(found)), len(groups)),
            share=np.where(values > 0, values, np.nan).ravel(),
        ),
        "transform": [
            {"filter": "isValid(datum.share)"},
            NAME,
            {"calculate": f"{titles!r}[datum.series]", "as": "what"},
        ],
        "height": ROW * len(groups),
        "mark": {"type": "point", "size": 70, "strokeWidth": 1.8, "opacity": 1},
        "encoding": {
            "x": field(
                "share", "share, log scale", scale={"type": "log"}, axis={"format": "~%", "values": _decades(values)}
            ),
            "y": {
                **_rows(),
                "axis": name_axis(grid=True, labelOverlap=False, labelPadding=6, title=None if of_classes else "ranks"),
            },
            "color": series(titles, colors),
            "shape": series(titles, MARKS),
            "tooltip": told(name="class" if of_classes else "ranks", what="share", share="is:.3%"),
        },
    }
    names = _labels(evidence, order) if of_classes else _ranks_of(groups)
    return drawn(spec, f"Shares in training of each {'class' if of_classes else 'group of ranks'}, head to tail", names)


def _decades(values: Floats) -> list[float]:
    """Return the ticks of a log axis: 1, 2 and 5 times the powers of ten, or where these are many, the powers alone."""
    seen = values[values > 0]
    low, high = np.floor(np.log10(seen.min())), np.ceil(np.log10(seen.max()))
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    return [float(step * 10.0**power) for power in np.arange(low, high + 1) for step in steps]


def _rows() -> Spec:
    return {"field": "place", "type": "ordinal", "axis": name_axis(labelOverlap=False, labelPadding=6)}


def _bar(evidence: Evidence) -> Spec:
    return {"type": "bar", "color": weighting_color(evidence.weighting), "height": {"band": 0.62}}


def _by_rank(count: int) -> Spec:
    """Return the channel of places from 0, which shows ranks from 1."""
    axis = {
        "grid": False,
        "labelExpr": "format(datum.value + 1, ',')",
        "values": np.unique(np.linspace(0, count - 1, 5).round()).tolist(),
    }
    return field(
        "place", "rank of the class, from head to tail", scale={"domain": [-1, count], "nice": False}, axis=axis
    )


def _class_columns(evidence: Evidence, shown: Integers) -> Spec:
    per_class, of_labels = evidence.evaluation.per_class, evidence.labels.ndim == 2
    support = evidence.labels.sum(axis=0) if of_labels else evidence.evaluation.confusion.sum(axis=1)
    values = {name.removeprefix("recall_"): per_class[name][shown] for name in ("recall", "recall_low", "recall_high")}
    values |= {"precision": per_class["precision"][shown], "test": support[shown]}
    return csv(place=np.arange(len(shown)), train=evidence.data.counts[shown], **values)


def _class_tooltip(evidence: Evidence) -> list[Spec]:
    trained = {"train": "training samples:,d"} if evidence.is_training_known else {}
    numbers = {"recall": "recall:.3f", "low": "95 % from:.3f", "high": "to:.3f", "precision": "precision:.3f"}
    return told(name="class", **numbers, **trained, test="test samples:,d")


def _labels(evidence: Evidence, shown: Integers) -> list[str]:
    return [evidence.weights.label(index) for index in shown]


def _ranks_of(groups: Mapping[str, Integers]) -> list[str]:
    return [name.removeprefix("ranks_").replace("-", "–") for name in groups]


def _cut(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
