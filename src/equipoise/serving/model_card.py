"""The model card of a model that is handed over: a page of Markdown, from the records of its run alone.

Its sections are those of Mitchell et al. (2019), under the headings that cards have on Hugging Face's hub.
"""

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from equipoise.core.commands import as_typed
from equipoise.core.errors import counted, listing, printable
from equipoise.runs.again import JUDGED_BY, is_refit
from equipoise.runs.estimate_prior import TAG

MOST_CLASSES = 20  # with a line each; of more those of the lowest recall
MOST_COLUMNS = 40
UNEVEN = 1.5  # times as many training rows of one class as of another
LITTLE, LOW = 30, 0.5  # test rows that tell little of a class, and a recall that is low
TASKS = {
    "table": "tabular-classification",
    "image": "image-classification",
    "text": "text-classification",
    "words": "text-classification",
}
# The metrics that it shows, as runs log them, with what they are.
METRICS = {
    "balanced_accuracy": "balanced accuracy (mean recall)",
    "worst_class_recall": "recall of the worst class",
    "macro_f1": "macro F1",
    "mcc": "Matthews correlation",
    "accuracy": "accuracy",
    "macro_average_precision": "mean average precision",
    "micro_f1": "micro F1",
    "subset_accuracy": "rows with all labels right",
    "log_loss_corrected": "log loss of p(class)",
    "log_loss": "log loss of the model's own probabilities",
    "ece_corrected": "calibration error (ECE) of p(class)",
}
RULES = {
    "argmax": "the most probable class by the model's own probabilities",
    "logit_adjusted": "the most probable class after the prior that the model learned under is divided out",
    "prior_adjusted": "the most probable class by p(class), where classes are as frequent as dataset.target_prior says",
    "tuned": "the most probable class after a bias a class, tuned on the validation split",
    "cost": "the class of least expected cost",
    "f_beta": "the most probable class after a bias a class, tuned on the validation split for F_beta",
    "constrained": "the most probable class after a bias a class, tuned on the validation split within constraints",
    "top_k": "a class with a budget for the rows likeliest to be of it, else the most probable class",
    "abstain": "the class of least expected cost; no class, and `predicted` is empty, where that is above a limit",
    "conformal": "the most probable class; `set(class)` tells which classes are not ruled out: of the rows of each "
    "class at least 1 - alpha have it there, on average over splits, if they come as the validation rows of it did",
}


@dataclass(frozen=True)
class Record:
    """What is known of a registered model.

    Attributes
    ----------
    params, tags, metrics : of the run that the version was made from
    why : the version's tags
    kind : of what it learned from: table, image, text, array or series
    rows, probabilities : what it takes, and what p(class) is, in a sentence each
    columns : of a row; none where it has no names
    several : whether a row may have several labels
    per_class : one mapping a class, in the order of the table that the run logged
    priors : what it learned under and what p(class) is under, by the names of the classes; empty if the first is not
        known
    notes : on what the decision rule is worth, and on the data
    overrides : as they were typed for the run; empty if not known
    """

    name: str
    version: str
    run: str
    trained_on: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    why: Mapping[str, str]
    kind: str
    rows: str
    probabilities: str
    columns: Sequence[str]
    several: bool
    per_class: Sequence[Mapping[str, Any]]
    priors: Mapping[str, Mapping[str, float]]
    notes: Sequence[str]
    overrides: Sequence[str]
    versions: Mapping[str, str]

    @property
    def classes(self) -> list[str]:
        """Their names."""
        return [str(row["class"]) for row in self.per_class]

    def metric(self, name: str) -> float | None:
        """Return a metric; None if it is not known."""
        return self.metrics.get(name)


