"""Comparisons of made-up runs, whose numbers are known by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from comparisons import on_splits, run, study, sweep
from equipoise.comparison.compare import Comparison, Row, compare
from equipoise.comparison.repetitions import over_datasets
from equipoise.comparison.significance import bayesian_correlated_t, nadeau_bengio, permutation_p
from equipoise.core.errors import ConfigError
from equipoise.metrics.multiplicity import holm
from equipoise.tracking.history import Logged


def rows(comparison: Comparison) -> dict[str, Row]:
    (table,) = comparison.tables
    return {row.configuration.label: row for row in table.rows}


def test_means_differences_and_their_correction() -> None:
    runs = sweep(10, {"none": 0, "balanced": 0.1, "power": 0.0})
    found = rows(compare(runs, "balanced_accuracy"))
    assert next(iter(found)) == "balanced", "best first"
    values = {
        name: np.array([one.metrics["test/balanced_accuracy"] for one in runs if one.params["weighting.name"] == name])
        for name in found
    }
    plain = []
    for name in ("balanced", "power"):
        spread, difference = found[name].spreads["balanced_accuracy"], found[name].to_baseline
        assert difference is not None
        assert (spread.mean, spread.deviation) == pytest.approx((values[name].mean(), values[name].std(ddof=1)))
        assert difference.mean == pytest.approx((values[name] - values["none"]).mean())
        assert (difference.pairs, difference.reference, difference.test) == (10, "none", "permutation")
        plain.append(permutation_p(values[name] - values["none"]))
    assert [found[name].to_baseline.p for name in ("balanced", "power")] == pytest.approx(holm(plain))  # type: ignore[union-attr]
    assert found["none"].to_baseline is None
    assert found["balanced"].rank == 1
    assert sum(row.rank for row in found.values()) == pytest.approx(6)


def test_few_pairs_say_how_many_are_needed() -> None:
    comparison = compare(sweep(5, {"none": 0, "balanced": 0.3, "power": 0.2}), "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    assert (difference.p, difference.pairs, difference.needed) == (None, 5, 7)
    assert any("with 5 pairs" in note and "with 7 pairs one could" in note for note in comparison.tables[0].notes)
    enough = rows(compare(sweep(7, {"none": 0, "balanced": 0.3, "power": 0.2}), "balanced_accuracy"))[
        "balanced"
    ].to_baseline
    assert enough is not None
    assert enough.p == pytest.approx(2 * 2 / 2**7)


def test_lower_is_better_where_it_is() -> None:
    comparison = compare(sweep(7, {"none": 0, "balanced": 0.3}), "log_loss")
    assert list(rows(comparison)) == ["balanced", "none"]
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    assert difference.mean < 0
    assert difference.better == 7


def test_pairs_are_those_that_both_have() -> None:
    runs = [run("none", seed, 0.5) for seed in range(4)] + [run("balanced", seed, 0.6) for seed in (2, 3, 9)]
    found = compare(runs, "balanced_accuracy")
    assert rows(found)["balanced"].to_baseline.pairs == 2  # type: ignore[union-attr]
    assert any("3 to 4 runs" in note for note in found.tables[0].notes)


def test_the_same_bits_are_one_line() -> None:
    runs = [
        run("balanced", seed, 0.6, {"loss.name": loss, "loss.implementation": loss}, digest=f"bits-{seed}")
        for loss in ("class_weight", "custom")
        for seed in (0, 1)
    ]
    runs += [run("none", seed, 0.5, {"loss.name": "custom", "loss.implementation": "custom"}) for seed in (0, 1)]
    found = rows(compare(runs, "balanced_accuracy"))
    assert set(found) == {"class_weight · balanced = custom · balanced (bitwise identical)", "custom · none"}
    again = [
        *runs[:-2],
        run("balanced", 1, 0.6, {"loss.name": "class_weight", "loss.implementation": "class_weight"}, digest="other"),
    ]
    assert not any("identical" in label for label in rows(compare(again, "balanced_accuracy"))), "one run of other bits"
    differently = [
        run("none", 0, value, {"decision.name": rule}, digest="bits")
        for rule, value in (("argmax", 0.5), ("tuned", 0.6))
    ]
    assert len(rows(compare(differently, "balanced_accuracy"))) == 2, "the same model judged by two rules is two lines"


def test_what_is_asked_for_sets_the_same_bits_apart() -> None:
    """Sets of two sizes leave the metrics of the panel as they are."""
    sets = [
        replace(one, metrics={**one.metrics, "test/set_size": size})
        for alpha, size in (("0.05", 3.0), ("0.3", 1.2))
        for one in [run("none", 0, 0.5, {"decision.alpha": alpha}, digest="bits")]
    ]
    assert list(rows(compare(sets, "set_size"))) == ["decision.alpha=0.3", "decision.alpha=0.05"]
    assert len(rows(compare(sets, "mcc"))) == 1


def test_a_classs_error_is_better_when_lower() -> None:
    runs = [
        replace(one, metrics={**one.metrics, "test/error_decided/0": value})
        for weighting, value in (("none", 0.3), ("balanced", 0.1))
        for one in [run(weighting, 0, 0.5)]
    ]
    assert list(rows(compare(runs, "error_decided/0"))) == ["balanced", "none"]


def test_a_model_that_was_trained_once_more_is_known_by_the_one_that_the_metrics_are_of() -> None:
    once, more = (run("none", 0, 0.6, {"trainer.refit": refit}, digest=refit) for refit in ("False", "True"))
    assert set(rows(compare([once, more], "mcc"))) == {"trainer.refit=False", "trainer.refit=True"}
    more = replace(more, tags={**more.tags, "judged_weights_sha256": once.tags["weights_sha256"]})
    assert set(rows(compare([once, more], "mcc"))) == {"trainer.refit=False = trainer.refit=True (bitwise identical)"}


def test_labels_name_only_the_options_that_vary() -> None:
    runs = [run("power", 0, 0.5, {"weighting.alpha": alpha}) for alpha in ("0.3", "0.5")]
    runs += [run("none", 0, 0.5, {"trainer.threads": "1", "sweep": "x"}), run("balanced", 0, 0.5)]
    assert set(rows(compare(runs, "mcc"))) == {
        "weighting.alpha=0.3 · power",
        "weighting.alpha=0.5 · power",
        "none",
        "balanced",
    }


def test_each_is_compared_with_the_baseline_of_its_own_model() -> None:
    runs = [
        run(name, seed, value, {"model.name": model})
        for model, values in (("mlp", (0.4, 0.5)), ("cnn", (0.7, 0.9)))
        for name, value in zip(("none", "balanced"), values, strict=True)
        for seed in range(3)
    ]
    found = rows(compare(runs, "balanced_accuracy"))
    for model, gain in (("mlp", 0.1), ("cnn", 0.2)):
        difference = found[f"{model} · balanced"].to_baseline
        assert difference is not None
        assert (difference.reference, difference.mean) == (f"{model} · none", pytest.approx(gain))


def test_losses_are_compared_with_cross_entropy_without_weights() -> None:
    """And with its post-hoc adjustment, which is the only one that is a line."""
    adjusted = {"decision/logit_adjusted/balanced_accuracy": 0.7}
    runs = [
        run(weighting, seed, value, {"loss.name": loss, "loss.function": function}, **adjusted)
        for loss, function, weighting, value in (
            ("custom", "cross_entropy", "none", 0.5),
            ("custom", "cross_entropy", "balanced", 0.6),
            ("ldam", "ldam", "none", 0.8),
            ("ldam", "ldam", "balanced", 0.9),
        )
        for seed in range(3)
    ]
    found = rows(compare(runs, "balanced_accuracy"))
    gains = {
        "custom · balanced": 0.1,
        "ldam · none": 0.3,
        "ldam · balanced": 0.4,
        "custom · none, logit-adjusted post hoc": 0.2,
    }
    for label, gain in gains.items():
        assert (found[label].to_baseline.reference, found[label].to_baseline.mean) == (
            "custom · none",
            pytest.approx(gain),
        )  # type: ignore[union-attr]
    assert set(found) == {"custom · none", *gains}
    only_losses = rows(compare([one for one in runs if one.params["weighting.name"] == "none"], "balanced_accuracy"))
    assert only_losses["ldam"].to_baseline.mean == pytest.approx(0.3)  # type: ignore[union-attr]
    several_models = [
        replace(one, tags={}, id=one.id + model, params={**one.params, "model.name": model})
        for one in runs
        for model in ("mlp", "cnn")
    ]
    assert (
        rows(compare(several_models, "balanced_accuracy"))["ldam · cnn · none"].to_baseline.reference
        == "custom · cnn · none"
    )  # type: ignore[union-attr]


@pytest.mark.parametrize(("key", "method"), [("trainer.second_stage", "crt"), ("dataset.sampling", "class_balanced")])
def test_other_methods_are_compared_with_the_plain_one_of_their_model(key: str, method: str) -> None:
    runs = [
        run("none", seed, value, {key: chosen, "model.name": model, "loss.function": "cross_entropy"})
        for model, values in (("mlp", (0.4, 0.5)), ("cnn", (0.7, 0.9)))
        for chosen, value in zip(("none", method), values, strict=True)
        for seed in range(3)
    ]
    found = {
        row.configuration.settings[0]["model.name"]: row.to_baseline
        for row in rows(compare(runs, "balanced_accuracy")).values()
        if row.to_baseline
    }
    assert {model: difference.mean for model, difference in found.items()} == pytest.approx({"mlp": 0.1, "cnn": 0.2})


def test_the_baseline_can_be_typed() -> None:
    runs = sweep(3, {"none": 0, "balanced": 0.2, "power": 0.1})
    found = rows(compare(runs, "balanced_accuracy", baseline="balanced"))
    assert found["none"].to_baseline.mean == pytest.approx(-0.2, abs=0.02)  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="baseline=balnced: there is no such configuration; did you mean 'balanced'"):
        compare(runs, "balanced_accuracy", baseline="balnced")
    without = rows(compare([one for one in runs if one.params["weighting.name"] != "none"], "balanced_accuracy"))
    assert [row.to_baseline for row in without.values()] == [None, None]


def test_post_hoc_adjustment_of_none_is_the_control() -> None:
    runs = [
        run(
            "none", seed, 0.5, **{"decision/logit_adjusted/balanced_accuracy": 0.65, "decision/logit_adjusted/mcc": 0.3}
        )
        for seed in range(3)
    ]
    runs += [run("balanced", seed, 0.6) for seed in range(3)]
    found = rows(compare(runs, "balanced_accuracy"))
    control = found["none, logit-adjusted post hoc"]
    assert control.spreads["balanced_accuracy"].mean == pytest.approx(0.65)
    assert "log_loss" not in control.spreads
    assert found["balanced"].to_control.mean == pytest.approx(-0.05)  # type: ignore[union-attr]
    assert control.to_baseline.mean == pytest.approx(0.15)  # type: ignore[union-attr]
    assert control.to_control is None


def test_folds_average_their_seeds_and_are_corrected() -> None:
    gains = [0.01, 0.02, 0.03, 0.04, 0.05]
    runs = []
    for fold, gain in enumerate(gains):
        for seed in (0, 1):
            fold_of, sizes = {"dataset.fold": str(fold)}, {"samples/train": 80.0, "samples/test": 20.0}
            runs += [
                run("none", seed, 0.5, fold_of, **sizes),
                run("balanced", seed, 0.5 + gain + (0.1 if seed else -0.1), fold_of, **sizes),
            ]
    comparison = compare(runs, "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    p, (low, high) = nadeau_bengio(np.array(gains), 1 / 4)
    assert (difference.pairs, difference.test) == (5, "nadeau_bengio")
    assert (difference.p, difference.low, difference.high) == pytest.approx((p, low, high))
    assert any("Nadeau" in note for note in comparison.tables[0].notes)


GAINS = (("none", 0.5), ("balanced", 0.6))


def test_repeated_splits_are_corrected_with_the_ratio_of_the_data() -> None:
    comparison = compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}, seeds=3), "balanced_accuracy")
    row = rows(comparison)["balanced"]
    difference, spread = row.to_baseline, row.spreads["balanced_accuracy"]
    # Seeds add 0, .01 and .02 on each split: split means .03, .04 and .08, mean .05, s^2 = .0007.
    # Standard error sqrt((1/3 + .2/.7) * .0007) = .0208167, t = 2.401922, df 2; t(.975, 2) = 4.302653.
    assert difference is not None
    assert (difference.mean, difference.pairs, difference.better, difference.test) == (
        pytest.approx(0.05),
        3,
        3,
        "nadeau_bengio",
    )
    assert difference.p == pytest.approx(2 * stats.t.sf(2.401922, 2), abs=1e-6)
    assert (difference.low, difference.high) == pytest.approx(
        (0.05 - 4.302653 * 0.0208167, 0.05 + 4.302653 * 0.0208167), abs=1e-6
    )
    assert (difference.between_splits, difference.between_seeds) == pytest.approx((0.0007**0.5, 0.01))
    assert (spread.mean, spread.runs, spread.units) == (pytest.approx(0.55), 9, 3)
    assert (spread.low, spread.high) == pytest.approx((difference.low + 0.5, difference.high + 0.5))
    assert (spread.between_splits, spread.between_seeds) == pytest.approx((0.0007**0.5, 0.01))
    notes = " ".join(comparison.tables[0].notes)
    assert "3 splits, 3 seeds averaged within each" in notes
    assert "df 2, with n_test / n_train = 0.286" in notes
    assert "comparisons: 1 with none" in notes


def test_two_finished_folds_of_five_have_the_ratio_of_five() -> None:
    runs = [
        run(name, 0, value, {"dataset.fold": fold}, **{"samples/train": 72, "samples/test": 20})
        for fold, gain in (("0", 0.02), ("1", 0.04))
        for name, value in (("none", 0.5), ("balanced", 0.5 + gain))
    ]
    difference = rows(compare(runs, "balanced_accuracy"))["balanced"].to_baseline
    assert difference is not None
    p, ends = nadeau_bengio(np.array([0.02, 0.04]), 20 / 72)
    assert (difference.p, difference.low, difference.high) == pytest.approx((p, *ends))


def test_one_split_has_the_noise_of_training_alone() -> None:
    comparison = compare(sweep(7, {"none": 0, "balanced": 0.3}), "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    assert difference.test == "permutation"
    assert np.isnan(difference.between_splits)
    assert any(
        "7 seeds on one split" in note and "training noise on this split" in note for note in comparison.tables[0].notes
    )


def test_each_seed_on_a_split_of_its_own_is_a_split() -> None:
    runs = [
        run(name, seed, value + 0.01 * seed * (value > 0.5), {"dataset.split_seed": str(seed)})
        for name, value in GAINS
        for seed in range(4)
    ]
    comparison = compare(runs, "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    assert (difference.pairs, difference.test) == (4, "nadeau_bengio")
    assert np.isnan(difference.between_seeds)
    assert any("over 4 splits: the corrected" in note for note in comparison.tables[0].notes)


def test_split_seeds_that_give_the_same_data_are_one_split() -> None:
    """As where the files of all splits are given: what differs is the seed alone."""
    runs = [
        replace(
            run(name, seed, value + 0.01 * seed * (value > 0.5), {"dataset.split_seed": str(seed)}),
            tags={"data_sha256": "same"},
        )
        for name, value in GAINS
        for seed in range(7)
    ]
    difference = rows(compare(runs, "balanced_accuracy"))["balanced"].to_baseline
    assert difference is not None
    assert (difference.pairs, difference.test) == (7, "permutation")
    apart = [replace(one, tags={"data_sha256": one.params["seed"]}) for one in runs]
    assert rows(compare(apart, "balanced_accuracy"))["balanced"].to_baseline.test == "nadeau_bengio"  # type: ignore[union-attr]


def test_runs_that_do_not_say_their_sizes_have_no_test_over_splits() -> None:
    runs = [
        replace(one, metrics={key: value for key, value in one.metrics.items() if "samples" not in key})
        for one in on_splits({"0": 0.1, "1": 0.2})
    ]
    comparison = compare(runs, "balanced_accuracy")
    row = rows(comparison)["balanced"]
    assert row.to_baseline is not None
    assert (row.to_baseline.p, row.to_baseline.mean) == (None, pytest.approx(0.15))
    assert np.isnan([row.to_baseline.low, row.spreads["balanced_accuracy"].low]).all()
    assert any("did not log how many samples" in note for note in comparison.tables[0].notes)


def test_equal_differences_are_no_certainty() -> None:
    """Two splits that differ by the same one test sample would have p = 0."""
    comparison = compare(on_splits({"0": 1 / 30, "1": 1 / 30}), "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    assert difference.p is None
    assert any("the t test is not defined" in note for note in comparison.tables[0].notes)


def test_missing_runs_do_not_bias_order_front_and_ranks() -> None:
    """`power` is better wherever both are, and lacks the easy split."""
    easy, hard = {"dataset.split_seed": "0"}, {"dataset.split_seed": "1"}
    runs = [run("balanced", seed, value, where) for where, value in ((easy, 0.9), (hard, 0.5)) for seed in range(2)]
    runs += [run("power", seed, 0.6, hard) for seed in range(2)]
    comparison = compare(runs, "balanced_accuracy", baseline="balanced")
    found = rows(comparison)
    assert list(found) == ["power", "balanced"]
    assert (
        found["balanced"].spreads["balanced_accuracy"].mean,
        found["balanced"].spreads["balanced_accuracy"].runs,
    ) == (0.5, 2)
    assert (found["power"].rank, found["power"].on_front, found["balanced"].on_front) == (1, True, False)
    (note,) = [note for note in comparison.tables[0].notes if "Omitted" in note]
    assert "2 to 4 runs" in note
    assert "over the 2 places" in note
    assert "Omitted: balanced split_seed=0 seed=0, balanced split_seed=0 seed=1." in note


def test_configurations_without_a_shared_run_are_not_ordered() -> None:
    runs = [run("none", seed, 0.5) for seed in range(3)] + [run("balanced", seed, 0.9) for seed in range(3, 6)]
    comparison = compare(runs, "balanced_accuracy")
    found = rows(comparison)
    assert list(found) == ["balanced", "none"], "by name"
    assert np.isnan([row.rank for row in found.values()]).all()
    assert not any(row.on_front or row.to_baseline for row in found.values())
    assert any("the order of the rows says nothing" in note for note in comparison.tables[0].notes)


def test_the_same_bits_are_one_line_where_a_run_is_missing() -> None:
    runs = [run(name, seed, 0.6, digest=f"bits-{seed}") for name in ("balanced", "inverse") for seed in range(3)]
    assert set(rows(compare(runs[:-1], "balanced_accuracy"))) == {"balanced = inverse (bitwise identical)"}


def test_holms_family_is_one_reference() -> None:
    runs = [
        run(name, seed, value + 0.01 * seed * (value > 0.5), {"model.name": model, "dataset.split_seed": str(seed)})
        for model in ("mlp", "cnn")
        for name, value in (*GAINS, ("power", 0.7))
        for seed in range(3)
    ]
    comparison = compare(runs, "balanced_accuracy")
    found = {row.configuration.label: row.to_baseline for row in comparison.tables[0].rows if row.to_baseline}
    assert {one.comparisons for one in found.values()} == {2}, "four differences, two to each model's own baseline"
    single, _ = nadeau_bengio(np.array([0.1, 0.11, 0.12]), 20 / 70)
    assert found["mlp · balanced"].p == pytest.approx(single), "the second step of Holm's correction"
    assert any("2 with cnn · none, 2 with mlp · none" in note for note in comparison.tables[0].notes)


def test_the_region_of_practical_equivalence_allows_for_rows_that_splits_share() -> None:
    found = rows(compare(on_splits({"0": 0.02, "1": 0.03, "2": 0.07}), "balanced_accuracy", rope=0.01))[
        "balanced"
    ].to_baseline
    assert found is not None
    assert found.posterior is not None
    expected = bayesian_correlated_t(np.array([0.02, 0.03, 0.07]), 20 / 70, 0.01)
    assert (found.posterior.below, found.posterior.within) == pytest.approx((expected.below, expected.within))


def test_differences_over_data_sets_have_wilcoxons_p_corrected_by_holm() -> None:
    gains = {"none": 0, **{f"m{number:02}": 0.001 * (1 + number) for number in range(13)}}
    comparison = compare(study(12, gains), "balanced_accuracy")
    assert [one.label for one in comparison.overall][:2] == ["m12", "m11"], "best first"
    differences = [one.to_baseline for one in comparison.overall if one.to_baseline]
    assert len(differences) == 13
    for one in differences:
        assert (one.pairs, one.better, one.test, one.comparisons, one.reference) == (12, 12, "wilcoxon", 13, "none")
        assert one.p == pytest.approx(13 * 2 / 2**12), "the smallest that there is: 0.0063"
    few = compare(study(5, {"none": 0, "balanced": 0.01}), "balanced_accuracy").overall[0].to_baseline
    assert few is not None
    assert (few.p, few.needed) == (None, 6)


def test_the_same_bits_are_ranked_once() -> None:
    """Five copies of one configuration would make Friedman's p smaller than the data do."""
    copies = {f"copy{number}": 0.02 for number in range(5)}
    comparison = compare(study(6, {"none": 0, "power": 0.01, **copies}, same=tuple(copies)), "balanced_accuracy")
    assert comparison.ranking is not None
    assert comparison.ranked == ("copy0 = copy1 = copy2 = copy3 = copy4 (bitwise identical)", "power", "none")
    alone = compare(study(6, {"none": 0, "power": 0.01, "copy0": 0.02}), "balanced_accuracy").ranking
    assert alone is not None
    assert (comparison.ranking.p, comparison.ranking.critical_difference) == pytest.approx(
        (alone.p, alone.critical_difference)
    )
    assert comparison.overall[0].to_baseline.comparisons == 2  # type: ignore[union-attr]


