"""The verdict in one sentence: right in every case, and never surer than the tests."""

from dataclasses import replace

import pytest

from comparisons import on_splits, run, several, study, sweep
from equipoise.comparison import verdict
from equipoise.comparison.compare import compare
from equipoise.tracking.history import Logged

LEAD = "Verdict on data (test split, for judging, not choosing): "
CONTROL = "decision/logit_adjusted/balanced_accuracy"


def said(runs: list[Logged], metric: str = "balanced_accuracy") -> str:
    return verdict.headline(compare(runs, metric)).removeprefix(LEAD)


def grid(values: dict[str, list[float]]) -> list[Logged]:
    """Runs with these values, one a seed."""
    return [run(name, seed, value) for name, of_seeds in values.items() for seed, value in enumerate(of_seeds)]


def test_one_pair_is_no_test() -> None:
    assert said(grid({"none": [0.5], "balanced": [0.6]})) == (
        "balanced is highest by balanced accuracy (0.600): +0.100 against none, which may be noise: one pair of seeds "
        "is too few to test, 6 could do."
    )


def test_too_few_seeds_have_an_interval_and_no_test() -> None:
    """Student's t: 0.2 +- 4.303 x 0.01 / sqrt(3)."""
    assert said(grid({"none": [0.5, 0.5, 0.5], "balanced": [0.69, 0.7, 0.71]})) == (
        "balanced is highest by balanced accuracy (0.700): +0.200 (+0.175 to +0.225) against none, which may be noise: "
        "3 seeds are too few to test, 6 could do."
    )


def test_seeds_of_one_split_show_training_noise_alone() -> None:
    """Eight pairs, all higher: p is 2 / 2^8, twice that for two comparisons."""
    found = said(sweep(8, {"none": 0, "power": 0.1, "balanced": 0.3}))
    assert found.startswith("balanced is highest by balanced accuracy (")
    assert found.endswith(
        " against none, p = 0.016 after correction for 2 comparisons, more than training noise on this one split."
    )


def test_splits_have_the_corrected_test() -> None:
    """As R's t with 2 degrees of freedom and the variance times 1/3 + 2/7: not shown though all three are higher."""
    assert said(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3)) == (
        "balanced is highest by balanced accuracy (0.550): +0.050 (-0.040 to +0.140) against none, p = 0.138, not "
        "shown to be more than noise over 3 splits of these data."
    )
    steady = {str(split): 0.05 + split / 1000 for split in range(6)}
    assert said(on_splits(steady)).endswith(", p < 0.001, more than noise over 6 splits of these data.")


def test_of_a_loss_the_lowest_is_first() -> None:
    found = said(grid({"none": [0.5, 0.5], "balanced": [0.7, 0.6]}), "log_loss")
    assert found.startswith("balanced is lowest by log loss (0.350): -0.150 (")


def test_the_baseline_may_be_the_highest() -> None:
    assert said(grid({"none": [0.5], "balanced": [0.4], "power": [0.45]})) == (
        "none, the baseline, is highest by balanced accuracy (0.500); of the others power comes next, -0.050 against "
        "none, which may be noise: one pair of seeds is too few to test, 7 could do."
    )


def test_the_same_bits_as_the_baseline_are_the_baseline() -> None:
    alike = [run(name, seed, 0.5, digest=f"bits {seed}") for name in ("none", "balanced") for seed in (0, 1)]
    found = said([*alike, run("power", 0, 0.4), run("power", 1, 0.3)])
    assert found.startswith(
        "none = balanced (bitwise identical), the baseline, is highest by balanced accuracy (0.500)"
    )


def test_equal_means_are_told_as_equal() -> None:
    """The difference is that of the one of which less is shown: power's, which varies."""
    values = {"none": [0.5] * 8, "balanced": [0.6] * 8, "power": [0.3] * 4 + [0.9] * 4}
    assert said(grid(values)).startswith(
        "balanced and power are alike highest by balanced accuracy (0.600): power, +0.100 ("
    )
    assert said(grid({"none": [0.5], "balanced": [0.5], "power": [0.4]})).startswith(
        "balanced and none, the baseline, are alike highest by balanced accuracy (0.500); of the others power comes "
    )


def test_without_a_baseline_nothing_is_known_of_noise() -> None:
    assert said(grid({"power": [0.5], "balanced": [0.6]})) == (
        "balanced is highest by balanced accuracy (0.600); whether that is more than noise is not known, since no "
        "baseline is compared: loss=custom weighting=none adds one."
    )


def test_a_single_configuration_is_compared_with_nothing() -> None:
    assert said(grid({"balanced": [0.5, 0.6]})) == (
        "balanced alone has balanced accuracy 0.550, and nothing is compared with it."
    )


