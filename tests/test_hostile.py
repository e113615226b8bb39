"""Hostile and wrong input: a fixed share of what `benchmarks/fuzz.py` tries, and each of its findings by name."""

import ast
import gc
import gzip
import hashlib
import io
import json
import os
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra import initialize_config_dir
from hypothesis import HealthCheck, Phase, given, seed, settings

import fuzzing
import warm
from equipoise.config.model import validate
from equipoise.core.errors import ConfigError
from equipoise.core.paths import config_folder
from equipoise.core.terminal import warn
from equipoise.data.paths import digest_of
from equipoise.data.prepare import prepare, survey_anew
from equipoise.data.prepared import METADATA, open_prepared
from equipoise.data.shards import INDEX
from equipoise.data.shards import METADATA as SHARDS
from equipoise.data.types import SPLITS
from equipoise.runs.reevaluate import inherit
from equipoise.runs.stage import read_params
from equipoise.sweeps.planning import plan
from equipoise.tracking.history import LoggedConfig
from equipoise.tracking.outbox import JOURNAL, OPERATIONS, UPLOADED, Outbox, read_journal
from equipoise.training.checkpoints import FOLDER, Checkpoints, State
from helpers import REPOSITORY, composed_dataset, copy_project, train
from processes import LIMIT


@pytest.fixture
def some_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fuzzing.write_data(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_any_value_is_accepted_or_refused(some_data: Path) -> None:
    before, outcomes = sorted(some_data.rglob("*")), set()

    @seed(1)
    @settings(
        max_examples=300, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(fuzzing.settings_of_options())
    def draw(drawn: Any) -> None:
        outcomes.add(fuzzing.try_settings(drawn))

    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        draw()
    assert outcomes == {"accepted", "refused"}
    assert sorted(some_data.rglob("*")) == before


@pytest.mark.slow
def test_any_word_is_accepted_or_refused(some_data: Path) -> None:
    outcomes = {fuzzing.try_command(["dataset=synthetic", "model=linear"])}
    assert outcomes == {"accepted"}, "of so many drawn options hardly any fit each other"

    @seed(2)
    @settings(
        max_examples=40, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(fuzzing.command_lines())
    def draw(words: list[str]) -> None:
        outcomes.add(fuzzing.try_command(words))

    draw()
    assert outcomes <= {"accepted", "refused"}
    assert "refused" in outcomes


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_any_damaged_file_is_accepted_or_refused(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "model":
        request.getfixturevalue("tensorflow")
    outcomes = {fuzzing.try_file(kind, number, tmp_path) for number in range(48)}
    assert outcomes == {"accepted", "refused"}, "damage that changes nothing tests nothing"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_itself_says_one_line_and_writes_nothing(project: Path, tmp_path: Path) -> None:
    before = {file for file in project.rglob("*") if "__pycache__" not in file.parts}
    for word in (
        "seed=" + "9" * 5000,
        "dataset.title='$(touch ran)'",
        "dataset=csv",
        "sweep='\x1b[2J'",
        "cost=" + "[" * 400 + "]" * 400,
    ):
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
        (
            ["dataset=csv", "dataset.target=y", "dataset.path=" + "a" * 300, "model=mlp"],
            "cannot be read: File name too long",
        ),
        (
            ["dataset=csv", "dataset.target=y", "dataset.path=/dev/zero", "model=mlp"],
            "is a device or a pipe, not a file",
        ),
        (
            ["dataset=csv", "dataset.target=y", "dataset.path='~nobody-of-this-name/x'", "model=mlp"],
            "cannot be read: Could not determine home",
        ),
        (["dataset=image_directory", "dataset.path=''"], "dataset.path=: there is no such folder"),
        (["dataset=image_directory", "dataset.path='~nobody-of-this-name'"], "there is no such folder"),
        (
            ["dataset=synthetic", "model=mlp", "dataset.class_counts=[2000000000,5]"],
            "numbers; at most 1073741824 are generated",
        ),
        (["cost=" + "a" * 300], "there is no such file"),
        (["trainer.early_stopping=1" + "0" * 400], "must be less than 2147483648"),
        (["seed=" + "9" * 5000], "seed cannot be read: Exceeds the limit (4300 digits)"),
        (["experiment=null"], "experiment=null: there is no such experiment"),
        (["hydra=null"], "hydra=null: type its options one by one"),
        (["-m", "hydra.sweeper=null"], "hydra.sweeper and hydra.launcher hold options"),
        (["-m", "hydra.launcher=joblib"], "hydra.sweeper and hydra.launcher hold options"),
        (["-m", "seed=range(0,1000000000)"], "seed=range(0,1000000000): these are more than 100000 values"),
        (["-m", "seed=range(0,1,1e-300)"], "these are more than 100000 values"),
        (
            ["-m", "seed=range(0,1000)", "trainer.epochs=range(1,1000)"],
            "1000 values of seed times 999 values of trainer.epochs are more than 100000 jobs",
        ),
        (["-m", "weighting=range(0,1000000000)"], "weighting=range(0,1000000000): these are more than 100000 values"),
        (["-m", "seed=range(0,5,0)"], "seed=range(0,5,0): range() arg 3 must not be zero"),
        (["-m", "seed=glob(*)"], "seed=glob(*): there is no such value"),
        (["-m", "hydra.sweeper.params={seed:'0,1'}"], "hydra.sweeper.params"),
        (["trainer.learning_rate=1e308"], "must be less than or equal to 1000000000"),
        (["hydra.run.dir=${nope}"], "hydra.run.dir=${nope}: Interpolation key 'nope' not found"),
        (["hydra.verbose=${nope}"], "hydra.verbose=${nope}: Interpolation key 'nope' not found"),
        (["hydra.job.chdir=${oc.env:NOT_SET_ANYWHERE}"], "Environment variable 'NOT_SET_ANYWHERE' not found"),
        (["-m", "hydra.sweep.dir=${nope}"], "hydra.sweep.dir=${nope}: Interpolation key 'nope' not found"),
        (["-m", "hydra.sweep={dir:'${nix:1}'}"], "Unsupported interpolation type nix"),
        (["loss=focal", "loss.gamma=1e308"], "must be less than or equal to 1000000000"),
        (
            ["dataset=csv", "dataset.path=table.csv", "dataset.target=kind", "model=mlp", "dataset.folds=1000"],
            "there are 40 samples, and each fold needs one",
        ),
    ],
)
@pytest.mark.usefixtures("some_data")
def test_values_that_fuzzing_found(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(words)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("decision=" + "[" * 400 + "]" * 400, "decision is nested more than 20 deep"),
        ("dataset.seed=" + "9" * 5000, "dataset.seed cannot be read: Exceeds the limit (4300 digits)"),
        ("decision=nothing", "decision=nothing: there is no such decision; choose from"),
        ("dataset=null", "dataset=null: there is no such dataset; choose from"),
    ],
)
def test_words_of_an_evaluation_that_fuzzing_found(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        inherit(LoggedConfig({}, None), [word])
    assert said in str(caught.value)


def test_a_message_does_not_drive_the_terminal() -> None:
    assert str(ConfigError("a\x1b[2J\u202eb\nc")) == "a\\x1b[2J\\u202eb\nc"
    assert len(str(ConfigError("x" * 100_000))) < fuzzing.MOST_CHARACTERS
    assert str(ConfigError("été, 日本")) == "été, 日本"


def refused(file: Path, *overrides: str) -> str:
    survey_anew()  # as in a process of its own
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
        (
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000)}\n",
            "claims 4000000000000 bytes and has",
        ),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}\n", "damaged: it claims the shape (-1, 2)"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,\n", "is damaged"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (3, 1)}\n", "holds pickled objects"),
    ],
)
def test_npz_headers_that_fuzzing_found(tmp_path: Path, header: bytes, said: str) -> None:
    assert said in refused(npz(tmp_path / "a.npz", header, b""), "dataset=npz")
    gc.collect()  # a file that is still open is warned of here, not in another test


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


