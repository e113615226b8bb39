"""Paired statistics of any scores: SciPy as oracle, what the unit is, and what cannot be compared."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import equipoise as eq

GENERATOR = np.random.default_rng(0)


def scores(units: int, configurations: dict[str, float], seeds: int = 1, **names: str) -> pd.DataFrame:
    rows = [
        {"unit": unit, "seed": seed, "configuration": name, "value": 0.7 + gain + GENERATOR.normal(0, 0.02)}
        for unit in range(units)
        for seed in range(seeds)
        for name, gain in configurations.items()
    ]
    return pd.DataFrame(rows).rename(columns=names)


def by_unit(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.pivot_table(index="unit", columns="configuration", values="value")


def test_splits_by_the_corrected_resampled_t_test() -> None:
    frame = scores(8, {"balanced": 0.03, "none": 0.0, "power": 0.01}, seeds=3)
    found = eq.compare(frame, seed="seed", test_over_train=0.25)
    means = by_unit(frame)
    assert [*found.frame.index] == [*means.mean().sort_values(ascending=False).index]
    p = []
    for name in ("balanced", "power"):
        differences = means[name] - means["none"]
        error = np.sqrt((1 / 8 + 0.25) * differences.var(ddof=1))
        p.append(2 * stats.t.sf(abs(differences.mean()) / error, 7))
        row = found.frame.loc[name]
        assert row["difference"] == pytest.approx(differences.mean())
        reach = stats.t.ppf(0.975, 7) * error
        assert row["difference_low"] == pytest.approx(differences.mean() - reach)
        assert row["difference_high"] == pytest.approx(differences.mean() + reach)
        assert (row["better"], row["pairs"]) == ((differences > 0).sum(), 8)
    smaller, larger = sorted(p)  # Holm's correction by hand
    expected = dict(zip(sorted(p), (min(1, 2 * smaller), min(1, max(2 * smaller, larger))), strict=True))
    assert found.frame.loc[["balanced", "power"], "p"].tolist() == pytest.approx([expected[value] for value in p])
    assert found.frame.loc["none", ["difference", "p"]].isna().all()
    assert found.notes[0].startswith("Units are 8 splits: rows")
    assert "Seeds: 3 on each, averaged." in found.notes[0]
    assert "df 7, with n_test / n_train = 0.25" in found.notes[1]
    assert "2 with none" in found.notes[2]


def test_folds_know_their_ratio_and_splits_do_not() -> None:
    frame = scores(5, {"none": 0.0, "balanced": 0.05})
    folds = eq.compare(frame, units="folds").frame
    assert folds.loc["balanced", "p"] == eq.compare(frame, test_over_train=1 / 4).frame.loc["balanced", "p"]
    splits = eq.compare(frame)
    assert splits.frame.loc["balanced", ["p", "difference_low"]].isna().all()
    assert splits.frame.loc["balanced", "difference"] == folds.loc["balanced", "difference"]
    assert (
        "p and intervals are omitted: they depend on test over training samples; give test_over_train"
        in splits.notes[1]
    )


def test_data_sets_by_wilcoxon() -> None:
    frame = scores(12, {"none": 0.0, "balanced": 0.01})
    found = eq.compare(frame, units="data sets")
    differences = by_unit(frame)["balanced"] - by_unit(frame)["none"]
    assert found.frame.loc["balanced", "p"] == pytest.approx(stats.wilcoxon(differences).pvalue)
    low, high = stats.t.interval(0.95, 11, differences.mean(), stats.sem(differences))
    assert found.frame.loc["balanced", ["difference_low", "difference_high"]].tolist() == pytest.approx([low, high])
    mean = by_unit(frame)["balanced"]
    low, high = stats.t.interval(0.95, 11, mean.mean(), stats.sem(mean))
    assert found.frame.loc["balanced", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert found.notes[0] == "Units are 12 data sets, which share no rows."


def test_one_split_by_permutation_over_its_seeds() -> None:
    frame = scores(1, {"none": 0.0, "balanced": 0.05}, seeds=8)
    found = eq.compare(frame, seed="seed")
    values = frame.pivot_table(index="seed", columns="configuration", values="value")
    expected = stats.permutation_test(
        (values["balanced"], values["none"]), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=999
    )
    assert found.frame.loc["balanced", "p"] == pytest.approx(expected.pvalue)
    assert "The unit is one split with 8 seeds" in found.notes[0]
    few = eq.compare(scores(1, {"none": 0.0, "balanced": 0.05}, seeds=2), seed="seed")
    assert np.isnan(few.frame.loc["balanced", "p"])
    assert any("Too few pairs" in note for note in few.notes)


def test_columns_baseline_and_direction() -> None:
    frame = scores(6, {"a": 0.0, "b": 0.1}, unit="year", configuration="model", value="log_loss")
    more = {"unit": "year", "configuration": "model", "value": "log_loss", "units": "folds"}
    found = eq.compare(frame, **more)
    assert [*found.frame.index] == ["a", "b"], "a lower log loss is better"
    assert found.frame.loc["b", "better"] == 0
    assert found.title == "log_loss of 2 configurations on 6 folds; differences are to a"
    higher = eq.compare(frame, **more, lower_is_better=False, baseline="b")
    assert [*higher.frame.index] == ["b", "a"]
    assert higher.frame.loc["a", "difference"] == pytest.approx(-found.frame.loc["b", "difference"])
    frame["region"] = "north"
    assert eq.compare(frame, **{**more, "unit": ["year", "region"]}).frame.equals(found.frame)
    page = found._repr_html_()
    assert "<th>b</th>" in page
    assert "Units are 6 folds" in page


def test_only_units_that_all_have_are_compared() -> None:
    frame = scores(5, {"none": 0.0, "balanced": 0.05})
    whole = eq.compare(frame[frame["unit"] != 4], units="folds")
    part = frame.copy()
    part.loc[(part["unit"] == 4) & (part["configuration"] == "none"), "value"] = np.nan
    found = eq.compare(part, units="folds")
    assert found.frame.equals(whole.frame)
    assert found.notes[-1] == "Omitted: 1 score on units that some configuration lacks."


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.rename(columns={"value": "mcc"}), {}, "there is no column value"),
        (lambda f: f, {"value": "vale"}, "there is no column vale; did you mean 'value'"),
        (lambda f: pd.concat([f, f]), {}, r"none has two scores on 0; are there several seeds\? Name their column"),
        (lambda f: pd.concat([f, f]), {"seed": "seed"}, "none has two scores on 0 0"),
        (lambda f: f[f["configuration"] == "none"], {}, "nothing to compare: the only configuration is none"),
        (lambda f: f[(f["unit"] == 0) == (f["configuration"] == "none")], {}, "so there are no pairs"),
        (lambda f: f, {"baseline": "nne"}, "baseline=nne: there is no such configuration; did you mean 'none'"),
        (lambda f: f, {"units": "fold"}, "units=fold: give splits, folds or data sets"),
        (lambda f: f.astype({"value": str}), {}, "the column value holds object: give one number a row"),
    ],
)
def test_mistakes_are_told(change: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(eq.ConfigError, match=message):
        eq.compare(change(scores(3, {"none": 0.0, "balanced": 0.1})), **options)


def test_units_with_other_numbers_of_seeds_are_refused() -> None:
    frame = scores(2, {"none": 0.0, "balanced": 0.1}, seeds=2)
    with pytest.raises(eq.ConfigError, match="units have different numbers of seeds, such as 1 with 1"):
        eq.compare(frame[(frame["unit"] == 0) | (frame["seed"] == 0)], seed="seed")
