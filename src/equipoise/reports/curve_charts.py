"""The charts of a run's probabilities: how precision and recall trade, where thresholds lie, and calibration."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from equipoise.core.colors import MUTED, weighting_color
from equipoise.core.schema import Booleans, Floats, Integers
from equipoise.metrics.classification import OWN, reliability
from equipoise.metrics.proportions import wilson
from equipoise.reports.charts import INK, Spec, csv, drawn, field, name_axis, series, told
from equipoise.reports.evidence import Evidence
from equipoise.reports.page import Chart
from equipoise.reports.run_charts import DASHES, MARKS, NAME, OF_LINES, ROW, SQUARE, UNIT, spread

Binned: TypeAlias = tuple[Floats, Floats, Integers]  # mean probability, how often it was right, samples

MOST_CURVES = 20  # above this many, the classes of the lowest average precision have one, and groups show the rest
WORST = 10
MOST_POINTS = 200  # of a curve
BROAD = 680
# From head to tail; colour-blind readers can tell them apart, and none is too light or too dark for its paper.
HEAD_TO_TAIL = ("#2478c0", "#8f7fc4", "#d9662b")
BINS = 15
RULES = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "worst_class_recall": "lowest recall"}


@dataclass(frozen=True)
class Thresholds:
    """What comes of each threshold on a score, from the highest threshold down.

    The values are those of scikit-learn's curves. All come from one sort, and to import scikit-learn would take longer
    than all pictures of a run.

    Attributes
    ----------
    threshold, precision, recall, false_positive_rate, queue : float64 (points,); queue is the share of all samples
        that is predicted positive
    """

    threshold: Floats
    precision: Floats
    recall: Floats
    false_positive_rate: Floats
    queue: Floats

    @classmethod
    def of(cls, positive: Booleans, scores: Floats) -> "Thresholds":
        """Compute them for scores of shape (n,), of which at least one is positive."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(scores) - 1)  # of equal scores
        hits, taken = np.cumsum(positive[order])[last], last + 1
        return cls(
            threshold=np.append(ranked[0], ranked[last]),
            precision=np.append(1.0, hits / taken),
            recall=np.append(0.0, hits / hits[-1]),
            false_positive_rate=np.append(0.0, (taken - hits) / max(len(scores) - hits[-1], 1)),
            queue=np.append(0.0, taken / len(scores)),
        )

    def thinned(self, along: str, most: int = MOST_POINTS) -> "Thresholds":
        """Return at most so many points, evenly spaced along one of the values; both ends are among them."""
        values = getattr(self, along)
        if len(values) <= most:
            return self
        ascending = values if values[0] <= values[-1] else -values
        wanted = np.linspace(ascending[0], ascending[-1], most)
        kept = np.unique(np.searchsorted(ascending, wanted).clip(0, len(values) - 1))
        kept[-1] = len(values) - 1
        return Thresholds(**{name: found[kept] for name, found in vars(self).items()})


