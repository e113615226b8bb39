"""Hostile and wrong input of every kind: a fixed share of what `benchmarks/fuzz.py` tries, and each of its findings by name."""

import ast
import gzip
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import initialize_config_dir
from hypothesis import HealthCheck, Phase, given, seed, settings

import fuzzing
from equipoise.command_line import plan
from equipoise.data.prepare import _surveyed, prepare
from equipoise.data.prepared import METADATA, open_prepared
from equipoise.options import ConfigError
from equipoise.paths import config_folder
from helpers import REPOSITORY, composed_dataset, train


@pytest.fixture
def some_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fuzzing.write_data(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_any_value_is_accepted_or_refused(some_data: Path) -> None:
    before = sorted(some_data.rglob("*"))

    @seed(1)
    @settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(fuzzing.settings_of_options())
    def draw(drawn: Any) -> None:
        fuzzing.try_settings(drawn)

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        draw()
    assert sorted(some_data.rglob("*")) == before


@pytest.mark.slow
def test_any_word_is_accepted_or_refused(some_data: Path) -> None:
    @seed(2)
    @settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(fuzzing.command_lines())
    def draw(words: list[str]) -> None:
        fuzzing.try_command(words)

    draw()


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_any_damaged_file_is_accepted_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = {fuzzing.try_file(kind, number, tmp_path) for number in range(40)}
    assert outcomes == {"accepted", "refused"}, "damage that changes nothing tests nothing"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_itself_says_one_line_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    before = {file for file in project.rglob("*") if "__pycache__" not in file.parts}
    for word in ("seed=" + "9" * 5000, "dataset.title='$(touch ran)'", "dataset=csv", "sweep='\x1b[2J'", "cost=" + "[" * 400 + "]" * 400):
        found = train(project, word, cwd=tmp_path)
        assert found.returncode == 2, found.stderr
        assert found.stderr.startswith("error: ")
        assert "Traceback" not in found.stderr
        assert all(line.isprintable() and len(line) < fuzzing.MOST_CHARACTERS for line in found.stderr.splitlines())
    assert {file for file in project.rglob("*") if "__pycache__" not in file.parts} == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cost=" + "[" * 30 + "]" * 30], "cost is nested more than 20 deep"),
        (["sweep='a\x1b[2J'"], r"sweep holds the control character '\x1b'"),
        (["cost={'×':8192,'csv':''"], "cost cannot be read"),
        (["dataset=csv", "dataset.target=y", "dataset.path=" + "a" * 300, "model=mlp"], "cannot be read: File name too long"),
        (["dataset=csv", "dataset.target=y", "dataset.path=/dev/zero", "model=mlp"], "is a device or a pipe, not a file"),
        (["dataset=csv", "dataset.target=y", "dataset.path='~nobody-of-this-name/x'", "model=mlp"], "cannot be read: Could not determine home"),
        (["dataset=image_directory", "dataset.path='~nobody-of-this-name'"], "there is no such folder"),
        (["dataset=synthetic", "model=mlp", "dataset.class_counts=[2000000000,5]"], "numbers; at most 1073741824 are generated"),
        (["cost=" + "a" * 300], "there is no such file"),
        (["trainer.early_stopping=1" + "0" * 400], "must be less than 2147483648"),
        (["trainer.learning_rate=1e308"], "must be less than or equal to 1000000000"),
        (["loss=focal", "loss.gamma=1e308"], "must be less than or equal to 1000000000"),
        (["dataset=csv", "dataset.path=table.csv", "dataset.target=kind", "model=mlp", "dataset.folds=1000"], "there are 40 samples, and each fold needs one"),
    ],
)
@pytest.mark.usefixtures("some_data")
def test_what_was_found_in_values(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(words)
    assert said in str(caught.value)


def test_a_message_does_not_drive_the_terminal() -> None:
    assert str(ConfigError("a\x1b[2J\u202eb\nc")) == "a\\x1b[2J\\u202eb\nc"
    assert len(str(ConfigError("x" * 100_000))) < fuzzing.MOST_CHARACTERS
    assert str(ConfigError("été, 日本")) == "été, 日本"


def refused(file: Path, *overrides: str) -> str:
    _surveyed.cache_clear()  # as in a process of its own
    with pytest.raises(ConfigError) as caught:
        prepare(composed_dataset(*overrides, f"dataset.path='{file}'"), file.parent / "cache")
    return str(caught.value)


def npz(file: Path, header: bytes, labels: bytes | None = None) -> Path:
    """An archive whose features have that header and no content."""
    magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", magic)
        if labels is not None:
            archive.writestr("y.npy", labels)
    return file


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000)}\n", "claims 4000000000000 bytes and has"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}\n", "damaged: it claims the shape (-1, 2)"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,\n", "is damaged"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (3, 1)}\n", "holds pickled objects"),
    ],
)
def test_what_was_found_in_npz_headers(tmp_path: Path, header: bytes, said: str) -> None:
    assert said in refused(npz(tmp_path / "a.npz", header, b""), "dataset=npz")


