"""The study's analysis: values by hand, by SciPy and statsmodels, and what simulated truths must give."""

import dataclasses
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import simulated_study
from helpers import REPOSITORY

STUDY = REPOSITORY / "pipelines" / "study"


@pytest.fixture(scope="module")
def parts() -> Iterator[SimpleNamespace]:
    """The modules of pipelines/study/analysis, which are on the path of its own commands alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "pipelines")
        patch.syspath_prepend(STUDY)
        import report
        from analysis import (
            beside,
            choosing,
            contrasts,
            decision,
            dependence,
            hierarchy,
            hypotheses,
            page,
            pooled,
            quick,
            quotes,
            regret,
            sensitivity,
            table,
        )

        each = (beside, choosing, contrasts, decision, dependence, hierarchy, hypotheses, page, pooled, regret)
        each += (quick, quotes, sensitivity, table)
        yield SimpleNamespace(report=report, **{module.__name__.partition(".")[2]: module for module in each})
        for name in [name for name in sys.modules if name.partition(".")[0] in ("analysis", "report", "marked")]:
            patch.delitem(sys.modules, name)


FAMILIES = {"yeast": 3, "cm1_kc1_pc1": 1} | {f"f{number}": 1 for number in range(10)}
GAIN = {30: 0.06, 100: 0.045, 300: 0.03, 1000: 0.015, 0: 0.03}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Runs in which `balanced` and the free rule gain the same, less by longer training."""
    gain = {(name, epochs): value for name in ("balanced", "post_hoc") for epochs, value in GAIN.items()}
    world = simulated_study.World(FAMILIES, gain, between=0.0, training=0.004, methods=("none", "balanced"))
    return simulated_study.table(world)


@pytest.fixture(scope="module")
def study(parts: SimpleNamespace, rows: pd.DataFrame) -> object:
    return parts.table.study(rows, {name: name for name in ("yeast0", "later")})


def test_metrics_are_those_of_the_summed_matrices(parts: SimpleNamespace) -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

    confusion = np.array([[[40.0, 10.0], [3.0, 7.0]], [[45.0, 5.0], [6.0, 4.0]]])
    truth, predicted = np.repeat([0, 0, 1, 1], [85, 15, 9, 11]), np.repeat([0, 1, 0, 1], [85, 15, 9, 11])
    expected = {
        "balanced_accuracy": balanced_accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro"),
        "mcc": matthews_corrcoef(truth, predicted),
        "worst_class_recall": 0.55,
    }
    for metric, value in expected.items():
        assert parts.pooled.measure(metric, confusion.sum(axis=0)) == pytest.approx(value)
    left = parts.pooled.leave_one_out(confusion)
    np.testing.assert_array_equal(left, confusion[::-1])
    # 50 of 100 rows each, weighted to 3 : 1. Precision of class 1 is 0.25 * 0.6 / (0.25 * 0.6 + 0.75 * 0.2) = 0.5.
    balanced = np.array([[40.0, 10.0], [20.0, 30.0]])
    f1 = np.mean([2 * 0.6 / (0.6 + 0.1 + 0.75), 2 * 0.15 / (0.3 + 0.25)])
    assert parts.pooled.measure("macro_f1", balanced, np.array([3.0, 1.0])) == pytest.approx(f1)


def test_a_diverged_run_is_judged_as_the_majority_class_and_a_seed_without_a_fold_is_left_out(
    parts: SimpleNamespace, rows: pd.DataFrame
) -> None:
    one = rows[
        (rows["dataset"] == "f00") & (rows["method"] == "none") & (rows["rule"] == "argmax") & (rows["epochs"] == 30)
    ]
    one = one.assign(diverged=(one["seed"] == 1) & (one["fold"] == 2))
    whole, found = (parts.table.gather(part) for part in (one, one[~((one["seed"] == 0) & (one["fold"] == 4))]))
    assert (whole.seeds, found.seeds) == ((0, 1, 2), (1, 2))
    np.testing.assert_array_equal(whole.test[1, 2][:, 1], 0)
    every = parts.table.with_every_rule(one)
    assert (len(every), set(every[every["rule"] != "argmax"]["fold"])) == (len(one) + 4, {2})
    np.testing.assert_array_equal(whole.test[1, 2].sum(axis=1), whole.test[0, 2].sum(axis=1))