def test_the_bits_of_the_reference_on_one_data_set_are_a_difference_of_0() -> None:
    runs = study(7, {"none": 0, "balanced": 0.01, "power": 0.02})
    runs[:2] = [replace(one, tags={"weights_sha256": "same"}, metrics=runs[0].metrics) for one in runs[:2]]
    found = {label: one for one in compare(runs, "balanced_accuracy").overall for label in one.labels}
    assert found["balanced"].to_baseline.pairs == 7  # type: ignore[union-attr]
    assert found["balanced"].to_baseline.mean == pytest.approx(0.01 * sum(range(2, 8)) / 7)  # type: ignore[union-attr]
    assert found["none"].to_baseline is None


def test_configurations_that_a_data_set_lacks_are_left_out_and_named() -> None:
    runs = study(3, {"none": 0, "balanced": 0.01, "power": 0.02, "inverse": 0.03})
    comparison = compare(
        [one for one in runs if (one.params["dataset.title"], one.params["weighting.name"]) != ("d01", "inverse")],
        "balanced_accuracy",
    )
    assert comparison.left_out == ("inverse",)
    assert [one.label for one in comparison.overall] == ["power", "balanced", "none"]


def test_several_data_sets_are_ranked() -> None:
    """Also where each has a model that suits it; one that has a title of its own goes by that."""
    runs = []
    for index, counts in enumerate(("[9, 1]", "[90, 1]", "[900, 1]", "[5, 5]")):
        for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7)):
            params = {
                "dataset.class_counts": counts,
                "dataset.labels": "one_hot",
                "model.name": "cnn" if index % 2 else "mlp",
                "trainer.epochs": str(index),
            }
            runs.append(
                run(name, 0, value - 0.01 * index, {**params, "dataset.title": "mine" if index == 3 else "None"})
            )
    comparison = compare(runs, "balanced_accuracy")
    assert [table.dataset for table in comparison.tables] == [
        f"data dataset.class_counts={c}" for c in ("[9, 1]", "[90, 1]", "[900, 1]")
    ] + ["mine"]
    assert comparison.ranking is not None
    assert dict(zip(comparison.ranked, comparison.ranking.ranks, strict=True)) == {"balanced": 1, "power": 2, "none": 3}
    # Friedman's chi square of four data sets that agree on three configurations: n (k - 1) = 8.
    assert comparison.ranking.chi_square == pytest.approx(8)


