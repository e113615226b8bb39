"""Which configuration is best on validation, and which of its runs is registered: by hand, on made-up runs."""

from typing import Any

import pytest

from comparisons import run
from equipoise.core.errors import ConfigError
from equipoise.serving.choose import choose, read_metric
from equipoise.tracking.history import Logged


def judged(weighting: str, seed: int, argmax: float, tuned: float = 0.0, started: int = 0, **params: str) -> Logged:
    """Return a run with the macro F1 of two rules on validation; its test metrics are the other way round."""
    names = {key.replace("_", "."): value for key, value in params.items()}
    of_rules = {"val/decision/argmax/macro_f1": argmax, "val/decision/tuned/macro_f1": tuned, "val/log_loss": argmax}
    found = run(weighting, seed, 1 - argmax, {"decision.name": "argmax", **names}, **of_rules)
    return Logged(found.id, "1", started or seed, found.params, found.tags, found.metrics)


def test_a_lucky_seed_does_not_choose_its_configuration() -> None:
    """`lucky` has the best run (0.9) and a mean of 0.5; `steady` has a mean of 0.6 and a median of 0.62."""
    runs = [judged("lucky", seed, value) for seed, value in enumerate((0.9, 0.3, 0.3))]
    runs += [judged("steady", seed, value) for seed, value in enumerate((0.62, 0.5, 0.68))]
    found = choose(runs, "macro_f1")
    assert (found.configuration, found.value) == ("steady", 0.62)
    assert found.mean == pytest.approx(0.6)
    assert found.run.params["seed"] == "0"
    assert found.said == (
        "steady, the best of 2 configurations by mean val/macro_f1, 0.6000 over 3 runs (next: lucky 0.5000); "
        f"run {found.run.id} is its median run, 0.6200"
    )


def test_lower_is_better_where_it_is() -> None:
    runs = [
        judged(name, seed, value + seed / 10) for name, value in (("low", 0.2), ("high", 0.4)) for seed in (0, 1, 2)
    ]
    found = choose(runs, "log_loss")
    assert (found.configuration, found.value) == ("low", pytest.approx(0.3))
    assert choose(runs, "log_loss", "tuned") == found, "which no decision rule changes"


def test_of_an_even_number_the_worse_run_in_the_middle_is_kept() -> None:
    found = choose([judged("none", seed, value) for seed, value in enumerate((0.4, 0.8, 0.6, 0.5))], "macro_f1")
    assert found.value == 0.5
    assert "the only configuration, with a mean val/macro_f1 of 0.5750 over 4 runs" in found.said
    lower = choose([judged("none", seed, value) for seed, value in enumerate((0.4, 0.8, 0.6, 0.5))], "log_loss")
    assert lower.value == 0.6


def test_seeds_are_averaged_within_each_split() -> None:
    """Split 0 has one seed and split 1 three: the mean is that of two splits."""
    runs = [_on_split("0", 0, 0.2), *(_on_split("1", seed, 0.8) for seed in (0, 1, 2))]
    assert choose(runs, "macro_f1").mean == pytest.approx(0.5)


def _on_split(split: str, seed: int, value: float) -> Logged:
    found = judged("none", seed, value)
    return Logged(
        f"{split}-{seed}", "1", seed, {**found.params, "dataset.split_seed": split}, found.tags, found.metrics
    )


def test_a_tie_is_said_and_the_oldest_is_taken() -> None:
    runs = [judged("young", 0, 0.5, started=9), judged("old", 0, 0.5, started=3), judged("worse", 0, 0.4, started=1)]
    found = choose(runs, "macro_f1")
    assert found.configuration == "old"
    assert "tied with young: the oldest is taken" in found.said
    assert found.said.endswith("is its only run")


def test_a_rule_chooses_another_configuration() -> None:
    runs = [judged("none", 0, 0.6, tuned=0.6), judged("balanced", 0, 0.5, tuned=0.9)]
    assert choose(runs, "macro_f1").configuration == "none"
    found = choose(runs, "macro_f1", "tuned")
    assert (found.configuration, found.value) == ("balanced", 0.9)
    assert "by mean val/macro_f1 under decision=tuned, 0.9000" in found.said


def test_only_places_that_all_configurations_share_count() -> None:
    """Seed 1, which `none` lacks, would make `balanced` the best."""
    runs = [judged("none", 0, 0.6), judged("balanced", 0, 0.5), judged("balanced", 1, 0.99)]
    found = choose(runs, "macro_f1")
    assert (found.configuration, found.mean) == ("none", 0.6)
    (note,) = found.notes
    assert "Omitted: balanced split_seed=0 seed=1" in note


def test_a_model_is_of_the_newest_data() -> None:
    runs = [judged("none", 0, 0.9, started=1), _of_data("other", 5, 0.5)]
    found = choose(runs, "macro_f1")
    assert found.value == 0.5
    assert found.notes == ("only runs on other, the newest run's data, count; others are on data",)


def _of_data(title: str, started: int, value: float) -> Logged:
    found = judged("none", 0, value)
    return Logged(title, "1", started, {**found.params, "dataset.title": title}, found.tags, found.metrics)


@pytest.mark.parametrize("typed", ["val/macro_f1", "macro_f1"])
def test_a_metric_is_of_the_validation_split(typed: str) -> None:
    assert read_metric(typed) == "macro_f1"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("test/macro_f1", "the test split is for judging, not for choosing; choose by metric=val/macro_f1"),
        ("decision/tuned/mcc", "the test split is for judging, not for choosing; choose by metric=val/mcc"),
        ("val/decision/tuned/mcc", "type metric=val/mcc decision=tuned"),
    ],
)
def test_a_metric_of_the_test_split_is_refused_with_the_cure(typed: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^metric={typed}: {said}$"):
        read_metric(typed)


@pytest.mark.parametrize(
    ("runs", "metric", "rule", "said"),
    [
        ([], "mcc", None, "metric=val/mcc: no finished run has a model"),
        ([judged("none", 0, 0.5)], "macro_f2", None, "did you mean 'macro_f1'"),
        ([judged("none", 0, 0.5)], "macro_f1", "tuend", "decision=tuend: no finished run .* did you mean 'tuned'"),
        ([run("none", 0, 0.5)], "macro_f1", None, "an earlier version logged the 1 runs.*run=RUN_ID"),
    ],
)
def test_where_there_is_nothing_to_choose_from(runs: Any, metric: str, rule: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        choose(runs, metric, rule)
