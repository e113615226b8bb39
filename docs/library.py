"""Write docs/library.md: every public name of the library, its signature, what it does, and an example that is tested.

make methods

Nothing is written twice: all of it comes from the docstrings of src/equipoise. They are read as text, so that it takes
no time.
"""

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "library.md"
WIDTH = 120
SECTIONS = re.compile(r"\n*^(Parameters|Attributes|Returns|Raises|Examples)\n-+\n", re.MULTILINE)
INTRODUCTION = """# The library

<!-- Written by `make methods` from the docstrings of src/equipoise: change those. -->

What a script or a notebook takes away. All names are below `import equipoise as eq`, which costs a few milliseconds:
each is imported when it is first used, and TensorFlow only by `eq.losses`, `eq.audit`, `eq.run` and `eq.sweep`.

```python
import equipoise as eq

w = eq.class_weights(y_train, "effective_number", beta=0.999)  # labels of any form; w is a table in a notebook
model.compile("adam", eq.losses.CrossEntropy())  # or BalancedSoftmax(w.counts), Focal() …, saved with the model
model.fit(x_train, w.indices(y_train), class_weight=w.as_dict())  # or fit(sample_weight=w.sample_weight(y))
eq.audit(model, x_train, y_train, w)  # what the weights do to the loss and to the gradient
r = eq.evaluate(y_test, logits, w.classes, validation=(y_val, logits_val), weights=w)  # any library's predictions
p = eq.estimate_prior(logits_new, (y_val, logits_val), w.classes)  # class frequencies of rows without labels
r.save("report.html")  # the page of a run's report; r.log() logs all of it into the MLflow run that is open
eq.compare(scores, units="folds")  # any scores of configurations on the same splits, folds or data sets
run = eq.run("dataset=digits_lt", "weighting=balanced")  # the pipeline itself
runs = eq.sweep("weighting=none,balanced", "seed=0,1,2", "dataset=digits_lt").frame
```

`pip install .` brings all of it but `eq.run`, `eq.sweep` and `r.log`, which need Hydra, MLflow and the rest of
`pip install '.[pipeline]'`, and the command `equipoise` with it ([pipeline](pipeline.md#install-it)); `PYTHONPATH=src`
finds the package from a clone. Linux and Apple silicon are supported, and the tests run on Linux. On Windows nothing is
tested: the names that need no pipeline ask for nothing that only POSIX has, if TensorFlow is there.

Runs and sweeps land in the clone's project, or of an installed package in the current folder. A mistake is an
`eq.ConfigError` that names the argument, what is wrong and the nearest name.
[examples/library.ipynb](../examples/library.ipynb) has all of it on real digits; a test executes it.
"""


@dataclass(frozen=True)
class Chapter:
    """One public name, and what it returns and takes.

    Attributes
    ----------
    module : file below src/equipoise
    names : of functions and classes, in order
    """

    title: str
    module: str
    names: tuple[str, ...]


# of the user's own options, which docs/extend.md tells of
MARKS = ("loss", "model", "weighting", "dataset", "decision", "sampling")
CHAPTERS = (
    Chapter("eq.class_weights", "api/weights.py", ("class_weights", "Weights")),
    Chapter("eq.audit", "api/audit.py", ("audit",)),
    Chapter("eq.logits", "api/logits.py", ("logits",)),
    Chapter("eq.evaluate", "api/evaluate.py", ("evaluate", "How")),
    Chapter("What eq.evaluate returns", "api/evaluation.py", ("Evaluation", "Judged")),
    Chapter("eq.estimate_prior", "api/estimate_prior.py", ("estimate_prior", "Prior")),
    Chapter("eq.compare", "api/compare.py", ("compare", "Compared")),
    Chapter("The columns of eq.compare", "api/scores.py", ("Columns",)),
    Chapter("eq.run", "api/run.py", ("run", "Run")),
    Chapter("eq.sweep", "api/sweep.py", ("sweep", "Sweep")),
    *(Chapter(f"eq.{mark}", "core/plugins.py", (mark,)) for mark in MARKS),
)
LOSSES = "losses.py"


def page() -> str:
    """Return the whole page."""
    chapters = [line for chapter in CHAPTERS for line in _chapter(chapter)]
    return "\n".join([INTRODUCTION, *chapters, *_losses()])


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"## {chapter.title}\n"
    definitions = _definitions(chapter.module)
    for name in chapter.names:
        node = definitions[name]
        if isinstance(node, ast.FunctionDef):
            yield _signature(f"eq.{name}", node.args)
            yield from as_markdown(ast.get_docstring(node) or "")
        else:
            yield f"### `{name}`\n"
            yield from _class(node)


