"""The user's own options are found by reading files alone, and each usual mistake is told in a line."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.data.sampling import RULES

HINGE = '''
import equipoise as eq


@eq.loss
def hinge(labels, logits, counts, *, margin: float = 1.0, classes: list[int] | None = None):
    """max(0, margin - z_y + max other z).

    More words.
    """
    raise AssertionError
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "plugins"
    own.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, f"{plugins.PACKAGE}.mine", raising=False)  # of another test's file
    return own


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return file


def test_a_marked_function_is_an_option_and_its_file_is_not_imported(folder: Path) -> None:
    file = write(folder, HINGE + "\nimport not_there\n")
    (own,) = plugins.options("loss").values()
    assert (own.name, own.file, own.line) == ("hinge", file.resolve(), 6)
    assert own.about == "max(0, margin - z_y + max other z)."
    assert own.defaults == {"margin": 1.0, "classes": None}
    assert own.handed == ("labels", "logits", "counts")
    assert plugins.options("model") == {}
    assert own.module not in sys.modules
    with pytest.raises(ConfigError, match=r"loss=hinge \(.*mine.py, line 6\): its file cannot be imported: ModuleNot"):
        plugins.function(own)


@pytest.mark.parametrize(
    "head", ["from equipoise import weighting", "from equipoise import weighting as weighting", "import equipoise"]
)
def test_every_way_to_import_the_mark_works(folder: Path, head: str) -> None:
    mark = "weighting" if head.startswith("from") else "equipoise.weighting"
    write(folder, f"{head}\n\n@{mark}\ndef mine(counts):\n    return 1 / counts\n")
    assert plugins.function(plugins.options("weighting")["mine"])(4) == 0.25


def test_a_file_is_read_anew_once_it_has_changed(folder: Path) -> None:
    text = "import equipoise\n\n@equipoise.weighting\ndef mine(counts):\n    return {}\n"
    write(folder, text.format(1))
    assert plugins.function(plugins.options("weighting")["mine"])(0) == 1
    file = write(folder, text.format(22))
    os.utime(file, ns=(1, 1))
    assert plugins.function(plugins.options("weighting")["mine"])(0) == 22


def test_files_may_import_one_another(folder: Path) -> None:
    write(folder, "FACTOR = 3\n", "_shared.py")
    write(
        folder,
        "import equipoise\nfrom ._shared import FACTOR\n\n@equipoise.weighting\ndef mine(counts):\n    return FACTOR\n",
    )
    assert plugins.function(plugins.options("weighting")["mine"])(0) == 3


def test_the_folder_of_the_variable_is_read_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    write(tmp_path / "more", HINGE, "other.py")
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "more"))
    assert plugins.options("loss")["hinge"].file.name == "other.py"
    write(folder, HINGE)
    with pytest.raises(ConfigError, match=r"loss=hinge is defined twice, in .*mine.py, line 6 and in .*other.py, line"):
        plugins.options("loss")
    monkeypatch.setenv(plugins.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"EQUIPOISE_PLUGINS=.*none: there is no such folder"):
        plugins.options("loss")


MISTAKES = {
    "no default": ("loss", "labels, logits, *, margin: float", "margin has no default"),
    "option before the star": ("loss", "labels, logits, margin=1.0", r"put `\*,` before margin"),
    "unknown table": ("loss", "labels, logits, margin", "counts, prior or costs"),
    "costs of labels": ("loss", "rows, logits, costs", "takes costs, which are of one class a sample, and rows"),
    "too few": ("loss", "labels", r"takes labels; it must be like mine\(labels, logits"),
    "too many": ("model", "shape, logits, texts, ids, more", r"it must be like mine\(shape, logits"),
    "no texts": (
        "model",
        "shape, logits, more",
        "takes more: after shape and logits stand texts or ids, which it is handed",
    ),
    "computed default": ("weighting", "counts, *, k: float = 1 / 3 * abs(2)", "the default of k is computed"),
    "no annotation": ("weighting", "counts, *, k=None", r"say what k may be"),
    "stars": ("weighting", "counts, **options", r"takes \*args or \*\*kwargs"),
    "rows without a seed": (
        "sampling",
        "features, labels",
        r"takes features, labels; it must be like mine\(features, la",
    ),
    "options of sampling": ("sampling", "counts, progress, *, k: float = 1.0", "a sampling rule has none"),
    "unknown mark": ("weigting", "counts", "there is no such mark; did you mean 'weighting'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_signature_is_told_with_file_line_and_cure(folder: Path, mistake: str) -> None:
    kind, parameters, told = MISTAKES[mistake]
    write(folder, f"import equipoise\n\n@equipoise.{kind}\ndef mine({parameters}):\n    return 1\n")
    with pytest.raises(ConfigError, match=rf"mine.py, line [34].*{told}"):
        list(plugins.every())


WHOLE_FILES = {
    "print('hello')\n": "mine.py, line 7: `print\\('hello'\\)` is done whenever the file is imported",
    "for i in range(3):\n    pass\n": "line 7: `for i in range\\(3\\):` is done",
    "def broken(:\n": "mine.py, line 7: .*mend it",
    "@eq.loss()\ndef other(labels, logits):\n    return 0\n": "@equipoise.loss takes nothing: leave the brackets out",
    "class A:\n    @eq.loss\n    def f(labels, logits):\n        return 0\n": "must be a plain function at the top",
}


@pytest.mark.parametrize("text", WHOLE_FILES)
def test_a_file_that_does_more_is_refused(folder: Path, text: str) -> None:
    write(folder, "import equipoise as eq\n\n@eq.weighting\ndef w(counts):\n    return 1\n\n" + text)
    with pytest.raises(ConfigError, match=WHOLE_FILES[text]):
        list(plugins.every())


def test_a_name_that_is_no_module_is_refused(folder: Path) -> None:
    write(folder, HINGE, "my-loss.py")
    with pytest.raises(ConfigError, match=r"my-loss.py: a plugin's file is a module, whose name has letters"):
        list(plugins.every())


def test_a_failure_is_told_with_its_place_in_the_file(folder: Path) -> None:
    write(folder, "import equipoise\n\n@equipoise.weighting\ndef mine(counts):\n    return counts['a']\n")
    function = plugins.function(plugins.options("weighting")["mine"])
    told = r"weighting=mine: its function mine fails: TypeError: .* \(plugins/mine.py, line 5\)"
    with pytest.raises(ConfigError, match=told), plugins.telling("weighting=mine", function):
        function(3)


def test_what_a_file_imports_belongs_to_it_and_is_imported_anew_once_it_has_changed(folder: Path) -> None:
    shared = write(folder, "FACTOR = 3\n", "_deep.py")
    write(folder, "from . import _deep\n\nFACTOR = _deep.FACTOR\n", "_middle.py")
    write(folder, "unused = 1\n", "_beside.py")
    text = (
        "import equipoise\nfrom ._middle import FACTOR\n\n@equipoise.weighting\ndef mine(counts):\n    return FACTOR\n"
    )
    write(folder, text, "chained.py")
    own = plugins.options("weighting")["mine"]
    assert [file.name for file in plugins.files_of(own)] == ["chained.py", "_middle.py", "_deep.py"]
    assert plugins.function(own)(0) == 3
    shared.write_text("FACTOR = 4\n")
    os.utime(shared, ns=(1, 1))
    assert plugins.function(plugins.options("weighting")["mine"])(0) == 4


def test_a_shipped_sampling_rule_is_not_shadowed(folder: Path) -> None:
    write(folder, "import equipoise\n\n@equipoise.sampling\ndef square_root(counts, progress):\n    return counts\n")
    with pytest.raises(ConfigError, match=r"mine.py, line 4: sampling=square_root is the name of an option that the"):
        RULES.own()