def test_tables_that_fuzzing_found(tmp_path: Path) -> None:
    table = ("x,y\n" + "1,a\n2,b\n" * 20).encode()
    damaged = bytearray(gzip.compress(table, 0))
    damaged[10] = 7
    (tmp_path / "a.csv.gz").write_bytes(damaged)
    assert "cannot be read" in refused(tmp_path / "a.csv.gz", "dataset=csv", "dataset.target=y")
    (tmp_path / "b.csv").write_bytes(table.replace(b"a", b"1e999").replace(b"b", b"2"))
    assert "such as 1e999, not classes" in refused(tmp_path / "b.csv", "dataset=csv", "dataset.target=y")
    (tmp_path / "d.csv").write_bytes(table.replace(b"1,", b"1e300,"))
    assert "column 'x' holds numbers that are too large to be standardised" in refused(
        tmp_path / "d.csv", "dataset=csv", "dataset.target=y"
    )
    late = "x,y,split\n" + "1,a,train\n1,b,train\n" * 9 + "1,a,validation\n1,b,validation\n1e300,a,test\n1,b,test\n"
    (tmp_path / "e.csv").write_text(late)
    said = refused(tmp_path / "e.csv", "dataset=csv", "dataset.target=y", "dataset.split_column=split")
    assert "column 'x' holds numbers that are too large for float32" in said
    (tmp_path / "f.csv").write_bytes(b'"a\n\nb",y\n' + table[4:])
    assert "choose from a\\n\\nb, y" in refused(tmp_path / "f.csv", "dataset=csv", "dataset.target=none_of_them")
    pd.DataFrame({"colour": [1, 2], "y": ["a", "b"]}).to_parquet(
        tmp_path / "g.parquet", compression="none", store_schema=False
    )
    (tmp_path / "g.parquet").write_bytes((tmp_path / "g.parquet").read_bytes().replace(b"colour", b"co\x80our"))
    assert "is no Parquet file" in refused(tmp_path / "g.parquet", "dataset=csv", "dataset.target=y")
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
    assert "0.png cannot be decoded (DecompressionBombError)" in said
    Path("pictures/a/0.png").unlink()
    os.mkfifo("pictures/a/0.png")
    assert "is no file: a pipe or a device" in refused(some_data / "pictures", "dataset=image_directory")
    Path("pictures/a/0.png").unlink()
    Path("pictures/a/0.png").symlink_to("/etc/passwd")
    assert "is a link that leaves" in refused(some_data / "pictures", "dataset=image_directory")


