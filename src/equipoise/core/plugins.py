"""The user's own options: functions in Python files, each marked with what it is.

    @equipoise.loss
    def hinge(labels, logits, *, margin: float = 1.0): ...

The files lie in `plugins/` of the project or of the current folder, in the folder that EQUIPOISE_PLUGINS names, or are
modules behind the entry-point group `equipoise.plugins` of an installed package. They are read by their syntax alone;
a file is imported when one of its options is chosen. Files whose names begin with `_` hold no options.
"""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from equipoise.core import source_code
from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.paths import code_root
from equipoise.core.state import kept
from equipoise.core.streams import quiet

FOLDER, VARIABLE, ENTRY_POINTS = "plugins", "EQUIPOISE_PLUGINS", "equipoise.plugins"
# In the environment of a job that was sent the files along with the code: the one folder that holds them there.
SENT = "EQUIPOISE_SENT_PLUGINS"
PACKAGE = "equipoise_plugins"  # what the files are modules of, once they are imported

Function = TypeVar("Function", bound=Callable[..., Any])


def loss(function: Function) -> Function:
    """Mark a loss: from labels, int32 (n,), and logits, float32 (n, classes), to float32 (n,), one value a sample.

    A third to fifth parameter named `counts`, `prior` or `costs` is handed what is known of the training split, float32
    (classes,), or of the costs, float32 (classes, classes). Labels are class indices whatever `dataset.labels` is.

    If its first parameter is called `rows`, it is for several labels a sample, or for a single logit: it is handed 0
    and 1 beside the logits, both float32 (n, labels), and counts and prior of each label's positives.

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.loss
    ... def mine(labels, logits, *, floor: float = 0.0):
    ...     return [max(floor, -row[label]) for label, row in zip(labels, logits)]
    >>> mine([1, 0], [[0.0, -2.0], [1.0, 0.0]])
    [2.0, 0.0]
    """
    return function


def model(function: Function) -> Function:
    """Mark a model: from the shape of one sample and the number of logits to an uncompiled `keras.Model`.

    If its first two are named `seed` and `threads`, it returns an estimator that learns without Keras: an object with
    `fit(features, labels, sample_weight=…)` and `predict_proba(features)`, such as scikit-learn's.

    A third parameter named `texts` is handed the texts of the training split, str (n,), to learn a vocabulary of:
    samples are then texts, and the model begins with `keras.Input(shape, dtype="string")`. A third one named `ids` is
    handed how many categories each of a table's last features is the number of, such as (5001,), or (): columns with
    more values than `dataset.max_categories`.

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.model
    ... def mine(shape, logits, *, units: int = 8):
    ...     return [*shape, units, logits]
    >>> mine((4,), 3)
    [4, 8, 3]
    """
    return function


def weighting(function: Function) -> Function:
    """Mark a weighting: from the training counts, int64 (classes,), to one weight a class, float64 (classes,).

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.weighting
    ... def mine(counts, *, strength: float = 1.0):
    ...     return (max(counts) / counts) ** (strength / 3)
    >>> import numpy; mine(numpy.array([8, 1])).round(6).tolist()
    [1.0, 2.0]
    """
    return function


def dataset(function: Function) -> Function:
    """Mark a dataset: from its options to (features, labels) in arrays, a generator of batches, or a tf.data.Dataset.

    Features are numbers of shape (n, …), or texts (n,); labels (n,) are numbers or text. With a mapping of
    `train`, `validation` and `test` to such pairs the splits are the data's own; otherwise they are divided as other
    data are.

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.dataset
    ... def mine(*, samples: int = 4):
    ...     return [[float(i)] for i in range(samples)], [i % 2 for i in range(samples)]
    >>> mine(samples=2)
    ([[0.0], [1.0]], [0, 1])
    """
    return function


def decision(function: Function) -> Function:
    """Mark a decision rule: from what is known of the validation split to a bias a class, float64 (classes,).

    It is handed an object with `labels`, int64 (n,); `logits`, float64 (n, classes); `effective`, the prior that the
    model learned under, or None; `target`, the prior where it will be used; and `costs`, or None.

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.decision
    ... def mine(known, *, tau: float = 1.0):
    ...     return [-tau * prior for prior in known.target]
    >>> from types import SimpleNamespace; mine(SimpleNamespace(target=[0.75, 0.25]))
    [-0.75, -0.25]
    """
    return function