def test_configurations_without_a_place_in_common_have_no_verdict() -> None:
    assert said([run("none", 0, 0.5), run("balanced", 1, 0.6)]) == (
        "there is none, since the configurations share no split and seed that they could be compared at."
    )


def test_what_the_free_control_reaches_is_told() -> None:
    runs = [run("none", seed, 0.5, **{CONTROL: 0.6}) for seed in range(8)]
    runs += [run("balanced", seed, 0.7 + seed / 100) for seed in range(8)]
    assert said(runs).endswith(
        "; the free control, none, logit-adjusted post hoc, reaches 0.600, and balanced is +0.135 (+0.115 to +0.155) "
        "from it, p = 0.016, more than noise."
    ), "0.135 +- 2.365 x sqrt(6) / 100 / sqrt(8); p is 2 / 2^8 in each of two comparisons"


def test_the_free_control_may_be_the_highest() -> None:
    found = said([run("none", 0, 0.5, **{CONTROL: 0.7}), run("balanced", 0, 0.6)])
    assert found.startswith("the free control, none, logit-adjusted post hoc, is highest by balanced accuracy (0.700)")
    assert "; of the trained configurations balanced is first, -0.100 against none, logit-adjusted post hoc," in found


def test_several_data_sets_have_one_sentence_each_and_one_over_all() -> None:
    comparison = compare(study(12, {"none": 0, "power": 0.01, "balanced": 0.02}), "balanced_accuracy")
    found = verdict.headline(comparison)
    assert found.startswith(
        "Verdict over 12 data sets (test split, for judging, not choosing): balanced is highest by "
    )
    assert found.endswith("p < 0.001 after correction for 2 comparisons, more than noise over 12 data sets.")
    assert verdict.of_table(comparison.tables[0], "balanced_accuracy").startswith("Verdict on d00 (test split")
    assert "4 data sets are too few to test, 7 could do" in verdict.headline(several())
    apart = [run("none", 0, 0.5, {"dataset.title": "a"}), run("power", 0, 0.6, {"dataset.title": "b"})]
    assert said(apart) == (
        "Verdict over 2 data sets (test split, for judging, not choosing): there is none, since no configuration is on "
        "all of them."
    )


def test_the_validation_split_says_what_it_is_for() -> None:
    runs = [run(name, 0, 0.5, **{"val/decision/argmax/mcc": value}) for name, value in (("none", 0.2), ("power", 0.3))]
    found = verdict.headline(compare(runs, "mcc", "val"))
    assert found.startswith("Verdict on data (validation split, for choosing, cross-fitted): power is highest by MCC")


@pytest.mark.parametrize("missing", ["1 of 6 jobs", ""])
def test_what_is_missing_is_told(missing: str) -> None:
    found = verdict.headline(compare(grid({"none": [0.5], "balanced": [0.6]}), "balanced_accuracy"), missing)
    assert found.endswith("6 could do; 1 of 6 jobs did not finish." if missing else "6 could do.")


def of_models(values: dict[tuple[str, str], float]) -> list[Logged]:
    """Runs with these values of a model and a weighting; those of mlp are of Keras."""
    found = []
    for (model, weighting), value in values.items():
        one = run(weighting, 0, value, {"model.name": model})
        found.append(replace(one, tags={**one.tags, **({"keras": "3"} if model == "mlp" else {})}))
    return found


def test_a_boosted_tree_without_weights_that_is_better_than_keras_is_told() -> None:
    values = {("mlp", "none"): 0.5, ("mlp", "balanced"): 0.6, ("boosting", "none"): 0.7, ("boosting", "balanced"): 0.8}
    found = said(of_models(values))
    assert found.startswith("boosting · balanced is highest by balanced accuracy (0.800): +0.100 against boosting")
    assert found.endswith(
        "; a boosted tree without any weights does better than the best Keras model: boosting · none, +0.100 against "
        "mlp · balanced, which may be noise: one pair of seeds is too few to test, 6 could do."
    )
    # Of log loss, lower is better, and the tree's 0.3 is below Keras's 0.4.
    assert "a boosted tree" in said(of_models(values), "log_loss")


@pytest.mark.parametrize(
    "values",
    [
        {("mlp", "none"): 0.5, ("mlp", "balanced"): 0.75, ("boosting", "none"): 0.7},
        {("mlp", "none"): 0.5, ("boosting", "balanced"): 0.7},
        {("boosting", "none"): 0.5, ("boosting", "balanced"): 0.7},
        {("mlp", "none"): 0.5, ("random_forest", "none"): 0.7},
    ],
)
def test_otherwise_nothing_is_said_of_trees(values: dict[tuple[str, str], float]) -> None:
    assert "a boosted tree" not in said(of_models(values))
