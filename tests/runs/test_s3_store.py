"""An S3 store, by moto's server: data are read from it, MLflow keeps artifacts there, and DVC its remote."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

import data_files
from equipoise.commands import server
from equipoise.core.errors import ConfigError
from equipoise.data import prepare, remote
from equipoise.tracking.store import open_store
from helpers import copy_project, train, typed
from processes import Processes
from servers import answers, free_port

pytestmark = pytest.mark.slow

BUCKET = "the-bucket"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an empty bucket; the address and a key stand in the environment, as users have them."""
    held, nothing = dict(os.environ), tmp_path_factory.mktemp("aws") / "config"
    nothing.touch()
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "ada",
        "AWS_SECRET_ACCESS_KEY": "her key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(nothing),
        "AWS_SHARED_CREDENTIALS_FILE": str(nothing),
        "DVC_NO_ANALYTICS": "true",
    }
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    moto.stop()
    os.environ.clear()
    os.environ.update(held)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project that copies of the store's files lie in."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    held = os.environ.get("EQUIPOISE_ROOT")
    os.environ["EQUIPOISE_ROOT"] = str(folder)
    yield folder
    os.environ.pop("EQUIPOISE_ROOT")
    if held is not None:
        os.environ["EQUIPOISE_ROOT"] = held


@pytest.fixture(autouse=True)
def _as_a_new_process() -> None:
    prepare.survey_anew()


