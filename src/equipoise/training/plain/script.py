"""The training of a run as a script of at most 80 lines with TensorFlow, Keras and NumPy alone."""

import re
import textwrap
from importlib.metadata import version

from equipoise.config.model import Config
from equipoise.config.naming import run_name
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE
from equipoise.data.prepared import Prepared
from equipoise.data.resamplers import PACKAGE
from equipoise.data.sampling import resampler
from equipoise.data.shards import Images
from equipoise.data.types import SPLITS, title_of
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS, estimator
from equipoise.methods.weighting import ClassWeights
from equipoise.training.plain.case import Case, Origin
from equipoise.training.plain.definitions import USUAL, Definitions
from equipoise.training.plain.images import images
from equipoise.training.plain.loss import loss
from equipoise.training.plain.model import drawing, model
from equipoise.training.plain.order import order, resampled
from equipoise.training.plain.rates import average, learning_rate, optimizer
from equipoise.training.plain.scores import early_stopping, evaluation
from equipoise.training.plain.second_stage import second_stage
from equipoise.training.plain.weighting import in_force, weights
from equipoise.training.plain.writing import WIDTH, in_docstring, indented, wrapped

MOST_LINES, OF_A_STEP = 80, 20  # so many more where the step of training is not Keras's own
SCRIPT, ARRAYS = "plain_keras.py", "plain_keras.npz"
POOLS = ("intra", "inter")  # of threads
LABELS = {"one_hot": "np.eye({}, dtype=np.float32)[y_train]", "binary": "np.float32(y_train[:, None])"}


def plain_keras(config: Config, data: Prepared, class_weights: ClassWeights, origin: Origin) -> str:
    """Return the script, which reads its arrays from ARRAYS.

    Raises
    ------
    ConfigError
        If no script of 80 lines with TensorFlow, Keras and NumPy alone trains this model.
    """
    _check(config, data)
    most = MOST_LINES if config.trainer.sharpness == NONE else MOST_LINES + OF_A_STEP
    for brief in range(4):
        text = _written(Case(config, data, class_weights, origin, brief))
        if text.count("\n") <= most:
            return text
    raise ConfigError(f"a script of this run would have more than {most} lines: it is meant to be read")


def _check(config: Config, data: Prepared) -> None:
    """Refuse what a script cannot be handed or do."""
    if isinstance(data.split("train").features, Images):
        raise ConfigError(
            f"dataset={config.dataset.name}: its images are decoded while a model trains, and no array holds them, "
            "so there is no script of plain Keras"
        )
    if estimator(config.model.name) is not None:
        raise ConfigError(f"model={config.model.name} is no Keras model, so there is no script of plain Keras")
    if data.texts:
        raise ConfigError(
            f"dataset={config.dataset.name}: its samples are texts, of which the model makes numbers, "
            "so there is no script of plain Keras"
        )
    if MODELS[config.model.name].words:
        raise ConfigError(
            f"model={config.model.name}: it is made of what is known of the words, which no array of a script holds, "
            "so there is no script of plain Keras"
        )
    sampled = config.dataset.sampling != NONE or config.trainer.second_stage != NONE
    if sampled and data.masses is not None and data.count == "weight":
        raise ConfigError(
            "dataset.count=weight with dataset.sampling or trainer.second_stage: counts of two kinds, "
            "so there is no script of plain Keras"
        )
    if config.trainer.stacked:
        raise ConfigError(
            "trainer.stacked=true: other jobs were trained in the same program, so there is no script of plain Keras "
            "with these bits"
        )
    if config.trainer.phases:
        raise ConfigError("trainer.phases: a script trains all weights at once, so there is no script of plain Keras")
    if MODELS[config.model.name].file is not None:
        raise ConfigError(
            f"model={config.model.name}: its backbone was not made by the run, and no array holds it, "
            "so there is no script of plain Keras"
        )
    if LOSSES[config.loss.name].begins is not None:
        raise ConfigError(f"loss={config.loss.name} begins after some epochs: it is not written as plain Keras")
    if config.dataset.mix != NONE:
        raise ConfigError(f"dataset.mix={config.dataset.mix}: it is not written as plain Keras")
    record, typed = resampler(config.dataset.sampling), f"dataset.sampling={config.dataset.sampling}"
    if record is not None and record.mixed:
        raise ConfigError(
            f"{typed}: categories become numbers and features again, so there is no script of plain Keras"
        )
    if record is not None and config.trainer.second_stage != NONE:
        raise ConfigError(
            f"{typed} with trainer.second_stage: counts of two kinds, so there is no script of plain Keras"
        )


def _written(case: Case) -> str:
    definitions = Definitions()
    made, weighted, compiled = (write(case, definitions) for write in (model, weights, loss))
    rows, altered, now = (write(case, definitions) for write in (order, images, in_force))
    stage, (before, watched, after) = second_stage(case), early_stopping(case)
    stepping, (at_first, rate), (kept, averaged) = optimizer(case), learning_rate(case, definitions), average(case)
    needs = {"train", *(["test"] if case.origin.refit is None else [])}
    needs |= {need for piece in (weighted, compiled, rows, stage, watched) for need in piece.needs}
    seeded, seeds = drawing(made)
    made_rows = resampled(case, definitions)
    epoch = [*rows.lines, *seeds, *averaged.lines, *now.lines, *rate]
    epoch += [*altered.lines, _fitted(case, altered.value, now.value, averaged.value), *watched.lines]
    code = [
        *_settings(case),
        "",
        *_arrays(case, needs),
        *made_rows,
        *_labels(case),
        *definitions.lines,
        "",
        *made.lines,
        "",
        *weighted.lines,
        *compiled.lines,
        *stepping.lines,
        *_compiled(case, stepping.value, compiled.value),
        "",
        *(*seeded, *kept, *at_first, *before),
        _epochs(case),
        *(part for line in indented(epoch) for part in wrapped(line)),
        *after,
        "",
        *stage.lines,
        *evaluation(case),
    ]
    text = "\n".join([*_header(case), "", *_imports(code, definitions.imports), "", *code])
    return re.sub(r"\n{4,}", "\n\n\n", text) + "\n"


