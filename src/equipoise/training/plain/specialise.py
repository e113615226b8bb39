"""A function under what is known of its arguments: branches are decided, loops unrolled, small functions put in place.

What cannot be decided stays as it is written, so that the result means what the function means.
"""

import ast
import functools
import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from equipoise.training.plain.known import PURE, computed
from equipoise.training.plain.tensors import TENSORFLOW, Tensor

UNKNOWN = object()
LITERALS = (bool, int, float, str, type(None))
# What computes with numbers, and nothing else.
ARITHMETIC = re.compile(r"(np|tf)\.(?!random|Variable)|\w+\.(sum|min|max|mean)$")
SCOPED = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.NamedExpr, ast.Await, ast.Yield)


class UndecidedError(Exception):
    """A function cannot be read in this way."""


@dataclass(frozen=True)
class Fields:
    """An object of which each field is a literal, or an expression that is to be written in its place."""

    literals: Mapping[str, Any]
    texts: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.literals[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Specialised:
    """What is left of a function.

    Attributes
    ----------
    statements : up to the one that returns
    result : what is returned
    known : what is known of the names at the end
    names : from a name that comes from elsewhere to what it means: an object, or an `Imported`
    """

    statements: Sequence[ast.stmt]
    result: ast.expr
    known: Mapping[str, Any]
    names: Mapping[str, Any]


@dataclass(frozen=True)
class Imported:
    """A name that a function imports: a module, or something of it."""

    module: str
    name: str | None = None


def specialise(
    function: Callable[..., Any], known: Mapping[str, Any], texts: Mapping[str, str] | None = None
) -> Specialised:
    """Return the function's body where this is known of its parameters.

    Parameters
    ----------
    known : literals, `Tensor`s, `Fields`
    texts : expressions that are written in place of parameters; the others keep their names

    Raises
    ------
    UndecidedError
        If what is known decides too little, or the function is written in a way that is not followed here.
    """
    named = {name: ast.parse(text, mode="eval").body for name, text in (texts or {}).items()}
    inner = _Reader(function, known, named)
    return Specialised(inner.statements, inner.returned(), inner.known, inner.names)


def collapsed(statements: Sequence[ast.stmt], result: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
    """Put what is assigned right before the result, and used there once, in its place, if it draws no numbers."""
    left = list(statements)
    while left:
        last = left[-1]
        if not (isinstance(last, ast.Assign) and isinstance(last.targets[0], ast.Name)) or len(last.targets) > 1:
            break
        name = last.targets[0].id
        if sum(_is_name(node, name) for node in ast.walk(result)) != 1 or not _is_pure(last.value):
            break
        result = _Replaced(name, last.value).visit(result)
        left.pop()
    return left, result


@functools.lru_cache(maxsize=256)
def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the syntax of the function; not to be changed.

    Raises
    ------
    UndecidedError
        If its source is not to be had.
    """
    try:
        (found,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        raise UndecidedError(f"the source of {function!r} is not to be had") from None
    if not isinstance(found, ast.FunctionDef):
        raise UndecidedError(f"{function!r} is not made by def")
    return found


def literal(value: Any) -> ast.expr:
    """Return the expression that is the value."""
    return ast.parse(repr(value), mode="eval").body


def is_literal(value: Any) -> bool:
    """Whether the value can be written down: a number, a text, a boolean, None, or a tuple of them."""
    return type(value) in LITERALS or (type(value) in (tuple, list) and all(map(is_literal, value)))


def assigned(statements: Iterable[ast.AST]) -> set[str]:
    """Return the names that the statements assign to."""
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


class _Reader(ast.NodeTransformer):
    """Reads a function once.

    Parameters
    ----------
    texts : by parameter, the expression that is written in its place
    """

    def __init__(self, function: Callable[..., Any], known: Mapping[str, Any], texts: Mapping[str, ast.expr]) -> None:
        if not isinstance(function, FunctionType):
            raise UndecidedError(f"{function!r} is no function")
        self._globals, self._locals = function.__globals__, set(function.__code__.co_varnames)
        self.known, self.texts = dict(known), dict(texts)
        self.used: Counter[str] = Counter()  # how often each text was put in
        self.names: dict[str, Any] = {}
        self.statements: list[ast.stmt] = []
        self.result: ast.expr | None = None
        self.value: Any = UNKNOWN  # of the result
        self._later: dict[str, Any] = {}  # names whose literal is put in wherever they are used
        self._block(list(map(_copied, definition(function).body)))

    def returned(self) -> ast.expr:
        """Return the result."""
        if self.result is None:
            raise UndecidedError("it returns nothing")
        return self.result

    # Statements: each returns whether the function has returned.

    def _block(self, statements: Sequence[ast.stmt]) -> bool:
        return any(self._statement(statement) for statement in statements)

    def _statement(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Assert() | ast.Pass():
                return False
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case ast.Assign():
                self._assign(statement.targets, statement.value)
            case ast.AnnAssign(value=ast.expr() as value):
                self._assign([statement.target], value)
            case ast.AugAssign(target=ast.Name()) | ast.Expr():
                self._write_down(assigned([statement]))
                self.statements.append(self.generic_visit(statement))  # type: ignore[arg-type]
            case ast.If():
                return self._if(statement)
            case ast.For():
                return self._for(statement)
            case ast.Return(value=ast.expr() as value):
                self.value = self.evaluate(value)
                self.result = self._opened(value, set(), last=True)
                return True
            case _:
                raise UndecidedError(f"{type(statement).__name__} is not followed")
        return False

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for alias in statement.names:
            name = alias.asname or alias.name
            if isinstance(statement, ast.ImportFrom):
                self.names[name] = Imported(statement.module or "", alias.name)
            else:
                self.names[name] = Imported(alias.name)
                if alias.name == "tensorflow":
                    self.known[name] = TENSORFLOW

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        found, own = self.evaluate(value), {name for target in targets for name in assigned([target])}
        node = self._opened(value, own)
        self._forget(own)
        if len(targets) == 1:
            (target,) = targets
            if isinstance(target, ast.Name) and is_literal(found):
                self._later[target.id] = self.known[target.id] = found
                return
            self._learn(target, found)
            left = _without_identities(target, node)
            if left is None:
                return
            targets, node = [left[0]], left[1]
        self.statements.append(ast.Assign(targets=targets, value=node, lineno=0))

    def _learn(self, target: ast.expr, found: Any) -> None:
        """Note what is known of a target."""
        if isinstance(target, ast.Name) and found is not UNKNOWN:
            self.known[target.id] = found
        elif isinstance(target, ast.Tuple) and isinstance(found, tuple) and len(found) == len(target.elts):
            for each, value in zip(target.elts, found, strict=True):
                self._learn(each, value)

    def _forget(self, names: set[str]) -> None:
        """Note that these names are assigned to."""
        for name in names:
            self.known.pop(name, None)
            self.texts.pop(name, None)
            self._later.pop(name, None)

    def _if(self, statement: ast.If) -> bool:
        test = self.evaluate(statement.test)
        if test is not UNKNOWN:
            return self._block(statement.body if test else statement.orelse)
        if all(isinstance(inner, ast.Raise) for inner in statement.body) and not statement.orelse:
            return False  # the run went through
        changed = assigned([statement])
        test_node = self.visit(statement.test)
        self._write_down(changed)
        body, orelse = (self._nested(part) for part in (statement.body, statement.orelse))
        self._forget(changed)
        self.statements.append(ast.If(test=test_node, body=body or [ast.Pass()], orelse=orelse))
        return False

    def _for(self, statement: ast.For) -> bool:
        items = self.evaluate(statement.iter)
        leaves = any(isinstance(node, ast.Break | ast.Continue) for node in ast.walk(statement))
        if items is not UNKNOWN and not leaves and not statement.orelse and isinstance(items, Iterable):
            listed = list(items)
            if all(map(is_literal, listed)):
                for item in listed:
                    self._forget(assigned([statement.target]))
                    self._learn(statement.target, item)
                    if self._block(list(map(_copied, statement.body))):
                        return True
                return False
        changed, walked = assigned([statement]), self.visit(statement.iter)
        self._write_down(changed)
        body = self._nested(statement.body)
        self._forget(changed)
        self.statements.append(ast.For(target=statement.target, iter=walked, body=body, orelse=[], lineno=0))
        return False

    def _write_down(self, names: set[str]) -> None:
        """Assign the literals that were put in so far, before a part that may or may not change them."""
        for name in sorted(names & self._later.keys()):
            target = ast.Name(id=name, ctx=ast.Store())
            self.statements.append(ast.Assign(targets=[target], value=literal(self._later[name]), lineno=0))
        self._forget(names)

    def _nested(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return what is left of statements that may be left out, or come again."""
        outer, known, later = self.statements, dict(self.known), dict(self._later)
        self.statements = []
        if self._block(list(map(_copied, statements))):
            raise UndecidedError("it returns where it is not known to")
        self._write_down(set(self._later) - set(later))
        inner, self.statements = self.statements, outer
        self.known, self._later = known, later
        return inner

    # Expressions

    def evaluate(self, node: ast.expr) -> Any:
        """Return what is known of an expression; UNKNOWN if nothing is."""
        try:
            return computed(node, self._known_meaning)
        except Exception:  # whatever it is that an unknown value was asked for
            return UNKNOWN

    def _known_meaning(self, name: str) -> Any:
        found = self._meaning(name)
        if found is UNKNOWN:
            raise LookupError(name)
        return found

    def _meaning(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        if name in self._locals or name in self.names:
            return UNKNOWN
        if name not in self._globals:
            return PURE.get(name, UNKNOWN)
        found = self._globals[name]
        if found is np or is_literal(found):
            return found
        if isinstance(found, ModuleType):
            return TENSORFLOW if found.__name__ == "tensorflow" else UNKNOWN
        return functools.partial(_value, found) if isinstance(found, FunctionType) else UNKNOWN

    def visit(self, node: ast.AST) -> Any:
        """Return what is left of the node."""
        if isinstance(node, SCOPED):
            raise UndecidedError(f"{type(node).__name__} is not followed")
        if isinstance(node, ast.expr) and not isinstance(node, ast.Constant | ast.Starred):
            found = self.evaluate(node)
            if is_literal(found) and not any(self._meaning(name) is np for name in _names(node)):
                return literal(found)
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Put in the expression that a parameter stands for, and note a name from elsewhere."""
        if isinstance(node.ctx, ast.Load) and node.id in self.texts:
            self.used[node.id] += 1
            text: ast.expr = _copied(self.texts[node.id])
            return text
        if node.id not in self._locals and node.id in self._globals:
            self.names[node.id] = self._globals[node.id]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Put in the expression that a field stands for."""
        found = self.known.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(found, Fields):
            if node.attr not in found.texts:
                raise UndecidedError(f"{node.attr} is not known")
            return ast.parse(found.texts[node.attr], mode="eval").body
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        """Decide it, if its test is known."""
        test = self.evaluate(node.test)
        return self.generic_visit(node) if test is UNKNOWN else self.visit(node.body if test else node.orelse)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Leave out `+ 0` and `1.0 *`, which change no bit."""
        left, right = self.visit(node.left), self.visit(node.right)
        match node.op, left, right:
            case ast.Add(), _, ast.Constant(value=int(0)):
                return left  # type: ignore[no-any-return]
            case ast.Mult(), ast.Constant(value=float(1.0)), _:
                return right  # type: ignore[no-any-return]
        return ast.BinOp(left=left, op=node.op, right=right)

    def visit_Call(self, node: ast.Call) -> Any:
        """Put a function of one expression in place of its call; leave out what makes a tensor into what it is."""
        inner = self._inlined(node)
        if inner is not None and not inner.statements:
            self.names |= inner.names
            return inner.returned()
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("cast", "reshape"):
            before = self.evaluate(node.args[0])
            if isinstance(before, Tensor) and before.is_like(self.evaluate(node)):
                return self.visit(node.args[0])
        return self.generic_visit(node)

    def _opened(self, value: ast.expr, targets: set[str], *, last: bool = False) -> Any:
        """Return the expression; if it is a call of a function with statements, these come before it.

        Parameters
        ----------
        targets : names that are assigned to
        last : whether nothing comes after it
        """
        inner = self._inlined(value) if isinstance(value, ast.Call) else None
        if inner is None or not inner.statements:
            return self.visit(value)
        own = assigned(inner.statements)
        if (own & self._locals) - targets and not last:
            return self.visit(value)
        for name, text in inner.at_first.items():
            if _names(text) & own - ({name} if _is_name(text, name) else set()):
                return self.visit(value)
        self.statements += inner.statements
        self.names |= inner.names
        self._forget(own)
        self.known |= {name: inner.known[name] for name in own & inner.known.keys()}
        return inner.returned()

    def _inlined(self, call: ast.Call) -> "_Call | None":
        """Read the function that is called, under what is known of its arguments; None if that is not to be done."""
        function = self._globals.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if not isinstance(function, FunctionType) or call.func.id in self._locals:  # type: ignore[attr-defined]
            return None
        if any(isinstance(argument, ast.Starred) for argument in call.args):
            return None
        try:
            given = {keyword.arg or "": keyword.value for keyword in call.keywords}
            bound = inspect.signature(function).bind(*call.args, **given)
            bound.apply_defaults()
            known, texts, used = {}, {}, Counter(self.used)
            for name, argument in bound.arguments.items():
                if not isinstance(argument, ast.expr) and not is_literal(argument):
                    raise UndecidedError(f"what {name} is by default is not known")
                value = self.evaluate(argument) if isinstance(argument, ast.expr) else argument
                if value is not UNKNOWN:
                    known[name] = value
                if not is_literal(value) and not isinstance(value, Fields):
                    texts[name] = self.visit(_copied(argument))
            inner = _Call(function, known, texts)
        except (UndecidedError, TypeError):
            return None
        compound = {name: text for name, text in texts.items() if not isinstance(text, ast.Name)}
        if any(inner.used[name] > 1 or not _is_pure(text) for name, text in compound.items()):
            self.used = used
            return None
        return inner


class _Call(_Reader):
    """Reads a function for a call of it."""

    def __init__(self, function: Callable[..., Any], known: Mapping[str, Any], texts: Mapping[str, ast.expr]) -> None:
        self.at_first = texts
        super().__init__(function, known, texts)
        self.statements, self.result = collapsed(self.statements, self.returned())


class _Replaced(ast.NodeTransformer):
    """An expression in place of a name."""

    def __init__(self, name: str, value: ast.expr) -> None:
        self._name, self._value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace it, if it is the one."""
        return self._value if node.id == self._name else node


def _value(function: Callable[..., Any], *values: Any, **named: Any) -> Any:
    """Return what is known of the function's result under what is known of its arguments."""
    bound = inspect.signature(function).bind(*values, **named)
    bound.apply_defaults()
    found = _Reader(function, bound.arguments, {}).value
    if found is UNKNOWN:
        raise UndecidedError("its result is not known")
    return found


def _without_identities(target: ast.expr, value: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """Return an assignment without `x = x`; None if nothing is left of it."""
    if isinstance(target, ast.Name):
        return None if _is_name(value, target.id) else (target, value)
    if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
        return target, value
    pairs = [pair for pair in zip(target.elts, value.elts, strict=True) if _without_identities(*pair)]
    if len(pairs) < 2:
        return pairs[0] if pairs else None
    targets, values = zip(*pairs, strict=True)
    return ast.Tuple(elts=list(targets), ctx=ast.Store()), ast.Tuple(elts=list(values), ctx=ast.Load())


def _copied(node: Any) -> Any:
    """Return a copy of a tree, in a tenth of the time that `copy.deepcopy` takes."""
    if isinstance(node, list):
        return list(map(_copied, node))
    if not isinstance(node, ast.AST):
        return node
    fields = {name: _copied(value) for name, value in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)


def _is_pure(node: ast.AST) -> bool:
    """Whether it is the same whenever it is computed: arithmetic alone, nothing that draws a number, as layers do."""
    calls = (ast.unparse(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return all(call in PURE or ARITHMETIC.match(call) for call in calls)


def _names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
