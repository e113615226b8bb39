"""Write docs/methods.md: every method with its formula, source, defaults and measured results.

make methods

Nothing is written twice: formulas and sources come from the docstrings of src/equipoise, defaults from conf/, and
results from the headers of the recipes in conf/experiment/. All are read as text, so that it takes no time.
"""

import ast
import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equipoise.core import plugins

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "methods.md"
INTRODUCTION = """# Methods

<!-- Written by `make methods` from docstrings, conf/ and the headers of conf/experiment/: change those. -->

Every weighting, loss, decision rule, sampling rule and second stage: formula, source, defaults and measured results.
In the formulas, C is the number of classes, n_c the number of samples of class c in the training split, N their sum,
p_c = n_c / N, and w_c the weight of class c; z are logits, y is the true class, p_y its probability, CE the
cross-entropy. `key: value` is a default; type it as `group.key=value`.

The command above each result measured it. Results hold for these data; for yours, add your `dataset=…` to the command.
"""


@dataclass(frozen=True)
class Chapter:
    """The methods of one kind.

    Attributes
    ----------
    module : file below src/equipoise with the functions
    registry : name in it of the mapping from option to function
    typed : how a user chooses an option
    recipes : files of conf/experiment/ that measure the methods
    group : folder of conf/ with the defaults; empty if the options have no keys
    words : introduction
    """

    title: str
    module: str
    registry: str
    typed: str
    recipes: tuple[str, ...]
    group: str = ""
    words: str = ""


