"""A run's evidence, as pictures and as one self-contained page in the order in which a reader asks."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core.commands import command
from equipoise.core.schema import NONE, Integers
from equipoise.methods.weighting import SCALE_INVARIANT, learning_rate_factor
from equipoise.metrics import ranks
from equipoise.metrics.classification import CORRECTED, OWN, mistakes
from equipoise.metrics.intervals import FEWEST, Interval
from equipoise.reports import curve_charts, run_charts, slice_table
from equipoise.reports.evidence import CHOOSING, JUDGING, Evidence
from equipoise.reports.lengths import by_length
from equipoise.reports.page import Beside, Block, Code, Fact, Page, Part, Table, Text
from equipoise.reports.rules_table import rules_table
from equipoise.reports.run_pictures import pictures

# Below the run's folder.
FOLDER = "evaluation"
REPORT = f"{FOLDER}/report.html"
CONFUSION = f"{FOLDER}/confusion_matrix.png"
SCRIPT = "plain_keras.py"  # the same training in plain Keras, if the run has logged it
ABSENT = "–"
# If the best epoch lies before this share of the training, the epochs after it overfitted.
EARLY = 0.7
MOST_ROWS = 200  # of a table with one row per class; with more classes, it has one per group of ranks
LONGEST = 60  # characters of a class name
LOWEST = 20  # classes of the lowest recall, which have rows of their own even then
# Of probabilities, as tables call them.
MEASURES = {
    "log_loss": "log loss",
    "ece": "ECE, top label",
    "ece_classwise": "ECE, class-wise",
    "brier": "Brier",
    "miscalibration": "its miscalibration",
    "discrimination": "its discrimination",
    "slope": "slope",
    "intercept": "intercepts, mean distance from 0",
}
# Of what a decision rule leaves open, by class.
LEFT_OPEN = {
    "coverage": "share that is given a class",
    "error_decided": "of these in error",
    "set_coverage": "share with it in the set",
    "set_coverage_low": "95 % from",
    "set_coverage_high": "to",
    "set_share": "sets with it, of all rows",
}
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


def draw(evidence: Evidence, folder: Path, *, with_pictures: bool = True) -> list[str]:
    """Write the pictures and the page, and return the paths of these files relative to the run's folder."""
    drawn = pictures(evidence) if with_pictures else {}
    (folder / FOLDER).mkdir(exist_ok=True)
    for name, png in drawn.items():
        (folder / FOLDER / f"{name}.png").write_bytes(png)
    files = [f"{FOLDER}/{name}.png" for name in drawn]
    script = (folder / SCRIPT).read_text(encoding="utf-8") if (folder / SCRIPT).exists() else ""
    (folder / REPORT).write_text(as_html(evidence, script), encoding="utf-8")
    return [*files, REPORT]


def as_html(evidence: Evidence, script: str = "") -> str:
    """Return the page, without what is not known.

    Parameters
    ----------
    script : that trains the same model in plain Keras; empty: there is none
    """
    notes = [Text(evidence.model[0].upper() + evidence.model[1:] + ".")] if evidence.model else []
    notes += [Text(note, "warning") for note in (*evidence.warnings, *evidence.evaluation.notes)]
    parts = _of_labels(evidence) if evidence.labels.ndim == 2 else _of_classes(evidence)
    return Page(
        "Run", evidence.name, _verdict(evidence), _facts(evidence), notes, [*parts, *_plain_keras(script)]
    ).as_html()


def _of_classes(evidence: Evidence) -> list[Part]:
    """Return the parts of the page where a sample has one class."""
    weighed = []
    if evidence.is_training_known:
        weighed.append(Part("What did the weights do?", _what_the_weights_did(evidence)))
    return [
        Part("Did it learn?", _did_it_learn(evidence)),
        Part("Which classes suffer?", _which_classes_suffer(evidence)),
        *_left_open(evidence),
        *_slices(evidence),
        *weighed,
        Part("Would post-hoc adjustment have done as well?", _post_hoc(evidence)),
        *_two_classes(evidence),
        Part("Can I trust the probabilities?", _calibration(evidence)),
    ]


