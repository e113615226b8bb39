"""What a dataset function of the user's own returns becomes the arrays that it means, whatever form it has."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.config.checked import compose_dataset
from equipoise.core.errors import ConfigError
from equipoise.data.own import raw_of
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.texts import decoded

X = np.arange(24, dtype=np.float64).reshape(12, 2)
Y = np.array([0, 1] * 6)


def pairs() -> Any:
    return X, Y


def lists() -> Any:
    return X.tolist(), Y.tolist()


def batches() -> Any:
    for start in range(0, 12, 5):
        yield X[start : start + 5], Y[start : start + 5]


def samples() -> Any:
    yield from zip(X, Y, strict=True)


@pytest.mark.parametrize("form", [pairs, lists, batches, samples])
def test_every_form_gives_the_same_data(form: Callable[[], Any], tmp_path: Path) -> None:
    raw = raw_of(form, {}, "none")
    assert raw.classes == ("0", "1")
    assert raw.labels.tolist() == Y.tolist()
    rows = {"train": np.arange(8), "validation": np.arange(8, 10), "test": np.arange(10, 12)}
    loaded = raw.load(rows, tmp_path)
    assert loaded.features["train"].tolist() == X[:8].tolist()
    assert loaded.features["test"].tolist() == X[10:].tolist()
    assert raw.content == raw_of(pairs, {}, "none").content
    assert raw.content != raw_of(pairs, {}, "standard").content
    assert raw.content != raw_of(lambda: (X + 1, Y), {}, "none").content


def test_splits_of_its_own_are_kept(tmp_path: Path) -> None:
    def given() -> Any:
        return {"train": (X[:6], ["b", "a"] * 3), "val": (X[6:8], ["a", "b"]), "test": (X[8:], ["a", "b"] * 2)}

    raw = raw_of(given, {}, "none")
    assert raw.classes == ("a", "b")
    assert raw.given is not None
    assert raw.given.tolist() == [1] * 6 + [2] * 2 + [3] * 4


@pytest.mark.slow
def test_a_dataset_of_tensorflow_is_read_batch_by_batch(tensorflow: object) -> None:
    import tensorflow as tf

    whole = tf.data.Dataset.from_tensor_slices((X, tf.constant([b"x", b"y"] * 6)))
    for found in (whole, whole.batch(5)):
        raw = raw_of(lambda found=found: found, {}, "none")  # type: ignore[misc]
        assert raw.classes == ("x", "y")
        assert raw.labels.tolist() == Y.tolist()


TEXTS = ["ä b", "", "c" * 9, "d"] * 3


def objects() -> Any:
    return np.array(TEXTS, dtype=object), Y


def single_texts() -> Any:
    yield from zip(TEXTS, Y, strict=True)


@pytest.mark.parametrize("form", [lambda: (TEXTS, Y), objects, single_texts, lambda: (np.char.encode(TEXTS), Y)])
def test_texts_are_kept_as_they_are(form: Callable[[], Any], tmp_path: Path) -> None:
    raw = raw_of(form, {}, "standard")
    assert (raw.texts, raw.dimensions) == (True, 0)
    rows = {"train": np.arange(8), "validation": np.arange(8, 10), "test": np.array([11, 10])}
    loaded = raw.load(rows, tmp_path)
    assert loaded.shape == ()
    assert decoded(loaded.features["train"]).tolist() == TEXTS[:8]
    assert decoded(loaded.features["test"]).tolist() == ["d", "c" * 9]
    assert raw.content == raw_of(lambda: (TEXTS, Y), {}, "standard").content
    assert raw.content != raw_of(lambda: (TEXTS[::-1], Y), {}, "standard").content
    assert not raw_of(pairs, {}, "standard").texts


WRONG = {
    r"returns None; it must return a pair .*: is its `return` missing\?": lambda: None,
    r"returns 3 things": lambda: (X, Y, Y),
    r"gives 12 samples and 11 labels": lambda: (X, Y[1:]),
    r"sample 1 is of type NoneType; a text is a str": lambda: (np.array(["a", None], dtype=object), [0, 1]),
    r"sample 1 holds the character 0": lambda: (["a", "b\0c"], [0, 1]),
    r"sample 0 is no text in UTF-8": lambda: (["\udcff", "b"], [0, 1]),
    r"sample 1 is no text in UTF-8": lambda: ([b"a", b"\xff"], [0, 1]),
    r"samples of the shapes \(2,\), text": lambda: {"train": (X, Y), "test": (TEXTS, Y)},
    r"features of type <U1 and shape \(2, 1\); they must be numbers": lambda: (np.array([["a"], ["b"]]), [0, 1]),
    r"features of shape \(12,\); it must be \(samples, …\)": lambda: (X[:, 0], Y),
    r"gives no batch": lambda: iter(()),
    r"a mapping of training_set": lambda: {"training_set": (X, Y)},
    r"samples of the shapes \(1,\), \(2,\)": lambda: {"train": (X, Y), "test": (X[:, :1], Y)},
    r"fails: ZeroDivisionError: division by zero \(.*test_own.py, line \d+\)": lambda: 1 / 0,
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_no_data_is_told(told: str) -> None:
    with pytest.raises(ConfigError, match=rf"dataset=<lambda>.*{told}"):
        raw_of(WRONG[told], {}, "none")


def prepared(folder: Path, text: str, *options: str) -> Prepared:
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "rings.py").write_text(textwrap.dedent(text))
    return prepare(compose_dataset(["dataset=rings", *options]), folder / "cache")


RINGS = '''
    import numpy as np

    import equipoise


    @equipoise.dataset
    def rings(*, n: int = 40, far: float = 2.0):
        """Two rings, of radius 1 and `far`."""
        {}
        angles = np.linspace(0, 6, n)
        radius = np.where(np.arange(n) % 4, 1.0, far)
        labels = np.where(radius == far, "far", "near")
        return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1), labels
'''


def test_a_plugin_is_prepared_and_prepared_anew_once_its_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = prepared(tmp_path, RINGS.format(""))
    assert data.classes == ("far", "near")
    assert data.shape == (2,)
    assert int(data.counts.sum()) == 28, "of 40 a fifth for the test and a tenth for validation, of each class"
    train = data.split("train").features
    assert np.asarray(train).mean(axis=0) == pytest.approx([0, 0], abs=1e-6), "scaled by the training split"
    assert prepared(tmp_path, RINGS.format("# a comment")).folder == data.folder
    assert prepared(tmp_path, RINGS.format("n = n + 0")).folder != data.folder
    assert prepared(tmp_path, RINGS.format(""), "dataset.far=3.0").folder != data.folder
    with pytest.raises(ConfigError, match=r"there is no option dataset.fr; did you mean"):
        prepared(tmp_path, RINGS.format(""), "dataset.fr=3.0")
