"""Differences to the baseline as metrics of MLflow, by hand and in a real store."""

from dataclasses import replace

import pytest

from comparisons import run
from equipoise.sweeps.to_baseline import differences, log_differences
from equipoise.tracking.history import Logged, sweep_runs
from equipoise.tracking.store import Store

GAINS = {"none": 0.0, "balanced": 0.25, "power": -0.125}


def made(params: dict[str, str] | None = None) -> list[Logged]:
    """Runs of seeds 0 and 1, at 0.5 and 0.75 without weights; `balanced` has one more seed than the baseline."""
    seeds = {"none": (0, 1), "power": (0, 1), "balanced": (0, 1, 2)}
    return [
        run(name, seed, 0.5 + 0.25 * seed + gain / (1 + seed), params)
        for name, gain in GAINS.items()
        for seed in seeds[name]
    ]


def test_each_run_is_set_against_the_baseline_with_the_same_seed() -> None:
    found = {one.id: values for one, values in differences(made())}
    of_metric = {name: values["difference/balanced_accuracy"] for name, values in found.items()}
    assert of_metric == {
        "none-0-None": 0,
        "none-1-None": 0,
        "balanced-0-None": 0.25,
        "balanced-1-None": 0.125,
        "power-0-None": -0.125,
        "power-1-None": -0.0625,
    }, "the third seed of balanced has no counterpart"
    assert found["balanced-0-None"]["difference/log_loss"] == -0.25
    of_panel = ("balanced_accuracy", "macro_f1", "mcc", "log_loss")
    assert set(found["power-1-None"]) == {f"difference/{key}" for key in of_panel}


def test_each_data_set_has_a_baseline_of_its_own_and_without_one_there_is_none() -> None:
    two = made({"dataset.title": "a"}) + [
        replace(one, metrics={key: value / 2 for key, value in one.metrics.items()})
        for one in made({"dataset.title": "b"})
    ]
    of_metric = {one.id: values["difference/macro_f1"] for one, values in differences(two)}
    assert of_metric["balanced-0-{'dataset.title': 'a'}"] == 0.25
    assert of_metric["balanced-0-{'dataset.title': 'b'}"] == 0.125
    assert differences([one for one in made() if one.params["weighting.name"] != "none"]) == []


def test_the_same_bits_under_two_names_are_both_logged() -> None:
    same = [replace(one, tags={"weights_sha256": f"{one.params['seed']}"}) for one in made()]
    assert len(differences(same)) == 6


def test_a_sweep_that_ends_again_logs_nothing_anew(store: Store) -> None:
    experiment, logged = store.experiment("data"), []
    for one in made():
        name = store.client.create_run(experiment, tags={"sweep_id": "s"}).info.run_id
        store.client.set_terminated(name)
        logged.append(replace(one, id=name))
    log_differences(store, "s", logged)
    found = {one.id: one.metrics for one in sweep_runs(store, "s", ["difference/"])}
    (balanced,) = [one.id for one in logged if (one.params["weighting.name"], one.params["seed"]) == ("balanced", "0")]
    assert found[balanced]["difference/mcc"] == 0.25
    log_differences(store, "s", logged)
    key = "difference/balanced_accuracy"
    assert len(store.client.get_metric_history(balanced, key)) == 1
    # The baseline was trained again, by other code: the difference is another one.
    changed = [
        replace(one, metrics={**one.metrics, "test/balanced_accuracy": 0.625}) if one.id == logged[0].id else one
        for one in logged
    ]
    log_differences(store, "s", changed)
    assert store.client.get_run(balanced).data.metrics[key] == pytest.approx(0.125)
    assert store.client.get_run(balanced).info.status == "FINISHED"
