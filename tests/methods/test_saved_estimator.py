"""Estimators in files of skops: the same bytes and answers, and nothing of a library that is not known."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.methods.estimators import Grown, boosting
from equipoise.methods.saved_estimator import load_estimator, write_estimator

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def fitted() -> Any:
    grown = Grown(max_leaf_nodes=5, min_samples_leaf=5, l2_regularization=0.0)
    return boosting(0, 1, max_iter=3, learning_rate=0.1, grown=grown).fit(X, Y)


def test_it_answers_as_before_and_its_bytes_repeat(tmp_path: Path) -> None:
    model, file = fitted(), tmp_path / "model.skops"
    write_estimator(model, file)
    np.testing.assert_array_equal(load_estimator(file, "it").predict_proba(X), model.predict_proba(X))
    first = file.read_bytes()
    write_estimator(fitted(), file)
    assert file.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]


def test_a_class_of_another_library_is_not_loaded(tmp_path: Path) -> None:
    from fractions import Fraction

    import skops.io

    model, file = fitted(), tmp_path / "model.skops"
    model.classes_ = {"a": Fraction(1, 2)}
    skops.io.dump(model, file)
    with pytest.raises(ConfigError, match=r"the model needs the code of fractions\.Fraction, and is not loaded"):
        load_estimator(file, "the model")


def renamed(file: Path, module: str, name: str) -> None:
    """Write the file again with another class in the place of `TreePredictor`."""
    with zipfile.ZipFile(file) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    text = members["schema.json"].decode()
    text = text.replace('"sklearn.ensemble._hist_gradient_boosting.predictor"', f'"{module}"')
    members["schema.json"] = text.replace('"TreePredictor"', f'"{name}"').encode()
    with zipfile.ZipFile(file, "w") as archive:
        for entry, content in members.items():
            archive.writestr(entry, content)


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("os", "system", r"it needs the code of os\.system, and is not loaded"),
        ("sklearn.utils.fixes", "platform", r"it needs the code of sklearn\.utils\.fixes\.platform"),
        ("sklearn.datasets", "load_files", r"it needs the code of sklearn\.datasets\.load_files"),
        ("imblearn.no_such_module", "Made", r"it needs imblearn[\w.]*, which is not installed"),
    ],
)
def test_a_function_and_what_a_library_imports_are_no_classes_of_it(
    module: str, name: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.skops"
    write_estimator(fitted(), file)
    renamed(file, module, name)
    with pytest.raises(ConfigError, match=said):
        load_estimator(file, "it")


def test_what_a_file_of_one_s_own_imports_is_no_class_of_it(tmp_path: Path) -> None:
    file, carried = tmp_path / "model.skops", tmp_path / "carried"
    carried.mkdir()
    (carried / "extra_of_a_test.py").write_text("from subprocess import run\n")
    write_estimator(fitted(), file)
    renamed(file, f"{plugins.PACKAGE}.extra_of_a_test", "run")
    with pytest.raises(ConfigError, match=r"it needs the code of .*extra_of_a_test\.run"):
        load_estimator(file, "it", carried)


def test_what_unpacks_to_too_much_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("schema.json", "w") as member:
        for _ in range(257):
            member.write(bytes(1 << 20))
    with pytest.raises(ConfigError, match=r"it: schema\.json unpacks to 269484032 bytes, more than 268435456"):
        load_estimator(file, "it")


@pytest.mark.parametrize("content", ["", "pickle", "zip"])
def test_what_is_no_such_file_is_told_and_no_pickle_is_opened(content: str, tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    file.write_bytes({"": b"", "pickle": pickle.dumps(Runs(tmp_path / "ran")), "zip": b""}[content])
    if content == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("schema.json", "{}")
    with pytest.raises(ConfigError, match=r"it is damaged, and is not loaded"):
        load_estimator(file, "it")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ConfigError, match=r"it has no model\.skops; no other format is loaded"):
        load_estimator(tmp_path / "no" / "model.skops", "it")


class Runs:
    """A pickle that writes a file when it is opened."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (Path.touch, (self.file,))
