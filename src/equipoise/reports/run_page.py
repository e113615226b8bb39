"""A run's evidence, as pictures and as one self-contained page in the order in which a reader asks."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from equipoise.core.colors import weighting_color
from equipoise.core.commands import command
from equipoise.core.schema import Integers
from equipoise.methods.weighting import SCALE_INVARIANT, learning_rate_factor
from equipoise.metrics import ranks
from equipoise.metrics.intervals import FEWEST, Interval
from equipoise.reports import figures, html, slice_table
from equipoise.reports.evidence import CHOOSING, JUDGING, Evidence
from equipoise.reports.fonts import FAMILY, lettering

# Below the run's folder.
FOLDER = "evaluation"
REPORT = f"{FOLDER}/report.html"
CONFUSION = f"{FOLDER}/confusion_matrix.png"
SCRIPT = "plain_keras.py"  # the same training in plain Keras, if the run has logged it
ABSENT = "–"
# If the best epoch lies before this share of the training, the epochs after it overfitted.
EARLY = 0.7
MOST_ROWS = 200  # of a table with one row per class; with more classes, it has one per group of ranks
LOWEST = 20  # classes of the lowest recall, which have rows of their own even then
COUNTED = ("n train", "n test", "weight")  # headings of columns that are no metrics
# Metrics of each class, in the order of their columns, and the headings.
BY_CLASS = {
    "recall": "recall",
    "recall_low": "95 % from",
    "recall_high": "to",
    "precision": "precision",
    "f1": "F1",
    "average_precision": "AP",
    "prevalence": "AP by chance",
    "auroc": "AUROC",
    "predicted_share": "predicted share",
}


def draw(evidence: Evidence, folder: Path) -> list[str]:
    """Write the pictures and the page, and return the paths of these files relative to the run's folder."""
    drawn = pictures(evidence)
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, png in drawn.items():
        (folder / FOLDER / f"{name}.png").write_bytes(png)
    files = [f"{FOLDER}/{name}.png" for name in drawn]
    script = (folder / SCRIPT).read_text(encoding="utf-8") if (folder / SCRIPT).exists() else ""
    (folder / REPORT).write_text(as_html(evidence, drawn, script), encoding="utf-8")
    return [*files, REPORT]


def pictures(evidence: Evidence) -> dict[str, bytes]:
    """Return PNGs by name, without those of the training as far as it is not known.

    Each is drawn once, for MLflow and for the page: of a small run that takes as long as all the rest.
    """
    letters = lettering(evidence.data.classes)
    with rc_context({**figures.STYLE, "font.family": [FAMILY, *letters.families]}):
        return {name: _as_png(figure) for name, figure in _figures(evidence, letters.names).items()}


def _as_png(figure: Figure) -> bytes:
    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()  # type: ignore[no-untyped-call]
    opaque = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]
    opaque.save(file, "png", compress_level=1)  # hardly larger, in a third of the time
    return file.getvalue()


def _figures(evidence: Evidence, names: tuple[str, ...]) -> dict[str, Figure]:
    """Draw the run's figures with these names for its classes."""
    data, evaluation = replace(evidence.data, classes=names), evidence.evaluation
    labels, predicted, corrected = evidence.labels, evidence.log_probabilities, evidence.corrected
    color = weighting_color(evidence.weighting)
    shares = {} if labels.ndim == 2 else evidence.shares
    trained = {"training_curves": figures.training_curves(evidence.history, color)} if evidence.history else {}
    if evidence.is_training_known:
        did = figures.what_the_weights_did(data, evidence.weights, evaluation, shares, color)
        trained = {"what_the_weights_did": did, **trained}
    if labels.ndim == 2:
        return {
            "pr_curves": figures.precision_recall_curves(labels == 1, predicted, evaluation, data, color),
            **trained,
        }
    return {
        "confusion_matrix": figures.confusion_matrix(evaluation.confusion, data.classes, data.head_to_tail, color),
        "pr_curves": figures.precision_recall_curves(labels, predicted, evaluation, data, color),
        "reliability": figures.reliability_diagram(labels, predicted, corrected, color),
        **trained,
    }