def test_a_picture_is_of_a_format_that_starts_no_other_program(some_data: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save("pictures/a/0.png", "EPS")
    assert "cannot be decoded: it is no PNG, JPEG, BMP, GIF, TIFF or WebP" in refused(
        some_data / "pictures", "dataset=image_directory"
    )


def test_a_class_s_name_does_not_drive_or_fill_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.csv").write_text("x,y\n" + f"1,{'a' * 10**5}\n2,b\n" * 20)
    assert "has a name of 100000 characters; possible are 250" in refused(
        tmp_path / "b.csv", "dataset=csv", "dataset.target=y"
    )
    (tmp_path / "a.csv").write_text("x,y\n" + "1,a\x1b[2J\n2,b\n" * 20)
    assert r"the class 'a\x1b[2J' has a control character in its name" in refused(
        tmp_path / "a.csv", "dataset=csv", "dataset.target=y"
    )
    warn("column a\x1b[2J")
    assert capfd.readouterr().err == "warning: column a\\x1b[2J\n"


def shards(folder: Path, images: bool, **changed: Any) -> Path:
    """A folder of shards with other metadata."""
    folder.mkdir()
    for name, content in fuzzing.shard_files(images).items():
        (folder / name).write_bytes(content)
    metadata = json.loads((folder / SHARDS).read_bytes())
    (folder / SHARDS).write_text(json.dumps(metadata | changed))
    return folder


def test_shards_that_fuzzing_found(tmp_path: Path) -> None:
    for number, (images, changed, said) in enumerate(
        (
            (True, {"shape": [2_000_000_000, 2_000_000_000, 3]}, "metadata.json contradicts itself"),
            (True, {"shape": [8, 8, 7]}, "metadata.json contradicts itself"),
            (
                True,
                {"formats": ["PNG"]},
                "sample 1 of the train split is of the format JPEG, which the shards do not name",
            ),
            (False, {"reference": {"../x": 1.0}}, "metadata.json is damaged"),
            (False, {"shape": [10**9, 10**9]}, "index.npz does not fit the shards beside it"),
        )
    ):
        assert said in refused(shards(tmp_path / str(number), images, **changed), "dataset=tfrecord")
    folder = shards(tmp_path / "index", images=False)
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}\n"
    for content in (b"no array", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header):
        with zipfile.ZipFile(folder / INDEX, "w") as archive:
            for split in SPLITS:
                archive.writestr(f"{split}_labels.npy", content)
                archive.writestr(f"{split}_places.npy", content)
        metadata = json.loads((folder / SHARDS).read_bytes())
        metadata["files"][INDEX] = [(folder / INDEX).stat().st_size, digest_of(folder / INDEX)]
        (folder / SHARDS).write_text(json.dumps(metadata))
        assert "index.npz is damaged" in refused(folder, "dataset=tfrecord")