def test_the_posterior_is_that_of_numerical_integration(parts: SimpleNamespace) -> None:
    effects, variances = np.array([0.03, 0.01, -0.01, 0.04]), np.array([1e-4, 4e-4, 2e-4, 1e-4])
    found = parts.hierarchy.infer(effects, variances)
    mu, tau = np.meshgrid(np.linspace(-0.15, 0.2, 1401), np.linspace(1e-5, 0.3, 1200), indexing="ij")
    log = stats.halfnorm.logpdf(tau, scale=0.05)
    for effect, variance in zip(effects, variances, strict=True):
        log += stats.norm.logpdf(effect, mu, np.sqrt(tau**2 + variance))
    density = np.exp(log - log.max())
    density /= density.sum()
    assert found.mean == pytest.approx((density * mu).sum(), abs=1e-4)
    assert found.tau == pytest.approx((density * tau).sum(), abs=2e-4)
    assert found.probability(-0.01, 0.01) == pytest.approx(density[np.abs(mu) < 0.01].sum(), abs=3e-3)
    ends = np.interp([0.025, 0.975], np.cumsum(density.sum(axis=1)), mu[:, 0])
    np.testing.assert_allclose(found.interval, ends, atol=3e-4)
    new = stats.norm.cdf(0.01, mu, tau) - stats.norm.cdf(-0.01, mu, tau)
    assert found.of_new_family(-0.01, 0.01) == pytest.approx((density * new).sum(), abs=2e-3)


def test_families_that_count_alike_have_student_s_interval(parts: SimpleNamespace) -> None:
    effects = np.random.default_rng(0).normal(0.01, 0.02, 12)
    found, oracle = parts.hierarchy.alike(effects), stats.ttest_1samp(effects, 0.004)
    assert found.interval == pytest.approx(oracle.confidence_interval(0.95))
    assert found.probability(-np.inf, 0.004) == pytest.approx(stats.t.cdf(-oracle.statistic, 11))
    assert found.probability(-0.01, 0.01) == pytest.approx(
        stats.t.cdf((0.01 - effects.mean()) / found.error, 11) - stats.t.cdf((-0.01 - effects.mean()) / found.error, 11)
    )


def test_a_verdict_tells_under_which_other_choices_it_fails(parts: SimpleNamespace) -> None:
    from analysis import words

    def judged(effects: np.ndarray) -> object:
        # Eight families that are measured well, and four that are measured badly.
        variances, counts = np.array([1e-7] * 8 + [1e-2] * 4), np.array([300.0, 30.0])
        datasets = tuple(parts.table.DataSet(f"d{name}", f"d{name}", "table", counts) for name in range(12))
        found = parts.contrasts.Effects(datasets, effects, variances, variances, np.full(12, 3.0))
        return parts.hypotheses.Judged(
            parts.hypotheses.Claim("free", (), -0.01, 0.01, 0.95),
            found,
            parts.contrasts.families(found),
            parts.hierarchy.infer(effects, variances),
            parts.beside.signed_rank(effects, 0.01),
            (12, 12),
        )

    told = words.state((judged(np.array([0.001] * 8 + [0.04] * 4)),))
    assert told.startswith(
        "**shown** by the model of the design; not under other choices: families count alike (P = 0."
    )
    assert words.state((judged(np.array([0.001] * 8 + [0.0004] * 4)),)) == "**shown**"