def as_html(evidence: Evidence, drawn: Mapping[str, bytes], script: str = "") -> str:
    """Return the page, without what is not known.

    Parameters
    ----------
    drawn : what `pictures` returned
    script : that trains the same model in plain Keras; empty: there is none
    """
    lead = [html.paragraph(_headline(evidence), kind="lead")]
    lead += [html.paragraph(evidence.model[0].upper() + evidence.model[1:] + ".")] if evidence.model else []
    lead += [html.paragraph(note, kind="warning") for note in (*evidence.warnings, *evidence.evaluation.notes)]
    if evidence.labels.ndim == 2:
        return html.document(evidence.name, lead, [*_of_labels(evidence, drawn), *_plain_keras(script)])
    weighed = []
    if evidence.is_training_known:
        weighed.append(html.Part("What did the weights do?", _what_the_weights_did(evidence, drawn)))
    parts = [
        html.Part("Did it learn?", _did_it_learn(evidence, drawn)),
        html.Part("Which classes suffer?", _which_classes_suffer(evidence, drawn)),
        *_slices(evidence),
        *weighed,
        html.Part("Would post-hoc adjustment have done as well?", _post_hoc(evidence)),
        html.Part("Can I trust the probabilities?", _calibration(evidence, drawn)),
    ]
    return html.document(evidence.name, lead, [*parts, *_plain_keras(script)])


