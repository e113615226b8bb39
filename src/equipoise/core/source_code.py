"""A digest of the code behind functions: of the functions themselves and of everything of this project that they use.

Files are parsed and not imported. The digest follows names from function to function and from file to file, and
covers the syntax of each definition that it reaches, without comments, docstrings, layout and place. It does not see
code that is reached in another way, such as by a name that is put together at run time.
"""

import ast
import functools
import hashlib
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipoise.core.kept_digests import Kept

HOME = Path(__file__).resolve().parents[2]  # the folder from which this project's modules are imported
INSTALLED = ("site-packages", "dist-packages")  # folders that hold the modules of many projects
ALL, ANY = "*", "?"
PACKAGE = HOME / "equipoise"
KEPT = Kept(PACKAGE)  # of functions that reach no other code than this package's

Place = tuple[Path, str]  # a name at the top of a file, or ALL of them
# A module, and what is taken from it: a name, ALL for the module itself, or ANY part of it.
Import = tuple[str, str]


@functools.lru_cache(maxsize=256)
def digest(*roots: Callable[..., Any] | str, without: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of the code that is reached from the roots.

    Parameters
    ----------
    roots : functions from any file, or dotted names such as `equipoise.training.fit`
    without : dotted names of this project that are not followed: modules, or definitions at their top level
    """
    key = ["|".join(_names(root)) for root in roots], list(without)
    of_package = all(Path(_names(root)[0]).is_relative_to(PACKAGE) for root in roots)
    found = KEPT.find(key) if of_package else None
    if found is None:
        left = [_place_of(name) if isinstance(name, str) else _home_of(name) for name in roots]
        reached: set[Path] = set()
        texts = set(_reached(left, set(map(_place_of, without)), reached))
        found = hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()
        if of_package and all(file.is_relative_to(PACKAGE) for file in reached):
            KEPT.keep(key, found)
    return found


def read_anew() -> None:
    """Forget every file that was read, so that code which was edited since is digested as it is now."""
    for cached in (digest, _parsed, _file_of, _root_of):
        cached.cache_clear()
    KEPT.forget()


class _Statement:
    """A statement at the top of a file."""

    def __init__(self, node: ast.stmt, file: Path) -> None:
        self._node, self._file = node, file

    @functools.cached_property
    def text(self) -> str:
        return _text(self._node)

    @functools.cached_property
    def _parts(self) -> list[ast.AST]:
        return list(ast.walk(self._node))

    @functools.cached_property
    def uses(self) -> list[tuple[str, str]]:
        """The names that occur, each with the attribute that is taken of it, or with ALL."""
        attributes = {id(part.value): part.attr for part in self._parts if isinstance(part, ast.Attribute)}
        return [(part.id, attributes.get(id(part), ALL)) for part in self._parts if isinstance(part, ast.Name)]

    @functools.cached_property
    def imports(self) -> dict[str, list[Import]]:
        """The imports within the statement, by the names that they give."""
        found: dict[str, list[Import]] = {}
        for part in self._parts:
            for name, target in _imported(part, self._file):
                found.setdefault(name, []).append(target)
        return found


@dataclass(frozen=True)
class _Module:
    definitions: Mapping[str, list[_Statement]]
    imports: Mapping[str, list[Import]]
    effects: list[_Statement]  # statements that define nothing


@functools.lru_cache(maxsize=1024)
def _parsed(file: Path) -> _Module:
    definitions: dict[str, list[_Statement]] = {}
    imports: dict[str, list[Import]] = {}
    effects = []
    for node in ast.parse(file.read_bytes()).body:
        statement, names = _Statement(node, file), _bound(node)
        for name in names:
            definitions.setdefault(name, []).append(statement)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign):
            for name, targets in statement.imports.items():
                imports.setdefault(name, []).extend(targets)
            if not (names or _only_imports(node) or _is_text(node)):
                effects.append(statement)
    return _Module(definitions, imports, effects)


def _reached(left: list[Place], stops: Collection[Place], entered: set[Path]) -> Iterator[str]:
    """Yield the text of every statement that can be reached, and the dotted names from other projects.

    Parameters
    ----------
    entered : is filled with the files that they stand in
    """
    seen = set(stops)
    while left:
        file, name = place = left.pop()
        if place in seen or (file, ALL) in stops:
            continue
        seen.add(place)
        module = _parsed(file)
        if name == ALL:
            left += [(file, each) for each in (*module.definitions, *module.imports)]
        statements = list(module.definitions.get(name, ()))
        targets = [(target, ALL) for target in module.imports.get(name, ())]
        if file not in entered:
            entered.add(file)
            statements += module.effects
            # `from … import *` may define any name.
            targets += [(target, ALL) for target in module.imports.get(ALL, ())]
        for statement in statements:
            yield statement.text
            for used, attribute in statement.uses:
                left += [(file, used)] * (used in module.definitions)
                imported = (*module.imports.get(used, ()), *statement.imports.get(used, ()))
                targets += [(target, attribute) for target in imported]
        for (source, taken), attribute in targets:
            found = _follow(source, taken, attribute, file)
            if isinstance(found, str):
                yield found
            else:
                left.append(found)


def _follow(module: str, taken: str, attribute: str, importer: Path) -> Place | str:
    """Return the place of an imported name, or its dotted name if it is another project's."""
    inside = _file_of(f"{module}.{taken}", importer) if taken not in (ALL, ANY) else None
    if inside:
        return inside, attribute
    file = _file_of(module, importer)
    if file:
        return file, {ALL: attribute, ANY: ALL}.get(taken, taken)
    return module if taken in (ALL, ANY) else f"{module}.{taken}"


def _imported(node: ast.AST, file: Path) -> Iterator[tuple[str, Import]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            first, *others = alias.name.split(".")  # `import a.b` gives the name a
            yield alias.asname or first, (alias.name, ANY if others and not alias.asname else ALL)
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level:
            package = file.parents[node.level - 1].relative_to(_root_of(file)).parts
            module = ".".join([*package, *filter(None, [module])])
        for alias in node.names:
            yield alias.asname or alias.name, (module, alias.name)


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement at the top of a file defines or changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        # Of `x["a"] = 1`, this is x.
        return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    parts = [part for part in ast.walk(node) if not isinstance(node, ast.Import | ast.ImportFrom)]
    names = {part.id for part in parts if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    return names | {
        part.name for part in parts if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _only_imports(node: ast.stmt) -> bool:
    """Return whether a statement is an import, or a block of imports such as that below `if TYPE_CHECKING`."""
    if isinstance(node, ast.If):
        return all(map(_only_imports, [*node.body, *node.orelse]))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)


def _is_text(node: ast.AST) -> bool:
    """Return whether a statement is a docstring, or another text that is not used."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _text(node: Any) -> str:
    """Return the syntax without docstrings, places and empty fields, which differ between versions of Python."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_text(value)}"
            for name, value in ast.iter_fields(node)
            if name != "ctx" and value is not None and value != []
        ]
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(_text(one) for one in node if not _is_text(one))}]"
    return repr(node)


