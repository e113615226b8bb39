"""The store: opened, asked again, refused; its experiments, and the runs whose process is gone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.exceptions import MlflowException

from equipoise.core.errors import ConfigError
from equipoise.tracking.run import Description, start_run
from equipoise.tracking.store import Store, existing_store, open_store


def status_of(store: Store, run_id: str) -> str:
    status: str = store.client.get_run(run_id).info.status
    return status


def test_the_store_is_one_file_below_the_root(store: Store, tmp_path: Path) -> None:
    with start_run(
        store, Description("some data", "a name", {"a.b": 1, "c": None}, {"weighting": "balanced"}), tmp_path
    ) as run:
        run.log_json({"x": 1}, "weights.json")
    logged = store.client.get_run(run.id)
    assert (store.root / "mlflow.db").is_file()
    assert (store.root / "mlruns" / "some data" / run.id / "artifacts" / "weights.json").is_file()
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"a.b": "1", "c": "None"}
    assert logged.data.tags["weighting"] == "balanced"
    assert logged.data.tags["pid"] == str(os.getpid())
    assert store.runs(weighting="balanced")[0].info.run_id == run.id
    assert store.runs(weighting="none") == []


def test_an_experiment_that_another_process_is_first_to_make(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    look = store.client.get_experiment_by_name

    def and_then_another_makes_it(name: str) -> Any:
        monkeypatch.undo()
        found = look(name)
        store.client.create_experiment(name)
        return found

    monkeypatch.setattr(store.client, "get_experiment_by_name", and_then_another_makes_it)
    assert store.experiment("raced") == look("raced").experiment_id
    with pytest.raises(MlflowException, match="Invalid experiment name"):
        store.experiment("")


def test_only_runs_whose_process_is_gone_are_closed(store: Store) -> None:
    experiment = store.experiment("orphans")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = {
        "host": os.uname().nodename,
        "pid": str(child.pid),
        "process_start": f"{psutil.Process(child.pid).create_time():.2f}",
    }

    def running(**tags: str) -> str:
        run_id: str = store.client.create_run(experiment, tags={**started, **tags}).info.run_id
        return run_id

    alive, recycled, elsewhere = running(), running(process_start="1.00"), running(host="another", pid="1")
    open_store(store.root)
    assert [status_of(store, run) for run in (alive, recycled, elsewhere)] == ["RUNNING", "KILLED", "RUNNING"]
    child.communicate(b"\n")
    open_store(store.root)
    assert [status_of(store, run) for run in (alive, elsewhere)] == ["KILLED", "RUNNING"]


def test_a_store_that_was_there_is_asked_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As by each job of a sweep: another program may hold its lock by now."""
    assert open_store(store.root, needed=False).answers

    def locked(**_: Any) -> None:
        raise MlflowException("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(store.client, "search_experiments", locked)
        assert not open_store(store.root, needed=False).answers
    assert "does not answer (database is locked)" in capsys.readouterr().err
    assert open_store(store.root, needed=False).answers


def test_an_address_that_is_not_heeded_is_told_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@127.0.0.1:9")
    for _ in range(2):
        open_store(store.root)
    assert capsys.readouterr().err == (
        f"warning: MLFLOW_TRACKING_URI is not heeded: tracking=local keeps runs in {store.uri}; "
        "tracking=server sends them to the server at that address\n"
    )
    assert os.environ["MLFLOW_TRACKING_URI"] == store.uri, "which is what a job in another process finds"


@pytest.mark.parametrize("uri", ["", "localhost:5000", "postgresql://u:secret@host/db", "https://ada:secret@host"])
def test_a_wrong_address_or_one_with_a_password_is_refused(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_U") as refused:
        open_store(tmp_path, "server")
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_that_was_deleted_is_named_with_the_way_back(store: Store) -> None:
    store.client.delete_experiment(store.experiment("gone"))
    with pytest.raises(ConfigError, match=r"'gone' was deleted: .*mlflow experiments restore"):
        store.experiment("gone")


def test_a_store_that_is_not_there_is_not_made_to_read_runs_from(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no runs yet; train one"):
        existing_store(tmp_path, "local", "train one")
    assert list(tmp_path.iterdir()) == []
