"""Digests of the code behind functions: what counts, what does not, and how far it is followed."""

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equipoise.core.kept_digests import Kept
from equipoise.core.source_code import digest, read_anew
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.methods.weighting import STRATEGIES

Edit = Callable[[str, str, str], None]

FILES = {
    "mine.py": '''
"""Mine."""

import numpy
import numpy as np
import pack.deep
from helper import scaled, unused
from pack import offset, tables
from pack.stars import *

LIMIT = 5
TABLE = {"a": 1}
TABLE["b"] = 2
numpy.seterr(over="ignore")


def once(function):
    return function


class Base:
    factor = 2


class Weigher(Base):
    def weigh(self, counts):
        return counts * self.factor


@once
def weights(counts, *, limit=LIMIT):
    """Weights."""
    from lazily import late

    # a comment
    more = offset() + late() + pack.deep.below + TABLE["b"] + starred
    return np.minimum(Weigher().weigh(scaled(counts)), limit) + tables.first["x"] + more


def other(counts):
    return unused(counts)
''',
    "helper.py": """
from pack.inner import half


def scaled(x):
    return half(x)


def unused(x):
    return x
""",
    "lazily.py": "def late():\n    return 1\n",
    "pack/__init__.py": "from .inner import offset\n",
    "pack/inner.py": """
from . import tables


def half(x):
    return x / 2


def offset():
    return tables.second
""",
    "pack/tables.py": 'first = {"x": 1}\nsecond = 2\nthird = 3\n',
    "pack/deep.py": "below = 1\n",
    "pack/stars.py": "starred = 1\n",
}
COUNT = {  # file, what stands there, what it becomes
    "the function": ("mine.py", "np.minimum(", "np.maximum("),
    "a default": ("mine.py", "limit=LIMIT", "limit=4"),
    "a constant": ("mine.py", "LIMIT = 5", "LIMIT = 6"),
    "a table that is changed": ("mine.py", 'TABLE["b"] = 2', 'TABLE["b"] = 3'),
    "what is done at the top": ("mine.py", 'over="ignore"', 'over="raise"'),
    "a decorator": ("mine.py", "return function", "return lambda counts: counts"),
    "a method": ("mine.py", "counts * self.factor", "counts + self.factor"),
    "a base class": ("mine.py", "factor = 2", "factor = 3"),
    "where a name is from": ("mine.py", "import numpy as np", "import numpy.ma as np"),
    "an imported function": ("helper.py", "return half(x)", "return half(x) + 1"),
    "what that one imports": ("pack/inner.py", "x / 2", "x / 3"),
    "what a package passes on": ("pack/inner.py", "return tables.second", "return -tables.second"),
    "an attribute of a module": ("pack/tables.py", '{"x": 1}', '{"x": 2}'),
    "an attribute of a module there": ("pack/tables.py", "second = 2", "second = 3"),
    "a module by its whole name": ("pack/deep.py", "below = 1", "below = 2"),
    "an import of everything": ("pack/stars.py", "starred = 1", "starred = 2"),
    "an import within the function": ("lazily.py", "return 1", "return 2"),
}
COUNT_NOT = {
    "a comment": ("mine.py", "# a comment", "# another"),
    "a docstring": ("mine.py", '"""Weights."""', '"""The weights, limited."""'),
    "layout": ("mine.py", "from helper import scaled, unused", "from helper import (\n    scaled,\n    unused,\n)\n\n"),
    "another function": ("mine.py", "return unused(counts)", "return 2 * unused(counts)"),
    "what that one uses": ("helper.py", "def unused(x):\n    return x", "def unused(x):\n    return -x"),
    "a constant that nothing uses": ("pack/tables.py", "third = 3", "third = 4"),
    "the order": ("pack/tables.py", 'first = {"x": 1}\nsecond = 2', 'second = 2\nfirst = {"x": 1}'),
}


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def change(name: str, old: str, new: str) -> None:
        text = (tmp_path / name).read_text()
        assert text.count(old) == 1
        (tmp_path / name).write_text(text.replace(old, new))

    return change


