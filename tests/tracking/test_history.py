"""Reading runs by SQL, with MLflow's client as the oracle, on a real store."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from equipoise.core.errors import ConfigError
from equipoise.tracking import history
from equipoise.tracking.artifacts import log_sweep_texts
from equipoise.tracking.store import Store, open_store
from helpers import new_store

KEYS = ["test/balanced_accuracy", "test/recall/", "decision/", "test/[odd]/"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Runs of two sweeps and of none, in two experiments; a path with what a URI would have to escape."""
    folder = tmp_path_factory.mktemp("odd ?#% store")
    store = open_store(folder)
    for number in range(6):
        experiment = store.experiment("one" if number < 4 else "two")
        tags = {"weights_sha256": "ab"} | ({"sweep_id": "first" if number < 4 else "second"} if number < 5 else {})
        run = store.client.create_run(experiment, tags=tags, start_time=1000 + number).info.run_id
        store.client.log_param(run, "seed", number)
        for key, value in (
            ("test/balanced_accuracy", number / 10),
            ("test/recall/a", 0.5),
            ("test/recall_low/a", 0.4),
            ("decision/argmax/mcc", 1e300),
        ):
            store.client.log_metric(run, key, value)
        store.client.log_metric(run, "test/balanced_accuracy", number / 5, step=1)
        store.client.log_metric(run, "test/recall/b", float("nan"))
        store.client.set_terminated(run, "FAILED" if number == 1 else "FINISHED")
        if number == 2:
            store.client.delete_run(run)
    return store


def test_sql_reads_what_the_client_reads(store: Store) -> None:
    for sweep in ("first", "second", "absent"):
        fast = history.sweep_runs(store, sweep, KEYS)
        assert fast == history.filtered_runs(store, f"tags.sweep_id = '{sweep}'", KEYS)
    found = history.sweep_runs(store, "first", KEYS)
    assert [run.params["seed"] for run in found] == ["0", "3"], "neither failed nor deleted ones"
    assert found[1].metrics == {"test/balanced_accuracy": 0.6, "test/recall/a": 0.5, "decision/argmax/mcc": 1e300}