def test_labels_are_no_longer_than_the_features_and_no_text_but_unicode(tmp_path: Path) -> None:
    for labels, said in (
        (np.zeros(10**6), "'x' has 9 samples and 'y' has 1000000 labels"),
        (np.zeros(9, dtype="U2000"), "has 8000 bytes a label"),
        (np.full(9, 0x7FFFFFFF, dtype=np.uint32).view("U1"), "text that is no Unicode"),
        (np.arange(9) * 1e300, "not classes"),
    ):
        np.savez(tmp_path / "a.npz", x=np.zeros((9, 2)), y=labels)
        assert said in refused(tmp_path / "a.npz", "dataset=npz")
    (tmp_path / "a.npz").unlink()
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x", b"no array")
    assert "no such array" in refused(tmp_path / "b.npz", "dataset=npz")


def test_numbers_too_large_are_named_and_not_warned_of(tmp_path: Path) -> None:
    for scale, said in (("standard", "too large to be standardised"), ("none", "too large for float32")):
        np.savez(tmp_path / "a.npz", x=np.arange(60).reshape(30, 2) * 1e300, y=np.arange(30) % 2)
        assert said in refused(tmp_path / "a.npz", "dataset=npz", f"dataset.scale={scale}")


def test_what_was_found_in_tables(tmp_path: Path) -> None:
    table = ("x,y\n" + "1,a\n2,b\n" * 20).encode()
    damaged = bytearray(gzip.compress(table, 0))
    damaged[10] = 7
    (tmp_path / "a.csv.gz").write_bytes(damaged)
    assert "cannot be read" in refused(tmp_path / "a.csv.gz", "dataset=csv", "dataset.target=y")
    (tmp_path / "b.csv").write_bytes(table.replace(b"a", b"1e999").replace(b"b", b"2"))
    assert "such as 1e999, not classes" in refused(tmp_path / "b.csv", "dataset=csv", "dataset.target=y")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"x" * (9 << 20)))
    assert "a line of more than 8388608 characters" in refused(tmp_path / "c.csv.gz", "dataset=csv", "dataset.target=y")


def test_a_picture_that_claims_to_be_huge_or_never_ends_is_refused(some_data: Path) -> None:
    good = Path("pictures/a/0.png").read_bytes()
    size = (100_000).to_bytes(4, "big")
    import zlib

    header = b"IHDR" + size + size + good[24:29]
    Path("pictures/a/0.png").write_bytes(good[:12] + header + zlib.crc32(header).to_bytes(4, "big") + good[33:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = refused(some_data / "pictures", "dataset=image_directory")
    assert "cannot be decoded" in said or "has 100000 x 100000 pixels" in said
    Path("pictures/a/0.png").unlink()
    os.mkfifo("pictures/a/0.png")
    assert "is no file: a pipe, a device or a broken link" in refused(some_data / "pictures", "dataset=image_directory")
    Path("pictures/a/0.png").unlink()
    Path("pictures/a/0.png").symlink_to("/etc/passwd")
    assert "is a link that leaves" in refused(some_data / "pictures", "dataset=image_directory")


def test_prepared_data_of_another_version_are_refused_with_advice(tmp_path: Path) -> None:
    dataset = composed_dataset("dataset=digits_lt")
    folder = prepare(dataset, tmp_path).folder
    whole = (folder / METADATA).read_text()
    for other in (whole.replace('"notes"', '"remarks"'), whole[:-9], whole.replace('"shape": [', '"shape": [9,'), ""):
        (folder / METADATA).write_text(other)
        with pytest.raises(ConfigError, match="was prepared by another version: delete that folder, and it is made again"):
            open_prepared(folder).split("train")
    (folder / METADATA).write_text(whole)
    (folder / "train_labels.npy").write_bytes((folder / "train_labels.npy").read_bytes()[:200])
    with pytest.raises(ConfigError, match="is damaged"):
        prepare(dataset, tmp_path).split("train")


@pytest.mark.slow
def test_a_store_of_another_mlflow_is_refused_with_advice(tmp_path: Path) -> None:
    import sqlite3

    from equipoise.tracking import open_store

    open_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    # A process keeps the stores that it has opened.
    program = "import sys, pathlib; sys.path.insert(0, 'src'); from equipoise.tracking import open_store; open_store(pathlib.Path(sys.argv[1]))"
    found = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True)
    assert "ConfigError" in found.stderr
    assert "back it up; if an older MLflow made it, then: mlflow db upgrade sqlite:///" in found.stderr


FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
             "mlflow.tensorflow.load_model",
             "mlflow.pyfunc.load_model", "mlflow.keras.load_model", "pd.read_pickle", "pandas.read_pickle", "np.lib.format.read_array"}  # fmt: skip


@pytest.mark.parametrize("file", sorted((REPOSITORY / "src").rglob("*.py")), ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_nothing_unpickles_evaluates_or_starts_a_shell(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [name.name for name in node.names] + [getattr(node, "module", None) or ""]
            assert not {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"} & {name.split(".")[0] for name in names}
        if isinstance(node, ast.Call):
            name, keys = ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert name not in FORBIDDEN, name
            assert keys.get("shell", "False") == "False"
            assert name not in ("np.load", "np.save") or keys.get("allow_pickle") == "False"
            assert not name.endswith("saving.load_model") or keys.get("safe_mode") == "True"