def card(record: Record) -> str:
    """Return the page."""
    parts = [
        _head(record),
        _details(record),
        _uses(record),
        _risks(record),
        _start(record),
        _training(record),
        _evaluation(record),
        _origin(record),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(record: Record) -> list[str]:
    task = [f"pipeline_tag: {TASKS[record.kind]}"] if record.kind in TASKS else []
    what, of = ("labels", "any number of these labels, or none") if record.several else ("classes", "one of them")
    return [
        "---",
        "library_name: keras",
        *task,
        "tags: [equipoise, imbalanced-classification]",
        "---",
        f"# Model card: {_text(record.name)}, version {record.version}",
        "",
        f"It gives a row {of}, of {len(record.classes)} {what}: {_text(listing(record.classes))}. Every number "
        "below is from the records of the run that trained it.",
    ]


def _details(record: Record) -> list[str]:
    params, rule = record.params, record.params.get("decision.name", "")
    positive = record.tags.get("positive")
    return [
        "## Model details",
        "",
        f"- **Model**: `{params.get('model.name')}` ({_trained(record)} the loss "
        f"`{params.get('loss.name')}` with class weights `{params.get('weighting.name')}`, seed {params.get('seed')}",
        f"- **Decision rule**: `{rule}`"
        + (f": {RULES[rule]}" if rule in RULES and not record.several else "")
        + _text(_settings(params)),
        *([f"- **Positive class**: {_text(positive)}"] if positive else []),
        f"- **Probabilities**: {record.probabilities}",
        f"- **Trained on**: {record.trained_on}",
    ]


def _settings(params: Mapping[str, str]) -> str:
    """Return the options of the decision rule, in brackets."""
    found = [
        f"{key.partition('.')[2]}: {value}" for key, value in sorted(params.items()) if key.startswith("decision.")
    ]
    shown = [each for each in found if not each.startswith("name: ") and not each.endswith(": None")]
    return f" ({', '.join(shown)})" if shown else ""


def _trained(record: Record) -> str:
    if "tensorflow" in record.tags:
        return f"Keras): {_epochs(record.params)} of"
    return f"{record.tags.get('engine')}): fitted under"


def _library(tags: Mapping[str, str]) -> str:
    if "tensorflow" in tags:
        return f"TensorFlow {tags['tensorflow']}, Keras {tags.get('keras')}"
    return f"scikit-learn {tags.get('scikit-learn')}"


def _epochs(params: Mapping[str, str]) -> str:
    typed = params.get("trainer.epochs", "")
    return counted(int(typed), "epoch", "epochs") if typed.isdigit() else "some epochs"


def _uses(record: Record) -> list[str]:
    what = "labels" if record.several else "classes"
    given = "one of them or none" if record.params.get("decision.name") == "abstain" else "one of them"
    return [
        "## Uses",
        "",
        f"**Direct use**: rows like the training data. A row is {record.rows}"
        + (f": {_text(listing(record.columns, MOST_COLUMNS))}." if record.columns else "."),
        "",
        "**It must not be used**",
        "",
        f"- for anything but these {what}: "
        + ("it knows no others" if record.several else f"every row gets {given}, also a row that is none of them"),
        "- for rows from elsewhere (another source, time, sensor or population) before it was judged on labelled rows "
        "from there",
        *_weak(record),
        _of_probabilities(record),
        f"- to decide on people without a person's review: {_groups(record)}",
    ]


def _groups(record: Record) -> str:
    """Return what is known of groups of people."""
    slices = record.tags.get("slices")
    if slices is None:
        return "how it differs between groups of people is not known from these records"
    return f"its recall by {_text(slices)} stands in the run's evaluation/slices, and other groups were not looked at"


def _weak(record: Record) -> list[str]:
    """Tell of the classes that it must not be relied on to find."""
    weak = [_text(str(row["class"])) for row in record.per_class if _number(row.get("recall_low"), 0) < LOW]
    which = "classes" if len(weak) > 1 else "class"
    return [f"- to be relied on to find the {which} {listing(weak, 6)}: see the recall below"] if weak else []


def _of_probabilities(record: Record) -> str:
    if "not corrected" in record.probabilities:
        return "- where p(class) must be a probability: it is the model's own, which weights or the loss have moved"
    if record.several:
        return "- where labels are more or less frequent than in training, without a new threshold"
    target = record.params.get("dataset.target_prior", "training")
    where = "the training split's" if target == "training" else f"dataset.target_prior={target}"
    if TAG in record.tags:
        where += f" ({_text(record.tags[TAG])}; that assumes that rows of a class look there as in validation)"
    return f"- with p(class) as a probability where the classes have other frequencies than {where}, without moving it"


def _risks(record: Record) -> list[str]:
    rows = _test_rows(record)
    few = [_text(name) for name, count in rows.items() if count < LITTLE]
    known = f"fewer than {LITTLE} test rows, so that little is known of {'them' if len(few) > 1 else 'it'}"
    found = [f"- {listing(few, 8)}: {known}"] if few else []
    counts = [_number(row.get("count"), math.nan) for row in record.per_class]
    if counts and min(counts) > 0 and max(counts) / min(counts) >= UNEVEN:
        found.append(f"- The training split is imbalanced: {max(counts) / min(counts):.4g} to 1 between its classes")
    chosen = record.why.get("metric", "")
    if chosen.startswith("test/"):
        found.append(f"- It was chosen by {chosen}, of the very rows that judge it: the figures below are too good")
    if record.params.get("decision.name") == "argmax" and not record.several and _is_moved(record):
        found.append(
            "- `predicted` goes by the model's own probabilities, which weights or sampling have moved; by p(class) "
            "another class may be more probable"
        )
    found += [f"- {_text(note)}" for note in record.notes[:5]]
    if len(record.notes) > 5:
        found.append(f"- and {len(record.notes) - 5} more notes on the data, in the run's data.json")
    return ["## Bias, risks and limitations", "", *found]


def _is_moved(record: Record) -> bool:
    """Return whether p(class) is not what the model learned."""
    shares = [[round(share, 6) for share in of.values()] for of in record.priors.values()]
    return len(shares) > 1 and shares[0] != shares[1]


def _start(record: Record) -> list[str]:
    given = {"image": "pictures", "text": "texts.csv", "words": "texts.csv", "series": "rows.ts", "array": "rows.npz"}
    source = given.get(record.kind, "rows.csv")
    sets = "`set(class)`, " if record.params.get("decision.name") == "conformal" else ""
    return [
        "## How to get started",
        "",
        "```sh",
        f"pip install -r requirements.txt                # with Python {record.versions['python']}",
        f"python predict.py {source} predictions.csv     # a script in this folder",
        "```",
        "",
        "Or `mlflow.pyfunc.load_model(FOLDER).predict(rows)`. Both run the code in this folder: only use a folder from "
        f"someone whose programs you would run. The answer has `predicted`, {sets}`p(class)` and `notes` on each row.",
    ]


def _training(record: Record) -> list[str]:
    params, tags = record.params, record.tags
    source = params.get("dataset.id") or PurePath(params.get("dataset.path", "")).name or params.get("dataset.name", "")
    rows = record.metric("samples/train")
    shown = f", {int(rows):,} rows in its training split" if rows is not None else ""
    kind = "" if source == params.get("dataset.name") else f" (`dataset={params.get('dataset.name')}`)"
    lines = [
        "## Training data",
        "",
        f"{_text(source)}{kind}{shown}; data_sha256 `{tags.get('data_sha256', 'not known')[:16]}…`. Counts by class "
        "stand in the table below.",
    ]
    if is_refit(tags):
        every = [record.metric(f"samples/{split}") for split in ("train", "validation", "test")]
        rows_of_all = f" {int(sum(filter(None, every))):,}" if None not in every else ""
        lines += [
            "",
            f"Once it was judged, the model was trained once more, on all{rows_of_all} rows (`trainer.refit=true`). "
            "The figures below are those of the first training, whose test rows it had not seen.",
        ]
    return [*lines, *_priors(record)]


def _priors(record: Record) -> list[str]:
    """Return the class frequencies in training, those that it learned, and those that p(class) is under."""
    counts = {str(row["class"]): row["count"] for row in record.per_class if row.get("count") is not None}
    rows = record.metric("samples/train")
    found = dict(record.priors)
    if counts and rows:
        found = {"in training": {name: count / rows for name, count in counts.items()}, **found}
    uses: dict[str, list[str]] = {}
    for use, shares in found.items():
        text = listing([f"{_text(name)} {shares[name]:.4g}" for name in record.classes], 8)
        uses.setdefault(text, []).append(use)
    told = [f"{', '.join(of)}: {text}" for text, of in uses.items()]
    return ["", f"{'Frequency' if record.several else 'Prior'} {'; '.join(told)}."] if told else []


def _evaluation(record: Record) -> list[str]:
    rows = record.metric("samples/test")
    of = f"{int(rows):,} test rows" if rows is not None else "the test split"
    chosen = record.why.get("metric")
    how = f"The model was chosen by {chosen}" + (
        f" ({float(record.why['value']):.4f})" if "value" in record.why else ""
    )
    lines = [
        "## Evaluation",
        "",
        f"On {of}, with 95 % intervals." + (f" {how}." if chosen else ""),
        "",
        "| metric | value | interval |",
        "| --- | --- | --- |",
    ]
    for name, said in METRICS.items():
        value = record.metric(f"test/{name}")
        if value is not None:
            low, high = (record.metric(f"test/{name}_{end}") for end in ("low", "high"))
            lines.append(f"| {said} | {value:.3f} | {_interval(low, high)} |")
    return [*lines, "", *_by_class(record)]


def _by_class(record: Record) -> list[str]:
    shown = list(record.per_class)
    left = len(shown) - MOST_CLASSES
    if left > 0:
        lowest = sorted(shown, key=lambda row: _number(row.get("recall"), -1))[:MOST_CLASSES]
        shown = [row for row in shown if row in lowest]
    tests = _test_rows(record)
    lines = [
        f"| {'label' if record.several else 'class'} | in training | in test | recall | interval | precision | F1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in shown:
        count, found = row.get("count"), [_shown(row.get(name)) for name in ("recall", "precision", "f1")]
        cells = [
            _text(str(row["class"])),
            "" if count is None else f"{int(count):,}",
            f"{tests[str(row['class'])]:,}" if str(row["class"]) in tests else "",
            found[0],
            _interval(row.get("recall_low"), row.get("recall_high")),
            *found[1:],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    more = f"and {counted(left, 'class', 'classes')} of higher recall, in the run's evaluation/per_class.json"
    return [*lines, *(["", more] if left > 0 else [])]


def _origin(record: Record) -> list[str]:
    tags = record.tags
    commit = tags.get("mlflow.source.git.commit")
    changed = " with uncommitted changes" if tags.get("git_dirty") == "true" else ""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    typed = shlex.join(record.overrides)
    lines = [
        "## Technical specifications",
        "",
        f"- **Versions**: {versions}; trained with {_library(tags)} on {tags.get('device', 'cpu')}",
        f"- **Run**: `{record.run}`, weights_sha256 `{tags.get('weights_sha256', '')}`",
        f"- **Commit**: {f'`{commit}`{changed}' if commit else 'none: the code was in no git checkout'}",
    ]
    if typed:
        lines += ["- **Command**:", "", "```sh", as_typed(f"python src/train.py {typed}"), "```"]
    if JUDGED_BY in tags:
        again = as_typed(f"python src/evaluate.py {printable(tags[JUDGED_BY])}")
        lines += ["", "Then it was judged again, without training, and is as this command left it:", ""]
        lines += ["```sh", again, "```"]
    return lines


def _test_rows(record: Record) -> dict[str, int]:
    """Return how many test rows each class has, as far as its share is known."""
    rows = record.metric("samples/test")
    return {
        str(row["class"]): round(row["prevalence"] * rows)
        for row in record.per_class
        if rows is not None and row.get("prevalence") is not None
    }


def _text(text: str) -> str:
    """Return a text of the user's as Markdown that shows it as it is, in one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", printable(text.replace("\n", " ")))


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(low: Any, high: Any) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _number(value: Any, otherwise: float) -> float:
    return otherwise if value is None else float(value)