def _of_labels(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[html.Part]:
    """Return the parts of the page where a sample has any number of labels."""
    captions = {
        "training_curves": "Training and validation by epoch",
        "what_the_weights_did": "Training samples with each label, weights of its positives, and recall",
    }
    trained = [html.image(drawn[name], caption) for name, caption in captions.items() if name in drawn]
    curves = html.image(drawn["pr_curves"], "Precision and recall of each label")
    return [
        html.Part("Did it learn?", [_summary(evidence), *trained]),
        html.Part(
            "Which labels suffer?", [html.paragraph(_lowest_recalls(evidence)), *_classes(evidence, "label"), curves]
        ),
        *_slices(evidence),
        html.Part("Do other thresholds do better?", _rules(evidence)),
    ]


def _headline(evidence: Evidence) -> str:
    counts = evidence.data.counts
    if evidence.labels.ndim == 2:
        each = evidence.labels.sum(axis=1).mean()
        return (
            f"{len(counts)} labels, {len(evidence.labels):,} test samples with {each:.2f} of them on average. "
            f"Macro F1 {_with_interval(evidence, 'macro_f1')}."
        )
    positive = f" The positive class is {evidence.weights.positive}." if evidence.weights.positive else ""
    training = (
        f"{counts.sum():,} training samples ({counts.max():,} of the most frequent class, {counts.min():,} of the "
        "rarest), "
    )
    return (
        f"{len(counts)} classes, {training if evidence.is_training_known else ''}{len(evidence.labels):,} test samples."
        f"{positive} "
        f"Balanced accuracy {_with_interval(evidence, 'balanced_accuracy')}."
    )


def _did_it_learn(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    summary = evidence.evaluation.summary
    present = int((evidence.evaluation.confusion.sum(axis=1) > 0).sum())
    text = (
        f"Predicting one class for every sample would reach a balanced accuracy of {1 / present:.3f}; "
        f"this model reaches {summary['balanced_accuracy']:.3f}."
    )
    body = [html.paragraph(text)]
    if evidence.history:
        curves = html.image(drawn["training_curves"], "Training and validation by epoch")
        body += [html.paragraph(_best_epoch(evidence)), curves]
    return [*body, _summary(evidence)]


def _summary(evidence: Evidence) -> str:
    summary = evidence.evaluation.summary
    rows = [[name, f"{value:.3f}", *_ends(evidence.intervals.get(name))] for name, value in summary.items()]
    return html.table(["metric, test split", "value", "95 % from", "to"], rows)


def _best_epoch(evidence: Evidence) -> str:
    losses = [metrics["val/log_loss"] for metrics in evidence.history]
    best, epochs = int(np.argmin(losses)) + 1, len(losses)
    text = (
        f"The unweighted validation log loss was lowest in epoch {best} of {epochs}, at {min(losses):.3f}, "
        f"and ended at {losses[-1]:.3f}."
    )
    if best < EARLY * epochs:
        text += (
            " The epochs after that overfitted the probabilities; "
            "trainer.early_stopping with trainer.monitor=val/log_loss would stop there."
        )
    return text


def _which_classes_suffer(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    return [
        html.paragraph(_lowest_recalls(evidence)),
        *map(html.paragraph, _most_frequent_mistake(evidence)),
        *_groups(evidence),
        *_classes(evidence),
        html.image(drawn["confusion_matrix"], "Confusion matrix"),
        html.image(drawn["pr_curves"], "Precision and recall of each class against the rest"),
    ]


def _lowest_recalls(evidence: Evidence) -> str:
    data, recall = evidence.data, evidence.evaluation.per_class["recall"]
    worst = [index for index in np.argsort(recall, kind="stable")[:3] if not np.isnan(recall[index])]
    named = (f"{data.classes[index]} ({recall[index]:.2f}, n = {data.counts[index]})" for index in worst)
    return f"Lowest recall: {', '.join(named)}."


def _most_frequent_mistake(evidence: Evidence) -> list[str]:
    """Name it in a sentence; return none if no sample is predicted wrongly."""
    classes, confusion = evidence.data.classes, evidence.evaluation.confusion
    cells = confusion.tocoo()
    mistaken = np.where(cells.row != cells.col, cells.data, 0)
    if not mistaken.any():
        return []
    truth, taken = cells.row[mistaken.argmax()], cells.col[mistaken.argmax()]
    return [
        f"Most frequent mistake: {classes[truth]} predicted as {classes[taken]}, "
        f"{mistaken.max()} of {confusion[[truth]].sum()} samples."
    ]


def _groups(evidence: Evidence) -> list[str]:
    """Show the mean recall of each frequency group; return nothing if there are no groups."""
    classes, summary = evidence.data.classes, evidence.evaluation.summary
    rows = []
    for name, members in evidence.evaluation.groups.items():
        metric = f"recall_{name}"
        shown = ", ".join(classes[index] for index in members[:12]) + (" …" if len(members) > 12 else "")
        rows.append([name, shown, _number(summary.get(metric, np.nan)), *_ends(evidence.intervals.get(metric))])
    return (
        [html.table(["group by training samples", "classes", "mean recall", "95 % from", "to"], rows)] if rows else []
    )


def _classes(evidence: Evidence, what: str = "class") -> list[str]:
    """Show the metrics of each class; of many classes, the means by rank and the classes of the lowest recall."""
    per_class, order = evidence.evaluation.per_class, evidence.data.head_to_tail
    counted = _counted(evidence)
    headings = [what, *counted, *BY_CLASS.values()]
    if len(order) <= MOST_ROWS:
        return [html.table(headings, _class_rows(evidence, order))]
    text = (
        f"There are {len(order):,} classes: the first table has means by rank, the second the {LOWEST} classes with "
        "the lowest recall; evaluation/per_class.json has every class."
    )
    values = {**counted, **{name: per_class[name] for name in BY_CLASS}}
    worst = np.argsort(per_class["recall"], kind="stable")[:LOWEST]
    return [
        html.paragraph(text),
        html.table(["classes", *headings[1:]], _by_rank(order, values)),
        html.table(headings, _class_rows(evidence, worst)),
    ]


def _counted(evidence: Evidence) -> dict[str, Any]:
    """Return samples and weight of each class, by the headings of their columns."""
    of_labels = evidence.labels.ndim == 2
    support = {"n test": evidence.labels.sum(axis=0) if of_labels else evidence.evaluation.confusion.sum(axis=1)}
    if not evidence.is_training_known:
        return support
    return {"n train": evidence.data.counts, **support, "weight": evidence.weights.weights}


def _class_rows(evidence: Evidence, shown: Integers) -> list[list[str]]:
    """Return one row for each of the classes shown; where too few test samples make its interval rough, it says so."""
    per_class, counted = evidence.evaluation.per_class, _counted(evidence)
    support = counted["n test"]
    rows = []
    for index in shown:
        numbers = {name: _number(per_class[name][index]) for name in BY_CLASS}
        if 0 < support[index] < FEWEST:
            numbers["recall_high"] += ", rough"
        cells = [f"{values[index]:.4g}" if name == "weight" else str(values[index]) for name, values in counted.items()]
        rows.append([evidence.weights.label(index), *cells, *numbers.values()])
    return rows


def _by_rank(head_to_tail: Integers, values: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each group of ranks: the mean of each value over its classes."""
    groups = ranks.groups(head_to_tail)
    means = {key: ranks.means(found, groups) for key, found in values.items()}
    return [
        [
            name.replace("ranks_", "ranks "),
            *(f"{means[key][name]:.4g}" if key in COUNTED else _number(means[key][name]) for key in means),
        ]
        for name in groups
    ]


def _what_the_weights_did(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    weights, optimizer = evidence.weights, evidence.optimizer
    if not optimizer:
        scale = "an optimiser without a scale of its own, such as sgd, takes steps that are larger by it"
    elif optimizer in SCALE_INVARIANT:
        scale = f"{optimizer} cancels such a common factor"
    else:
        factor = learning_rate_factor(weights, optimizer)
        scale = f"under {optimizer} that multiplies the learning rate by {factor:.4g}"
    size = (
        f"The mean weight of a training sample is {weights.sample_mean:.4g}, which scales the loss; {scale}. Weighted, "
        f"the {weights.counts.sum():,} samples count like {weights.effective_sample_size:,.0f} samples of equal weight."
    )
    shift = (
        "Predicted and true class frequencies in the test split differ by a total variation of "
        f"{evidence.prediction_shift:.3f} (0: every class is predicted as often as it occurs)."
    )
    return [
        html.paragraph(size),
        html.paragraph(shift),
        html.image(drawn["what_the_weights_did"], "Training samples, weights, shares of all weight, and recall"),
        html.paragraph("Each class's share in training:"),
        _shares(evidence),
    ]


def _shares(evidence: Evidence) -> str:
    data, weights, order = evidence.data, evidence.weights, evidence.data.head_to_tail
    measured = {
        key: f"{kind}, {when}"
        for kind in ("loss", "gradient")
        for key, when in ((f"{kind}_share_start", "at the start"), (f"{kind}_share", "at the end"))
    }
    columns = {"samples": weights.counts / weights.counts.sum(), "weights": weights.share}
    columns |= {title: evidence.shares[key] for key, title in measured.items() if key in evidence.shares}
    groups = {data.classes[i]: np.array([i]) for i in order} if len(order) <= MOST_ROWS else ranks.groups(order)
    rows = [
        [name.replace("ranks_", "ranks "), *(_percent(values[members].sum()) for values in columns.values())]
        for name, members in groups.items()
    ]
    return html.table(["class", *columns], rows)


def _post_hoc(evidence: Evidence) -> list[str]:
    rules = evidence.rules
    if "logit_adjusted" not in rules:
        text = f"The prior that this model learned under {_lacks(evidence)}, so its logits cannot be adjusted."
    else:
        gain = rules["logit_adjusted"]["balanced_accuracy"] - rules["argmax"]["balanced_accuracy"]
        text = (
            f"On the same logits, post-hoc adjustment of the prior changes balanced accuracy by {gain:+.3f}. "
            "To see what training with weights is worth, compare it with a run without weights that is adjusted in "
            f"this way: {command('compare')} shows it beside every sweep."
        )
    return [html.paragraph(text), *_rules(evidence)]


def _rules(evidence: Evidence) -> list[str]:
    """Return a table of the decision rules for each split, that to choose by first."""
    found = []
    for split, by_rule in (
        (f"Validation split, {CHOOSING}:", evidence.validation_rules),
        (f"Test split, {JUDGING}:", evidence.rules),
    ):
        if by_rule:
            names = list(next(iter(by_rule.values())))
            headings = ["decision rule", *(name.replace("_", " ") for name in names)]
            rows = [[rule, *(_number(values[name]) for name in names)] for rule, values in by_rule.items()]
            found += [html.paragraph(split), html.table(headings, rows)]
    return found


def _calibration(evidence: Evidence, drawn: Mapping[str, bytes]) -> list[str]:
    summary = evidence.evaluation.summary
    as_predicted = (_number(summary.get(name, np.nan)) for name in ("log_loss", "ece", "ece_classwise", "brier"))
    rows = [["as predicted", *as_predicted]]
    if evidence.corrected is None:
        text = (
            f"The prior that this model learned under {_lacks(evidence)}, so its probabilities are shown as they are."
        )
    else:
        corrected = (_number(summary[name]) for name in ("log_loss_corrected", "ece_corrected"))
        rows.append(["moved to the target prior", *corrected, ABSENT, ABSENT])
        change = summary["ece_corrected"] - summary["ece"]
        text = (
            "Moving the probabilities from the prior that the model learned under to the target prior changes "
            f"the calibration error by {change:+.3f}."
        )
    caption = "Accuracy against confidence; on the diagonal the two are equal"
    return [
        html.paragraph(text),
        html.table(["probabilities", "log loss", "ECE, top label", "ECE, class-wise", "Brier"], rows),
        html.image(drawn["reliability"], caption),
    ]


def _lacks(evidence: Evidence) -> str:
    return "has no analytic form" if evidence.is_training_known else "is not known"


def _slices(evidence: Evidence) -> list[html.Part]:
    """Show the recalls by class and slice; return nothing if no slices were asked for."""
    if evidence.slices is None:
        return []
    text = map(html.paragraph, slice_table.told(evidence.slices))
    table = html.table(slice_table.HEADINGS, slice_table.rows(evidence.slices.with_samples[:MOST_ROWS]))
    return [html.Part("Do slices differ?", [*text, table])]


def _plain_keras(script: str) -> list[html.Part]:
    """Show the script; return nothing if there is none."""
    if not script:
        return []
    text = (
        f"{len(script.splitlines())} lines with TensorFlow, Keras and NumPy alone train the same model with the same "
        "loss, weights and order of samples. Their first lines say how to get the arrays that they read."
    )
    return [html.Part("The same in plain Keras", [html.paragraph(text), html.code(script, SCRIPT)])]


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