CHAPTERS = (
    Chapter(
        "Weightings",
        "methods/weighting.py",
        "STRATEGIES",
        "weighting=…",
        (
            "mnist_lt_control",
            "page_blocks_weightings",
            "four_classes",
            "rare_events",
            "image_classes",
            "survey_rows",
            "many_categories",
            "digits_resnet",
            "fine_tuning",
            "spam_mails",
            "mnist_lt_search",
        ),
        "weighting",
        "From class counts to class weights. `normalize` divides them by one of their statistics, which then is 1: "
        "`sample_mean` (the sum of p_c w_c, which keeps the scale of the loss), `class_mean`, `sum`, `max` or `min`.",
    ),
    Chapter(
        "Schedules of the weights",
        "methods/schedules.py",
        "SCHEDULES",
        "weighting.schedule=…",
        ("mnist_lt_deferred",),
        words="At a share s, a class weighs 1 + s (w_c - 1). The share is 1 from epoch `weighting.start` x epochs on, "
        "by default 0.8 x epochs.",
    ),
    Chapter(
        "Learning rates",
        "methods/learning_rates.py",
        "LEARNING_RATES",
        "trainer.schedule=…",
        (),
        words="A factor of `trainer.learning_rate` for each epoch e of E, from 0, logged as `learning_rate`; options "
        "are `trainer.schedule_…`. A second stage has the constant rate. Beside it: `trainer.weight_decay` (v - v x "
        "decay x rate in every step of any optimizer, not on biases and norms), `trainer.clip_norm` (of all gradients "
        "together) and `trainer.ema` (an average of the weights after every step, which is judged and saved).",
    ),
    Chapter(
        "Steps that look around",
        "methods/sharpness.py",
        "SHARPNESS",
        "trainer.sharpness=…",
        ("mnist_lt_sharpness",),
        words="Where the gradient g of a step is taken, if not at the weights w. The first pass finds g of the loss as "
        "it is weighted, by class and by row, so that weights decide where uphill is; the second finds the gradient "
        "there, which moves the weights by any optimizer, schedule and `clip_norm`, with decay and average as "
        "always. Frozen weights stay where they are. Both passes drop the same units; batch norm's statistics, the "
        "scale of half precision and `train/loss` are of one pass a step. Replicas add their gradients up before "
        "they look, all at one place, so that they train the model of one device. A second stage has plain steps. "
        "Every implementation, both engines, a resumed run and the script of plain Keras leave the same bits. An "
        "epoch takes 1.8 to 2.0 times as long with a CNN and 1.4 to 1.5 times with an MLP, of CPU time.",
    ),
    Chapter(
        "Losses",
        "methods/losses.py",
        "LOSSES",
        "loss=…",
        (
            "mnist_lt_losses",
            "mnist_lt_more_losses",
            "page_blocks_losses",
            "several_labels_losses",
            "mnist_lt_ldam_drw",
            "pairwise_cost",
        ),
        "loss",
        "From labels and logits to one value a sample. The first three are one function; the weights go in through "
        "`model.fit(class_weight=…)`, the dataset's third element, or the loss, with the same bits. The other losses "
        "of samples take weights, too; `implementation` chooses the way. `lade`, `recall`, `soft_f1`, `sigmoid_f1` and "
        "`auc_margin` are losses of a whole batch: class weights, weights of rows, `dataset.mix` and replicas are "
        "refused; a run says how many samples and pairs of the rarest class a batch has; shares of the loss "
        "(`loss_share`) are those of all samples as one batch.",
    ),
    Chapter(
        "Calibration",
        "methods/calibration.py",
        "CALIBRATIONS",
        "calibration=…",
        (),
        "calibration",
        "Probabilities that hold, fitted on the validation split before any decision; of a trained model by "
        "`python src/evaluate.py run=latest calibration=temperature`. The prior that the model learned under, where it "
        "is known, is taken out; the class frequencies of the validation rows then count as the prior. So "
        "probabilities are moved to `dataset.target_prior` and every rule works, after any loss; but `temperature` "
        "leaves a tilt in "
        "that is not known. Rules are tuned on cross-fitted logits. `evaluation/calibration.json` has log loss, ECE, "
        "slope, intercept and the parts of the Brier score before and after.",
    ),
    Chapter(
        "Learners beside Keras",
        "methods/estimators.py",
        "ESTIMATORS",
        "model=…",
        ("page_blocks_learners",),
        "model",
        "Models that learn without Keras, and take class weights times row weights as `sample_weight`; "
        "[how](learners.md).",
    ),
    Chapter(
        "Decision rules",
        "methods/decisions.py",
        "DECISIONS",
        "decision=…",
        ("page_blocks_unsure",),
        "decision",
        "From logits to a class. Every run logs the results of each rule on the same model (`decision/<rule>/…`); in "
        "the recipes of the other chapters, they are the lines with *post-hoc*, *tuned* and *cost*. To choose one, "
        "compare them on validation, where what is tuned is cross-fitted (`val/decision/<rule>/…`): "
        "`python src/compare.py split=val`; `python src/register.py decision=tuned` takes it without training.",
    ),
    Chapter(
        "Sampling",
        "data/sampling.py",
        "SHIPPED",
        "dataset.sampling=…",
        ("page_blocks_sampling",),
        words="Samples are drawn with replacement. A rule gives the share of each class in an epoch; t runs from 0 in "
        "the first epoch to 1 in the last.",
    ),
    Chapter(
        "Resampled rows",
        "data/resamplers.py",
        "RESAMPLERS",
        "dataset.sampling=…",
        ("page_blocks_resampling",),
        words="Of tables and vectors, by imbalanced-learn (`make train EXTRA=rivals`): the encoded training rows of a "
        "fold, once before the fit, by `seed`; validation and test rows stay. It works for learners beside Keras, "
        "too, and all ways to put weights in leave the same bits. Options are typed as "
        "`'dataset.sampling_options={k_neighbors: 3}'`; their defaults are the library's. `auto` brings every "
        "class to the size of the largest, or cleans all but the rarest. Counts before and after are told and "
        "logged (`resampled`). Weights, losses and `dataset.target_prior` count the rows that there were, and a "
        "run warns where both correct the imbalance. Probabilities are corrected for the classes' new "
        "frequencies, but not for where made rows lie, which no prior tells: `calibration=vector` or `beta` fits "
        "that on validation rows. The time of `tomek` and `edited_nearest_neighbours` grows with the square of "
        "the rows: half a minute of one core for 100,000. New rows take seconds, and the memory that holds them.",
    ),
    Chapter(
        "Altered images",
        "data/augmentation.py",
        "AUGMENTATIONS",
        "dataset.augment=[…]",
        ("mnist_lt_ordinary",),
        words="Training images alone, one way after the other as typed; validation, test and a second stage take them "
        "as they are. What comes of an image is a function of the seed, the epoch and its place in the epoch's order, "
        "so every implementation and engine, and a training that was interrupted, leave the same bits.",
    ),
    Chapter(
        "Mixed samples",
        "data/mixing.py",
        "MIXES",
        "dataset.mix=…",
        (),
        words="Lambda is drawn from Beta(`dataset.mix_alpha`, the same) once a batch, which is mixed with itself in "
        "another order. The loss of a mixture is lambda w_i l_i + (1 - lambda) w_j l_j for any loss l, as in the "
        "programs of the papers. `sample_weight` and `custom` leave the same bits; `class_weight` has one class a "
        "row, so it is refused with a weighting. Images are altered first.",
    ),
    Chapter(
        "Second stages",
        "methods/second_stages.py",
        "SECOND_STAGES",
        "trainer.second_stage=…",
        ("mnist_lt_two_stages",),
        words="After training, the features stay and the classifier is built anew.",
    ),
)


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *(line for chapter in CHAPTERS for line in _chapter(chapter)), *_own()])


