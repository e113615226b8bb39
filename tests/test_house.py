"""All code of src/ has functions of one screen with few parameters, patches nothing, and only defines when imported."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers import REPOSITORY

SOURCE = REPOSITORY / "src"
MOST_LINES, MOST_PARAMETERS = 50, 6


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """Every file's syntax tree."""
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(SOURCE.rglob("*.py"))}


def at(file: Path, node: ast.stmt) -> str:
    return f"{file.relative_to(REPOSITORY)}:{node.lineno}"


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, however deep, with its place."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{at(file, node)} {node.name}", node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Its parameters by name, without that of the object itself."""
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [parameter.arg for parameter in given if parameter.arg not in ("self", "cls")]


def imported_names(tree: ast.AST) -> set[str]:
    """The names that a file's imports define, wherever they stand in it."""
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def test_a_function_fits_on_one_screen() -> None:
    lengths = {place: (node.end_lineno or node.lineno) - node.lineno + 1 for place, node in functions()}
    assert {place: length for place, length in lengths.items() if length > MOST_LINES} == {}


def test_a_function_takes_few_parameters() -> None:
    counts = {place: len(parameters(node)) for place, node in functions()}
    assert {place: count for place, count in counts.items() if count > MOST_PARAMETERS} == {}


def test_state_of_the_process_stands_in_one_place() -> None:
    """No other module begins an empty container to be filled, or rebinds a name of its own."""
    empty = {"set()", "dict()", "list()", "OrderedDict()", "{}", "[]"}
    found = []
    for file, tree in trees().items():
        held = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
        found += [at(file, node) for node in held if ast.unparse(node.value or node) in empty]
        found += [at(file, node) for node in ast.walk(tree) if isinstance(node, ast.Global)]
    assert [place.rpartition(":")[0] for place in found] == ["src/equipoise/core/state.py"], found


def test_nothing_of_another_module_is_patched() -> None:
    """Neither by `unittest.mock` nor by an assignment to what was imported, but for hooks of Python."""
    hooks = {"builtins.__import__", "sys.unraisablehook"}  # made to be replaced, as core/clock and core/interruption do
    found = []
    for file, tree in trees().items():
        names = imported_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                found += [at(file, node)] * any(module.startswith(("unittest", "pytest")) for module in modules)
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if (
                    isinstance(target, ast.Attribute)
                    and isinstance(target.value, ast.Name)
                    and ast.unparse(target) not in hooks
                ):
                    found += [at(file, node)] * (target.value.id in names)  # type: ignore[arg-type]
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                call = node.value
                first = call.args[0] if call.args else None
                sets = isinstance(call.func, ast.Name) and call.func.id == "setattr"
                found += [at(file, node)] * (sets and isinstance(first, ast.Name) and first.id in names)
    assert found == []


def test_a_module_of_ours_goes_by_its_own_name() -> None:
    """`from equipoise.tracking import history as logged` would hide which module is meant."""
    modules = {file.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".") for file in trees()}
    found = [
        f"{at(file, node)} {alias.name} as {alias.asname}"
        for file, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname not in (None, alias.name) and f"{getattr(node, 'module', '')}.{alias.name}" in modules
    ]
    assert found == []


IMPORT_ALL = """
import builtins, gc, importlib, json, os, pkgutil, signal, sys

HEAVY = ("tensorflow", "keras", "mlflow", "matplotlib")


class Refusal(ImportError):
    pass


class Refusing:
    names = HEAVY

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise Refusal(name)


def state():
    import numpy

    return {
        "gc": [gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()],
        "signals": {number.name: repr(signal.getsignal(number)) for number in signal.valid_signals()
                    if isinstance(number, signal.Signals)},
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "numpy": numpy.geterr(),
        "streams": [id(sys.stdout), id(sys.stderr), repr(sys.excepthook), repr(builtins.__import__)],
        "recursion": sys.getrecursionlimit(),
    }


refusing = Refusing()
sys.meta_path.insert(0, refusing)
before, refused, imported = state(), [], []
import equipoise

for module in pkgutil.walk_packages(equipoise.__path__, "equipoise.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
        imported.append(module.name)
    except Refusal:
        refused.append(module.name)
after = state()
refusing.names = ("tensorflow", "keras", "mlflow")
import matplotlib

drawn = dict(matplotlib.rcParams)
for name in refused:
    try:
        importlib.import_module(name)
        imported.append(name)
    except Refusal:
        pass
print(json.dumps({
    "changed": [key for key in before if before[key] != after[key]],
    "drawn": [key for key in drawn if drawn[key] != matplotlib.rcParams[key]],
    "heavy": [name for name in ("tensorflow", "keras", "mlflow") if name in sys.modules],
    "imported": imported,
}))
"""


def test_an_import_changes_nothing_in_the_process() -> None:
    """Neither the collector nor signals, environment, streams, NumPy's warnings or Matplotlib's settings."""
    import json

    found = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=SOURCE, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout.splitlines()[-1])
    assert (result["changed"], result["drawn"], result["heavy"]) == ([], [], [])
    assert {"equipoise.core.schema", "equipoise.config.model", "equipoise.reports.figures"} <= set(result["imported"])
    assert found.stdout.count("\n") == 1, "and says nothing"
