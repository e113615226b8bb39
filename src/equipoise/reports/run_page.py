"""A run's evidence, as pictures and as one self-contained page in the order in which a reader asks."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from equipoise.core.colors import weighting_color
from equipoise.core.schema import Floats, Integers
from equipoise.data.prepared import Prepared
from equipoise.methods import effect
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics import ranks
from equipoise.metrics.classification import Evaluation
from equipoise.metrics.intervals import FEWEST, Interval
from equipoise.reports import figures, html
from equipoise.reports.fonts import FAMILY, lettering

# Below the run's folder.
FOLDER = "evaluation"
REPORT = f"{FOLDER}/report.html"
CONFUSION = f"{FOLDER}/confusion_matrix.png"
ABSENT = "–"
# Earlier than this part of the training, the best epoch says that the rest was over-fitting.
EARLY = 0.7
MOST_ROWS = 200  # of a table with a row a class; of more classes it has a row a group of ranks
LOWEST = 20  # classes that are shown by themselves even so


@dataclass(frozen=True)
class Evidence:
    """All that is known of a run once its predictions are there.

    Attributes
    ----------
    labels : int64 (n,), of the test split
    log_probabilities, corrected : (n, classes), as predicted and after the prior is moved; the latter
        None if the prior that the model learned under has no analytic form
    intervals : metric to the ends of its 95 % interval
    rules : decision rule to its metrics
    history : one mapping an epoch; empty if the model was not trained here
    shares : what the audit found, each float64 (classes,)
    """

    name: str
    data: Prepared
    weighting: str
    weights: ClassWeights
    optimizer: str
    labels: Integers
    log_probabilities: Floats
    corrected: Floats | None
    evaluation: Evaluation
    intervals: Mapping[str, Interval]
    rules: Mapping[str, Mapping[str, float]]
    history: Sequence[dict[str, float]]
    shares: Mapping[str, Floats]
    warnings: Sequence[str]

    @property
    def prediction_shift(self) -> float:
        """Total variation between the classes as predicted and as they are in the test split."""
        per_class = self.evaluation.per_class
        return effect.total_variation(per_class["predicted_share"], per_class["prevalence"])


def draw(evidence: Evidence, folder: Path) -> list[str]:
    """Write each picture and, all together, the report below the run's folder; returns the paths of these files, relative to it."""
    drawn = pictures(evidence)
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, png in drawn.items():
        (folder / FOLDER / f"{name}.png").write_bytes(png)
    files = [f"{FOLDER}/{name}.png" for name in drawn]
    if evidence.labels.ndim == 2:
        return files
    (folder / REPORT).write_text(as_html(evidence, drawn), encoding="utf-8")
    return [*files, REPORT]


def pictures(evidence: Evidence) -> dict[str, bytes]:
    """PNGs by name; the training curves are absent if nothing was trained.

    Each is drawn once, for MLflow and for the page: for a sweep of small runs that takes as long as all the rest of a run.
    """
    letters = lettering(evidence.data.classes)
    with rc_context({"font.family": [FAMILY, *letters.families]}):
        return {name: _as_png(figure) for name, figure in _figures(evidence, letters.names).items()}


def _as_png(figure: Figure) -> bytes:
    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()  # type: ignore[no-untyped-call]
    opaque = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    opaque.save(file, "png", compress_level=1)  # hardly larger, in a third of the time
    return file.getvalue()


def _figures(evidence: Evidence, names: tuple[str, ...]) -> dict[str, Figure]:
    """With the classes named so."""
    data, evaluation, color = (
        replace(evidence.data, classes=names),
        evidence.evaluation,
        weighting_color(evidence.weighting),
    )
    trained = {"training_curves": figures.training_curves(evidence.history, color)} if evidence.history else {}
    if evidence.labels.ndim == 2:
        return {
            "pr_curves": figures.precision_recall_curves(
                evidence.labels == 1, evidence.log_probabilities, evaluation, data, color
            ),
            "what_the_weights_did": figures.what_the_weights_did(data, evidence.weights, evaluation, {}, color),
            **trained,
        }
    drawn = {
        "confusion_matrix": figures.confusion_matrix(evaluation.confusion, data.classes, data.head_to_tail, color),
        "pr_curves": figures.precision_recall_curves(
            evidence.labels, evidence.log_probabilities, evaluation, data, color
        ),
        "reliability": figures.reliability_diagram(
            evidence.labels, evidence.log_probabilities, evidence.corrected, color
        ),
        "what_the_weights_did": figures.what_the_weights_did(
            data, evidence.weights, evaluation, evidence.shares, color
        ),
    }
    return drawn | trained