def frame(rows: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame({"a": generator.normal(size=rows), "b": range(rows), "y": np.arange(rows) % 3 // 2})


def put(s3: Any, file: Path, key: str) -> str:
    s3.upload_file(str(file), BUCKET, key)
    return f"s3://{BUCKET}/{key}"


def table(path: str) -> list[str]:
    return ["dataset=csv", f"dataset.path='{path}'", "dataset.target=y"]


def keys(s3: Any, prefix: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def test_a_table_in_the_store_is_what_it_is_on_a_disk(s3: Any, root: Path, tmp_path: Path, cache: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    here = data_files.prepared(cache, *table(str(tmp_path / "t.csv")))
    kept = put(s3, tmp_path / "t.csv", "it's/t.csv")
    assert data_files.prepared(cache, "dataset=csv", f'dataset.path="{kept}"', "dataset.target=y").folder == here.folder


def test_several_files_in_the_store_are_one_table(s3: Any, root: Path, tmp_path: Path, cache: Path) -> None:
    whole = frame()
    for part, rows in enumerate((whole[:20], whole[20:])):
        rows.to_parquet(tmp_path / f"part-{part}.parquet", index=False)
        kept = put(s3, tmp_path / f"part-{part}.parquet", f"parts/part-{part}.parquet")
    here = data_files.prepared(cache, *table(f"{tmp_path}/*.parquet"))
    for path in (kept.replace("part-1", "*"), kept.rpartition("/")[0], f"{kept.rpartition('/')[0]}/"):
        assert data_files.prepared(cache, *table(path)).data_sha256 == here.data_sha256


def test_a_file_that_is_changed_in_the_store_is_other_data(s3: Any, root: Path, tmp_path: Path, cache: Path) -> None:
    digests = set()
    for rows in (60, 63):
        frame(rows).to_csv(tmp_path / "t.csv", index=False)
        kept = put(s3, tmp_path / "t.csv", "changed.csv")
        prepare.survey_anew()
        digests.add(data_files.prepared(cache, *table(kept)).data_sha256)
    assert len(digests) == 2


def test_shards_and_arrays_in_the_store_train_the_same_data(s3: Any, root: Path, tmp_path: Path, cache: Path) -> None:
    found = train(root, "dataset=digits_lt", f"output={tmp_path / 'shards'}", script="shards.py")
    assert found.returncode == 0, found.stderr
    for file in (tmp_path / "shards").iterdir():
        put(s3, file, f"shards/{file.name}")
    here, there = (
        data_files.prepared(cache, "dataset=tfrecord", f"dataset.path={path}")
        for path in (tmp_path / "shards", f"s3://{BUCKET}/shards")
    )
    assert there.data_sha256 == here.data_sha256
    assert np.array_equal(there.split("test").features[:], here.split("test").features[:])
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(60, 4)), y=np.arange(60) % 3)
    kept = put(s3, tmp_path / "a.npz", "a.npz")
    assert data_files.prepared(cache, "dataset=npz", f"dataset.path={kept}").shape == (4,)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://the-bucket/none.csv", "dataset.path=s3://the-bucket/none.csv: nothing is there"),
        ("s3://the-bucket/none/*.csv", "dataset.path=s3://the-bucket/none/*.csv: nothing is there"),
        ("s3://no-bucket/t.csv", "dataset.path=s3://no-bucket/t.csv: there is no such bucket"),
        ("s3://the-bucket", "dataset.path=s3://the-bucket: name a file or a folder in the bucket"),
    ],
)
def test_what_is_not_in_the_store_is_told(s3: Any, root: Path, cache: Path, path: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        data_files.prepared(cache, *table(path))
    assert str(caught.value).startswith(said)


def test_without_the_extra_the_error_names_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match="s3fs: make setup EXTRA=s3"):
        remote.local("s3://b/t.csv", "dataset.path")


def test_the_server_takes_no_other_place_for_artifacts(tmp_path: Path) -> None:
    assert server.place_of_artifacts({}, tmp_path) == str(tmp_path / "artifacts")
    assert server.place_of_artifacts({"artifacts": "s3://b/x"}, tmp_path) == "s3://b/x"
    for typed_one in ("/tmp/x", "s3://", "https://b/x"):
        with pytest.raises(ConfigError, match="artifacts=s3://bucket/folder"):
            server.place_of_artifacts({"artifacts": typed_one}, tmp_path)


def test_a_server_keeps_the_artifacts_of_a_run_in_the_store(
    s3: Any, root: Path, tmp_path: Path, processes: Processes
) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    kept, port = put(s3, tmp_path / "t.csv", "trained.csv"), free_port()
    words = ["-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/m.db", "--workers", "1"]
    words += ["--artifacts-destination", f"s3://{BUCKET}/artifacts", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    log = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = processes.start([sys.executable, *words], cwd=tmp_path, **log)
    processes.until(lambda: answers(f"{address}/health"), started)
    os.environ["MLFLOW_TRACKING_URI"] = address
    options = ["model=linear", "trainer.epochs=1", "evaluation.resamples=0", "tracking=server"]
    found = train(root, *table(kept), *options)
    assert found.returncode == 0, found.stderr
    (run,) = open_store(root, "server").runs()
    held = keys(s3, "artifacts/")
    assert any(key.endswith(f"{run.info.run_id}/artifacts/config/resolved.json") for key in held)
    assert any(key.endswith("model.keras") for key in held)


def test_a_run_writes_artifacts_into_the_store_itself(s3: Any, root: Path) -> None:
    place = f"s3://{BUCKET}/of-clients"
    store = open_store(root)
    store.client.create_experiment("direct", artifact_location=place)
    found = train(
        root, "dataset=digits_lt", "dataset.title=direct", "model=linear", "trainer.epochs=1", "evaluation.resamples=0"
    )
    assert found.returncode == 0, found.stderr
    assert any(key.endswith("report.html") for key in keys(s3, "of-clients/"))


def test_the_remote_of_dvc_is_in_the_store(s3: Any, tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    line = (
        f"dvc init -q --no-scm && dvc remote add -q -d kept s3://{BUCKET}/dvc && dvc add -q t.csv && dvc push -q && "
        "rm -r t.csv .dvc/cache && dvc pull -q"
    )
    found = typed(line, tmp_path)
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "t.csv").read_text() == frame().to_csv(index=False)
    assert len(keys(s3, "dvc/")) == 1
