"""The folders of runs and registered models, found by SQL as MLflow's client finds them."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from equipoise.tracking import history
from equipoise.tracking.located import registered_folder, run_folders
from equipoise.tracking.store import Store
from helpers import new_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path)


def logged(store: Store, status: str = "FINISHED", **tags: str) -> tuple[str, Path]:
    """A run with a model, and the model's folder."""
    experiment = store.experiment("ours & theirs")
    run = store.client.create_run(experiment, tags=tags)
    store.client.log_text(run.info.run_id, "{}", "weights.json")
    model = store.client.create_logged_model(experiment, name="model", source_run_id=run.info.run_id)
    store.client.set_terminated(run.info.run_id, status)
    return run.info.run_id, made(model.artifact_location)


def made(location: str) -> Path:
    """The folder of this address, which is made."""
    folder = Path(unquote(urlsplit(location).path))
    folder.mkdir(parents=True)
    return folder


def test_the_run_is_the_one_that_the_client_names(store: Store) -> None:
    root = store.root
    first, model = logged(store, weights_sha256="a")
    judged, _ = logged(store, kind="evaluation", evaluated_run=first, weights_sha256="a")
    summary, _ = logged(store, kind="sweep", weights_sha256="a")
    failed, _ = logged(store, "FAILED", weights_sha256="a")
    untrained, _ = logged(store)
    assert history.latest_run(store).id == untrained
    assert run_folders(root, "latest") is None, "as the client, it takes the newest run, which has trained nothing"
    store.client.delete_run(untrained)
    for typed, run in (("latest", first), (first, first), (judged, judged)):
        found = run_folders(root, typed)
        assert found is not None
        assert (found.run, found.model) == (run, model), "the model of a run that judges is the judged one's"
        assert (found.artifacts / "weights.json").read_text() == "{}"
        assert history.judged_run(store, typed).id == run
    assert [run_folders(root, run) for run in (summary, failed, "nobody", untrained)] == [None] * 4


def test_a_store_that_is_not_as_expected_is_left_to_the_client(store: Store, tmp_path: Path) -> None:
    run, model = logged(store, weights_sha256="a")
    model.rmdir()
    assert run_folders(store.root, run) is None, "its model is not on this machine"
    assert run_folders(tmp_path / "nowhere", run) is None
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mlflow.db").write_text("no database, though it is long enough to be one")
    assert run_folders(tmp_path / "other", run) is None
    assert not (tmp_path / "nowhere").exists()


def test_a_registered_model_is_found_by_its_alias(store: Store) -> None:
    run, model = logged(store, weights_sha256="a")
    served = store.client.create_logged_model(store.experiment("ours & theirs"), name="served", source_run_id=run)
    folder = made(served.artifact_location)
    store.client.create_registered_model("mine")
    version = store.client.create_model_version("mine", f"models:/{served.model_id}", run, model_id=served.model_id)
    store.client.set_registered_model_alias("mine", "champion", version.version)
    assert registered_folder(store.root, "mine", "champion") == folder != model
    assert registered_folder(store.root, "mine", "other") is None
    assert registered_folder(store.root, "yours", "champion") is None
