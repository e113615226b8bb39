"""A store that is down, hangs, answers 500, rejects the password, is locked or full: what was logged arrives, once."""

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import warm
from equipoise.core.errors import ConfigError
from equipoise.tracking.artifacts import read_json
from equipoise.tracking.courier import Pace
from equipoise.tracking.outbox import Outbox, read_journal
from equipoise.tracking.run import Description, Run, start_run, sync_folder
from equipoise.tracking.store import Store, open_store
from helpers import REPOSITORY, copy_project, new_store, train
from processes import LIMIT
from servers import Proxy, Server, as_user, proxied

pytestmark = pytest.mark.slow

QUICK = Pace(every=0, pause=0.3, pauses=0.1, at_the_end=1)


@pytest.fixture(scope="module")
def user(server: Server) -> tuple[str, str]:
    server.user("carla", "carla's password")
    return "carla", "carla's password"


@pytest.fixture
def proxy(server: Server, user: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The way to the server for this process, which waits for it no longer than a test does."""
    with proxied(server.port) as proxy:
        for key, value in as_user(proxy.uri, *user).items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield proxy


def log_everything(run: Run, epochs: range) -> None:
    for epoch in epochs:
        run.log_metrics({"train/loss": 1 / (epoch + 1), "val/loss": epoch / 7}, step=epoch)
    run.log_profile("profile/recall", np.array([0.9, 0.5, 0.1]))
    run.log_json({"a": 1}, "weights.json")
    run.log_table({"class": ["a"], "recall": [0.5]}, "evaluation/per_class.json")
    run.set_tag("late", "yes")


def assert_complete(store: Store, outbox: Outbox, epochs: int, status: str = "FINISHED") -> None:
    """The store has every point of the journal once, with its time stamp, and the rest."""
    run = store.client.get_run(outbox.uploaded.run_id)
    assert run.info.status == status
    assert run.data.params == {"a": "1"}
    assert run.data.tags["late"] == "yes"
    points = read_journal(outbox.folder)
    assert len(points) == 2 * epochs + 3
    for key in {point["key"] for point in points}:
        found = [
            (point.step, point.value, point.timestamp)
            for point in store.client.get_metric_history(run.info.run_id, key)
        ]
        assert sorted(found) == sorted(
            (point["step"], point["value"], point["timestamp"]) for point in points if point["key"] == key
        )
    assert read_json(store, run.info.run_id, "weights.json") == {"a": 1}
    assert read_json(store, run.info.run_id, "evaluation/per_class.json")["columns"] == ["class", "recall"]
    runs = [run for run in store.runs(local_id=outbox.uploaded.local_id) if run.info.lifecycle_stage == "active"]
    assert len(runs) == 1, "made once"


@pytest.mark.parametrize("mode", ["refuse", "hang", "cut", "error"])
@pytest.mark.parametrize("when", ["at the start", "in the middle", "to the end"])
def test_points_logged_in_an_outage_arrive_once(
    proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, when: str
) -> None:
    store = open_store(tmp_path, "server")
    proxy.mode = mode if when == "at the start" else "pass"
    with start_run(store, Description("outages", f"{mode} {when}", {"a": 1}), tmp_path, pace=QUICK) as run:
        log_everything(run, range(3))
        proxy.mode = "pass" if when == "at the start" else mode
        failed = proxy.failed
        log_everything(run, range(3, 20))
        assert when == "at the start" or proxy.failed - failed < 17, "epochs go on, and do not ask the store each"
        if when == "in the middle":
            proxy.mode = "pass"
            time.sleep(0.5)
            run.log_metrics({"train/loss": 0.01, "val/loss": 0.0}, step=20)
        else:
            run.log_metrics({"train/loss": 0.01, "val/loss": 0.0}, step=20)
    said = capsys.readouterr().err
    assert "the run goes on" in said
    if when == "to the end":
        assert "python src/sync.py" in said
        assert not run.is_uploaded
        proxy.mode = "pass"
        assert sync_folder(store, tmp_path)
        assert sync_folder(store, tmp_path), "a second time changes nothing"
    else:
        assert "answers again" in said
        assert "sync.py" not in said
    assert_complete(store, Outbox(tmp_path), 21)


def test_a_password_that_is_changed_while_a_run_goes_on(
    server: Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(tmp_path, "server")
    with start_run(store, Description("outages", "password", {"a": 1}), tmp_path, pace=QUICK) as run:
        log_everything(run, range(3))
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not the password")
        log_everything(run, range(3, 6))
    said = capsys.readouterr().err
    assert "the run goes on" in said
    assert "not the password" not in said
    with pytest.raises(ConfigError, match="refuses the user"):
        open_store(tmp_path, "server", needed=False)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "carla's password")
    assert sync_folder(store, tmp_path)
    assert_complete(store, Outbox(tmp_path), 6)


def test_a_database_that_is_locked_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pace = Pace(every=0, pause=0.1, pauses=0.01, at_the_end=0)
    store = new_store(tmp_path)
    with start_run(store, Description("outages", "locked", {"a": 1}), tmp_path, pace=pace) as run:
        log_everything(run, range(3))
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            run.log_metrics({"train/loss": 0.1, "val/loss": 0.1}, step=3)
            assert not run.is_uploaded
        time.sleep(0.5)
        run.log_metrics({"train/loss": 0.01, "val/loss": 0.0}, step=4)
        assert run.is_uploaded
    assert "database is locked" in capsys.readouterr().err
    assert_complete(store, Outbox(tmp_path), 5)


def test_a_database_that_cannot_grow(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    program = """
import resource, sys
from pathlib import Path
import numpy as np
from equipoise.tracking.courier import Pace
from equipoise.tracking.run import Description, start_run
from equipoise.tracking.store import open_store
root = Path(sys.argv[1])
store = open_store(root)
pace = Pace(pause=1000, at_the_end=0)
with start_run(store, Description("outages", "full", {"a": 1}), root, pace=pace) as run:
    run.log_metrics({"train/loss": 0.5, "val/loss": 0.5}, step=0)
    size = (root / "mlflow.db").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    for epoch in range(1, 400):
        run.log_metrics({"train/loss": 1 / epoch, "val/loss": 1.0}, step=epoch)
    run.log_profile("profile/recall", np.array([0.9, 0.5, 0.1]))
    run.log_json({"a": 1}, "weights.json")
    run.log_table({"class": ["a"], "recall": [0.5]}, "evaluation/per_class.json")
    run.set_tag("late", "yes")
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    found = warm.run(["-c", program, str(tmp_path)], tmp_path, LIMIT, environment)
    assert found.returncode == 0, found.stderr
    assert "the run goes on" in found.stderr
    assert "python src/sync.py" in found.stderr
    assert sync_folder(store, tmp_path)
    assert_complete(store, Outbox(tmp_path), 400)


def test_a_crash_at_any_byte_of_the_files_is_uploaded_whole(tmp_path: Path) -> None:
    """As a loss of power leaves them: the state is older than the store, or a line is half written."""
    store = new_store(tmp_path)
    states: list[str] = []
    with start_run(store, Description("outages", "crash", {"a": 1}), tmp_path) as run:
        save = Outbox.save

        def keep(outbox: Outbox) -> None:
            save(outbox)
            states.append((tmp_path / "uploaded.json").read_text())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Outbox, "save", keep)
            log_everything(run, range(3))
    for state in [json.dumps({}), *states]:
        if json.loads(state).get("run_id"):
            (tmp_path / "uploaded.json").write_text(state)
            with open(tmp_path / "metrics.jsonl", "a") as journal:
                journal.write('{"key": "half')
            assert sync_folder(store, tmp_path)
    assert_complete(store, Outbox(tmp_path), 3)