def sampling(function: Function) -> Function:
    """Mark a sampling rule: from counts, int64 (classes,), and the progress from 0 to 1 to each class's share.

    If its first three are named `features`, `labels` and `seed`, it resamples the training split before the fit: from
    float32 (n, features) and int64 (n,) to other rows of the same form.

    Examples
    --------
    >>> import equipoise as eq
    >>> @eq.sampling
    ... def mine(counts, progress):
    ...     return (counts / counts.sum() + 1 / len(counts)) / 2
    >>> import numpy; mine(numpy.array([3, 1]), 0.0).tolist()
    [0.625, 0.375]
    """
    return function


# What a function may be, with how many things it is handed at least, and the names of all.
HANDED: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "loss": (2, ("labels", "logits", "counts", "prior", "costs")),
    "model": (2, ("shape", "logits", "texts", "ids")),
    "weighting": (1, ("counts",)),
    "dataset": (0, ()),
    "decision": (1, ("known",)),
    "sampling": (2, ("counts", "progress")),
}
KINDS = tuple(HANDED)
SEED = "seed"  # what a model that is an estimator calls its first parameter
RESAMPLES = ("features", "labels", "seed")  # what a function that resamples rows calls its parameters
ROWS = "rows"  # what a loss for several labels a sample calls its first parameter


@dataclass(frozen=True)
class Own:
    """An option of the user's own, as its file describes it.

    Attributes
    ----------
    module : what its file is imported as
    about : the first line of its docstring
    handed : names of its positional parameters
    defaults : of its keyword-only parameters, which are the option's keys
    """

    kind: str
    name: str
    file: Path
    line: int
    module: str
    about: str = ""
    handed: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def place(self) -> str:
        return f"{shown(self.file)}, line {self.line}"

    @property
    def of_rows(self) -> bool:
        """Whether it is a loss for several labels a sample, each of which is true or not."""
        return self.kind == "loss" and self.handed[0] == ROWS

    @property
    def of_estimator(self) -> bool:
        """Whether it is a model that learns without Keras."""
        return self.kind == "model" and self.handed[0] == SEED

    @property
    def resamples(self) -> bool:
        """Whether it is a sampling that returns rows, and not shares."""
        return self.kind == "sampling" and self.handed[0] == RESAMPLES[0]

    def __str__(self) -> str:
        return f"{self.kind}={self.name} ({self.place})"


@dataclass(frozen=True)
class _File:
    path: Path
    module: str
    stamp: tuple[int, int]  # time of change and size

    @classmethod
    def of(cls, path: Path, module: str) -> "_File":
        return cls(path, module, _stamp(path))


class _Read:
    """What was read and imported in this process."""

    def __init__(self) -> None:
        self.options: dict[_File, tuple[Own, ...]] = {}
        self.imported: dict[str, tuple[tuple[int, int], ...]] = {}  # stamps of a module's files as it was imported
        self.loaded: dict[Own, Callable[..., Any]] = {}
        # Entry points, which do not change while a process lives; to look for them takes 5 ms.
        self.points = tuple(entry_points(group=ENTRY_POINTS))
        self.packages: dict[str, Path] = {}


def options(kind: str) -> dict[str, Own]:
    """Return the user's own options of a kind by their names.

    Raises
    ------
    ConfigError
        If a file cannot be read, a function is not what its mark says, or two have one name.
    """
    found: dict[str, Own] = {}
    for own in every():
        if own.kind == kind:
            if own.name in found:
                raise ConfigError(
                    f"{kind}={own.name} is defined twice, in {found[own.name].place} and in {own.place}: rename one"
                )
            found[own.name] = own
    return found


def every() -> Iterator[Own]:
    """Yield the options of all files, in the order of the folders and of the files' names."""
    read = kept(_Read)
    for file in _files():
        if file not in read.options:
            read.options = {known: own for known, own in read.options.items() if known.path != file.path}
            read.options[file] = tuple(_parsed(file.path, file.module))
        yield from read.options[file]