def _of_labels(evidence: Evidence) -> list[Part]:
    """Return the parts of the page where a sample has any number of labels."""
    suffer = [
        Text(_lowest_recalls(evidence)),
        *run_charts.recall(evidence, "label"),
        *_classes(evidence, "label"),
        *run_charts.instead(evidence),
        *curve_charts.precision_recall(evidence, "label"),
    ]
    weighed = [Part("What did the weights do?", [run_charts.shares(evidence)])] if evidence.is_training_known else []
    return [
        Part("Did it learn?", [*_curves(evidence), _summary(evidence)]),
        Part("Which labels suffer?", suffer),
        *_left_open(evidence, "label"),
        *_slices(evidence),
        *weighed,
        Part("Do other thresholds do better?", [*curve_charts.thresholds_of_labels(evidence), *_rules(evidence)]),
        Part("Can I trust the probabilities?", [_probabilities(evidence), Beside(curve_charts.calibration(evidence))]),
    ]


def _verdict(evidence: Evidence) -> list[str]:
    """Return the answers, a sentence or two each: how good, what the free control reaches, who suffers."""
    named = evidence.weights.positive
    positive = f" The positive class is {_legible(named)}." if named else ""
    if evidence.labels.ndim == 2:
        each = evidence.labels.sum(axis=1).mean()
        how_good = (
            f"Macro F1 {_with_interval(evidence, 'macro_f1')}, over {len(evidence.data.classes)} labels and "
            f"{len(evidence.labels):,} test samples with {each:.2f} of them on average."
        )
        return [how_good, _lowest_recalls(evidence)]
    how_good = (
        f"Balanced accuracy {_with_interval(evidence, 'balanced_accuracy')}, on {len(evidence.labels):,} test samples "
        f"of {_present(evidence)} classes; one class for every sample would reach {1 / _present(evidence):.3f}."
    )
    return [how_good + positive, *_of_control(evidence), _lowest_recalls(evidence)]


def _of_control(evidence: Evidence) -> list[str]:
    """Say in a sentence what post-hoc adjustment reaches; nothing if it is not known."""
    if "logit_adjusted" not in evidence.rules:
        return []
    reached, plain = (evidence.rules[name]["balanced_accuracy"] for name in ("logit_adjusted", "argmax"))
    return [f"Post-hoc adjustment of the same logits reaches {reached:.3f}, {reached - plain:+.3f} against argmax."]


def _present(evidence: Evidence) -> int:
    """Return how many classes have test samples."""
    return int((evidence.evaluation.confusion.sum(axis=1) > 0).sum())


def _facts(evidence: Evidence) -> list[Fact]:
    """Return what the header tells; of a run whose training is not known, its classes and samples alone."""
    if evidence.facts:
        return list(evidence.facts)
    what = "classes" if evidence.labels.ndim == 1 else "labels"
    return [("Data set", [f"{len(evidence.labels):,} test samples", f"{len(evidence.data.classes):,} {what}"])]


def _did_it_learn(evidence: Evidence) -> list[Block]:
    text = (
        f"Predicting one class for every sample would reach a balanced accuracy of {1 / _present(evidence):.3f}; "
        f"this model reaches {evidence.evaluation.summary['balanced_accuracy']:.3f}."
    )
    return [Text(text), *_curves(evidence), _summary(evidence)]


def _curves(evidence: Evidence) -> list[Block]:
    """Show the training by epoch; return nothing if it is not known."""
    if not evidence.history:
        return []
    return [Text(_best_epoch(evidence)), Beside(run_charts.training_curves(evidence))]


def _summary(evidence: Evidence) -> Table:
    summary = evidence.evaluation.summary
    rows = [[name, f"{value:.3f}", *_ends(evidence.intervals.get(name))] for name, value in summary.items()]
    return Table(["metric, test split", "value", "95 % from", "to"], rows)