def test_intervals_cover_and_equivalence_errs_as_the_design_says(parts: SimpleNamespace) -> None:
    """29 families, τ 0.01, measured to 0.01: intervals cover in 95 %, and 0.01 passes as equivalent in 3 to 8 %."""
    generator, repeated, wrong = np.random.default_rng(0), 1000, 0
    variances = generator.uniform(0.5e-4, 2e-4, 29)
    covered = 0
    for _ in range(repeated):
        effects = 0.01 + generator.normal(0, np.sqrt(1e-4 + variances))
        posterior = parts.hierarchy.infer(effects, variances)
        covered += 0.025 < posterior.probability(-np.inf, 0.01) < 0.975
        wrong += posterior.probability(-0.01, 0.01) > 0.95
    assert 0.93 < covered / repeated < 0.97
    assert 0.03 < wrong / repeated < 0.08


def test_means_hold_the_truth_where_effects_grow_with_their_error(parts: SimpleNamespace) -> None:
    contrast = parts.contrasts.difference(parts.table.Cell("balanced"), parts.table.Cell("none"))
    families = {f"f{number}": 1 for number in range(29)}
    held, missed = np.zeros(2), []
    for seed in range(15):
        world = simulated_study.World(
            families, {}, between=0.0, growing=0.06, methods=("none", "balanced"), lengths=(300,)
        )  # fmt: skip
        found = parts.contrasts.effects(parts.table.study(simulated_study.table(world, seed)), contrast)
        truth = np.mean([0.06 * np.sqrt(30 / one.rarest) for one in found.datasets])
        means = parts.contrasts.families(found)
        both = parts.hierarchy.infer(means.effects, means.variances), parts.hierarchy.alike(means.effects)
        held += [one.interval[0] <= truth <= one.interval[1] for one in both]
        missed.append([one.mean - truth for one in both])
    model, plain = np.mean(missed, axis=0)
    assert -0.005 < model < plain < 0.003, "the model leans to 0"
    assert min(held) >= 12


def test_measurement_error_is_what_repeated_worlds_show(parts: SimpleNamespace) -> None:
    """v of one data set is near the variance of its difference over draws of rows, of which both sides share most."""
    contrast = parts.contrasts.difference(parts.table.Cell("balanced"), parts.table.Cell("none"))
    world = simulated_study.World(
        {f"f{number}": 1 for number in range(60)}, {}, between=0.0, training=0.0, methods=("none", "balanced"),
        lengths=(300,), seeds={},
    )  # fmt: skip
    found = parts.contrasts.effects(parts.table.study(simulated_study.table(world, seed=3)), contrast)
    assert 0.05 < found.overlap < 0.4, "rows are shared"
    assert np.mean(found.values**2 / found.variances) == pytest.approx(1, abs=0.45)
    assert np.mean(found.values**2 / found.apart) < 0.5, "independent sides overstate it"


def test_a_difference_is_paired_and_a_family_counts_once(parts: SimpleNamespace, study: object) -> None:
    cells = [parts.table.Cell(name) for name in ("balanced", "none")]
    found = parts.contrasts.effects(study, parts.contrasts.difference(*cells))
    (place,) = [place for place, one in enumerate(found.datasets) if one.name == "f00"]
    sides = [study.runs["f00"][cell].test.sum(axis=1) for cell in cells]  # type: ignore[attr-defined]
    recalls = [np.diagonal(side, axis1=1, axis2=2) / side.sum(axis=2) for side in sides]
    assert found.values[place] == pytest.approx((recalls[0] - recalls[1]).mean())
    means = parts.contrasts.families(found)
    assert len(means.names) == len(FAMILIES)
    of_yeast = [value for value, one in zip(found.values, found.datasets, strict=True) if one.family == "yeast"]
    assert means.effects[means.names.index("yeast")] == pytest.approx(np.mean(of_yeast))
    slope = parts.contrasts.slope(*cells)
    gains = {cell.epochs: share for cell, share in slope if cell.method == "balanced"}
    assert sum(share * np.log10(epochs) for epochs, share in gains.items()) == pytest.approx(1)
    assert sum(gains.values()) == pytest.approx(0)