def _header(case: Case) -> list[str]:
    name = in_docstring(f"{title_of(case.config.dataset)} · {run_name(case.config)}")
    versions, run = f"TensorFlow {version('tensorflow')} and Keras {version('keras')}", case.origin.run
    versions += f" and {PACKAGE} {version(PACKAGE)}" if _is_made_by_package(case) else ""
    reason = _doubt(case)
    near = f" to about 1e-5: {reason}." if reason else ", bit for bit on the same kind of processor."
    return [
        f'"""{name}: the same training in plain Keras.',
        "",
        *textwrap.wrap(f"With {versions} it ends with the weights of run {run}{near}{_rows(case)}", WIDTH),
        f"It reads the prepared arrays from {ARRAYS}, which this writes beside the script:",
        f"    {command('export')} run={run} output={SCRIPT}",
        '"""',
    ]


def _is_made_by_package(case: Case) -> bool:
    record = resampler(case.config.dataset.sampling)
    return record is not None and not record.own


def _rows(case: Case) -> str:
    """Return what to know of the rows, if none is left to judge the model on."""
    whole = len(case.data.split("train").labels)
    told = f" The run trained it once more, on all {whole:,} rows, after it was judged: none is left to judge it on."
    return told if case.origin.refit else ""


def _epochs(case: Case) -> str:
    """Return the head of the loop; a model that is trained once more is for as many epochs as the judged one kept."""
    kept = case.origin.refit
    if kept in (None, case.config.trainer.epochs):
        return "for epoch in range(EPOCHS):"
    return f"for epoch in range({kept}):  # of EPOCHS: as many as early stopping kept"


def _doubt(case: Case) -> str:
    """Return why the bits of the weights are not promised; empty if they are."""
    how, config = case.origin.how, case.config
    if how.get("device") == "gpu":
        return "a GPU adds up in another order"
    if config.trainer.strategy != "single":
        return "the run's replicas shared each batch"
    known = LOSSES[config.loss.name].bits_known and MODELS[config.model.name].bits_known
    return "" if known or how.get("engine") != "resident" else "the run's engine may round otherwise"


def _settings(case: Case) -> list[str]:
    trainer, lines = case.config.trainer, []
    if case.origin.how.get("device") == "cpu":
        lines.append('tf.config.set_visible_devices([], "GPU")  # the run took the CPU')
    elif trainer.deterministic:
        lines.append("tf.config.experimental.enable_op_determinism()")
    if trainer.threads != "auto":
        lines += [f"tf.config.threading.set_{pool}_op_parallelism_threads({trainer.threads})" for pool in POOLS]
    if trainer.precision != "float32":
        lines.append(f'keras.config.set_dtype_policy("{trainer.precision}")')
    return [*lines, f"SEED, EPOCHS, BATCH_SIZE = {case.config.seed}, {trainer.epochs}, {trainer.batch_size}"]


def _arrays(case: Case, needs: set[str]) -> list[str]:
    splits = [split for split in SPLITS if split in needs]
    return [
        f'data = np.load("{ARRAYS}")',
        *(f'x_{split}, y_{split} = data["x_{split}"], data["y_{split}"]' for split in splits),
        *(['w_train = np.float32(data["w_train"])'] if case.has_rows else []),
        *([f"counts = {_counts(case)}"] if "counts" in needs else []),
    ]


def _labels(case: Case) -> list[str]:
    several = case.data.several_labels
    form = "np.float32(y_train)" if several else LABELS.get(case.config.dataset.labels, "").format(case.logits)
    return [f"labels = {form}"] if form else []


def _counts(case: Case) -> str:
    if case.data.several_labels:
        return 'data["w_train"] @ y_train' if case.by_weight else "y_train.sum(axis=0)"
    return 'np.bincount(y_train, data["w_train"])' if case.by_weight else "np.bincount(y_train)"


def _compiled(case: Case, optimizer: str, value: str) -> list[str]:
    jit = case.origin.how.get("xla") == "true"
    return wrapped(f"model.compile({optimizer}, {value}, jit_compile={jit})")


def _fitted(case: Case, features: str, *handed: str) -> str:
    call = [features, f"{case.label_array}[order]", "batch_size=BATCH_SIZE", "shuffle=False", *handed]
    call += ["initial_epoch=epoch", "epochs=epoch + 1", "verbose=2"]
    return f"model.fit({', '.join(filter(None, call))})"


def _imports(code: list[str], more: set[str]) -> list[str]:
    """Return the lines that import what the code uses, in the order of isort."""
    text = "\n".join(code)
    plain = {
        f"import {module}" + ("" if name == module else f" as {name}")
        for module, name in USUAL.items()
        if re.search(rf"\b{name}\.", text)
    }
    taken: dict[str, list[str]] = {}
    for line in more:
        found = re.fullmatch(r"from (\S+) import (.+)", line)
        if found:
            taken.setdefault(found[1], []).append(found[2])
        else:
            plain.add(line)
    parts = [
        f"from {module} import {', '.join(sorted(names, key=_as_isort))}" for module, names in sorted(taken.items())
    ]
    return ["import hashlib", "", *sorted(plain, key=lambda line: line.split()[1]), *parts]


def _as_isort(name: str) -> tuple[int, str]:
    """Constants come first, then classes, then functions and modules."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2), name