def _best_epoch(evidence: Evidence) -> str:
    losses = [metrics["val/log_loss"] for metrics in evidence.history]
    best, epochs = run_charts.best_epoch(evidence.history), len(losses)
    text = (
        f"The unweighted validation log loss was lowest in epoch {best} of {epochs}, at {losses[best - 1]:.3f}, "
        f"and ended at {losses[-1]:.3f}."
    )
    if best < EARLY * epochs:
        text += (
            " The epochs after that overfitted the probabilities; "
            "trainer.early_stopping with trainer.monitor=val/log_loss would stop there."
        )
    return text


def _which_classes_suffer(evidence: Evidence) -> list[Block]:
    return [
        Text(_lowest_recalls(evidence)),
        *_most_frequent_mistake(evidence),
        *run_charts.recall(evidence),
        *_groups(evidence),
        *_classes(evidence),
        Beside([run_charts.confusion(evidence), *run_charts.most_frequent_mistakes(evidence)]),
        *(curve_charts.precision_recall(evidence) if len(evidence.data.classes) > 2 else []),
    ]


def _lowest_recalls(evidence: Evidence) -> str:
    """Name the classes of the lowest recall, with their intervals and how many test samples they have."""
    data, per_class, labels = evidence.data, evidence.evaluation.per_class, evidence.labels
    support = np.bincount(labels, minlength=len(data.classes)) if labels.ndim == 1 else labels.sum(axis=0)
    recall, low, high = (per_class[name] for name in ("recall", "recall_low", "recall_high"))
    worst = [index for index in np.argsort(recall, kind="stable")[:3] if not np.isnan(recall[index])]
    named = [
        f"{_legible(data.classes[index])} ({recall[index]:.2f}, 95 % from {low[index]:.2f} to {high[index]:.2f}, "
        f"n\u00a0=\u00a0{support[index]})"
        for index in worst
    ]
    return f"Lowest recall: {', '.join(named)}."


def _most_frequent_mistake(evidence: Evidence) -> list[Block]:
    """Name it in a sentence; return none if no sample is predicted wrongly."""
    classes = [_legible(name) for name in evidence.data.classes]
    return [
        Text(f"Most frequent mistake: {classes[truth]} predicted as {classes[taken]}, {count} of {support} samples.")
        for truth, taken, count, support in mistakes(evidence.evaluation.confusion, 1)
    ]


def _left_open(evidence: Evidence, what: str = "class") -> list[Part]:
    """Show what the decision rule leaves open, as a whole and by class; return nothing if that is nothing."""
    summary, per_class = evidence.evaluation.summary, evidence.evaluation.per_class
    shown = {name: title for name, title in LEFT_OPEN.items() if name in per_class}
    if not shown:
        return []
    if "set_size" in summary:
        several = {"class": "classes", "label": "labels"}[what]
        text = (
            f"A set has {summary['set_size']:.2f} {several} on average; {summary['singletons']:.1%} have one, "
            f"{summary['empty_sets']:.1%} none and {summary['full_sets']:.1%} all. The test rows of each {what} below "
            "tell how often it was in their sets."
        )
    else:
        text = (
            f"{summary['coverage']:.1%} of the test samples are given a class. The others are found by no class: they "
            "lower recall and accuracy, and no precision."
        )
    tables = _left_open_by_class(evidence, shown, what)
    return [Part("What does it leave open?", [Text(text), *tables])]