def test_claims_are_judged_when_their_data_are_in(parts: SimpleNamespace, rows: pd.DataFrame, study: object) -> None:
    of_all = parts.table.study(rows, {str(name): str(name)[:-1] for name in rows["dataset"].unique()})
    claims = [claim for one in parts.hypotheses.hypotheses()[:4] for claim in one.claims[:2]]
    judged = [parts.hypotheses.judge(of_all, claim) for claim in claims]
    assert [one.verdict for one in judged] == ["shown"] * 4 + ["not run yet"], "power ½ is not there"
    assert parts.hypotheses.verdict(judged[:4]) == "shown"
    assert parts.hypotheses.verdict(judged) == "not run yet"
    first = parts.hypotheses.judge(study, parts.hypotheses.hypotheses()[0].claims[0])
    assert first.planned == (2, 2)
    asked = {claim.title: claim.kinds for one in parts.hypotheses.hypotheses() for claim in (*one.claims, *one.told)}
    assert asked["`smote` − post hoc"] == asked["boosting: `balanced` − post hoc"] == ("table",)
    assert asked["slope of `balanced` − none, a tenfold of steps"] == ("table", "image"), "the others end at 300 epochs"
    assert asked["`balanced` − none, 300 epochs"] == ("table", "image", "series", "text")
    partial = parts.table.study(rows, {name: name for name in "abcdefghijklmnopqrstuvw"})
    assert parts.hypotheses.judge(partial, parts.hypotheses.hypotheses()[0].claims[0]).verdict == "not run yet"
    told = list(parts.quick.lines(of_all, of_all))
    assert ["agree" in line for line in told] == [True] * 4 + [False] + [True] * 2, told
    lines = parts.decision.lines(of_all, "balanced_accuracy")
    assert lines[0][2].endswith("12 families")
    assert {line[8] for line in lines} == {"–"}, "no boosting"
    assert all(line[2] == "–" or int(line[2].split("<br>")[3].split()[0]) >= 5 for line in lines)
    heading, kept, left_out = parts.decision.full([str(place) for place in range(9)], lines)
    assert heading == ["0", "1", "2", "3", "4"]
    assert left_out.endswith("; 5; 6; 7; 8.")
    assert all(any(value != "–" for value in line[2:]) for line in kept)
    assert judged[2].is_complete
    one_seed = dataclasses.replace(judged[2].found, seeds=np.ones_like(judged[2].found.seeds))
    assert not dataclasses.replace(judged[2], found=one_seed).is_complete, "three are designed"
    other = parts.sensitivity.variants(judged[2])
    assert other["v of independent sides (κ = 1)"].errors.mean() > other["as it is"].errors.mean()
    assert other["without what was seen before"].families == 11


def test_validation_rows_choose_each_fold_apart_and_the_first_of_equals(parts: SimpleNamespace) -> None:
    good, bad = np.array([[9.0, 1.0], [1.0, 9.0]]), np.array([[9.0, 1.0], [5.0, 5.0]])
    losses = np.zeros((1, 5))
    sides = []
    for place, wins in ((1.0, (0, 3)), (2.0, (0, 1))):
        validation = np.stack([[good if fold in wins else bad for fold in range(5)]])
        sides.append(parts.table.Runs((0,), np.full((1, 5, 2, 2), place), validation, losses, losses))
    np.testing.assert_array_equal(parts.choosing.choose(sides).test[0, :, 0, 0], [1, 2, 1, 1, 1])


def test_the_bayes_rule_is_known(parts: SimpleNamespace) -> None:
    np.testing.assert_allclose(parts.regret.lost_to_prior(2.0, np.array([3, 10, 30])), [0.035, 0.129, 0.222], atol=5e-4)
    runs = parts.regret.read(simulated_study.synthetic(draws=2))
    assert len(runs) == 4 * 3 * 3 * 2 * 3 * 2 * 5
    assert set(runs["rarest"]) == {10, 30, 100, 300}
    gains = parts.regret.paired(runs, ("balanced", "argmax"), ("none", "argmax"))
    large = gains[(gains["rarest"] == 300) & (gains["separation"] == 2)].groupby("ratio")["gain"].mean()
    np.testing.assert_allclose(large, [0.035, 0.129, 0.222], atol=0.03)
    one = pd.DataFrame({"value": [1.0, 2.0, 4.0], "all": 0})
    found = parts.regret.means(one, "value", ["all"]).iloc[0]
    expected = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem(one["value"]))
    np.testing.assert_allclose((found["low"], found["high"]), expected)
    np.testing.assert_allclose(parts.regret.over_draws(one["value"])[1], expected)