def test_configurations_equal_on_one_data_set_are_ranked_over_all() -> None:
    runs = [
        run(name, 0, value, {"dataset.title": title})
        for title in "abc"
        for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7))
    ]
    runs[2], runs[1] = (
        replace(runs[2], tags={"weights_sha256": "same"}),
        replace(runs[1], tags={"weights_sha256": "same"}, metrics=runs[2].metrics),
    )
    comparison = compare(runs, "balanced_accuracy")
    assert {row.configuration.label for row in comparison.tables[0].rows} == {
        "power = balanced (bitwise identical)",
        "none",
    }
    assert comparison.ranking is not None
    assert dict(zip(comparison.ranked, comparison.ranking.ranks, strict=True)) == pytest.approx(
        {"balanced": 3.5 / 3, "power": 5.5 / 3, "none": 3}
    )


def test_no_winner_where_metrics_disagree() -> None:
    runs = [
        run("none", 0, 0.5, macro_f1=0.9, mcc=0.9),
        run("balanced", 0, 0.8, macro_f1=0.6, mcc=0.6),
        run("power", 0, 0.4, macro_f1=0.5, mcc=0.5),
    ]
    comparison = compare(runs, "balanced_accuracy")
    assert {label: row.on_front for label, row in rows(comparison).items()} == {
        "balanced": True,
        "none": True,
        "power": False,
    }
    assert (
        "The metrics disagree on the highest mean: balanced_accuracy balanced; macro_f1 none; mcc none."
        in comparison.tables[0].notes
    )