def _losses() -> Iterator[str]:
    definitions = _definitions(LOSSES)
    yield "## eq.losses\n"
    yield from as_markdown(ast.get_docstring(ast.parse(_text(LOSSES))) or "")
    for name, node in definitions.items():
        if isinstance(node, ast.ClassDef) and not name.startswith("_"):
            yield f"### `{name}`\n"
            yield from _class(node)


def _class(node: ast.ClassDef) -> Iterator[str]:
    """Yield how it is made, if by hand, what it is, and its public members."""
    members = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    for member in members:
        if member.name == "__init__":
            yield _signature(f"eq.losses.{node.name}", member.args)
    yield from as_markdown(ast.get_docstring(node) or "")
    lines = []
    for member in members:
        if not member.name.startswith("_") and member.name not in ("call", "get_config", "more", "title"):
            doc = (ast.get_docstring(member) or "").split("\n\nRaises\n")[0]
            lines.append(_bullet(f"{member.name}{_call(member)}", " ".join(doc.split())))
    if lines:
        yield "\n".join(lines) + "\n"


def _call(member: ast.FunctionDef) -> str:
    """Return the arguments of a method; nothing for a property."""
    decorators = [ast.unparse(decorator) for decorator in member.decorator_list]
    if {"property", "cached_property"} & {*decorators}:
        return ""
    names = [argument.arg for argument in member.args.args if argument.arg != "self"]
    return f"({', '.join(names)})"


def _signature(name: str, arguments: ast.arguments) -> str:
    """Return a call with the parameters, their types and defaults, in as many lines as it needs."""
    plain = [argument for argument in arguments.args if argument.arg != "self"]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    parts = [_parameter(*pair) for pair in zip(plain, defaults, strict=True)]
    if arguments.vararg:
        parts.append(f"*{_parameter(arguments.vararg)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [_parameter(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parts += [f"**{_parameter(arguments.kwarg)}"] if arguments.kwarg else []
    one_line = f"{name}({', '.join(parts)})"
    if len(one_line) <= WIDTH:
        return _fenced(one_line)
    return _fenced("\n".join([f"{name}(", *(f"    {part}," for part in parts), ")"]))


def _parameter(argument: ast.arg, default: ast.expr | None = None) -> str:
    kind = ast.unparse(argument.annotation).strip("'") if argument.annotation else "Any"
    value = "" if default is None else " = " + ast.unparse(default).replace("'", '"')
    return f"{argument.arg}: {kind}{value}"


def as_markdown(doc: str) -> Iterator[str]:
    """Yield a docstring in the form of NumPy as paragraphs, lists and blocks of code."""
    text, *rest = SECTIONS.split(doc)
    for paragraph in filter(None, text.strip().split("\n\n")):
        yield _filled(paragraph) + "\n"
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title == "Examples":
            yield _fenced(body.strip("\n"))
        elif title == "Returns":
            yield _filled(f"Returns: {body}") + "\n"
        elif title == "Raises":
            name, *lines = body.strip().splitlines()
            text = " ".join(lines).strip()
            yield _filled(f"Raises `{name.strip()}` {text[0].lower()}{text[1:]}") + "\n"
        else:
            yield "\n".join(_items(body)) + "\n"


def _items(body: str) -> Iterator[str]:
    """Yield an item of a list for each `name : text`, whose text may go on in indented lines."""
    for item in re.split(r"\n(?=\S)", body.strip()):
        name, _, text = item.partition(" : ")
        yield _bullet(name, " ".join(text.split()))


def _bullet(name: str, text: str) -> str:
    shown = ", ".join(f"`{part}`" for part in re.split(r", (?![^(]*\))", name))
    return _filled(f"{shown}: {text}", "- ", "  ")


def _filled(text: str, first: str = "", later: str = "") -> str:
    """Return the text in lines of the page's width, the first and the later ones behind their indents."""
    wrapper = textwrap.TextWrapper(
        WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )
    return wrapper.fill(_linked(" ".join(text.split())))


def _linked(text: str) -> str:
    return re.sub(r"\(docs/(\w+)\.md\)", r"([\1](\1.md))", text)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```\n"


def _text(module: str) -> str:
    return (REPOSITORY / "src" / "equipoise" / module).read_text(encoding="utf-8")


def _definitions(module: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    body: Sequence[ast.stmt] = ast.parse(_text(module)).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