def test_synthetic_is_told_once_all_of_it_is_in_with_draws_as_its_unit(parts: SimpleNamespace) -> None:
    from analysis import synthetic_words

    table = simulated_study.synthetic(draws=3)
    table = table[table["setting"] == "small"]
    assert synthetic_words.sentence(table[table["dataset"] != "synthetic_r10_q3_s1"]) == ""
    assert synthetic_words.sentence(table.drop(table.index[table["epochs"] == 300][0])) == ""
    told = synthetic_words.sentence(table)
    gains = parts.regret.paired(parts.regret.read(table), ("balanced", "argmax"), ("none", "argmax"))
    gains = gains[gains["epochs"] == 300]
    slopes = []
    for _, of_draw in gains.groupby("division"):
        place = pd.get_dummies(of_draw[["rarest", "separation"]].astype(str).agg(" ".join, axis=1), dtype=float)
        design = np.column_stack([np.log10(of_draw["ratio"]), place])
        slopes.append(np.linalg.lstsq(design, of_draw["gain"], rcond=None)[0][0])
    low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
    assert f"**{np.mean(slopes):+.3f}** ({low:.3f} to {high:.3f})" in told.replace("−", "-")
    assert told.count("free − weights") == 4, "one for each number of rows"


def test_levels_and_advice_are_those_of_the_families_with_all_lengths(
    parts: SimpleNamespace, rows: pd.DataFrame
) -> None:
    from analysis import advice, levels

    whole = parts.choosing.with_chosen(parts.table.study(rows))
    text = levels.written(whole)
    assert f"| small network, {len(FAMILIES)} families |" in text
    of_none = [runs[parts.table.Cell("none", epochs=30)] for runs in whole.runs.values()]
    recalls = [
        np.mean([np.mean(np.diag(pooled) / pooled.sum(axis=1)) for pooled in each.test.sum(axis=1)]) for each in of_none
    ]
    families = pd.Series(recalls).groupby([one.family for one in whole.datasets.values()]).mean()
    assert f"| no weights | {families.mean():.3f} |" in text
    told = advice.written(whole)
    assert "linear" not in told
    assert "boosted" not in told
    assert told.count("neither is shown to be ahead") == 3, "both gain the same"
    lacking = parts.choosing.with_chosen(parts.table.study(rows[rows["epochs"] != 1000]))
    assert levels.written(lacking) == ""


USUAL = ("linear", "centre", "large")  # settings of AdamW with decay


def _numbers(text: str) -> list[float]:
    """Return the numbers with a point."""
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", text.replace("−", "-"))]


