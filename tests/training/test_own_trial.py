"""The usual mistakes in files of the user's own: each is told in one line that names file, function and cure."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from equipoise.config.choice import choice
from equipoise.core import plugins
from equipoise.core.paths import ROOT
from equipoise.data.sampling import sampling
from equipoise.methods.decisions import DECISIONS, Known
from equipoise.methods.weighting import class_weights

pytestmark = [pytest.mark.usefixtures("tensorflow"), pytest.mark.slow]

HEAD = "import equipoise\nimport keras\nimport numpy as np\nimport tensorflow as tf\n"
HERE = ("trainer.device=cpu", "trainer.threads=1")


@dataclass(frozen=True)
class Mistake:
    """A function `mine` of a kind, the line that it should have been, and what is told of it."""

    kind: str
    body: str
    told: str
    parameters: str = ""
    above: str = ""

    @property
    def text(self) -> str:
        given = (
            self.parameters
            or {
                "loss": "labels, logits",
                "model": "shape, logits",
                "weighting": "counts",
                "dataset": "",
                "decision": "known",
                "sampling": "counts, progress",
            }[self.kind]
        )
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        return f"{HEAD}{self.above}\n\n@equipoise.{self.kind}\ndef mine({given}):\n{body}\n"

    @property
    def option(self) -> str:
        return "dataset.sampling=mine" if self.kind == "sampling" else f"{self.kind}=mine"


CE = "tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)"
DENSE = "keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(logits{})])"
PAIR = "np.random.default_rng(0).normal(size=(90, 4)), np.arange(90) % 3"
MISTAKES = {
    "an end of the process": Mistake(
        "weighting", "raise SystemExit('bye')", "^error: weighting=mine: its function mine fails: SystemExit: bye"
    ),
    "an end of the process in a loss": Mistake("loss", "raise SystemExit('bye')", "SystemExit: bye"),
    "an end of the process at import": Mistake(
        "weighting",
        "return 1 / counts",
        "cannot be imported: SystemExit: bye",
        above="import sys\nVALUE = sys.exit('bye')",
    ),
    "a scalar loss": Mistake("loss", f"return tf.reduce_mean({CE})", "leave out the mean or the sum over the batch"),
    "a loss of rows": Mistake("loss", "return tf.nn.log_softmax(logits)", r"returns the shape \(20, 10\)"),
    "labels as float": Mistake(
        "loss",
        "return tf.reduce_sum(tf.square(labels - logits), axis=-1)",
        "labels are class indices: tf.one_hot makes rows",
    ),
    "a loss that returns nothing": Mistake("loss", CE, "returns None; .* is its `return` missing"),
    "an exception in a loss": Mistake("loss", "return logits[:, 10 // (len(labels) - 20)]", "ZeroDivisionError"),
    "NaN": Mistake("loss", "return tf.math.log(-tf.abs(logits[:, 0]))", "is not finite: it returns nan"),
    "no gradient": Mistake("loss", "return tf.cast(labels, tf.float32)", "has no gradient: it must be made of"),
    "a Python if": Mistake(
        "loss", f"return {CE} if logits[0, 0] > 9 else 2 * {CE}", "cannot be compiled .* keras.ops.where or tf.where"
    ),
    "a loss of probabilities": Mistake(
        "loss",
        "return -tf.math.log(tf.gather(logits, labels, batch_dims=1))",
        "is not finite: it returns nan for logits between .*tf.nn.softmax",
    ),
    "NumPy in a loss": Mistake("loss", f"return np.asarray({CE})", "has no gradient"),
    "a softmax at the end": Mistake(
        "model", "return " + DENSE.format(", activation='softmax'"), "ends in softmax; .* leave the activation"
    ),
    "the wrong number of logits": Mistake(
        "model", "return " + DENSE.replace("(logits{})", "(7)"), r"ends in the shape \(None, 7\); .*10 logits a sample"
    ),
    "another input shape": Mistake(
        "model",
        "return keras.Sequential([keras.Input((5,)), keras.layers.Dense(logits)])",
        r"takes inputs of shape \(None, 5\); samples have the shape \(8, 8, 1\): make it with Input\(shape\)",
    ),
    "no model": Mistake("model", "return keras.layers.Dense(logits)", "returns Dense; it must return a keras.Model"),
    "a model that returns nothing": Mistake("model", "keras.Input(shape)", "returns NoneType; .*keras.Model"),
    "an exception in a model": Mistake("model", "return keras.layers.Dens(logits)", "AttributeError: .*Dens"),
    "a layer that fails when it is built": Mistake(
        "model",
        "return keras.Sequential([Odd(), keras.layers.Flatten(), keras.layers.Dense(logits)])",
        "fails: ValueError: .*odd",
        above="\nclass Odd(keras.layers.Layer):\n    def call(self, x):\n        raise ValueError('odd')\n",
    ),
    "weights of another length": Mistake(
        "weighting", "return counts[1:] / 2", r"of shape \(9,\); .*one number a class"
    ),
    "negative weights": Mistake("weighting", "return -1.0 / counts", "must be finite, and not below 0"),
    "NaN weights": Mistake("weighting", "return counts * np.nan", "the weight nan; a weight must be finite"),
    "no weights": Mistake("weighting", "pass", "returns NoneType; it must return one number a class"),
    "an exception in a weighting": Mistake("weighting", "return counts['a']", "IndexError"),
    "shares of another sum": Mistake("sampling", "return counts * 0.5 / counts.sum()", "the sum 0.5; .*sum is 1"),
    "shares of another length": Mistake("sampling", "return [1.0]", r"of shape \(1,\); it must return the share"),
    "an exception in a sampling rule": Mistake("sampling", "return counts / 'a'", "UFuncTypeError|TypeError"),
    "a decision of another shape": Mistake(
        "decision", "return known.logits.argmax(axis=1)", r"one finite bias a class, \(10,\), which is added"
    ),
    "a decision that is nothing": Mistake("decision", "pass", "one finite bias a class"),
    "an exception in a decision": Mistake("decision", "return known.scores", "AttributeError: .*scores"),
    "data that are nothing": Mistake("dataset", "pass", r"returns None; it must return a pair .*`return` missing"),
    "features of objects": Mistake(
        "dataset",
        "return np.array([[{}], [[]]], dtype=object), [0, 1]",
        "features of type object and shape .2, 1.; .* encode them",
    ),
    "features of text": Mistake(
        "dataset", "return [['a'], ['b']], [0, 1]", "features of type <U1 and shape .2, 1.; .* encode them"
    ),
    "features without an axis": Mistake(
        "dataset", "return np.arange(9.0), np.arange(9) % 3", r"must be \(samples, …\)"
    ),
    "features of several lengths": Mistake(
        "dataset", "return [[1.0], [1.0, 2.0]], [0, 1]", "fails: ValueError: .*inhomo"
    ),
    "lengths that differ": Mistake("dataset", "return np.ones((9, 2)), np.arange(8)", "9 samples and 8 labels"),
    "NaN features": Mistake(
        "dataset", "return np.full((90, 2), np.nan), np.arange(90) % 3", "holds NaN or infinity: replace or remove it"
    ),
    "an empty generator": Mistake("dataset", "yield from ()", "gives no batch"),
    "a generator that never ends": Mistake(
        "dataset", f"while True:\n    yield {PAIR}", "more than 10,000,000 samples .*does its generator end"
    ),
    "a dataset that is repeated": Mistake(
        "dataset", f"return tf.data.Dataset.from_tensors(({PAIR})).repeat()", "never ends: leave .repeat.. out"
    ),
    "labels of dictionaries": Mistake("dataset", "return np.ones((2, 2)), [{}, {}]", "labels of type dict"),
    "labels of floats": Mistake("dataset", "return np.ones((9, 2)), np.linspace(0, 1, 9)", "label"),
    "an exception in a dataset": Mistake("dataset", "return open('not there')", "FileNotFoundError: .*not there"),
    "one split of another shape": Mistake(
        "dataset",
        f"return {{'train': ({PAIR}), 'test': (np.ones((9, 5)), np.arange(9) % 3)}}",
        r"samples of the shapes \(4,\), \(5,\); they must have one",
    ),
    "no default": Mistake(
        "loss", f"return {CE}", "margin has no default; write one", "labels, logits, *, margin: float"
    ),
    "an option before the star": Mistake(
        "loss", f"return {CE}", r"put `\*,` before margin", "labels, logits, margin=1.0"
    ),
    "a default of another type": Mistake(
        "loss",
        f"return {CE}",
        "the default of margin, 0.5, is not what its annotation says: .*integer; change one",
        "labels, logits, *, margin: int = 0.5",
    ),
    "an annotation that is no type": Mistake(
        "loss",
        f"return {CE}",
        "an annotation of its options is no type: .*; write int, float",
        "labels, logits, *, margin: positive = 0.5",
        above="positive = 'positive'\n",
    ),
    "an annotation that is not there": Mistake(
        "loss", f"return {CE}", "NameError: .*Positive", "labels, logits, *, margin: Positive = 0.5"
    ),
    "an option whose name begins with _": Mistake(
        "loss", f"return {CE}", "_margin begins with _", "labels, logits, *, _margin: float = 0.5"
    ),
    "an option that is a key already": Mistake(
        "weighting",
        "return 1 / counts",
        "an option schedule, which every weighting has",
        "counts, *, schedule: str = 'a'",
    ),
    "something done at import": Mistake(
        "loss", f"return {CE}", r"`print\('hello'\)` is done .*move it", above="print('hello')"
    ),
    "an exception at import": Mistake("loss", f"return {CE}", "ZeroDivisionError", above="ONE = 1 / 0"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with plugins/."""
    (tmp_path / "plugins").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ROOT, str(tmp_path))
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    return tmp_path


