"""What a script imports and defines so that the project's functions mean in it what they mean in their files."""

import ast
import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import getmodule
from types import FunctionType, ModuleType
from typing import Any

from equipoise.core.errors import ConfigError
from equipoise.training.plain.specialise import (
    Imported,
    UndecidedError,
    assigned,
    collapsed,
    definition,
    is_literal,
    literal,
    specialise,
)
from equipoise.training.plain.writing import assignment, expression, summary, wrapped, written

LIBRARIES = ("tensorflow", "keras", "numpy", "imblearn")  # the last where rows are resampled
USUAL = {"tensorflow": "tf", "keras": "keras", "numpy": "np"}  # what a script calls them
# Names of the script that no function's own names may take.
TAKEN = {"data", "model", "labels", "counts", "order", "epoch", "seeds", "class_weight", "class_weights", "full"}
TAKEN |= {*USUAL.values(), "hashlib", "digest", "best", "best_weights", "waited", "score", "predicted"}
TAKEN |= {"images", "drawn", "place", "optimizer", "kept", "trained", "keep", "scores", "SharpnessAware"}


@dataclass(frozen=True)
class Text:
    """An expression of the script, as an argument."""

    text: str


class Definitions:
    """Gathers what a script imports and defines, and writes down what functions make.

    Attributes
    ----------
    imports : lines
    """

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self._made: dict[str, tuple[Any, list[str]]] = {}

    @property
    def lines(self) -> list[str]:
        """The definitions."""
        return [line for _, lines in self._made.values() for line in ("", "", *lines)]

    def result_of(
        self, option: str, target: str, function: Callable[..., Any], *given: Any, **options: Any
    ) -> list[str]:
        """Return the function's statements under these arguments, which give its result this name.

        Parameters
        ----------
        option : that names the function, such as `model=mlp`, for errors
        given, options : literals and `Text`s

        Raises
        ------
        ConfigError
            If that takes more than TensorFlow, Keras and NumPy.
        """
        bound = inspect.signature(function).bind(*given, **options).arguments
        texts = {name: value.text for name, value in bound.items() if isinstance(value, Text)}
        known = {name: value for name, value in bound.items() if name not in texts}
        try:
            found = specialise(function, known, texts)
            if assigned(found.statements) & TAKEN - {target}:
                raise UndecidedError("it takes names of the script")
        except UndecidedError:
            return self.call_of(option, target, function, *given, **options)
        self.add(option, found.names)
        statements, result = collapsed(found.statements, found.result)
        return [*written(statements), *assignment(target, result)]

    def call_of(self, option: str, target: str, function: Callable[..., Any], *given: Any, **options: Any) -> list[str]:
        """Return the line that gives the result of the function, which is defined as it stands, this name.

        Raises
        ------
        ConfigError
            If that takes more than TensorFlow, Keras and NumPy.
        """
        return wrapped(f"{target} = {self.call(option, function, *given, **options)}")

    def call(self, option: str, function: Callable[..., Any], *given: Any, **options: Any) -> str:
        """Return the call of the function, which is defined as it stands."""
        self.add(option, {function.__name__: function})
        written_down = [_argument(value) for value in given]
        written_down += [f"{name}={_argument(value)}" for name, value in options.items()]
        return f"{function.__name__}({', '.join(written_down)})"

    def write(self, name: str, lines: list[str]) -> None:
        """Add a definition that is written down already, of a name of the script's own."""
        self._made[name] = lines, lines

    def add(self, option: str, names: Mapping[str, Any]) -> None:
        """Import or define what the names mean.

        Raises
        ------
        ConfigError
            If that takes more than TensorFlow, Keras and NumPy.
        """
        for name, value in names.items():
            if isinstance(value, ModuleType):
                value = Imported(value.__name__)
            if isinstance(value, Imported):
                self._import(option, name, value)
            elif name not in self._made or self._made[name][0] is not value:
                self._define(option, name, value)

    def _import(self, option: str, name: str, what: Imported) -> None:
        if what.module.split(".")[0] not in (*LIBRARIES, *sys.stdlib_module_names):
            raise ConfigError(f"{option} uses {what.module}: {ALONE}")
        if what.name is not None:
            self.imports.add(f"from {what.module} import {what.name}" + ("" if what.name == name else f" as {name}"))
        elif USUAL.get(what.module) != name:
            self.imports.add(f"import {what.module}" + ("" if what.module == name else f" as {name}"))

    def _define(self, option: str, name: str, value: Any) -> None:
        if name in self._made or name in TAKEN:
            raise ConfigError(f"{option} has a function {name}, a name that the script has for something else")
        module = getmodule(value) if callable(value) else None
        if module is not None and module.__name__.split(".")[0] in (*LIBRARIES, *sys.stdlib_module_names):
            self._import(option, name, Imported(module.__name__, getattr(value, "__name__", name)))
        elif is_literal(value):
            self._made[name] = value, [f"{name} = {value!r}"]
        elif isinstance(value, FunctionType):
            self._made[name] = value, []  # it may call itself
            try:
                tree = _bare(definition(value))
            except UndecidedError as error:
                raise ConfigError(f"{option} cannot be written down: {error}") from None
            self.add(option, _foreign(tree, value))
            self._made[name] = value, written([tree])
        else:
            raise ConfigError(f"{option} uses {name}, which is no function, number or text of a file: {ALONE}")


ALONE = "a script of plain Keras has TensorFlow, Keras and NumPy alone"


def _argument(value: Any) -> str:
    return value.text if isinstance(value, Text) else expression(literal(value))


def _bare(tree: ast.FunctionDef) -> ast.FunctionDef:
    """Return the definition without annotations, decorators and imports, and with the first part of its docstring."""
    found: ast.FunctionDef = _Bare().visit(copy.deepcopy(tree))
    found.decorator_list = []
    document = ast.get_docstring(tree)
    if document:
        found.body[0] = ast.Expr(ast.Constant(summary(document)))
    return found


class _Bare(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return node.value and ast.Assign(targets=[node.target], value=self.visit(node.value), lineno=0)

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None


def _foreign(tree: ast.FunctionDef, function: FunctionType) -> dict[str, Any]:
    """Return what the names in a function's body mean that come from elsewhere."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(function.__code__.co_varnames)
    found: dict[str, Any] = {name: function.__globals__[name] for name in sorted(used & function.__globals__.keys())}
    for node in ast.walk(definition(function)):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: Imported(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: Imported(node.module or "", alias.name) for alias in node.names}
    return found