@pytest.mark.parametrize("left", [None, "{}"])
def test_a_state_that_is_lost_makes_no_second_run(tmp_path: Path, left: str | None) -> None:
    """Not by going on, twice, nor by an upload: which run it is, and what of it is there, is asked of MLflow."""
    store = new_store(tmp_path)

    def lose() -> None:
        (tmp_path / "uploaded.json").unlink()
        if left is not None:
            (tmp_path / "uploaded.json").write_text(left)

    with (
        contextlib.suppress(KeyboardInterrupt),
        start_run(store, Description("outages", "lost", {"a": 1}), tmp_path) as first,
    ):
        log_everything(first, range(3))
        raise KeyboardInterrupt
    for again in (range(3, 5), range(5, 7)):
        lose()
        with (
            contextlib.suppress(KeyboardInterrupt),
            start_run(store, Description("outages", "lost", {"a": 1}), tmp_path, adopt=first.id) as run,
        ):
            for epoch in again:
                run.log_metrics({"train/loss": 1 / (epoch + 1), "val/loss": epoch / 7}, step=epoch)
            if again.stop < 7:
                raise KeyboardInterrupt
    lose()
    assert sync_folder(store, tmp_path)
    outbox = Outbox(tmp_path)
    assert outbox.uploaded.run_id == first.id
    assert_complete(store, outbox, 7)
    assert [found.info.run_id for found in store.search("attributes.status != 'x'")] == [first.id], "in any state"