def told_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that the command tells of a mistake."""
    from equipoise.commands import check

    code = check.main([*words, *HERE])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_told_with_file_function_and_cure(
    what: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = MISTAKES[what]
    (folder / "plugins" / "mine.py").write_text(mistake.text)
    said = told_of([mistake.option], capsys)
    assert re.search(mistake.told, said), said
    assert "plugins/mine.py, line " in said, said
    assert "mine" in said.replace("plugins/mine.py", "") or "whenever the file is imported" in said, said


def one_loss(name: str) -> str:
    return f"{HEAD}\n\n@equipoise.loss\ndef {name}(labels, logits):\n    return {CE}\n"


FILES = {
    "a shipped name": ({"mine.py": one_loss("focal")}, "plugins/mine.py, line 8: loss=focal is the name of .*rename"),
    "a name twice": (
        {"mine.py": one_loss("hinge"), "other.py": one_loss("hinge")},
        "loss=hinge is defined twice, in plugins/mine.py, line 8 and in plugins/other.py, line 8: rename one",
    ),
    "a tab among blanks": (
        {"mine.py": one_loss("hinge") + "\n\ndef f():\n        x = 1\n\treturn x\n"},
        "plugins/mine.py, line 1[0-9]: .*tabs.*; mend it",
    ),
    "no UTF-8": ({"mine.py": one_loss("hinge") + "NAME = '\udcff'\n"}, "plugins/mine.py.*utf-8.*; mend it"),
    "no module": ({"my-loss.py": one_loss("hinge")}, "plugins/my-loss.py: a plugin's file is a module, whose name"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_mistake_of_a_file_is_told_with_the_file(what: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, told = FILES[what]
    for name, text in files.items():
        (folder / "plugins" / name).write_bytes(text.encode(errors="surrogateescape"))
    said = told_of(["loss=hinge"], capsys)
    assert re.search(told, said), said


def test_tensorflow_may_read_the_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistake = Mistake("dataset", f"return tf.data.Dataset.from_tensor_slices(({PAIR})).batch(7)", "")
    (folder / "plugins" / "mine.py").write_text(mistake.text)
    from equipoise.commands import check

    assert check.main([mistake.option, *HERE]) == 0
    assert "dataset=mine: 63 samples of shape (4,) to train on, 3 classes" in capsys.readouterr().out


def test_a_mended_file_is_tried_anew_in_the_same_process(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from equipoise.commands import check

    for more, code in ((", activation='softmax'", 2), ("", 0)):
        (folder / "plugins" / "mine.py").write_text(Mistake("model", f"return {DENSE.format(more)}", "").text)
        assert check.main(["model=mine", *HERE]) == code, capsys.readouterr().err


def test_what_a_function_is_handed_it_may_change(folder: Path) -> None:
    """Counts and logits that it changes are its own, and not those that all others are told by."""
    text = f"{HEAD}\n\n@equipoise.weighting\ndef mine(counts):\n    counts += 1\n    return 1 / counts\n"
    text += "\n\n@equipoise.sampling\ndef half(counts, progress):\n    counts //= 2\n    return counts / counts.sum()\n"
    text += "\n\n@equipoise.decision\ndef shift(known):\n    known.logits[:] = 0\n    return known.logits[0]\n"
    (folder / "plugins" / "mine.py").write_text(text)
    counts = np.array([6, 2])
    weights = class_weights(choice("weighting", "mine", {}), counts, ("a", "b"))
    assert weights.weights == pytest.approx([1 / 7, 1 / 3])
    drawn = sampling("half", np.array([0] * 6 + [1] * 2), counts, 1)
    assert drawn is not None
    assert drawn.shares.tolist() == [[0.75, 0.25]]
    known = Known(np.array([0]), np.array([[1.0, 2.0]]), None, np.array([0.5, 0.5]), None)
    assert DECISIONS["shift"](known)(known.logits).tolist() == [1]
    assert known.logits.tolist() == [[1.0, 2.0]]
    assert counts.tolist() == [6, 2]