def test_a_region_of_practical_equivalence() -> None:
    runs = sweep(10, {"none": 0, "balanced": 0.001, "power": 0.2})
    found = rows(compare(runs, "balanced_accuracy", rope=0.05))
    assert found["balanced"].to_baseline.posterior.within > 0.99  # type: ignore[union-attr]
    assert found["power"].to_baseline.posterior.above > 0.99  # type: ignore[union-attr]


def test_the_newest_of_the_same_runs_counts() -> None:
    found = rows(compare([run("none", 0, 0.5), run("none", 0, 0.7)], "balanced_accuracy"))
    assert found["none"].spreads["balanced_accuracy"].mean == 0.7


def test_runs_of_other_code_are_told() -> None:
    runs = sweep(3, {"none": 0, "balanced": 0.1})
    same = [
        replace(
            one,
            tags={**one.tags, "code": json.dumps({f"weighting={one.params['weighting.name']}": "a", "training": "b"})},
        )
        for one in runs
    ]
    assert not any("code" in note for note in compare(same, None).tables[0].notes)
    edited = replace(same[-1], tags={**same[-1].tags, "code": json.dumps({"weighting=balanced": "c", "training": "b"})})
    assert (
        "The runs used different code (weighting=balanced), which may explain differences between them."
        in compare([*same[:-1], edited], None).tables[0].notes
    )