def precision_recall(evidence: Evidence, what: str = "class") -> list[Chart]:
    """Draw the curve of each class; of many classes, of those of the lowest average precision, and how it spreads."""
    order, average = evidence.data.head_to_tail, evidence.evaluation.per_class["average_precision"]
    defined = order[~np.isnan(average[order])]
    shown = defined
    if len(defined) > MOST_CURVES:
        worst = np.argsort(average[defined], kind="stable")[:WORST]
        shown = defined[np.sort(worst)]
    if not len(shown):
        return []
    found = [_thresholds(evidence, index).thinned("recall", MOST_POINTS // 2) for index in shown]
    names = [f"{evidence.weights.label(index)[:60]} · AP {average[index]:.2f}" for index in shown]
    of_all = f"each {what} against the rest" if len(shown) == len(defined) else (
        f"the {len(shown)} of the lowest average precision"
    )  # fmt: skip
    caption = f"Precision and recall of {of_all}, head to tail; point at a curve to see it alone"
    curves = _by_class([(one.recall, one.precision) for one in found], names, ("recall", "precision"), caption)
    if len(shown) == len(defined):
        return [curves]
    return [curves, spread(evidence, "average_precision", "Average precision against the rest, by groups of ranks")]


def thresholds_of_labels(evidence: Evidence) -> list[Chart]:
    """Draw the F1 of each label by its threshold; of many labels, of those of the lowest F1."""
    f1, order = evidence.evaluation.per_class["f1"], evidence.data.head_to_tail
    defined = order[evidence.labels[:, order].any(axis=0)]
    shown = defined
    if len(defined) > MOST_CURVES:
        shown = defined[np.sort(np.argsort(f1[defined], kind="stable")[:WORST])]
    if not len(shown):
        return []
    lines = []
    for index in shown:
        found = _thresholds(evidence, index).thinned("threshold", MOST_POINTS // 2)
        sums = np.maximum(found.precision + found.recall, 1e-12)
        lines.append((np.exp(found.threshold), 2 * found.precision * found.recall / sums))
    of_all = "each label" if len(shown) == len(defined) else f"the {len(shown)} labels of the lowest F1"
    caption = f"F1 of {of_all} by the probability above which it is predicted, on the test split: not to choose by"
    return [_by_class(lines, [evidence.data.classes[index][:60] for index in shown], ("threshold", "F1"), caption)]


def _by_class(
    lines: Sequence[tuple[Floats, Floats]], names: Sequence[str], axes: tuple[str, str], caption: str
) -> Chart:
    """Draw a line for each class; the one that is pointed at stands out."""
    places = np.repeat(np.arange(len(lines)), [len(x) for x, _ in lines])
    x, y = (np.concatenate(values) for values in zip(*lines, strict=True))
    legend = {"labelExpr": "names[datum.value]", "symbolType": "stroke", "symbolStrokeWidth": 3}
    hover = {"type": "point", "fields": ["series"], "on": "pointerover", "clear": "pointerout"}
    encoding = {
        "x": field("x", axes[0], **UNIT, axis={"grid": False}),
        "y": field("y", axes[1], **UNIT),
        "order": {"field": "number", "type": "quantitative"},
    }
    spec = {
        "data": csv(series=places, number=np.arange(len(places)), x=x, y=y),
        "transform": [{"calculate": "names[datum.series]", "as": "name"}],
        "height": 340,
        "encoding": encoding,
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 2},
                "encoding": {
                    "color": series(names, _ramp(len(lines)), **legend),
                    "opacity": {"condition": {"param": "hover", "value": 1}, "value": 0.12},
                },
            },
            {
                "params": [{"name": "hover", "select": hover}],
                "mark": {"type": "line", "strokeWidth": 12, "opacity": 0},
                "encoding": {
                    "detail": {"field": "series", "type": "nominal"},
                    "tooltip": told(name="class", x=f"{axes[0]}:.3f", y=f"{axes[1]}:.3f"),
                },
            },
        ],
    }
    return drawn(spec, caption, names, BROAD)


def of_two_classes(evidence: Evidence, positive: int) -> tuple[list[Chart], Chart]:
    """Draw ROC and precision-recall curve of the positive class, and what comes of each threshold on it."""
    found, name = _thresholds(evidence, positive), evidence.data.classes[positive][:60]
    prevalence, per_class = float((evidence.labels == positive).mean()), evidence.evaluation.per_class
    color = weighting_color(evidence.weighting)
    roc = _curve(found.thinned("false_positive_rate"), ("false_positive_rate", "recall"), color, (0, 1))
    trade = _curve(found.thinned("recall"), ("recall", "precision"), color, (prevalence, prevalence))
    area, average = per_class["auroc"][positive], per_class["average_precision"][positive]
    return [
        drawn(roc, f"ROC curve of {name}, area {area:.3f}; dashed: by chance", widest=SQUARE),
        drawn(trade, f"Precision and recall of {name}, average precision {average:.3f}; dashed: by chance",
              widest=SQUARE),
    ], _by_threshold(found.thinned("threshold"), name, color)  # fmt: skip


def _curve(found: Thresholds, axes: tuple[str, str], color: str, chance: tuple[float, float]) -> Spec:
    titles = [axis.replace("_", " ") for axis in axes]
    shown = {axis: f"{title}:.3f" for axis, title in zip(axes, titles, strict=True)}
    return {
        "data": csv(
            number=np.arange(len(found.queue)),
            threshold=np.exp(found.threshold),
            queue=found.queue,
            **{axis: getattr(found, axis) for axis in axes},
        ),
        "height": 300,
        "layer": [
            _line(np.array([0, 1]), np.array(chance), "chance"),
            {
                "mark": {"type": "line", "color": color, "strokeWidth": 2, "point": {"opacity": 0, "size": 60}},
                "encoding": {
                    "x": field(axes[0], titles[0], **UNIT),
                    "y": field(axes[1], titles[1], **UNIT),
                    "order": {"field": "number", "type": "quantitative"},
                    "tooltip": told(**shown, threshold="threshold:.3f", queue="share predicted positive:.3f"),
                },
            },
        ],
    }