def as_html(evidence: Evidence, drawn: Mapping[str, bytes]) -> str:
    """The page.

    Parameters
    ----------
    drawn : what `pictures` gave
    """
    lead = [html.paragraph(_headline(evidence), kind="lead")]
    lead += [html.paragraph(note, kind="warning") for note in (*evidence.warnings, *evidence.evaluation.notes)]
    parts = [
        html.Part("Did it learn?", _did_it_learn(evidence, drawn)),
        html.Part("Which classes suffer?", _which_classes_suffer(evidence, drawn)),
        html.Part("What did the weights do?", _what_the_weights_did(evidence, drawn)),
        html.Part("Would post-hoc adjustment have done as well?", _post_hoc(evidence)),
        html.Part("Can I trust the probabilities?", _calibration(evidence, drawn)),
    ]
    return html.document(evidence.name, lead, parts)


def _headline(evidence: Evidence) -> str:
    data = evidence.data
    positive = f" The positive class is {evidence.weights.positive}." if evidence.weights.positive else ""
    return (
        f"{len(data.classes)} classes, {data.counts.sum():,} training samples, from {data.counts.max():,} down to {data.counts.min():,} a class; "
        f"{len(evidence.labels):,} test samples.{positive} Balanced accuracy {_with_interval(evidence, 'balanced_accuracy')}."
    )