def test_a_model_that_was_half_saved_goes_with_the_next_upload(tmp_path: Path) -> None:
    store, folder = new_store(tmp_path), tmp_path / "run"
    folder.mkdir()
    with (
        contextlib.suppress(KeyboardInterrupt),
        start_run(store, Description("outages", "half saved", {"a": 1}), folder) as run,
    ):
        raise KeyboardInterrupt
    for name in ("saved-0a", "saved-0b"):
        (folder / name / "model").mkdir(parents=True)
        (folder / name / "model" / "MLmodel").touch()
    Outbox(folder).add("model", folder="saved-0b/model", step=1)
    with pytest.raises(ConfigError, match="saved-0b/model holds no model that MLflow reads"):
        sync_folder(store, folder)
    assert [path.name for path in folder.glob("saved-*")] == ["saved-0b"], "what is still to be uploaded stays"
    with (
        pytest.raises(ConfigError, match="saved-0b"),
        start_run(store, Description("outages", "half saved", {"a": 1}), folder, adopt=run.id),
    ):
        pass  # pragma: no cover - it does not come so far


def test_a_run_that_was_broken_off_offline_is_killed_by_the_upload(proxy: Proxy, tmp_path: Path) -> None:
    store = open_store(tmp_path, "server")
    proxy.mode = "refuse"
    with (
        contextlib.suppress(KeyboardInterrupt),
        start_run(store, Description("outages", "broken off", {"a": 1}), tmp_path, pace=QUICK) as run,
    ):
        log_everything(run, range(2))
        assert sync_folder(store, tmp_path) is None, "that is going on"
        raise KeyboardInterrupt
    operations = (tmp_path / "outbox.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "outbox.jsonl").write_text("".join(operations[:-2]))  # kill -9
    proxy.mode = "pass"
    assert sync_folder(store, tmp_path)
    assert_complete(store, Outbox(tmp_path), 2, "KILLED")


def test_the_commands_with_a_server_that_stops_and_starts(
    server: Server, user: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = copy_project(tmp_path_factory.mktemp("project of an outage"))
    quick = ["dataset=digits_lt", "model=linear", "trainer.epochs=3", "tracking=server", "dataset.title=outage"]

    def command(*words: str, script: str = "train.py", **environment: str) -> "subprocess.CompletedProcess[str]":
        with pytest.MonkeyPatch.context() as patch:
            for key, value in {**as_user(server.uri, *user), "MLFLOW_HTTP_REQUEST_TIMEOUT": "5", **environment}.items():
                patch.setenv(key, value)
            return train(project, *words, script=script)

    refused = command(*quick, MLFLOW_TRACKING_PASSWORD="not the password")
    assert refused.returncode == 2, refused.stdout
    assert "refuses the user" in refused.stderr
    assert not (project / "outputs").exists(), "nothing is written"
    assert "error: MLflow has ended: see " in server.lose_mlflow()
    try:
        offline = command(*quick)
        assert offline.returncode == 0, offline.stderr
        assert "does not answer" in offline.stderr
        assert "kept in" in offline.stderr
        assert "Traceback" not in offline.stderr
        assert "Test split by class" in offline.stdout
        vain = command(script="sync.py")
        assert vain.returncode == 2
        assert "does not answer" in vain.stderr
    finally:
        server.start()
    synced = command(script="sync.py")
    assert synced.returncode == 0, synced.stderr
    assert "1 run with something left" in synced.stdout
    judged = command("run=latest", "tracking=server", "decision=argmax", script="evaluate.py")
    assert judged.returncode == 0, judged.stderr
    assert f"{server.uri}/#/experiments/" in judged.stdout
    texts = [file.read_bytes() for file in project.rglob("*") if file.is_file()]
    assert not any(b"carla's password" in text for text in texts)
    answer: Any = server.session(*user).post(
        f"{server.uri}/api/2.0/mlflow/runs/search", json={"experiment_ids": [str(n) for n in range(1, 30)]}
    )
    assert "carla's password" not in answer.text