def _home_of(function: Callable[..., Any]) -> Place:
    file, name = Path(_names(function)[0]), _names(function)[1]
    return file, name if name in _parsed(file).definitions else ALL


def _names(root: Callable[..., Any] | str) -> tuple[str, str]:
    """Return the file of a function and the name at its top that it stands under; the package of a dotted name."""
    if isinstance(root, str):
        return str(PACKAGE), root
    function = root
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return str(Path(inspect.getfile(function)).resolve()), function.__qualname__.split(".")[0]


def _place_of(dotted: str) -> Place:
    file = _file_of(dotted, HOME / "equipoise" / "__init__.py")
    if file:
        return file, ALL
    module, _, name = dotted.rpartition(".")
    file = _file_of(module, HOME / "equipoise" / "__init__.py")
    if not file or name not in _parsed(file).definitions:
        raise ValueError(f"there is no {dotted}")
    return file, name


@functools.cache
def _file_of(module: str, importer: Path) -> Path | None:
    """Return the file of a module, if it belongs to the project that imports it or to this one."""
    root = _root_of(importer)
    first = importer.relative_to(root).parts[0].removesuffix(".py")
    for place, own in ((root, first), (HOME, "equipoise")):
        if module.split(".")[0] == own or place.name not in INSTALLED:
            path = place.joinpath(*module.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file
    return None


@functools.cache
def _root_of(file: Path) -> Path:
    """Return the folder from which a file's module is imported, above its outermost package."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