def _did_it_learn(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    summary = evidence.evaluation.summary
    present = int((evidence.evaluation.confusion.sum(axis=1) > 0).sum())
    body = [
        html.paragraph(
            f"One class for everything would reach a balanced accuracy of {1 / present:.3f}; this model reaches {summary['balanced_accuracy']:.3f}."
        )
    ]
    if evidence.history:
        losses = [metrics["val/log_loss"] for metrics in evidence.history]
        best, epochs = int(np.argmin(losses)) + 1, len(losses)
        text = f"The unweighted validation log loss was lowest in epoch {best} of {epochs}, {min(losses):.3f}, and ended at {losses[-1]:.3f}."
        if best < EARLY * epochs:
            text += " The epochs after that over-fitted the probabilities; trainer.early_stopping with trainer.monitor=val/log_loss would stop there."
        body += [html.paragraph(text), html.image(drawn["training_curves"], "Training and validation by epoch")]
    rows = [[name, f"{value:.3f}", *_ends(evidence.intervals.get(name))] for name, value in summary.items()]
    return [*body, html.table(["metric, test split", "value", "95 % from", "to"], rows)]


def _which_classes_suffer(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    data, evaluation = evidence.data, evidence.evaluation
    per_class, order = evaluation.per_class, evidence.data.head_to_tail
    worst = [
        index
        for index in np.argsort(per_class["recall"], kind="stable")[:3]
        if not np.isnan(per_class["recall"][index])
    ]
    body = [
        html.paragraph(
            "Lowest recall: "
            + ", ".join(f"{data.classes[i]} ({per_class['recall'][i]:.2f}, n = {data.counts[i]})" for i in worst)
            + "."
        )
    ]
    cells = evaluation.confusion.tocoo()
    mistaken = np.where(cells.row != cells.col, cells.data, 0)
    if mistaken.any():
        truth, taken = cells.row[mistaken.argmax()], cells.col[mistaken.argmax()]
        total = evaluation.confusion[[truth]].sum()
        body.append(
            html.paragraph(
                f"Most frequent mistake: {data.classes[truth]} taken for {data.classes[taken]}, {mistaken.max()} of {total} samples."
            )
        )
    groups = {
        name: ", ".join(data.classes[index] for index in members[:12]) + (" …" if len(members) > 12 else "")
        for name, members in evaluation.groups.items()
    }
    rows = [
        [
            name,
            members,
            _number(evaluation.summary.get(f"recall_{name}", np.nan)),
            *_ends(evidence.intervals.get(f"recall_{name}")),
        ]
        for name, members in groups.items()
    ]
    if rows:
        body.append(html.table(["group by training samples", "classes", "mean recall", "95 % from", "to"], rows))
    shown = (
        "recall",
        "recall_low",
        "recall_high",
        "precision",
        "f1",
        "average_precision",
        "prevalence",
        "auroc",
        "predicted_share",
    )
    titles = [
        "class",
        "n train",
        "n test",
        "weight",
        "recall",
        "95 % from",
        "to",
        "precision",
        "F1",
        "AP",
        "AP by chance",
        "AUROC",
        "predicted share",
    ]
    support = evaluation.confusion.sum(axis=1)
    table = [
        [evidence.weights.label(i), str(data.counts[i]), str(support[i]), f"{evidence.weights.weights[i]:.4g}"]
        + [
            _number(per_class[name][i]) + (", rough" if name == "recall_high" and 0 < support[i] < FEWEST else "")
            for name in shown
        ]
        for i in (order if len(order) <= MOST_ROWS else np.argsort(per_class["recall"], kind="stable")[:LOWEST])
    ]
    if len(order) > MOST_ROWS:
        body.append(
            html.paragraph(
                f"Of {len(order):,} classes: means by rank, then the {LOWEST} of the lowest recall. evaluation/per_class.json has every class."
            )
        )
        values = {
            "n": data.counts,
            "n test": support,
            "weight": evidence.weights.weights,
            **{name: per_class[name] for name in shown},
        }
        body.append(html.table(["classes", *titles[1:]], _by_rank(order, values)))
    body.append(html.table(titles, table))
    body.append(html.image(drawn["confusion_matrix"], "Confusion matrix"))
    body.append(html.image(drawn["pr_curves"], "Precision and recall of each class against the rest"))
    return body


def _by_rank(head_to_tail: Integers, values: Mapping[str, Floats]) -> list[list[str]]:
    """A row a group of ranks: the mean of each value over its classes."""
    groups = ranks.groups(head_to_tail)
    means = {key: ranks.means(found, groups) for key, found in values.items()}
    return [
        [
            name.replace("ranks_", "ranks "),
            *(
                f"{means[key][name]:.4g}" if key in ("n", "n test", "weight") else _number(means[key][name])
                for key in means
            ),
        ]
        for name in groups
    ]


def _what_the_weights_did(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    data, weights, order = evidence.data, evidence.weights, evidence.data.head_to_tail
    factor = effect.learning_rate_factor(weights, evidence.optimizer)
    if evidence.optimizer in effect.SCALE_INVARIANT:
        scale = f"{evidence.optimizer} cancels such a common factor"
    else:
        scale = f"under {evidence.optimizer} that multiplies the learning rate by {factor:.4g}"
    body = [
        html.paragraph(
            f"The mean weight of a training sample is {weights.sample_mean:.4g}, which scales the loss; {scale}. "
            f"Weighted, the {weights.counts.sum():,} samples count like {weights.effective_sample_size:,.0f} equal ones."
        ),
        html.paragraph(
            f"The classes as predicted differ from those of the test split by a total variation of {evidence.prediction_shift:.3f} "
            "(0: every class is predicted as often as it occurs)."
        ),
        html.image(drawn["what_the_weights_did"], "What went in, what it moved, and what came out"),
    ]
    known = {
        key: f"{kind}, {when}"
        for kind in ("loss", "gradient")
        for key, when in ((f"{kind}_share_start", "at the start"), (f"{kind}_share", "at the end"))
    }
    columns = {"samples": weights.counts / weights.counts.sum(), "weights": weights.share}
    columns |= {title: evidence.shares[key] for key, title in known.items() if key in evidence.shares}
    groups = {data.classes[i]: np.array([i]) for i in order} if len(order) <= MOST_ROWS else ranks.groups(order)
    rows = [
        [name.replace("ranks_", "ranks "), *(_percent(values[members].sum()) for values in columns.values())]
        for name, members in groups.items()
    ]
    return [
        *body,
        html.paragraph("Each class's share of the whole, in training:"),
        html.table(["class", *columns], rows),
    ]


def _post_hoc(evidence: Evidence) -> list[str]:
    rules = evidence.rules
    names = list(next(iter(rules.values())))
    body = [
        html.table(
            ["decision rule", *(name.replace("_", " ") for name in names)],
            [[rule, *(_number(found[name]) for name in names)] for rule, found in rules.items()],
        )
    ]
    if "logit_adjusted" not in rules:
        return [
            html.paragraph(
                "The prior that this model learned under has no analytic form, so there is nothing to adjust by."
            ),
            *body,
        ]
    gain = rules["logit_adjusted"]["balanced_accuracy"] - rules["argmax"]["balanced_accuracy"]
    text = f"From the same logits, post-hoc adjustment of the prior changes balanced accuracy by {gain:+.3f}. "
    text += "What training with weights is worth shows against a run without weights, adjusted in this way: python src/compare.py has it beside every sweep."
    return [html.paragraph(text), *body]


def _calibration(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    summary = evidence.evaluation.summary
    rows = [
        [
            "as predicted",
            *(_number(summary.get(name, np.nan)) for name in ("log_loss", "ece", "ece_classwise", "brier")),
        ]
    ]
    if evidence.corrected is None:
        text = (
            "The prior that this model learned under has no analytic form, so its probabilities are shown as they are."
        )
    else:
        rows.append(
            [
                "moved to the target prior",
                _number(summary["log_loss_corrected"]),
                _number(summary["ece_corrected"]),
                ABSENT,
                ABSENT,
            ]
        )
        change = summary["ece_corrected"] - summary["ece"]
        text = f"Moving the probabilities from the prior that the model learned under to that of its use changes the calibration error by {change:+.3f}."
    body = [
        html.paragraph(text),
        html.table(["probabilities", "log loss", "ECE, top label", "ECE, class-wise", "Brier"], rows),
    ]
    return [
        *body,
        html.image(
            drawn["reliability"], "Accuracy against confidence; on the diagonal a probability means what it says"
        ),
    ]


def _with_interval(evidence: Evidence, name: str) -> str:
    value = f"{evidence.evaluation.summary[name]:.3f}"
    interval = evidence.intervals.get(name)
    return value if interval is None else f"{value}, 95 % from {interval}"


def _ends(interval: Interval | None) -> list[str]:
    return [ABSENT, ABSENT] if interval is None else [f"{interval.low:.3f}", f"{interval.high:.3f}{interval.remark}"]


def _number(value: float) -> str:
    return ABSENT if np.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return ABSENT if np.isnan(value) else f"{value:.1%}"