def _own() -> Iterator[str]:
    """Yield the chapter on the options that plugins/ adds, if there are any."""
    found = list(plugins.every())
    if found:
        yield "## Your own: `plugins/`\n"
    for own in found:
        yield f"### `{own.kind}={own.name}`\n\n{own.about}\n"
        if own.defaults:
            yield _fenced("yaml", [f"{key}: {json.dumps(value)}" for key, value in own.defaults.items()])


def _chapter(chapter: Chapter) -> Iterator[str]:
    words = textwrap.fill(chapter.words, 120, break_on_hyphens=False)
    yield f"## {chapter.title}: `{chapter.typed}`\n\n{words}".rstrip() + "\n"
    options = (
        {path.stem: _keys(path) for path in sorted((REPOSITORY / "conf" / chapter.group).glob("*.yaml"))}
        if chapter.group
        else {}
    )
    counts = Counter(line for keys in options.values() for line in keys)
    shared = [line for line, count in counts.items() if count > len(options) / 2]
    if shared:
        yield "Unless another default stands below:\n"
        yield _fenced("yaml", shared)
    for name, text in _docstrings(chapter).items():
        yield f"### `{name}`\n\n{text}\n"
        own = [line for line in options.get(name, _defaults(chapter).get(name, [])) if line not in shared]
        if own:
            yield _fenced("yaml", own)
    for recipe in chapter.recipes:
        title, *lines = _header(recipe)
        yield f"### Measured: {title}\n"
        yield _fenced("text", lines)


def _defaults(chapter: Chapter) -> Mapping[str, Sequence[str]]:
    """Return the keyword-only parameters of each function with their defaults, as lines of YAML."""
    tree = ast.parse((REPOSITORY / "src" / "equipoise" / chapter.module).read_text())
    return {
        node.name: [
            f"{option.arg}: {ast.literal_eval(default)}"
            for option, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if default is not None
        ]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def _docstrings(chapter: Chapter) -> Mapping[str, str]:
    """Return the docstring of each option, in the registry's order, without sections for callers.

    The function of a record is its first argument.
    """
    tree = _tree(chapter.module)
    functions = _functions(tree)
    for node in tree.body:  # some stand in a module of their own
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if module.startswith("equipoise.methods."):
            functions |= _functions(_tree(f"{module.removeprefix('equipoise.').replace('.', '/')}.py"))
    (registry,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == chapter.registry
    )
    if isinstance(registry, ast.Call):  # a registry that the user may add to
        registry = registry.args[1]
    if isinstance(registry, ast.Name):
        (registry,) = (
            node.value
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == registry.id
        )
    assert isinstance(registry, ast.Dict)
    found = {
        ast.literal_eval(key): ast.unparse(value.args[0] if isinstance(value, ast.Call) else value)
        for key, value in zip(registry.keys, registry.values, strict=True)
        if key
    }
    return {
        name: (ast.get_docstring(functions[function]) or "").split("\n\nParameters\n")[0]
        for name, function in found.items()
    }


def _tree(module: str) -> ast.Module:
    return ast.parse((REPOSITORY / "src" / "equipoise" / module).read_text())


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _keys(path: Path) -> list[str]:
    """Return the lines with the option's keys and comments, without those that name the option."""
    return [line for line in path.read_text().splitlines() if not line.startswith(("#", "name:", "function:"))]


def _header(recipe: str) -> list[str]:
    """Return the comment at the head of a recipe, without the line that marks its package."""
    lines = (REPOSITORY / "conf" / "experiment" / f"{recipe}.yaml").read_text().split("\ndefaults:")[0].splitlines()
    return [line.removeprefix("#").removeprefix(" ") for line in lines[1:] if line.startswith("#")]


def _fenced(language: str, lines: list[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return f"```{language}\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