def test_the_settings_that_data_sets_have_drawn_are_one_line_for_each_optimizer(
    parts: SimpleNamespace, rows: pd.DataFrame
) -> None:
    """The same runs under other names: what is joined is the part of the whole that has drawn an optimizer."""
    from analysis import decision, optimizers

    names = sorted(rows["dataset"].unique())
    drawn = dict(zip(names, ["small_sgd", "large_adamw", "linear_sgd_decay", "small_adamw"] * len(names), strict=False))
    here = rows[(rows["setting"] == "centre") & rows["epochs"].isin([30, 300])]
    told = optimizers.written(parts.table.study(here.assign(setting=here["dataset"].map(drawn))))
    whole = parts.table.study(here)
    lines = {tuple(line.split(" | ")[:2]): line for line in told.splitlines()}
    assert not any("AdamW" in title for title, *_ in lines), "no run has the usual setting"
    for title, ends in (("SGD without momentum", ("sgd", "sgd_decay")), ("Adam without decay", ("adamw",))):
        chosen = {one for name, one in whole.datasets.items() if drawn[name].endswith(ends)}
        for length in (30, 300):
            contrasts = [decision.contrast(decision.Learner("", length), of) for of in decision.SIDES]
            each = [parts.contrasts.effects(whole, one).where(chosen.__contains__) for one in contrasts]
            line = lines[f"| {title}", str(length)]
            assert f"| {len(chosen)}, " in line
            # The bootstrap draws other rows for a setting of another name.
            np.testing.assert_allclose(_numbers(line), _numbers(" ".join(map(decision.cell, each))), atol=0.002)
    assert optimizers.written(whole) == ""
    both = pd.concat([here.assign(setting=here["dataset"].map(drawn)), *(here.assign(setting=each) for each in USUAL)])
    pairs = [line.split(" | ") for line in optimizers.written(parts.table.study(both)).splitlines()[4:]]
    assert [line[0] for line in pairs][1::2] == ["| AdamW with decay on these"] * 4
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert one[-1] == other[-1]
        np.testing.assert_allclose(_numbers(" ".join(one)), _numbers(" ".join(other)), atol=0.002)


def test_trainings_are_counted_by_the_part_that_asks_for_them(parts: SimpleNamespace) -> None:
    from analysis import progress

    asked = parts.report.trainings()
    assert sum(asked.values()) == 15_115
    assert asked["`synthetic`"] == 2 * 4 * 3 * 3 * 20 * 2
    there = progress.trained(parts.table.read(STUDY / "results.parquet"))
    assert there.total() == pd.read_parquet(STUDY / "results.parquet")["config"].nunique()
    assert set(there) <= set(asked)
    assert all(count <= asked[name] for name, count in there.items())
    assert there == asked, "the table is whole"


def test_log_loss_is_of_test_rows_with_the_prior_that_is_judged(parts: SimpleNamespace, rows: pd.DataFrame) -> None:
    images = rows.assign(dataset=rows["dataset"].str.replace("f0", "mnist"))
    study = parts.table.study(images)
    contrast = parts.contrasts.difference(parts.table.Cell("balanced"), parts.table.Cell("none"))
    names = [one.name for one in parts.contrasts.effects(study, contrast).datasets]
    of_loss = [one.name for one in parts.contrasts.effects(study, contrast, "log_loss").datasets]
    assert sorted(set(names) - set(of_loss)) == ["mnist0"]


def test_a_network_is_chosen_among_all_methods_or_not_at_all(parts: SimpleNamespace, rows: pd.DataFrame) -> None:
    assert len(parts.choosing.candidates("table")) == 11
    assert parts.choosing.candidates("image")[0] == "none"
    assert "smote" not in parts.choosing.candidates("image")
    runs = parts.choosing.with_chosen(parts.table.study(rows)).runs["f00"]
    assert parts.table.Cell("none", epochs=parts.choosing.CHOSEN) in runs
    assert parts.table.Cell(parts.choosing.NETWORK, epochs=parts.choosing.CHOSEN) not in runs, (
        "nine methods are missing"
    )


def test_variances_of_division_and_seed_are_those_of_a_crossed_mixed_model(parts: SimpleNamespace) -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    generator = np.random.default_rng(4)
    sizes = (12, 2, 3)
    grids = generator.normal(0, 0.02, (*sizes[:2], 1)) + generator.normal(0, 0.03, (sizes[0], 1, sizes[2]))
    grids = grids + generator.normal(0, 0.01, sizes)
    found = parts.dependence.components(grids)
    index = [axis.ravel() for axis in np.indices(sizes)]
    table = pd.DataFrame(
        dict(zip(("dataset", "division", "seed"), index, strict=True)) | {"value": grids.ravel() * 100}
    )
    crossed = {"division": "0 + C(division)", "seed": "0 + C(seed)"}
    model = MixedLM.from_formula("value ~ C(dataset)", table, groups="dataset", re_formula="0", vc_formula=crossed)
    fitted = model.fit(reml=True)
    expected = dict(zip(model.exog_vc.names, fitted.vcomp, strict=True)) | {"rest": fitted.scale}
    for name, value in expected.items():
        assert found[name] * 1e4 == pytest.approx(value, rel=0.02), name