def described(path: Path) -> list[Own]:
    """Return the options of one file, wherever it lies, as its text describes them.

    Raises
    ------
    ConfigError
        If it cannot be read, or a function is not what its mark says.
    """
    return list(_parsed(path, f"{PACKAGE}.{path.stem}"))


def function(own: Own) -> Callable[..., Any]:
    """Return the function of an option; its file is imported if it is not yet, or if it or what it imports has changed.

    Raises
    ------
    ConfigError
        If the file cannot be imported.
    """
    read, stamps = kept(_Read), tuple(map(_stamp, files_of(own)))
    if own.module not in sys.modules or read.imported.get(own.module) != stamps:
        if own.module in read.imported:
            _forget(own)
        _imported(own.module, str(own), folders())
        read.imported[own.module] = stamps
    read.loaded[own] = getattr(sys.modules[own.module], own.name)
    return read.loaded[own]


def _forget(own: Own) -> None:
    """Forget what was imported of a file, and of those that it imports."""
    read = kept(_Read)
    source_code.read_anew()
    read.loaded = {known: there for known, there in read.loaded.items() if known.module != own.module}
    for file in files_of(own)[1:]:
        sys.modules.pop(f"{PACKAGE}.{file.stem}", None)
        read.imported.pop(f"{PACKAGE}.{file.stem}", None)
        vars(sys.modules[PACKAGE]).pop(file.stem, None)  # where `from . import` would find it


def module_of(name: str, more: Path | None = None) -> ModuleType | None:
    """Return the module of a file with options, imported; None if no such file is there. No other module is imported.

    Parameters
    ----------
    name : as a saved model names the module of its own layers
    more : a folder with further files, such as those that a model carries

    Raises
    ------
    ConfigError
        If the file cannot be imported.
    """
    if name in sys.modules and name.split(".")[0] == PACKAGE:
        return sys.modules[name]
    own = of_module(name)
    if own is not None:
        function(own)
        return sys.modules[name]
    if more is not None and name in [f"{PACKAGE}.{file.stem}" for file in more.glob("*.py")]:
        return _imported(name, f"the file of {name}", (*folders(), more))
    return None


def of_module(name: str) -> Own | None:
    """Return an option whose file is imported by this name; None if there is none."""
    return next((own for own in every() if own.module == name), None)


def files_of(own: Own) -> list[Path]:
    """Return the option's file, and those beside it that it imports, directly or not; of a package the file alone."""
    found = [own.file]
    for file in found if is_in_folder(own) else ():
        tree = ast.parse(file.read_bytes())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
        names = {name for node in imports for name in ([node.module] if node.module else [a.name for a in node.names])}
        beside = [file.with_name(f"{name}.py") for name in sorted(names)]
        found += [each for each in beside if each.is_file() and each not in found]
    return found


def is_in_folder(own: Own) -> bool:
    """Return whether the option's file lies in a folder of options, and not in an installed package."""
    return own.module.split(".")[0] == PACKAGE


def loaded() -> dict[Own, Callable[..., Any]]:
    """Return the functions that were loaded in this process, by their options."""
    return dict(kept(_Read).loaded)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def folders() -> list[Path]:
    """Return the folders whose files may hold options; those that exist, each once."""
    if SENT in os.environ:
        return [Path(os.environ[SENT]).resolve()]
    named = os.environ.get(VARIABLE)
    places = [code_root() / FOLDER, Path.cwd() / FOLDER, *map(Path, (named or "").split(os.pathsep) if named else ())]
    if named and not all(place.is_dir() for place in places[2:]):
        raise ConfigError(f"{VARIABLE}={named}: there is no such folder")
    return list(dict.fromkeys(place.resolve() for place in places if place.is_dir()))


@contextlib.contextmanager
def telling(option: str, function: Callable[..., Any]) -> Iterator[None]:
    """Within it the function is called: whatever it raises is told by the option, with the place in its file."""
    try:
        with placing(function):
            yield
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever a function that anybody has written may raise
        raise ConfigError(
            f"{option}: its function {function.__name__} fails: {_said(error)} ({place_in(function, error)})"
        ) from None


