"""The class weights of a script: numbers by class, or their formula where there are many classes."""

import numpy as np

from equipoise.core.schema import arguments
from equipoise.methods.schedules import SCHEDULES, begin_and_shape
from equipoise.methods.weighting import NORMALIZERS, STRATEGIES
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import Definitions, Text
from equipoise.training.plain.writing import WIDTH, beside, indented

MOST_NAMED = 20  # classes, each with a line of its own


def weights(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that make the weights as they are put in: the dict `class_weight`, or `class_weights`.

    If they change while the model is trained, `full` are all of them.
    """
    if not case.is_weighted:
        return Piece()
    section, how, target = case.config.weighting, case.how, "class_weights"
    target = "full" if case.is_scheduled else target
    lines = case.said(f"weighting={section.name}", STRATEGIES[section.name].__doc__)
    if len(case.data.classes) <= MOST_NAMED and not case.brief:
        lines += _by_name(case)
        array = "list(class_weight.values())"
        lines += [f"full = np.array({array})"] if case.is_scheduled else []
    else:
        array = target
        lines += _formula(case, target, definitions)
        if how == "class_weight" and not case.is_scheduled:
            lines.append("class_weight = dict(enumerate(np.float32(class_weights).tolist()))")
    if how == "custom" and case.is_scheduled:
        lines.append("class_weights = tf.Variable(np.float32(full), trainable=False)")
    elif how != "class_weight" and not case.is_scheduled:
        lines.append(f"class_weights = np.float32({array})")
    return Piece(lines, needs=["counts"] if any("counts" in line for line in lines) else [])


def in_force(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that set the weights of an epoch; the value is what `fit` is handed of them."""
    how, handed = case.how, {"class_weight": "class_weight=class_weight", "sample_weight": _of_samples(case)}
    if not case.is_weighted:
        return Piece(value=_of_samples(case) if case.has_rows else "")
    if not case.is_scheduled:
        return Piece(value=handed.get(how, ""))
    schedule = case.config.weighting
    option, share = f"weighting.schedule={schedule.schedule}", SCHEDULES[schedule.schedule].share
    lines = case.said(option, share.__doc__, WIDTH - 4)
    lines += definitions.result_of(
        option, "share", share, Text("epoch"), *begin_and_shape(schedule, case.config.trainer.epochs)
    )
    now = "full if share == 1 else 1 + share * (full - 1)"
    if how == "custom":
        return Piece([*lines, f"class_weights.assign({now})"])
    lines.append(f"class_weights = np.float32({now})")
    if how == "class_weight":
        lines.append("class_weight = dict(enumerate(class_weights.tolist()))")
    return Piece(lines, handed[how])


def _of_samples(case: Case) -> str:
    """Return what `fit` is handed for each sample: the weight of its class, times that of its row."""
    each = ["class_weights[y_train[order]]"] if case.is_weighted else []
    return f"sample_weight={' * '.join([*each, *(['w_train[order]'] if case.has_rows else [])])}"


def _by_name(case: Case) -> list[str]:
    """Return a dict with a line for each class."""
    # Keras takes float32, of which these are all digits; those that are mixed with 1 before are float64.
    mixed = case.config.weighting.schedule not in ("constant", "deferred")
    each = [repr(float(factor if mixed else str(np.float32(factor)))) for factor in case.factors]
    rows = enumerate(zip(each, case.data.classes, case.data.counts, strict=True))
    lines = [beside(f"{index}: {weight},", f"{name}: {count:,} samples") for index, (weight, name, count) in rows]
    return ["class_weight = {", *indented(lines), "}"]


def _formula(case: Case, target: str, definitions: Definitions) -> list[str]:
    """Return the statements that make the weights of the training counts, under this name."""
    section, data = case.config.weighting, case.data
    counts = data.counted
    strategy = STRATEGIES[section.name]
    options = arguments(section, strategy, case.data.classes)
    typed = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in options.items()}
    lines = definitions.result_of(f"weighting={section.name}", target, strategy, Text("counts"), **typed)
    divisor = NORMALIZERS[section.normalize](strategy(counts, **options), data.sums, data.counts.sum())
    return lines if divisor == 1 else [*lines, f"{target} = np.divide({target}, {divisor!r})"]