def test_prepared_data_of_another_version_are_refused_with_advice(tmp_path: Path) -> None:
    dataset = composed_dataset("dataset=digits_lt")
    folder = prepare(dataset, tmp_path).folder
    whole = (folder / METADATA).read_text()
    for other in (
        whole.replace('"notes"', '"remarks"'),
        whole[:-9],
        whole.replace('"shape": [', '"shape": [9,'),
        whole.replace('"counts": [', '"counts": [9,'),
        "",
    ):
        (folder / METADATA).write_text(other)
        with pytest.raises(
            ConfigError, match="was prepared by another version: delete that folder, and it is made again"
        ):
            open_prepared(folder).split("train")
    (folder / METADATA).write_text(whole)
    (folder / "train_labels.npy").write_bytes((folder / "train_labels.npy").read_bytes()[:200])
    with pytest.raises(ConfigError, match="is damaged"):
        prepare(dataset, tmp_path)


@pytest.mark.slow
def test_a_store_of_another_mlflow_is_refused_with_advice(tmp_path: Path) -> None:
    import sqlite3

    from equipoise.tracking.store import open_store

    open_store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    # A process keeps the stores that it has opened.
    program = (
        "import sys, pathlib; sys.path.insert(0, 'src'); from equipoise.tracking.store import open_store; "
        "open_store(pathlib.Path(sys.argv[1]))"
    )
    found = warm.run(["-c", program, str(tmp_path)], REPOSITORY, LIMIT)
    assert "ConfigError" in found.stderr
    assert "back it up; if an older MLflow made it, then: mlflow db upgrade sqlite:///" in found.stderr


def outbox_of(folder: Path, **what: Any) -> Path:
    """A run's folder that asks for one thing more than its begin."""
    folder.mkdir()
    outbox = Outbox(folder)
    outbox.add(
        "begin",
        adopt=None,
        local_id="0a" * 16,
        experiment="it",
        name="a run",
        tags={},
        time=1,
        uri=what.pop("uri", "sqlite:///x"),
    )
    if what:
        outbox.add(**what)
    return folder