def _line(x: Floats | Integers, y: Floats | Integers, name: str) -> Spec:
    """Return the layer of a thin dashed line in the colour of the text."""
    return {
        "name": f"{INK}_{name}",
        "data": csv(x=x, y=y),
        "mark": {"type": "line", "strokeDash": [4, 3], "strokeWidth": 1},
        "encoding": {"x": field("x", ""), "y": field("y", "")},
    }


def _by_threshold(found: Thresholds, name: str, color: str) -> Chart:
    titles = ["recall", "precision", "queue rate: share of all samples predicted positive"]
    values = np.array([found.recall, found.precision, found.queue])
    spec = {
        "data": csv(
            threshold=np.tile(np.exp(found.threshold), 3),
            series=np.repeat(np.arange(3), len(found.queue)),
            value=values.ravel(),
        ),
        "transform": [{"calculate": f"{titles!r}[datum.series]", "as": "curve"}],
        "height": 280,
        "mark": {"type": "line", "strokeWidth": 2, "interpolate": "step-before", "point": {"opacity": 0, "size": 60}},
        "encoding": {
            "x": field("threshold", "threshold on the probability", **UNIT, axis={"grid": False}),
            "y": field("value", "share", **UNIT),
            "color": series(titles, [color, color, MUTED], **OF_LINES),
            "strokeDash": series(titles, DASHES, **OF_LINES),
            "tooltip": told(curve="", value="is:.3f", threshold="threshold:.3f"),
        },
    }
    return drawn(spec, f"What comes of each threshold above which {name} is predicted, on the test split: to look at")


def calibration(evidence: Evidence) -> list[Chart]:
    """Draw accuracy against the confidence in the top class, as predicted and corrected, and how many it is.

    Each accuracy has its 95 % interval; labels of one sample depend on each other, so theirs have none.

    With several labels per sample: how often a label is there against its probability, all labels together.
    """
    color = weighting_color(evidence.weighting)
    if evidence.labels.ndim == 2:
        titles = ("probability of a label", "share with the label")
        bins: Callable[[Integers, Floats], Binned] = _binned_labels
    else:
        titles, bins = ("confidence", "accuracy"), reliability
    binned = {OWN: bins(evidence.labels, evidence.log_probabilities)}
    if evidence.corrected is not None:
        binned[evidence.correction] = bins(evidence.labels, evidence.corrected)
    bars = wilson if evidence.labels.ndim == 1 else None
    return [_against_truth(binned, color, titles, bars), _how_many(binned[OWN][2], color, titles[0])]


def _binned_labels(labels: Integers, log_probabilities: Floats) -> Binned:
    probability, there = np.exp(log_probabilities).ravel(), labels.ravel()
    index = np.clip(np.ceil(probability * BINS).astype(int) - 1, 0, BINS - 1)
    sizes = np.bincount(index, minlength=BINS)
    divisor = np.maximum(sizes, 1)
    return np.bincount(index, probability, BINS) / divisor, np.bincount(index, there, BINS) / divisor, sizes