def _said(error: BaseException) -> str:
    """Return an error's first line; of one in a layer, which Keras tells below a heading, the next one too."""
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in str(error).splitlines() if line.strip()]
    in_layer = bool(lines) and lines[0].startswith("Exception encountered when calling")
    return f"{type(error).__name__}: {' '.join(lines[: 1 + in_layer])}"


@contextlib.contextmanager
def placing(function: Callable[..., Any]) -> Iterator[None]:
    """Within it, what is told of a function of the user's own says where it stands, if it does not yet."""
    try:
        yield
    except ConfigError as error:
        own = next((own for own, there in kept(_Read).loaded.items() if function is there), None)
        if own is None or str(shown(own.file)) in str(error):
            raise
        raise ConfigError(f"{error} ({own.place})") from None


def place_in(function: Callable[..., Any], error: BaseException | None = None) -> str:
    """Return where in the function's file it failed last; where it begins, if it did not fail there."""
    code = inspect.unwrap(function).__code__
    failed = traceback.extract_tb(error.__traceback__ if error else None)
    lines = [each.lineno for each in failed if each.filename == code.co_filename]
    return f"{shown(Path(code.co_filename))}, line {[code.co_firstlineno, *lines][-1]}"


def shown(path: Path) -> Path:
    """Return the path as it is typed here: a file of the current folder from that on."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _files() -> Iterator[_File]:
    stems: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith("_"):
                continue
            if not path.stem.isidentifier():
                raise ConfigError(
                    f"{shown(path)}: a plugin's file is a module, whose name has letters, digits and _ alone"
                )
            if path.stem in stems and path.read_bytes() == stems[path.stem].read_bytes():
                continue  # the same file, as it comes to another machine
            if path.stem in stems:
                raise ConfigError(f"{shown(stems[path.stem])} and {shown(path)} have one name: rename one")
            stems[path.stem] = path
            yield _File.of(path, f"{PACKAGE}.{path.stem}")
    for point in kept(_Read).points:
        yield _File.of(_of_package(point), point.module)


def _of_package(point: EntryPoint) -> Path:
    found = kept(_Read).packages
    if point.value not in found:
        try:
            spec = importlib.util.find_spec(point.module)
        except ImportError:
            spec = None
        if spec is None or spec.origin is None:
            raise ConfigError(f"the entry point {point.name} = {point.value} of {ENTRY_POINTS} names no module")
        found[point.value] = Path(spec.origin)
    return found[point.value]


def _imported(name: str, who: str, places: Sequence[Path]) -> ModuleType:
    """Import a file anew. The folders are the package's path, so that files may import each other: from . import …"""
    if name.split(".")[0] == PACKAGE:
        package = sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE))
        package.__path__ = [str(folder) for folder in places]
        importlib.invalidate_caches()
    sys.modules.pop(name, None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the file may import TensorFlow, which talks
    with quiet():
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever a file that anybody has written may raise
            sys.modules.pop(name, None)
            said = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            raise ConfigError(f"{who}: its file cannot be imported: {said}") from None


def _parsed(path: Path, module: str) -> Iterator[Own]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f": {error}"
        raise ConfigError(f"{shown(path)}{line}; mend it: the file may hold options") from None
    marks = _Marks(tree, path)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kind = marks.kind(node)
            if kind is None:
                continue
            if node not in tree.body or not isinstance(node, ast.FunctionDef):
                raise ConfigError(
                    f"{shown(path)}, line {node.lineno}: @equipoise.{kind} marks {node.name}, "
                    "which must be a plain function at the top of the file"
                )
            yield _described(kind, node, path, module)
    if marks.used:
        _check_effects(tree, path)


class _Marks:
    """The names that stand for this project's marks in a file."""

    def __init__(self, tree: ast.Module, path: Path) -> None:
        self._path, self.used = path, False
        self._package: set[str] = set()
        self._single: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._package |= {each.asname or each.name for each in node.names if each.name == "equipoise"}
            elif isinstance(node, ast.ImportFrom) and node.module == "equipoise" and not node.level:
                self._single |= {each.asname or each.name: each.name for each in node.names if each.name in KINDS}

    def kind(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str | None:
        """Return what the function is marked as; None if it is not."""
        for decorator in node.decorator_list:
            called = isinstance(decorator, ast.Call)
            mark = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = self._single.get(mark.id) if isinstance(mark, ast.Name) else None
            if isinstance(mark, ast.Attribute) and isinstance(mark.value, ast.Name) and mark.value.id in self._package:
                name = mark.attr
            if name is None:
                continue
            where = f"{shown(self._path)}, line {decorator.lineno}: @equipoise.{name}"
            if name not in KINDS:
                raise ConfigError(f"{where}: there is no such mark{suggestion(name, KINDS)}")
            if called:
                raise ConfigError(f"{where} takes nothing: leave the brackets out")
            self.used = True
            return name
        return None


def _described(kind: str, node: ast.FunctionDef, path: Path, module: str) -> Own:
    """Return the option that a marked function describes, if its parameters are what its kind takes."""
    where, given = f"{shown(path)}, line {node.lineno}: {kind} {node.name}", node.args
    handed = [each.arg for each in (*given.posonlyargs, *given.args)]
    resamples = kind == "sampling" and handed[:1] == [RESAMPLES[0]]
    least, names = (len(RESAMPLES), RESAMPLES) if resamples else HANDED[kind]
    form = f"{node.name}({', '.join([*names[:least], '*, option: float = 1.0'])})"
    if given.vararg or given.kwarg:
        raise ConfigError(f"{where} takes *args or **kwargs: an option has names and defaults, as in {form}")
    if given.defaults:
        late = handed[-len(given.defaults)]
        raise ConfigError(f"{where}: put `*,` before {late}, so that it becomes {kind}.{late}: {form}")
    if len(handed) < least or len(handed) > len(names):
        raise ConfigError(f"{where} takes {listing(handed) or 'nothing'}; it must be like {form}")
    odd = [name for name in handed[least:] if name not in names[least:]]
    if odd:
        *more, last = names[least:]
        raise ConfigError(
            f"{where} takes {odd[0]}: after {' and '.join(names[:least])} stand "
            f"{' or '.join(filter(None, [', '.join(more), last]))}, which it is handed; "
            "if it is an option, put `*,` before it and give it a default"
        )
    if kind == "loss" and handed[0] == ROWS and "costs" in handed:
        raise ConfigError(
            f"{where} takes costs, which are of one class a sample, and {ROWS}, which are of several labels"
        )
    if kind == "model" and handed[0] == SEED and len(handed) > least:
        raise ConfigError(f"{where} takes {SEED}, as an estimator does, and texts, of which none is made")
    if kind == "sampling" and given.kwonlyargs and not resamples:
        raise ConfigError(f"{where} has options, and a sampling rule has none: dataset.sampling={node.name}")
    defaults = {}
    for option, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if option.arg.startswith("_"):
            raise ConfigError(f"{where}: {option.arg} begins with _, which no option may: rename it")
        if default is None:
            raise ConfigError(f"{where}: {option.arg} has no default; write one: {option.arg}: float = 1.0")
        try:
            defaults[option.arg] = _plain(ast.literal_eval(default))
        except ValueError:
            raise ConfigError(
                f"{where}: the default of {option.arg} is computed; write it out as a number, a text, a list or None"
            ) from None
        if option.annotation is None and not isinstance(defaults[option.arg], bool | int | float | str):
            raise ConfigError(f"{where}: say what {option.arg} may be, as in {option.arg}: float | None = None")
    about = next(iter((ast.get_docstring(node) or "").splitlines()), "")
    return Own(kind, node.name, path, node.lineno, module, about, tuple(handed), defaults)


def _plain(value: Any) -> Any:
    """Return a default as YAML holds it."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError("no value of YAML")


def _check_effects(tree: ast.Module, path: Path) -> None:
    """Refuse what would happen whenever the file is imported: by every job, on every machine."""
    for node in tree.body:
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
        if is_call or isinstance(node, ast.For | ast.While | ast.With | ast.Delete | ast.Raise | ast.Assert):
            raise ConfigError(
                f"{shown(path)}, line {node.lineno}: `{_first_line(node)}` is done whenever the file is imported: "
                "move it into a function"
            )


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0][:60]