def test_a_metric_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"metric=macro_f2: none of the 1 runs has it; did you mean 'macro_f1'"):
        compare([run("none", 0, 0.5)], "macro_f2")
    found = compare([run("none", 0, 0.5), Logged("old", "1", 0, {"weighting.name": "balanced"}, {}, {})], "mcc")
    assert any("Omitted: 1 run without test/mcc." in note for note in found.tables[0].notes)


def test_a_mean_that_never_varies_has_no_interval() -> None:
    """A worst class that is missed in every run is not known to be missed always."""
    for where in ({"0": 0.1, "1": 0.2}, {"0": 0.1}):
        runs = [
            replace(one, metrics={**one.metrics, "test/worst_class_recall": 0.0}) for one in on_splits(where, seeds=3)
        ]
        spread = rows(compare(runs, "balanced_accuracy"))["balanced"].spreads["worst_class_recall"]
        assert spread.mean == 0
        assert np.isnan([spread.low, spread.high]).all()
    equal = rows(
        compare([run(name, seed, 0.5) for name in ("none", "balanced") for seed in range(8)], "balanced_accuracy")
    )["balanced"].to_baseline
    assert equal is not None
    assert (equal.mean, equal.p) == (0, 1)
    assert np.isnan([equal.low, equal.high]).all()
    assert np.isnan(over_datasets("none", np.zeros(7), 1).low)
