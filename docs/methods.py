"""Write docs/methods.md: every method with its formula, source, defaults, and what it did on our data.

make methods

Nothing is told twice: formulas and sources are the docstrings of src/equipoise, defaults the files of conf/, and
what was measured the headers of the recipes in conf/experiment/. Read as text, so that it takes no time.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "methods.md"
INTRODUCTION = """# Methods

<!-- Written by `make methods` from docstrings, conf/ and the headers of conf/experiment/: change those. -->

Every weighting, loss, decision rule, way to sample and second stage: formula, source, defaults, and what it did on our
data. In the formulas C is the number of classes, n_c the samples of class c in the training split, N their sum,
p_c = n_c / N, and w_c the weight of class c; z are logits, y is the true class, p_y its probability, CE the
cross-entropy. `key: value` is the default, typed as `group.key=value`.

All numbers were measured with the command that stands above them. They tell how far a method goes on these data, not
on yours: type the same command with your `dataset=…`.
"""


@dataclass(frozen=True)
class Chapter:
    """What is of one kind.

    Attributes
    ----------
    module : file below src/equipoise with the functions
    registry : the name in it of the mapping from option to function
    typed : how an option is chosen
    group : folder of conf/ with the defaults; empty if the options have no keys
    recipes : of conf/experiment/, what is measured of it
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
            "mnist_lt_search",
        ),
        "weighting",
        "From class counts to class weights. `normalize` divides them by a statistic of theirs, which is 1 afterwards: "
        "`sample_mean` (the sum of p_c w_c, which keeps the scale of the loss), `class_mean`, `sum`, `max` or `min`.",
    ),
    Chapter(
        "Schedules of the weights",
        "methods/schedules.py",
        "SCHEDULES",
        "weighting.schedule=…",
        ("mnist_lt_deferred",),
        words="At a share s of the weights a class weighs 1 + s (w_c - 1). The share is full from the epoch `weighting.start` x epochs on, 0.8 by default.",
    ),
    Chapter(
        "Losses",
        "methods/losses.py",
        "LOSSES",
        "loss=…",
        ("mnist_lt_losses", "page_blocks_losses", "mnist_lt_ldam_drw", "pairwise_cost"),
        "loss",
        "Of logits, one value a sample. The first three are one function, with the weights put in by `model.fit(class_weight=…)`, by the third "
        "element of the dataset, or inside the loss: the same bits. Each other loss takes weights, too, in the way that `implementation` says.",
    ),
    Chapter(
        "Decision rules",
        "methods/decisions.py",
        "DECISIONS",
        "decision=…",
        (),
        "decision",
        "From logits to a class. Every run logs what each of them makes of the same model (`decision/<rule>/…`), so the recipes above and below "
        "tell of them: they are the lines with *post-hoc*, *tuned* and *cost*.",
    ),
    Chapter(
        "Sampling",
        "data/sampling.py",
        "RULES",
        "dataset.sampling=…",
        ("page_blocks_sampling",),
        words="The share of each class among the samples of an epoch, drawn with replacement; t runs from 0 in the first epoch to 1 in the last.",
    ),
    Chapter(
        "Second stages",
        "training/second_stage.py",
        "SECOND_STAGES",
        "trainer.second_stage=…",
        ("mnist_lt_two_stages",),
        words="After training, the features stay and the classifier is made anew.",
    ),
)


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(line for chapter in CHAPTERS for line in _chapter(chapter))])


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"## {chapter.title}: `{chapter.typed}`\n\n{chapter.words}\n"
    options = (
        {path.stem: _keys(path) for path in sorted((REPOSITORY / "conf" / chapter.group).glob("*.yaml"))}
        if chapter.group
        else {}
    )
    shared = [line for line in next(iter(options.values()), []) if all(line in keys for keys in options.values())]
    if shared:
        yield "All of them have:\n"
        yield _fenced("yaml", shared)
    for name, text in _docstrings(chapter).items():
        yield f"### `{name}`\n\n{text}\n"
        own = [line for line in options.get(name, []) if line not in shared]
        if own:
            yield _fenced("yaml", own)
    for recipe in chapter.recipes:
        title, *lines = _header(recipe)
        yield f"### Measured: {title}\n"
        yield _fenced("text", lines)


def _docstrings(chapter: Chapter) -> Mapping[str, str]:
    """Option to docstring, in the registry's order; options of the same function are told together."""
    tree = ast.parse((REPOSITORY / "src" / "equipoise" / chapter.module).read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    (registry,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == chapter.registry
    )
    assert isinstance(registry, ast.Dict)
    found = {
        ast.literal_eval(key): ast.unparse(value)
        for key, value in zip(registry.keys, registry.values, strict=True)
        if key
    }
    # What follows of a docstring's sections is for those who call the function.
    return {
        name: (ast.get_docstring(functions[function]) or "").split("\n\nParameters\n")[0]
        for name, function in found.items()
    }


def _keys(path: Path) -> list[str]:
    """The option's keys with their comments; not what says which option it is."""
    return [line for line in path.read_text().splitlines() if not line.startswith(("#", "name:", "function:"))]


def _header(recipe: str) -> list[str]:
    """The comment at the head of a recipe, without the mark of its package."""
    lines = (REPOSITORY / "conf" / "experiment" / f"{recipe}.yaml").read_text().split("\ndefaults:")[0].splitlines()
    return [line.removeprefix("#").removeprefix(" ") for line in lines[1:] if line.startswith("#")]


def _fenced(language: str, lines: list[str]) -> str:
    text = "\n".join(lines).strip("\n")
    return f"```{language}\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