def _left_open_by_class(evidence: Evidence, shown: Mapping[str, str], what: str) -> list[Block]:
    """Show these values of each class; of many classes, the means by rank and the classes of the lowest first value."""
    order, values = evidence.data.head_to_tail, {name: evidence.evaluation.per_class[name] for name in shown}
    first, *_ = shown
    is_long = len(order) > MOST_ROWS
    rows = [
        [_legible(evidence.data.classes[index]), *(_number(found[index]) for found in values.values())]
        for index in (np.argsort(values[first], kind="stable")[:LOWEST] if is_long else order)
    ]
    table = Table([what, *shown.values()], rows)
    if not is_long:
        return [table]
    text = (
        f"There are {len(order):,}: the first table has means by rank, the second the {LOWEST} that are lowest in the "
        "first column; evaluation/per_class.json has all."
    )
    return [Text(text), Table(["ranks", *shown.values()], _by_rank(order, values)), table]


def _two_classes(evidence: Evidence) -> list[Part]:
    """Show what comes of each threshold; return nothing if there are more classes than two, or one has no samples."""
    if len(evidence.data.classes) > 2 or _present(evidence) < 2:
        return []
    named = evidence.weights.positive
    positive = evidence.data.classes.index(named) if named else int(evidence.data.head_to_tail[-1])
    curves, by_threshold = curve_charts.of_two_classes(evidence, positive)
    return [Part("Which threshold?", [by_threshold, Beside(curves)])]


def _groups(evidence: Evidence) -> list[Block]:
    """Show the mean recall of each frequency group; return nothing if there are no groups."""
    classes, summary = evidence.data.classes, evidence.evaluation.summary
    rows = []
    for name, members in evidence.evaluation.groups.items():
        metric = f"recall_{name}"
        shown = ", ".join(_legible(classes[index]) for index in members[:12]) + (" …" if len(members) > 12 else "")
        rows.append([name, shown, _number(summary.get(metric, np.nan)), *_ends(evidence.intervals.get(metric))])
    return [Table(["group by training samples", "classes", "mean recall", "95 % from", "to"], rows)] if rows else []


def _classes(evidence: Evidence, what: str = "class") -> list[Block]:
    """Show the metrics of each class; of many classes, the means by rank and the classes of the lowest recall."""
    per_class, order = evidence.evaluation.per_class, evidence.data.head_to_tail
    counted = _counted(evidence)
    headings = [what, *counted, *BY_CLASS.values()]
    if len(order) <= MOST_ROWS:
        return [Table(headings, _class_rows(evidence, order))]
    text = (
        f"There are {len(order):,} classes: the first table has means by rank, the second the {LOWEST} classes with "
        "the lowest recall; evaluation/per_class.json has every class."
    )
    values = {**counted, **{name: per_class[name] for name in BY_CLASS}}
    worst = np.argsort(per_class["recall"], kind="stable")[:LOWEST]
    return [
        Text(text),
        Table(["classes", *headings[1:]], _by_rank(order, values)),
        Table(headings, _class_rows(evidence, worst)),
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
        rows.append([_legible(evidence.weights.label(index)), *cells, *numbers.values()])
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


def _what_the_weights_did(evidence: Evidence) -> list[Block]:
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
        Text(size),
        Text(shift),
        run_charts.shares(evidence),
        _shares(evidence),
    ]


def _shares(evidence: Evidence) -> Table:
    data, weights, order = evidence.data, evidence.weights, evidence.data.head_to_tail
    measured = {
        key: f"{kind}, {when}"
        for kind in ("loss", "gradient")
        for key, when in ((f"{kind}_share_start", "at the start"), (f"{kind}_share", "at the end"))
    }
    columns = {"samples": weights.counts / weights.counts.sum(), "weights": weights.share}
    columns |= {title: evidence.shares[key] for key, title in measured.items() if key in evidence.shares}
    if len(order) <= MOST_ROWS:
        groups = [(_legible(data.classes[index]), np.array([index])) for index in order]
    else:
        groups = [(name.replace("ranks_", "ranks "), members) for name, members in ranks.groups(order).items()]
    rows = [[name, *(_percent(values[members].sum()) for values in columns.values())] for name, members in groups]
    return Table(["class", *columns], rows, "Each class's share in training")


def _post_hoc(evidence: Evidence) -> list[Block]:
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
    return [Text(text), *_rules(evidence)]


