"""The life of a run in the store, against a real MLflow store on SQLite."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event

import warm
from equipoise.commands import sync
from equipoise.core.errors import ConfigError
from equipoise.tracking import provenance
from equipoise.tracking.artifacts import load_model
from equipoise.tracking.outbox import Outbox, read_journal
from equipoise.tracking.run import Description, outer_run, start_run
from equipoise.tracking.store import Store
from processes import LIMIT


def status_of(store: Store, run_id: str) -> str:
    status: str = store.client.get_run(run_id).info.status
    return status


def test_metrics_land_in_the_file_and_in_the_store(store: Store, tmp_path: Path) -> None:
    with start_run(store, Description("e", "n"), tmp_path) as run:
        run.log_metrics({"val/loss": 0.5, "undefined": float("nan")}, step=3)
        run.log_profile("profile/recall", np.array([0.9, np.nan, 0.1]))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["key"], line["value"], line["step"]) for line in lines] == [
        ("val/loss", 0.5, 3),
        ("profile/recall", 0.9, 0),
        ("profile/recall", 0.1, 2),
    ]
    history = store.client.get_metric_history(run.id, "profile/recall")
    assert [(point.step, point.value, point.timestamp) for point in history] == [
        (0, 0.9, lines[1]["timestamp"]),
        (2, 0.1, lines[2]["timestamp"]),
    ]
    assert "undefined" not in store.client.get_run(run.id).data.metrics
    assert store.points(run.id, ["val/loss", "val/loss", "absent"]) == [{"key": "val/loss", "value": 0.5, "step": 3}]
    with pytest.raises(ConfigError, match=f"run={run.id}: its model is not there"):
        load_model(store, run.id)


def test_a_run_that_is_adopted_goes_on_without_double_points(store: Store, tmp_path: Path) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        start_run(store, Description("e", "first", {"a": 1}, {"t": "1"}), tmp_path) as run,
    ):
        run.log_metrics({"val/loss": 0.5}, step=0)
        run.log_metrics({"val/loss": 0.4}, step=1)
        raise KeyboardInterrupt
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"key": "val/lo')  # power was lost here
    with start_run(store, Description("e", "again", {"a": 2, "b": 3}, {"t": "2"}), tmp_path, adopt=run.id) as again:
        assert status_of(store, run.id) == "RUNNING"
        again.log_metrics({"val/loss": 0.4}, step=1)
        again.log_metrics({"val/loss": 0.3}, step=2)
    logged = store.client.get_run(run.id)
    assert (again.id, logged.info.status, logged.info.run_name, logged.data.tags["t"]) == (
        run.id,
        "FINISHED",
        "again",
        "2",
    )
    assert logged.data.params == {"a": "1", "b": "3"}, "a param that is there stays"
    history = store.client.get_metric_history(run.id, "val/loss")
    assert sorted((point.step, point.value) for point in history) == [(0, 0.5), (1, 0.4), (2, 0.3)]
    assert [(point["step"], point["value"]) for point in read_journal(tmp_path)] == [(0, 0.5), (1, 0.4), (2, 0.3)]


def test_points_within_a_second_are_on_the_disk_at_once_and_uploaded_together(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with start_run(store, Description("e", "n"), tmp_path) as run:

        def seen() -> list[float]:
            return [point.value for point in store.client.get_metric_history(run.id, "val/loss")]

        for step, value in enumerate((0.5, 0.4)):
            run.log_metrics({"val/loss": value}, step)
        assert ([point["value"] for point in read_journal(tmp_path)], seen()) == ([0.5, 0.4], [])
        now += 1
        run.log_metrics({"val/loss": 0.3}, step=2)
        assert seen() == [0.5, 0.4, 0.3]
        run.log_metrics({"val/loss": 0.2}, step=3)
        assert seen() == [0.5, 0.4, 0.3]
        run.flush()
        assert seen() == [0.5, 0.4, 0.3, 0.2]
        run.log_metrics({"val/loss": 0.1}, step=4)
    assert seen() == [0.5, 0.4, 0.3, 0.2, 0.1]


def test_points_and_tags_share_requests_whatever_was_logged_between(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    log_batch = store.client.log_batch

    def counted(run: str, metrics: Any = (), tags: Any = (), **rest: Any) -> None:
        sent.extend([[point.key for point in metrics]] if metrics else [])
        sent.extend([[f"{tag.key}={tag.value}" for tag in tags]] if tags else [])
        log_batch(run, metrics=metrics, tags=tags, **rest)

    monkeypatch.setattr(store.client, "log_batch", counted)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    with start_run(store, Description("e", "n"), tmp_path) as run:
        for key in ("a", "b", "c"):
            run.log_metrics({key: 1.0})
            run.log_json({}, f"{key}.json")
            run.set_tag(key, "said")
        run.set_tag("a", "said again")
        assert sent == []
        run.flush()
        assert sent == [["a", "b", "c"], ["a=said again", "b=said", "c=said"]]
        run.log_metrics({"d": 1.0})
    assert sent[2:] == [["d"]]
    assert store.client.get_run(run.id).data.metrics == {"a": 1, "b": 1, "c": 1, "d": 1}


@pytest.mark.parametrize(("error", "status"), [(ValueError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_run_that_breaks_off_tells_how(store: Store, tmp_path: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), start_run(store, Description("e", "n"), tmp_path) as run:
        raise error
    assert status_of(store, run.id) == status
    text = (store.root / "mlruns" / "e" / run.id / "artifacts" / "traceback.txt").read_text()
    assert type(error).__name__ in text


@pytest.mark.parametrize("table", ["runs", "params", "metrics"])
def test_a_signal_waits_for_the_transaction(table: str, store: Store, tmp_path: Path) -> None:
    """Python handles it in the middle of one, which the database would stay locked by."""

    def interrupt(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(f"INSERT INTO {table} "):
            signal.raise_signal(signal.SIGINT)

    event.listen(Engine, "after_cursor_execute", interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt), start_run(store, Description("e", "n", {"a": 1}), tmp_path) as run:
            run.log_metrics({"val/loss": 0.5})
            run.flush()
            raise AssertionError("the interruption is lost")
    finally:
        event.remove(Engine, "after_cursor_execute", interrupt)
    logged = store.client.get_run(Outbox(tmp_path).uploaded.run_id)
    assert logged.info.status == "KILLED"
    assert logged.data.metrics == ({} if table == "runs" else {"val/loss": 0.5})
    assert (tmp_path / "traceback.txt").exists() == (table != "runs"), "the run had not begun to work"


def test_an_upload_that_takes_too_long_goes_on_with_what_comes_next(store: Store, tmp_path: Path) -> None:
    with start_run(store, Description("e", "n"), tmp_path) as run:
        run.outbox.add_points([{"key": "val/loss", "value": 0.5, "step": 0, "timestamp": 1}])
        assert not run.courier.bring_now(0)
        assert store.client.get_metric_history(run.id, "val/loss") == []
        run.log_metrics({"val/loss": 0.4}, step=1)
        run.flush()
        assert run.is_uploaded
    history = store.client.get_metric_history(run.id, "val/loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (1, 0.4)]


def test_a_run_that_mlflow_opened_in_another_store_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(ConfigError, match="`mlflow run` has opened a run in another store"):
        outer_run(store)
    assert outer_run(store) is None, "it is asked for once"
    sent = {"mlflow.source.git.commit": "abc", "git_dirty": "true"}
    monkeypatch.setenv(provenance.GIT, json.dumps(sent))
    assert provenance.git_tags() == sent


def test_a_run_that_is_going_on_is_not_uploaded_by_another_command(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"nowhere: there is no such folder"):
        sync.upload_left(["nowhere"])
    with pytest.MonkeyPatch.context() as patch, start_run(store, Description("e", "n"), tmp_path) as run:
        patch.setattr(sync, "project_root", lambda: store.root)
        run.outbox.add("tags", tags={"late": "yes"})
        assert sync.upload_left([str(tmp_path)]) == 0
    assert (
        capsys.readouterr().out
        == f"1 run with something left to upload\n{tmp_path} is being written to by a run that is going on\n"
    )


def test_a_run_that_the_store_has_no_more_is_uploaded_anew_by_the_command_that_is_named(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "project_root", lambda: store.root)
    with start_run(store, Description("e", "n"), tmp_path) as run:
        run.log_metrics({"val/loss": 0.5})
    state = json.loads((tmp_path / "uploaded.json").read_text())
    Outbox(tmp_path).add("end", status="FINISHED", time=1)
    store.client.delete_run(run.id)
    (tmp_path / "uploaded.json").write_text(json.dumps({**state, "run_id": "0" * 32}))
    assert sync.upload_left([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    command = f"rm {tmp_path / 'uploaded.json'}"
    assert (
        said == f"error: {tmp_path} is kept, and not uploaded: Run with id={'0' * 32} not found; "
        f"to upload it anew: {command}\n"
    )
    subprocess.run(command.split(), check=True)
    assert sync.upload_left([str(tmp_path)]) == 0
    anew = Outbox(tmp_path).uploaded.run_id
    assert anew not in ("0" * 32, run.id)
    assert store.client.get_run(anew).data.metrics == {"val/loss": 0.5}


@pytest.mark.slow
def test_one_run_at_a_time_writes_into_a_folder(store: Store, tmp_path: Path) -> None:
    with (
        start_run(store, Description("e", "n"), tmp_path),
        pytest.raises(ConfigError, match=f"in use by another process, process {os.getpid()} on"),
    ):
        start_run(store, Description("e", "n"), tmp_path).__enter__()
    with start_run(store, Description("e", "n"), tmp_path) as again:
        again.log_metrics({"val/loss": 0.5})
    assert store.client.get_run(again.id).data.metrics == {"val/loss": 0.5}, "another run in the same folder"


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_the_model_loads_without_our_code(store: Store, tmp_path: Path) -> None:
    """Nor does it take along the losses that the process has registered with Keras."""
    from equipoise import losses  # noqa: F401
    from equipoise.methods import models

    model = models.mlp((3,), 2, hidden=(4,), dropout=0.5, embedding="auto")
    example = np.ones((2, 3), np.float32)
    with start_run(store, Description("models", "n"), tmp_path) as run:
        run.log_metrics({"test/accuracy": 1.0})
        run.log_model(model, example, step=5)
        assert status_of(store, run.id) == "RUNNING"
    assert len(store.client.get_metric_history(run.id, "test/accuracy")) == 1, "logging the model logs no metric again"
    program = """
import sys, numpy, mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[2]}/model")
print(numpy.asarray(model.predict(numpy.ones((2, 3), numpy.float32))).astype("float32").tobytes().hex())
"""
    loaded = warm.run(["-c", program, store.uri, run.id], tmp_path, LIMIT, {**os.environ, "PYTHONPATH": ""})
    assert loaded.returncode == 0, loaded.stderr
    assert bytes.fromhex(loaded.stdout.split()[-1]) == model(example).numpy().tobytes()
