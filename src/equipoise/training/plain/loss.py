"""The loss of a script: Keras's own where it is one of them, else its formula as a function with its tables."""

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, arguments
from equipoise.data.sampling import resampler
from equipoise.methods.costs import cost_matrix
from equipoise.methods.label_forms import cross_entropy
from equipoise.methods.losses import LOSSES, Loss, LossOptions
from equipoise.methods.tasks.choose import task_of
from equipoise.training.plain.case import Case, Piece
from equipoise.training.plain.definitions import TAKEN, Definitions, Text
from equipoise.training.plain.specialise import Fields, UndecidedError, assigned, specialise
from equipoise.training.plain.tensors import INT32, Tensor
from equipoise.training.plain.writing import WIDTH, expression, function, summary, wrapped, written

# Keras's own, by the form of the labels.
CROSS_ENTROPIES = {
    "sparse": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "one_hot": "keras.losses.CategoricalCrossentropy(from_logits=True)",
    "binary": "keras.losses.BinaryCrossentropy(from_logits=True)",
}


def loss(case: Case, definitions: Definitions) -> Piece:
    """Return the statements that make the loss; the value is what `compile` is handed."""
    config = case.config
    record, weighted = LOSSES[config.loss.name], case.is_weighted and case.how == "custom"
    if record.function is cross_entropy and not weighted:
        return Piece(value=CROSS_ENTROPIES[config.dataset.labels])
    options = task_of(case.data).loss_options(config.weighting, config.loss)
    tables, shapes = _tables(case, options, definitions)
    body, name = _body(case, arguments(options, record.function, case.data.classes), shapes, definitions)
    lines = function(name, _parameters(record)[:2], summary(record.function.__doc__), body)
    return Piece([*tables, "", "", *lines, "", ""], name, ["counts"] if "counts" in " ".join(tables) else [])


def _body(
    case: Case, options: Mapping[str, Any], shapes: Mapping[str, Tensor], definitions: Definitions
) -> tuple[list[str], str]:
    """Return the statements of the function, and its name."""
    option, record = f"loss={case.config.loss.name}", LOSSES[case.config.loss.name]
    labels, logits, *tables = _parameters(record)
    absent = dict.fromkeys([name for name in tables if name not in shapes])
    by_class = record.own and not record.yes_or_no
    form: Any = Tensor((None,), INT32) if by_class else case.labels
    first = _to_indices(case, labels, logits) if by_class else []
    try:
        if shapes.keys() & TAKEN:
            raise UndecidedError("the script has these names for something else")
        width = max(2, case.logits) if by_class else case.logits
        known = {labels: form, logits: Tensor((None, width)), **shapes, **absent, **options}
        found = specialise(record.function, known)
        definitions.add(option, found.names)
        lines, result = written(found.statements), found.result
        name, form = record.function.__name__, found.known.get(labels)
    except UndecidedError:
        handed = [Text(labels), Text(logits)]
        call = definitions.call(
            option, record.function, *handed, **{key: Text(_held(key)) for key in shapes}, **options
        )
        lines, result, name = [], ast.parse(call, mode="eval").body, "loss"
    if case.is_weighted and case.how == "custom":
        name = f"weighted_{name}"
        of_each = ast.parse(f"tf.gather(class_weights, {_indices(labels, form)})", mode="eval").body
        if len(expression(result)) + len(expression(of_each)) > WIDTH - 20:
            lines.append(f"losses = {expression(result)}")
            result = ast.Name("losses", ast.Load())
        result = ast.BinOp(left=result, op=ast.Mult(), right=of_each)
    return [*first, *lines, f"return {expression(result)}"], name


def _to_indices(case: Case, labels: str, logits: str) -> list[str]:
    """Return the statements that bring labels and logits to the form that a loss of the user's own takes."""
    if case.config.dataset.labels == "one_hot":
        return [f"{labels} = tf.argmax({labels}, axis=-1, output_type=tf.int32)"]
    two = [f"{logits} = tf.concat([tf.zeros_like({logits}), {logits}], axis=-1)"] if case.logits == 1 else []
    return [f"{labels} = tf.reshape(tf.cast({labels}, tf.int32), [-1])", *two]


def _tables(case: Case, options: LossOptions, definitions: Definitions) -> tuple[list[str], Mapping[str, Tensor]]:
    """Return the statements that make what the function looks up, and the shapes of it."""
    option, record, classes = f"loss={case.config.loss.name}", LOSSES[case.config.loss.name], case.data.classes
    costs = None if case.config.cost is None else cost_matrix(case.config.cost, classes)
    values = record.tables_of(task_of(case.data).known(case.data, costs), options, classes)
    if record.tables is None or not values:
        return [], {}
    if values.keys() & TAKEN and not record.own:
        raise ConfigError(
            f"{option} has a table {min(values.keys() & TAKEN)}, a name that the script has for something else"
        )
    typed = arguments(options, record.tables, classes)
    try:
        if record.own:
            raise UndecidedError("it is handed what it asks for by name")
        named = {name: _listed(value) if isinstance(value, np.ndarray) else value for name, value in typed.items()}
        known, *_ = inspect.signature(record.tables).parameters
        found = specialise(record.tables, {known: _known(case, costs), **named})
        if not isinstance(found.result, ast.Dict) or assigned(found.statements) & TAKEN:
            raise UndecidedError("it makes no dict, or takes names of the script")
        definitions.add(option, found.names)
        lines = written(found.statements)
        keys = [str(key.value) for key in found.result.keys if isinstance(key, ast.Constant)]
        made = dict(zip(keys, map(expression, found.result.values), strict=True))
    except UndecidedError:
        lines, made = [], {name: repr(_listed(value)) for name, value in values.items()}
    # TensorFlow rounds a product with a constant otherwise than one with a variable.
    held = "np.float32({})" if record.constant_tables else "tf.Variable(np.float32({}), trainable=False)"
    lines += [part for name in made for part in wrapped(f"{_held(name)} = {held.format(made[name])}")]
    return lines, {name: Tensor(np.shape(value)) for name, value in values.items()}


def _held(table: str) -> str:
    """Return what the script calls a table."""
    return f"{table}_of_loss" if table in TAKEN else table


def _known(case: Case, costs: Floats | None) -> Fields:
    """Return what a loss may know of the training split, as expressions of the script."""
    several = case.data.several_labels
    unresampled = "len(y_train)" if resampler(case.config.dataset.sampling) is None else "counts.sum()"
    samples = 'data["w_train"].sum()' if case.by_weight else unresampled
    texts = {
        "counts": "counts",
        "samples": samples,
        "prior": f"counts / {samples}",
        "positives": "counts" if several else "counts[1:]",
        "costs": repr(None if costs is None else _listed(costs)),
    }
    return Fields({"several_labels": several}, texts)


def _listed(values: Any) -> Any:
    return np.asarray(values, np.float64).tolist()


def _parameters(record: Loss) -> list[str]:
    """Return what the function calls the labels, the logits and the tables."""
    parameters = inspect.signature(record.function).parameters.values()
    return [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


def _indices(labels: str, form: Any) -> str:
    """Return the expression of the class indices of a batch of labels, which has this form by then."""
    if not isinstance(form, Tensor):
        raise ConfigError("the loss makes something of the labels that no script can be written of")
    if len(form.shape) == 2:
        return f"tf.cast({labels}[:, 0], tf.int32)" if form.shape[1] == 1 else f"tf.argmax({labels}, axis=-1)"
    return labels if form.dtype.is_integer else f"tf.cast({labels}, tf.int32)"