def _rules(evidence: Evidence) -> list[Block]:
    """Return a chart of the decision rules, and a table for each split, that to choose by first."""
    found: list[Block] = [*curve_charts.rules(evidence)]
    for split, by_rule in (
        (f"Validation split, {CHOOSING}", evidence.validation_rules),
        (f"Test split, {JUDGING}", evidence.rules),
    ):
        if by_rule:
            headings, rows = rules_table(by_rule)
            found.append(Table([heading.replace("_", " ") for heading in headings], rows, split))
    return [*found, *(Table(table.headings, table.rows, table.title) for table in by_length(evidence))]


def _calibration(evidence: Evidence) -> list[Block]:
    if evidence.corrected is None:
        text = (
            f"The prior that this model learned under {_lacks(evidence)}, so its probabilities are shown as they are."
        )
    else:
        name = "ece" if "ece" in evidence.evaluation.summary else "log_loss"
        change = evidence.evaluation.summary[f"{name}_corrected"] - evidence.evaluation.summary[name]
        how = (
            "Moving the probabilities from the prior that the model learned under to the target prior"
            if evidence.calibration == NONE
            else f"Calibration ({evidence.calibration}, fitted on the validation split), before any decision,"
        )
        text = f"{how} changes {'the calibration error' if name == 'ece' else 'the log loss'} by {change:+.3f}."
    return [Text(text), _probabilities(evidence), Beside(curve_charts.calibration(evidence))]


def _probabilities(evidence: Evidence) -> Table:
    """Show how good the probabilities are, as predicted and corrected, as far as they are known."""
    evaluation = evidence.evaluation
    by_kind = evaluation.probabilities or {OWN: evaluation.summary}
    shown = {name: title for name, title in MEASURES.items() if name in by_kind[OWN]}
    rows = [
        [evidence.correction if kind == CORRECTED else kind, *(_number(found[name]) for name in shown)]
        for kind, found in by_kind.items()
    ]
    return Table(["probabilities", *shown.values()], rows)


def _lacks(evidence: Evidence) -> str:
    return "has no analytic form" if evidence.is_training_known else "is not known"


def _slices(evidence: Evidence) -> list[Part]:
    """Show the recalls by class and slice; return nothing if no slices were asked for."""
    if evidence.slices is None:
        return []
    text = map(Text, slice_table.told(evidence.slices))
    table = Table(slice_table.HEADINGS, slice_table.rows(evidence.slices.with_samples[:MOST_ROWS]))
    return [Part("Do slices differ?", [*text, table])]


def _plain_keras(script: str) -> list[Part]:
    """Show the script; return nothing if there is none."""
    if not script:
        return []
    text = (
        f"{len(script.splitlines())} lines with TensorFlow, Keras and NumPy alone train the same model with the same "
        "loss, weights and order of samples. Their first lines say how to get the arrays that they read."
    )
    return [Part("The same in plain Keras", [Text(text), Code(script, SCRIPT)])]


def _with_interval(evidence: Evidence, name: str) -> str:
    value = f"{evidence.evaluation.summary[name]:.3f}"
    interval = evidence.intervals.get(name)
    return value if interval is None else f"{value}, 95 % from {interval}"


def _ends(interval: Interval | None) -> list[str]:
    return [ABSENT, ABSENT] if interval is None else [f"{interval.low:.3f}", f"{interval.high:.3f}{interval.remark}"]


def _legible(name: str) -> str:
    """Return a class name as text shows it: not too long, and if it is written from right to left, set apart by marks.

    Without these the numbers after it would be shown before it.
    """
    cut = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    is_leftward = any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in cut)
    return f"\u2068{cut}\u2069" if is_leftward else cut


def _number(value: float) -> str:
    return ABSENT if np.isnan(value) else f"{value:.3f}"


def _percent(value: float) -> str:
    return ABSENT if np.isnan(value) else f"{value:.1%}"