def test_standard_errors_of_a_mixed_model_are_those_of_a_fit_whose_variances_are_away_from_zero(
    parts: SimpleNamespace,
) -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    generator = np.random.default_rng(6)
    index = [axis.ravel() for axis in np.indices((20, 4, 6))]
    table = pd.DataFrame(dict(zip(("family", "dataset", "log_steps"), index, strict=True)))
    table["dataset"] += 4 * table["family"]
    table["log_steps"] = table["log_steps"] / 3 - 1
    levels, slopes = generator.normal(0, 1, (2, 20))
    table["gain"] = levels[table["family"]] + slopes[table["family"]] * table["log_steps"]
    table["gain"] += generator.normal(0, 1, 80)[table["dataset"]] + generator.normal(0, 1, len(table))
    shared = {"dataset": "0 + C(dataset)"}
    model = MixedLM.from_formula("gain ~ log_steps", table, groups="family", re_formula="~log_steps", vc_formula=shared)
    fitted = model.fit(reml=True)
    variances = np.asarray(fitted.cov_re), {"dataset": fitted.vcomp[0]}, fitted.scale
    found = parts.dependence.standard_errors(model.exog, table, *variances)
    np.testing.assert_allclose(found, fitted.bse_fe, rtol=1e-3)
    at_the_edge = np.zeros((2, 2)), {"dataset": 0.0}, 1.0
    bare = parts.dependence.standard_errors(model.exog, table, *at_the_edge)
    np.testing.assert_allclose(bare[1], 1 / np.linalg.norm(table["log_steps"] - table["log_steps"].mean()))


def test_wilcoxon_s_list_is_scipy_s_with_holm_s_steps(parts: SimpleNamespace) -> None:
    from statsmodels.stats.multitest import multipletests

    generator = np.random.default_rng(5)
    lists = {name: generator.normal(mean, 0.02, 20) for name, mean in (("a", 0.02), ("b", 0.01), ("c", 0.0))}
    found = parts.beside.wilcoxon_list(lists)
    raw = [stats.wilcoxon(values).pvalue for values in lists.values()]
    np.testing.assert_allclose([p for p, _ in found.values()], raw)
    np.testing.assert_allclose([p for _, p in found.values()], multipletests(raw, method="holm")[1])


def test_pages_that_quote_the_study_are_rewritten_in_place(parts: SimpleNamespace) -> None:
    for name in ("README.md", "docs/questions.md", "docs/paper/paper.md"):
        text = (REPOSITORY / name).read_text()
        once = parts.quotes.replaced(text, "29 families, " + "a long sentence about them " * 5 + "ends.")
        assert parts.quotes.replaced(once, "another.") == parts.quotes.replaced(text, "another.")
        assert not any(line.startswith("<!--study") for line in once.splitlines())
        assert once.count("\n") <= text.count("\n") + 1
        assert max(map(len, once.splitlines())) == max(map(len, text.splitlines()))


def test_the_report_works_without_runs(parts: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "docs" / "paper", tmp_path / "paper")
    shutil.copy(REPOSITORY / "docs" / "study.md", tmp_path)
    parts.report.write(tmp_path / "none.parquet", tmp_path, {"a": "a", "b": "b"}, {"`focal`": 300})
    text = (tmp_path / "study.md").read_text()
    assert "0 of 2 families and 0 of 2 real data sets are in, by 0 of 300 trainings" in text
    assert "not whole: `focal` (0 of 300)." in text.replace("\n", " ")
    assert text.count("not run yet: 0 of ") == 7
    assert list((tmp_path / "study").glob("*.png")) == []
