"""From an outbox to the store: in parts, without what is gone, and a run that was made twice is there once."""

import time
import uuid
from pathlib import Path

import pytest

from equipoise.core.errors import ConfigError
from equipoise.tracking.outbox import Outbox
from equipoise.tracking.store import Store
from equipoise.tracking.upload import upload


def begun(store: Store, folder: Path) -> Outbox:
    """The outbox of a run that the store has, and that goes on."""
    outbox = Outbox(folder)
    name = {"adopt": None, "local_id": uuid.uuid4().hex, "experiment": "e", "name": "n"}
    outbox.add("begin", **name, tags={}, time=1, uri=store.uri)
    assert upload(outbox, store)
    return outbox


def point(step: int, value: float) -> dict[str, object]:
    return {"key": "val/loss", "value": value, "step": step, "timestamp": 1}


def test_after_the_deadline_no_new_step_begins_and_the_next_upload_does_the_rest(store: Store, tmp_path: Path) -> None:
    outbox = begun(store, tmp_path)
    outbox.add_points([point(0, 0.5)])
    outbox.add("tags", tags={"late": "yes"})
    assert not upload(outbox, store, deadline=time.monotonic())
    run = store.client.get_run(outbox.uploaded.run_id).data
    assert (run.metrics, "late" in run.tags) == ({}, False)
    outbox.add_points([point(1, 0.4)])
    assert upload(outbox, store)
    assert not outbox.pending()
    history = store.client.get_metric_history(outbox.uploaded.run_id, "val/loss")
    assert [(found.step, found.value) for found in history] == [(0, 0.5), (1, 0.4)]
    assert store.client.get_run(outbox.uploaded.run_id).data.tags["late"] == "yes"


def test_a_file_that_is_gone_is_told_and_a_model_that_is_gone_was_uploaded(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = begun(store, tmp_path)
    outbox.add("file", file="gone.txt", to="")
    outbox.add("model", folder="saved-a/model", step=0)  # which was uploaded before a crash
    outbox.add("tags", tags={"late": "yes"})
    assert upload(outbox, store)
    gone = f"warning: {tmp_path / 'gone.txt'} is not there any more and cannot be uploaded\n"
    assert capsys.readouterr().err == gone
    assert store.client.get_run(outbox.uploaded.run_id).data.tags["late"] == "yes"


def test_a_folder_that_holds_no_model_is_refused(store: Store, tmp_path: Path) -> None:
    outbox = begun(store, tmp_path)
    (tmp_path / "saved-b" / "model").mkdir(parents=True)
    (tmp_path / "saved-b" / "model" / "MLmodel").write_text("- no model")
    outbox.add("model", folder="saved-b/model", step=0)
    with pytest.raises(ConfigError, match="saved-b/model holds no model that MLflow reads"):
        upload(outbox, store)


def test_a_run_that_was_asked_for_twice_is_there_once(store: Store, tmp_path: Path) -> None:
    outbox = begun(store, tmp_path)
    now = outbox.uploaded
    other = store.client.create_run(now.experiment_id, tags={"local_id": now.local_id}).info.run_id
    now.asked = 2
    outbox.add("end", status="FINISHED", time=2)
    assert upload(outbox, store)
    kept = store.client.search_runs([now.experiment_id], f"tags.local_id = '{now.local_id}'")
    assert [run.info.run_id for run in kept] == [now.run_id]
    assert store.client.get_run(other).info.lifecycle_stage == "deleted"