def digest_in(folder: Path, name: str = "weights") -> str:
    """As another process would find it; nothing but the file itself is imported, and not by its name."""
    read_anew()
    tables = sys.modules.copy()
    sys.path.insert(0, str(folder))
    try:
        specification = importlib.util.spec_from_file_location("mine", folder / "mine.py")
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return digest(getattr(module, name))
    finally:
        sys.path.remove(str(folder))
        sys.modules.clear()
        sys.modules.update(tables)


@pytest.mark.parametrize("what", COUNT)
def test_what_a_function_uses_counts(what: str, tmp_path: Path, edit: Edit) -> None:
    before, unrelated = digest_in(tmp_path), digest_in(tmp_path, "other")
    edit(*COUNT[what])
    assert digest_in(tmp_path) != before
    of_every_function = ("what is done at the top", "an import of everything")
    assert (digest_in(tmp_path, "other") != unrelated) == (what in of_every_function)


@pytest.mark.parametrize("what", COUNT_NOT)
def test_what_changes_nothing_does_not_count(what: str, tmp_path: Path, edit: Edit) -> None:
    before = digest_in(tmp_path)
    edit(*COUNT_NOT[what])
    assert digest_in(tmp_path) == before


def test_where_a_definition_stands_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "mine.py").write_text("def half(x):\n    return x / 2\n\n\ndef weights(x):\n    return half(x)\n")
    (tmp_path / "b" / "mine.py").write_text("from moved import half\n\n\ndef weights(x):\n    return half(x)\n")
    (tmp_path / "b" / "moved.py").write_text("def half(x):\n    return x / 2\n")
    assert digest_in(tmp_path / "a") == digest_in(tmp_path / "b")


def test_of_installed_code_only_the_functions_own_package_counts(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for name, text in {
        "mine.py": "import others\n\n\ndef weights(x):\n    return others.half(x)\n",
        "others.py": "def half(x):\n    return x / 2\n",
    }.items():
        site.mkdir(exist_ok=True)
        (site / name).write_text(text)
    before = digest_in(site)
    (site / "others.py").write_text("def half(x):\n    return x / 3\n")
    assert digest_in(site) == before


def test_a_function_that_is_wrapped_or_has_no_name_counts() -> None:
    assert digest(functools.partial(STRATEGIES["balanced"])) == digest(STRATEGIES["balanced"])
    nameless: Any = lambda counts: counts  # noqa: E731
    assert len(digest(nameless)) == 64


def test_every_option_of_this_project_has_a_digest_of_its_own() -> None:
    builds = {name: architecture.build for name, architecture in MODELS.items()}
    losses = {name: loss.function for name, loss in LOSSES.items()}
    rules = {name: rule.function for name, rule in DECISIONS.items()}
    for registry in (STRATEGIES, losses, builds, rules):
        functions = set(registry.values())
        assert len({digest(function) for function in functions}) == len(functions)
    assert digest(STRATEGIES["power"]) != digest(STRATEGIES["balanced"])


def test_a_digest_is_kept_while_no_file_of_the_package_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    package, file = tmp_path / "package", tmp_path / "package" / "inside" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text("x = 1\n")
    Kept(package).keep((["f"], []), "abc")
    assert Kept(package).find((["f"], [])) == "abc"
    assert Kept(package).find((["f"], ["g"])) is None
    times = file.stat()
    file.write_text("x = 2\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and date as before
    assert Kept(package).find((["f"], [])) is None
    Kept(package).keep((["f"], []), "def")
    (tmp_path / "numpy.py").touch()  # which would be imported now
    assert Kept(package).find((["f"], [])) is None


def test_a_name_that_is_not_there_is_a_defect() -> None:
    with pytest.raises(ValueError, match=r"there is no equipoise\.training\.fit\.nothing"):
        digest("equipoise.training.fit.nothing")