def test_another_schema_falls_back_to_the_client(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = history.sweep_runs(store, "first", KEYS)

    refused: list[Any] = []

    def refuse(*given: Any, **_: Any) -> None:
        refused.append(given)
        raise sqlite3.OperationalError("no such table: latest_metrics")

    monkeypatch.setattr(sqlite3, "connect", refuse)  # which MLflow's client does not go through
    assert history.sweep_runs(store, "first", KEYS) == expected
    assert refused


def test_many_runs_are_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = history.sweep_runs(store, "first", KEYS)
    monkeypatch.setattr(history, "AT_ONCE", 1)
    assert history.sweep_runs(store, "first", KEYS) == expected


def test_metrics_are_those_of_any_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = store.experiment("one")
    odd = store.client.create_run(experiment, tags={"sweep_id": "third"}).info.run_id
    store.client.log_metric(odd, "test/expected_cost", 0.5)
    store.client.set_terminated(odd, "FINISHED")
    every = {"test/balanced_accuracy", "test/recall/a", "test/recall_low/a", "decision/argmax/mcc"}
    for _ in range(2):  # by SQL, and by the client
        for sweep, keys, runs in (
            (None, every | {"test/expected_cost"}, 3),
            ("first", every, 2),
            ("third", {"test/expected_cost"}, 1),
        ):
            metrics, count = history.metrics_of_any(store, experiment, sweep)
            assert (set(metrics), count) == (keys, runs)
        monkeypatch.setattr(history, "SQLITE", "nothing")
    store.client.delete_run(odd)


def test_runs_are_counted_without_reading_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert history.run_count(store) == "5", "one is deleted"
    monkeypatch.setattr(history, "SQLITE", "no such store")  # as of a server
    assert history.run_count(store) == "5"
    monkeypatch.setattr(history, "COUNTED", 2)
    assert history.run_count(store) == "2 or more"


def test_the_latest_sweep_and_run(store: Store) -> None:
    assert history.latest_sweep(store) == "second"
    assert history.latest_run(store).params["seed"] == "5"


def test_a_sweeps_summary_is_no_run_of_it(store: Store) -> None:
    before = history.sweep_runs(store, "first", KEYS)
    log_sweep_texts(store, "first", {run.experiment_id for run in before}, {"comparison.csv": "a,b\n"})
    log_sweep_texts(store, "first", {run.experiment_id for run in before}, {"comparison.csv": "c,d\n"})
    (summary,) = store.runs(kind="sweep")
    assert (store.root / "mlruns" / "one" / summary.info.run_id / "artifacts" / "comparison.csv").read_text() == "c,d\n"
    assert history.sweep_runs(store, "first", KEYS) == before
    assert history.filtered_runs(store, "tags.sweep_id = 'first'", KEYS) == before
    assert history.latest_run(store).params["seed"] == "5", "though the summary started later"
    log_sweep_texts(store, "both", {"1", "2"}, {"comparison.csv": ""})
    assert store.client.get_experiment(store.runs(sweep_id="both")[0].info.experiment_id).name == "sweeps"


def test_missing_sweeps_and_runs_are_told(store: Store, tmp_path: Path) -> None:
    failed = store.client.search_runs(["1"], "attributes.status = 'FAILED'")[0].info.run_id
    with pytest.raises(ConfigError, match="there is no run nowhere"):
        history.chosen_runs(store, ["nowhere"], KEYS)
    with pytest.raises(ConfigError, match="is FAILED; only a finished run"):
        history.chosen_runs(store, [failed], KEYS)
    with pytest.raises(ConfigError, match="filter=nonsense"):
        history.filtered_runs(store, "nonsense", KEYS)
    empty = new_store(tmp_path)
    with pytest.raises(ConfigError, match="no sweep is logged yet"):
        history.latest_sweep(empty)
    with pytest.raises(ConfigError, match="no run is finished yet"):
        history.latest_run(empty)


def test_params_that_are_no_config_and_a_run_that_was_judged_again(tmp_path: Path) -> None:
    """`mlflow run` logs its own parameters; what a run was judged under last stands in a tag."""
    store = new_store(tmp_path)
    judged = {"decision.name": "tuned", "decision.metric": "mcc"}
    run = store.client.create_run(
        store.experiment("one"), tags={"sweep_id": "s", "judged_under": json.dumps(judged)}
    ).info.run_id
    for key, value in {
        "dataset": "csv",
        "overrides": "a=b",
        "seed": 1,
        "decision.name": "logit_adjusted",
        "decision.tau": 1,
        "model.name": "mlp",
    }.items():
        store.client.log_param(run, key, value)
    store.client.set_terminated(run)
    for (found,) in (history.sweep_runs(store, "s", KEYS), history.chosen_runs(store, [run], KEYS)):
        assert found.params == {"seed": "1", "model.name": "mlp", **judged}


FEW, MANY = {"b": 30, "a": 5}, {f"c{number}": 100 - number for number in range(21)}


@pytest.fixture(scope="module")
def by_versions(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sweeps of one run each with the same numbers: as older versions logged them, and as this one does."""
    store = new_store(tmp_path_factory.mktemp("versions"))
    rules = {"": {"tuned": {"macro_f1": 0.5}}, "val/": {"argmax": {"macro_f1": 0.25}}}
    old_rules = {"decision/tuned/macro_f1": 0.5, "val/decision/argmax/macro_f1": 0.25}
    for size, counts in (("few", FEW), ("many", MANY)):
        of_each = {f"test/recall/{name}": count / 200 for name, count in counts.items() if name != "c1"}
        logged = {
            "old": ({**{f"count/{name}": count for name, count in counts.items()}, **of_each, **old_rules}, {}),
            "new": (
                of_each if size == "few" else {"test/recall/ranks_1-2": 0.5},
                {history.CLASS_COUNTS: json.dumps(counts), history.RULES: json.dumps(rules)},
            ),
            "long names": ({"test/recall/ranks_1-2": 0.5}, {history.RULES: json.dumps(rules)}),
        }
        for version, (metrics, tags) in logged.items():
            sweep = f"{size} {version}"
            run = store.client.create_run(store.experiment("one"), tags={"sweep_id": sweep, **tags}).info.run_id
            for key, value in metrics.items():
                store.client.log_metric(run, key, value)
            for rank, (name, count) in enumerate(counts.items()):
                if name != "c1":  # not defined
                    store.client.log_metric(run, "profile/recall", 9, step=rank, timestamp=1)
                    store.client.log_metric(run, "profile/recall", count / 200, step=rank, timestamp=2)
            store.client.set_terminated(run)
    return store


ASKED = ["test/recall/", "profile/recall", "count/", "decision/", "val/decision/"]


def test_runs_of_older_versions_read_the_same(by_versions: Store) -> None:
    for size, counts in (("few", FEW), ("many", MANY)):
        for version in ("old", "new"):
            condition = f"tags.sweep_id = '{size} {version}'"
            (found,), (slow,) = (
                history.sweep_runs(by_versions, f"{size} {version}", ASKED),
                history.filtered_runs(by_versions, condition, ASKED),
            )
            assert found == slow
            assert list(found.class_counts.items()) == list(counts.items()), "head to tail"
            recall = {name: count / 200 for name, count in counts.items()}
            absent = {"c1": float("nan")} if "c1" in recall else {}
            assert found.by_class("recall") == pytest.approx(recall | absent, nan_ok=True)
            assert found.metrics["decision/tuned/macro_f1"] == 0.5
            assert found.metrics["val/decision/argmax/macro_f1"] == 0.25
    (only,) = history.sweep_runs(by_versions, "few new", ["decision/"])
    assert only.metrics == {"decision/tuned/macro_f1": 0.5}, "what is not asked for is not there"


def test_classes_whose_names_are_too_long_for_a_tag_are_ranks(by_versions: Store) -> None:
    (found,) = history.sweep_runs(by_versions, "many long names", ASKED)
    assert found.class_counts == {}
    assert list(found.by_class("recall").items())[::20] == [("rank 1", 0.5), ("rank 21", 0.4)]


def test_nothing_asked_for_is_read_by_sql(by_versions: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_from_client", lambda *_: pytest.fail("the client is slow"))
    (found,) = history.sweep_runs(by_versions, "few new", ())
    assert found.metrics == {}