def _against_truth(
    binned: Mapping[str, Binned], color: str, titles: tuple[str, str], bars: Callable[..., tuple[Floats, Floats]] | None
) -> Chart:
    names, filled = list(binned), [sizes > 0 for _, _, sizes in binned.values()]
    probability, right, samples = (
        np.concatenate([found[part][kept] for found, kept in zip(binned.values(), filled, strict=True)])
        for part in range(3)
    )
    low, high = (right, right) if bars is None else bars(right * samples, samples)
    interval = {} if bars is None else {"low": "95 % from:.3f", "high": "to:.3f"}
    each = np.repeat(np.arange(len(names)), [kept.sum() for kept in filled])
    dash = series(names, DASHES, **OF_LINES)
    spec = {
        "data": csv(series=each, probability=probability, right=right, samples=samples, low=low, high=high),
        "height": 300,
        "layer": [
            _line(np.array([0, 1]), np.array([0, 1]), "equal"),
            {
                "mark": {"type": "line", "color": color, "strokeWidth": 1.6},
                "encoding": {
                    "x": field("probability", titles[0], **UNIT),
                    "y": field("right", titles[1], **UNIT),
                    "strokeDash": dash if len(names) > 1 else {**dash, "legend": None},
                },
            },
            {
                "mark": {"type": "rule", "color": color, "opacity": 0.45},
                "encoding": {
                    "x": field("probability", titles[0]),
                    "y": field("low", titles[1]),
                    "y2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "color": color, "filled": True, "opacity": 0.85},
                "encoding": {
                    "x": field("probability", titles[0]),
                    "y": field("right", titles[1]),
                    "size": field("samples", scale={"range": [15, 260]}, legend=None),
                    "tooltip": told(
                        probability=f"{titles[0]}:.3f", right=f"{titles[1]}:.3f", **interval, samples="samples:,d"
                    ),
                },
            },
        ],
    }
    what = f"{titles[1][0].upper()}{titles[1][1:]} against {titles[0]}"
    more = "and larger dots are more samples" + ("; bars are 95 % intervals" if bars else "")
    return drawn(spec, f"{what}; on the diagonal the two are equal, {more}", widest=SQUARE)


def _how_many(sizes: Integers, color: str, title: str) -> Chart:
    edges = np.linspace(0, 1, len(sizes) + 1)
    spec = {
        "data": csv(low=edges[:-1], high=edges[1:], samples=sizes),
        "height": 300,
        "mark": {"type": "bar", "color": color, "binSpacing": 1},
        "encoding": {
            "x": {**field("low", title, **UNIT), "bin": "binned"},
            "x2": {"field": "high"},
            "y": field("samples", axis={"format": "~s", "tickMinStep": 1}),
            "tooltip": told(low="above:.2f", high="up to:.2f", samples="samples:,d"),
        },
    }
    return drawn(spec, f"How often which {title} is said", widest=SQUARE)


def rules(evidence: Evidence) -> list[Chart]:
    """Draw a few metrics of each decision rule on the test split; return nothing if there is one rule alone."""
    names = list(evidence.rules)
    keys = [key for key in RULES if all(key in metrics for metrics in evidence.rules.values())]
    if len(names) < 2 or not keys:
        return []
    titles = [RULES[key] for key in keys]
    values = np.array([[evidence.rules[name][key] for name in names] for key in keys])
    spec = {
        "data": csv(
            place=np.tile(np.arange(len(names)), len(keys)),
            series=np.repeat(np.arange(len(keys)), len(names)),
            value=values.ravel(),
        ),
        "transform": [NAME, {"calculate": f"{titles!r}[datum.series]", "as": "metric"}],
        "height": (ROW + 4) * len(names),
        "mark": {"type": "point", "size": 80, "strokeWidth": 2, "opacity": 1},
        "encoding": {
            "x": field("value", "test split", scale={"zero": False, "padding": 12}),
            "y": {
                "field": "place",
                "type": "ordinal",
                "axis": name_axis(grid=True, labelOverlap=False, labelPadding=6),
            },
            "color": series(titles, [weighting_color(evidence.weighting), MUTED, MUTED]),
            "shape": series(titles, MARKS),
            "tooltip": told(name="rule", metric="metric", value="value:.3f"),
        },
    }
    caption = "Decision rules on the same logits, on the test split: for judging, not for choosing"
    return [drawn(spec, caption, names, BROAD)]


def _thresholds(evidence: Evidence, index: int) -> Thresholds:
    """Return what comes of each threshold on the log probability of a class or label."""
    labels = evidence.labels
    positive = labels[:, index] == 1 if labels.ndim == 2 else labels == index
    return Thresholds.of(positive, evidence.log_probabilities[:, index])


def _ramp(count: int) -> list[str]:
    """Return so many colours from head to tail."""
    stops = np.array([list(bytes.fromhex(color[1:])) for color in HEAD_TO_TAIL], float)
    at = np.linspace(0, len(stops) - 1, count)
    channels = [np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return ["#" + "".join(f"{round(value):02x}" for value in found) for found in zip(*channels, strict=True)]