def test_a_run_s_folder_says_only_what_a_run_writes(tmp_path: Path) -> None:
    for number, lines in enumerate(
        (
            '{"do": "model", "folder": "../../home", "step": 0, "points": 0}',  # it would be deleted
            '{"do": "tags", "tags": {"a": 1}, "points": 0}',
            '{"do": "unlink", "points": 0}',
            '{"do": "begin"}',
            "[" * 100_000,
            "null",
            '{"do"\n: "tags"}',
        )
    ):
        folder = outbox_of(tmp_path / str(number))
        with open(folder / OPERATIONS, "a") as file:
            file.write(lines + "\n")
        with pytest.raises(ConfigError, match=r"outbox.jsonl is damaged, or another version's: its line after byte"):
            list(Outbox(folder).operations())
    for state in ("", "[]", '{"points": -1}', '{"local_id": "\' OR"}'):
        (folder / UPLOADED).write_text(state)
        with pytest.raises(ConfigError, match=r"uploaded.json is damaged"):
            Outbox(folder)
    (folder / JOURNAL).write_text('{"key": "a", "value": "1", "step": 0, "timestamp": 0}\n')
    with pytest.raises(ConfigError, match=r"metrics.jsonl is damaged"):
        read_journal(folder)
    (folder / JOURNAL).write_text('{"key": "a", "value": Infinity, "step": 0, "timestamp": 0}\n{"key": "a", "val')
    assert len(read_journal(folder)) == 1, "half a line is what a crash leaves"


@pytest.mark.slow
def test_the_upload_takes_no_foreign_file_and_goes_to_no_foreign_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project")  # its own: what is not uploaded whole stays RUNNING there
    (tmp_path / "secret").write_text("it")
    outbox_of(tmp_path / "a", do="file", file="../secret", to="")
    (outbox_of(tmp_path / "b", do="file", file="link", to="") / "link").symlink_to(tmp_path / "secret")
    (outbox_of(tmp_path / "c") / OPERATIONS).write_text("torn\n")
    found = train(project, str(tmp_path), script="sync.py")
    assert found.returncode == 1
    assert found.stdout == "2 runs with something left to upload\n"
    first, second, third = found.stderr.splitlines()
    assert first.startswith(f"error: {tmp_path}/c/outbox.jsonl is damaged")
    assert (
        second == f"error: {tmp_path}/a is kept, and not uploaded: "
        f"{tmp_path}/a asks for the upload of {tmp_path}/a/../secret, which is not a file of the run"
    )
    assert "b/link, which is not a file of the run" in third
    outbox_of(tmp_path / "d", uri="http://127.0.0.1:9")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = train(project, str(tmp_path / "d"), script="sync.py")
    assert found.returncode == 2
    assert (
        "asks for the server http://127.0.0.1:9: if you trust it, set MLFLOW_TRACKING_URI=http://127.0.0.1:9 first"
        in found.stderr
    )


def test_a_checkpoint_with_the_right_digest_holds_arrays_or_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {"config_sha256": "a"})
    state = State({"weights": [np.ones(2)]}, {"history": []})
    checkpoints.save(0, state)
    good = next((tmp_path / FOLDER).iterdir()).read_bytes()
    assert checkpoints.newest() is not None
    pickled = io.BytesIO()
    values = np.frombuffer(b'{"groups": ["weights"], "made_by": {"config_sha256": "a"}}', np.uint8)
    np.savez(pickled, values=values, **{"weights/000000": np.array([{}], dtype=object)})
    listed, bare = io.BytesIO(), io.BytesIO()
    np.savez(listed, values=np.frombuffer(b'["groups"]', np.uint8))
    np.savez(bare, values=values)
    with zipfile.ZipFile(bare, "a") as archive:
        archive.writestr("weights/000000.npy", b"no array")
    for content in (pickled.getvalue(), listed.getvalue(), bare.getvalue(), good[:-30], b""):
        shutil.rmtree(tmp_path / FOLDER)
        (tmp_path / FOLDER).mkdir()
        (tmp_path / FOLDER / f"00000001-{hashlib.sha256(content).hexdigest()}.npz").write_bytes(content)
        assert checkpoints.newest() is None
    (tmp_path / FOLDER / f"00000002-{'0' * 64}.npz").write_bytes(good)
    assert checkpoints.newest() is None, "it is not what its name says"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"seed: 0\n\tdataset: 1\n", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"seed: !!python/object/apply:os.system [touch ran]\n", "cannot be read"),
        (b"a: &a [1, 1]\nb: [*a, *a]\n", "has an alias"),
        (b"[" * 5000, "cannot be read"),
        (b"- 1\n", "holds no options"),
        (b'dataset: {title: "\\ud800"}\n', "dataset.title holds text that is not UTF-8"),
        (b"", "dataset"),
        (b"#" * (2 << 20), "has 2097152 characters"),
    ],
    ids=["a tab", "no UTF-8", "a tag", "an alias", "too deep", "a list", "a surrogate", "empty", "too long"],
)
def test_params_that_fuzzing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        validate(read_params(tmp_path / "params.yaml"))
    assert said in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["params.yaml"]


