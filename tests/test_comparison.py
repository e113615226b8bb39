"""Comparisons of made-up runs, whose numbers are known by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from equipoise.comparison import Comparison, Row, compare
from equipoise.logged import Logged
from equipoise.options import ConfigError
from equipoise.significance import holm, nadeau_bengio, permutation_p


def run(weighting: str, seed: int, value: float, params: Mapping[str, str] | None = None, digest: str = "", **metrics: float) -> Logged:
    """A run with a balanced accuracy; other metrics follow from it unless they are given."""
    name = f"{weighting}-{seed}-{params}"
    every = {"dataset.name": "data", "dataset.title": "None", "dataset.split_seed": "0", "seed": str(seed), "weighting.name": weighting, **(params or {})}
    found = {"balanced_accuracy": value, "macro_f1": value, "mcc": value, "log_loss": 1 - value, **metrics}
    keys = {key if "/" in key else f"test/{key}": number for key, number in found.items()}
    return Logged(name, "1", seed, every, {"weights_sha256": digest or name}, keys)


def rows(comparison: Comparison) -> dict[str, Row]:
    (table,) = comparison.tables
    return {row.configuration.label: row for row in table.rows}


def sweep(seeds: int, gains: Mapping[str, float], **metrics: Any) -> list[Logged]:
    """`none` at a level that depends on the seed, the others above it by their gain and a little that varies."""
    generator = np.random.default_rng(0)
    levels = generator.uniform(0.4, 0.6, seeds)
    return [
        run(name, seed, levels[seed] + gain + (name != "none") * generator.normal(0, 0.01), **metrics) for name, gain in gains.items() for seed in range(seeds)
    ]


def test_means_differences_and_their_correction() -> None:
    runs = sweep(10, {"none": 0, "balanced": 0.1, "power": 0.0})
    found = rows(compare(runs, "balanced_accuracy"))
    assert next(iter(found)) == "balanced", "best first"
    values = {name: np.array([one.metrics["test/balanced_accuracy"] for one in runs if one.params["weighting.name"] == name]) for name in found}
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
    assert any("with 5 pairs" in note and "7 pairs could" in note for note in comparison.tables[0].notes)
    enough = rows(compare(sweep(7, {"none": 0, "balanced": 0.3, "power": 0.2}), "balanced_accuracy"))["balanced"].to_baseline
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
    again = [*runs[:-2], run("balanced", 1, 0.6, {"loss.name": "class_weight", "loss.implementation": "class_weight"}, digest="other")]
    assert not any("identical" in label for label in rows(compare(again, "balanced_accuracy"))), "one run of other bits"
    differently = [run("none", 0, value, {"decision.name": rule}, digest="bits") for rule, value in (("argmax", 0.5), ("tuned", 0.6))]
    assert len(rows(compare(differently, "balanced_accuracy"))) == 2, "the same model judged by two rules is two lines"


def test_of_an_option_only_what_varies_is_named() -> None:
    runs = [run("power", 0, 0.5, {"weighting.alpha": alpha}) for alpha in ("0.3", "0.5")]
    runs += [run("none", 0, 0.5, {"trainer.threads": "1", "sweep": "x"}), run("balanced", 0, 0.5)]
    assert set(rows(compare(runs, "mcc"))) == {"weighting.alpha=0.3 · power", "weighting.alpha=0.5 · power", "none", "balanced"}


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
    gains = {"custom · balanced": 0.1, "ldam · none": 0.3, "ldam · balanced": 0.4, "custom · none, logit-adjusted post hoc": 0.2}
    for label, gain in gains.items():
        assert (found[label].to_baseline.reference, found[label].to_baseline.mean) == ("custom · none", pytest.approx(gain))  # type: ignore[union-attr]
    assert set(found) == {"custom · none", *gains}
    only_losses = rows(compare([one for one in runs if one.params["weighting.name"] == "none"], "balanced_accuracy"))
    assert only_losses["ldam"].to_baseline.mean == pytest.approx(0.3)  # type: ignore[union-attr]
    several_models = [replace(one, tags={}, id=one.id + model, params={**one.params, "model.name": model}) for one in runs for model in ("mlp", "cnn")]
    assert rows(compare(several_models, "balanced_accuracy"))["ldam · cnn · none"].to_baseline.reference == "custom · cnn · none"  # type: ignore[union-attr]


@pytest.mark.parametrize(("key", "method"), [("trainer.second_stage", "crt"), ("dataset.sampling", "class_balanced")])
def test_other_methods_are_compared_with_the_plain_one_of_their_model(key: str, method: str) -> None:
    runs = [
        run("none", seed, value, {key: chosen, "model.name": model, "loss.function": "cross_entropy"})
        for model, values in (("mlp", (0.4, 0.5)), ("cnn", (0.7, 0.9)))
        for chosen, value in zip(("none", method), values, strict=True)
        for seed in range(3)
    ]
    found = {row.configuration.settings[0]["model.name"]: row.to_baseline for row in rows(compare(runs, "balanced_accuracy")).values() if row.to_baseline}
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
    runs = [run("none", seed, 0.5, **{"decision/logit_adjusted/balanced_accuracy": 0.65, "decision/logit_adjusted/mcc": 0.3}) for seed in range(3)]
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
            fold_of = {"dataset.fold": str(fold)}
            runs += [run("none", seed, 0.5, fold_of), run("balanced", seed, 0.5 + gain + (0.1 if seed else -0.1), fold_of)]
    comparison = compare(runs, "balanced_accuracy")
    difference = rows(comparison)["balanced"].to_baseline
    assert difference is not None
    p, (low, high) = nadeau_bengio(np.array(gains), 1 / 4)
    assert (difference.pairs, difference.test) == (5, "nadeau_bengio")
    assert (difference.p, difference.low, difference.high) == pytest.approx((p, low, high))
    assert any("Nadeau" in note for note in comparison.tables[0].notes)


def test_several_data_sets_are_ranked() -> None:
    """Also where each has a model that suits it; one that has a title of its own goes by that."""
    runs = []
    for index, counts in enumerate(("[9, 1]", "[90, 1]", "[900, 1]", "[5, 5]")):
        for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7)):
            params = {"dataset.class_counts": counts, "dataset.labels": "one_hot", "model.name": "cnn" if index % 2 else "mlp", "trainer.epochs": str(index)}
            runs.append(run(name, 0, value - 0.01 * index, {**params, "dataset.title": "mine" if index == 3 else "None"}))
    comparison = compare(runs, "balanced_accuracy")
    assert [table.dataset for table in comparison.tables] == [f"data dataset.class_counts={c}" for c in ("[9, 1]", "[90, 1]", "[900, 1]")] + ["mine"]
    assert comparison.ranking is not None
    assert dict(zip(comparison.ranked, comparison.ranking.ranks, strict=True)) == {"balanced": 1, "power": 2, "none": 3}
    # Friedman's chi square of four data sets that agree on three configurations: n (k - 1) = 8.
    assert comparison.ranking.chi_square == pytest.approx(8)


def test_what_is_the_same_on_one_data_set_alone_is_ranked_over_all() -> None:
    runs = [run(name, 0, value, {"dataset.title": title}) for title in "abc" for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7))]
    runs[2], runs[1] = replace(runs[2], tags={"weights_sha256": "same"}), replace(runs[1], tags={"weights_sha256": "same"}, metrics=runs[2].metrics)
    comparison = compare(runs, "balanced_accuracy")
    assert {row.configuration.label for row in comparison.tables[0].rows} == {"power = balanced (bitwise identical)", "none"}
    assert comparison.ranking is not None
    assert dict(zip(comparison.ranked, comparison.ranking.ranks, strict=True)) == pytest.approx({"balanced": 3.5 / 3, "power": 5.5 / 3, "none": 3})


def test_no_winner_where_metrics_disagree() -> None:
    runs = [run("none", 0, 0.5, macro_f1=0.9, mcc=0.9), run("balanced", 0, 0.8, macro_f1=0.6, mcc=0.6), run("power", 0, 0.4, macro_f1=0.5, mcc=0.5)]
    comparison = compare(runs, "balanced_accuracy")
    assert {label: row.on_front for label, row in rows(comparison).items()} == {"balanced": True, "none": True, "power": False}
    assert "The metrics disagree on the best: balanced_accuracy balanced; macro_f1 none; mcc none." in comparison.tables[0].notes


def test_a_region_of_practical_equivalence() -> None:
    runs = sweep(10, {"none": 0, "balanced": 0.001, "power": 0.2})
    found = rows(compare(runs, "balanced_accuracy", rope=0.05))
    assert found["balanced"].to_baseline.posterior.within > 0.99  # type: ignore[union-attr]
    assert found["power"].to_baseline.posterior.above > 0.99  # type: ignore[union-attr]


def test_the_newest_of_the_same_runs_counts() -> None:
    found = rows(compare([run("none", 0, 0.5), run("none", 0, 0.7)], "balanced_accuracy"))
    assert found["none"].spreads["balanced_accuracy"].mean == 0.7


def test_a_metric_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"metric=macro_f2: none of the 1 runs has it; did you mean 'macro_f1'"):
        compare([run("none", 0, 0.5)], "macro_f2")
    found = compare([run("none", 0, 0.5), Logged("old", "1", 0, {"weighting.name": "balanced"}, {}, {})], "mcc")
    assert any("1 runs have no test/mcc" in note for note in found.tables[0].notes)
