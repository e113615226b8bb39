"""The jobs of a sweep and its summary run, in a real store, without a job that runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.config import identity
from equipoise.config.model import config_sha256
from equipoise.core.errors import ConfigError
from equipoise.methods.weighting import STRATEGIES
from equipoise.sweeps import jobs as sweep
from equipoise.sweeps.jobs import claimed, save_views
from equipoise.sweeps.planning import plan
from equipoise.sweeps.summary import summarised
from equipoise.tracking.store import Store
from helpers import composed

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"


def test_a_job_that_another_machine_has_left_is_free_again(store: Store) -> None:
    config = composed("sweep=left")
    tags = {"sweep_id": "left", "config_sha256": config_sha256(config), "host": "another", "pid": "1"}
    left = store.client.create_run(store.experiment("e"), tags=tags).info.run_id
    with claimed(store, config, "data") as settled:
        assert settled is None
    found = store.client.get_run(left).info
    assert (found.status, found.lifecycle_stage) == ("KILLED", "deleted")


def test_the_views_differ_from_a_run_without_weights_and_know_the_metrics_of_all_runs(store: Store) -> None:
    experiment = store.experiment("views")
    ids = {}
    for name, function, value in (
        ("balanced", "cross_entropy", 0.9),
        ("none", "focal", 0.5),
        ("none", "cross_entropy", 0.4),
        ("power", "cross_entropy", 0.6),
    ):
        tags = {"sweep_id": "seen", "weighting": name, "function": function}
        run = store.client.create_run(
            experiment, tags=tags, run_name=f"{name} {function}", start_time=len(ids)
        ).info.run_id
        store.client.log_metric(run, "test/balanced_accuracy", value)
        if name == "balanced":
            store.client.log_metric(run, "test/expected_cost", 1.0)
        store.client.set_terminated(run, "FINISHED")
        ids[name, function] = run
    assert save_views(store, "seen") == [(experiment, "seen")]
    tags = store.client.get_experiment(experiment).tags
    for key in ("seen", "comparison"):
        charts = json.loads(json.loads(tags[f"mlflow.sharedViewState.{key}"])["state"])["compareRunCharts"]
        (card,) = [chart for chart in charts if chart["type"] == "DIFFERENCE"]
        assert (card["baselineColumnUuid"], card["chartName"]) == (
            ids["none", "cross_entropy"],
            "Differences to none cross_entropy",
        )
        assert "test/expected_cost" in [chart.get("metricKey") for chart in charts], "which one run alone has"


def test_a_summary_of_jobs_that_did_not_begin_is_no_success(store: Store, tmp_path: Path) -> None:
    found = plan(["-m", "dataset=digits_lt", "model=linear", "seed=0,1", "sweep=idle"])
    assert found
    assert found.sweep
    with summarised(store, found, replace(found.sweep, folder=tmp_path)) as state:
        pass
    assert [(job.label, job.reason) for job in state.unfinished] == [("seed=0", "not begun"), ("seed=1", "not begun")]
    (summary,) = store.runs(kind="sweep", sweep_id="idle")
    assert summary.info.status == "FAILED"


def test_a_job_that_is_refused_before_it_has_a_run_says_why_until_it_is_tried_again(store: Store) -> None:
    config = composed("sweep=refused")
    with pytest.raises(ConfigError), claimed(store, config, "data"):
        raise ConfigError("loss=focal: its function returns the shape ()")
    assert sweep.unfinished(store, "refused", [config]) == [
        sweep.Unfinished("the only job", "loss=focal: its function returns the shape ()")
    ]
    with claimed(store, config, "data"):
        pass
    assert sweep.unfinished(store, "refused", [config]) == [sweep.Unfinished("the only job", "not begun")]


def test_a_search_whose_trials_are_of_other_code_does_not_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [composed(f"weighting={name}", "sweep=searched") for name in ("none", "balanced")]
    monkeypatch.setattr(sweep, "data_digests", lambda jobs: ["it"] * len(jobs))
    tags = {
        "sweep_id": "searched",
        "config_sha256": config_sha256(jobs[1]),
        "data_sha256": "it",
        **identity.tags(jobs[1]),
    }
    trial = store.client.create_run(store.experiment("e"), tags=tags).info.run_id
    store.client.set_terminated(trial)
    sweep.check_search(store, "searched", jobs)
    monkeypatch.setitem(STRATEGIES.shipped, "balanced", STRATEGIES["inverse"])  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as refused:
        sweep.check_search(store, "searched", jobs)
    assert str(refused.value) == (
        f"sweep=searched: the code of weighting=balanced has changed since its trial {trial}; "
        "sweep=new begins another search"
    )


def test_jobs_run_without_a_store_and_have_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = Store(tmp_path, NOWHERE, answers=False)
    found = plan(["-m", "dataset=digits_lt", "model=linear", "seed=0,1"])
    assert found
    assert found.sweep
    with summarised(away, found, found.sweep), claimed(away, found.jobs[0], "data") as settled:
        assert settled is None
    assert "warning: no table of the sweep: the same command again makes it" in capsys.readouterr().err