def test_the_last_seed_of_all_splits(tmp_path: Path) -> None:
    assert prepare(composed_dataset("dataset=digits_lt", f"dataset.split_seed={2**32 - 1}"), tmp_path).counts.sum() > 0
    (tmp_path / "table.csv").write_bytes(fuzzing.KINDS["csv"].valid()[0])
    overrides = (
        "dataset=csv",
        f"dataset.path='{tmp_path}/table.csv'",
        "dataset.target=kind",
        f"dataset.split_seed={2**32 - 1}",
    )
    assert prepare(composed_dataset(*overrides), tmp_path / "cache").counts.sum() > 0


RUN_EVERY_ENTRY_POINT = """
import sys
import mlflow
import yaml

root, hostile = sys.argv[1:]
for name, point in yaml.safe_load(open(f"{root}/MLproject"))["entry_points"].items():
    given = dict.fromkeys(point["parameters"], hostile)
    mlflow.projects.run(root, name, parameters=given, env_manager="local", experiment_name="it")
"""


@pytest.mark.slow
def test_the_shell_of_mlflow_run_evaluates_no_value(tmp_path: Path) -> None:
    """Every entry point hands its values on as they are; `python` is here a script that writes down its words."""
    hostile = "$(touch ran) `touch ran`; touch ran"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{tmp_path}/words'\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    environment["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    found = warm.run(["-c", RUN_EVERY_ENTRY_POINT, str(REPOSITORY), hostile], tmp_path, LIMIT, environment)
    assert found.returncode == 0, found.stderr
    points = yaml.safe_load((REPOSITORY / "MLproject").read_text())["entry_points"]
    words = (tmp_path / "words").read_text().splitlines()
    assert sum(word.endswith(hostile) for word in words) == sum(len(point["parameters"]) for point in points.values())
    assert not any((folder / "ran").exists() for folder in (tmp_path, REPOSITORY))


FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load",
             "pd.read_pickle", "pandas.read_pickle", "np.lib.format.read_array"}  # fmt: skip
PROGRAMS = sorted(file for part in ("src", "pipelines") for file in (REPOSITORY / part).rglob("*.py"))


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_nothing_unpickles_evaluates_or_starts_a_shell(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [name.name for name in node.names] + [module]
            assert not {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"} & {
                name.split(".")[0] for name in names
            }
            assert "load_model" not in names or module == "equipoise.tracking.artifacts", (
                "it would run what lies beside the model"
            )
        if isinstance(node, ast.Call):
            name, keys = ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert name not in FORBIDDEN, name
            assert keys.get("shell", "False") == "False"
            assert name not in ("np.load", "np.save") or keys.get("allow_pickle") == "False"
            assert name != "yaml.load" or "YAML()" in file.read_text(), "ruamel's is safe by default, PyYAML's is not"
            assert not name.endswith(".load_model") or (file.name, name, keys.get("safe_mode")) == (
                "saved_model.py",
                "keras.saving.load_model",
                "True",
            )
