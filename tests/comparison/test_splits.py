"""By which split a comparison is, and what it reads of a run then."""

import json
import math
from collections.abc import Mapping

import pytest

from comparisons import run
from equipoise.comparison import display, report, splits
from equipoise.comparison.compare import compare, wanted
from equipoise.comparison.comparison_page import Context, as_page
from equipoise.core.errors import ConfigError
from equipoise.tracking.history import Logged


def judged(
    weighting: str, seed: int, by_rule: Mapping[str, float], configured: str = "argmax", test: float = 0.5
) -> Logged:
    """Return a run whose rules have these values of macro F1 on validation."""
    found = {f"val/decision/{rule}/macro_f1": value for rule, value in by_rule.items()}
    sizes = {"samples/validation": 10, "val/log_loss": 0.25 + seed}
    return run(weighting, seed, test, {"decision.name": configured}, **found, **sizes)


@pytest.fixture
def runs() -> list[Logged]:
    """On validation `none` is better with tuned biases; on the test split `balanced` is better."""
    return [
        one
        for seed in (0, 1)
        for one in (
            judged("none", seed, {"argmax": 0.4 + 0.1 * seed, "tuned": 0.9}),
            judged("balanced", seed, {"argmax": 0.3, "tuned": 0.6}, test=0.8),
        )
    ]


@pytest.mark.parametrize(
    ("metric", "split", "found"),
    [
        (None, None, (None, "test")),
        ("macro_f1", None, ("macro_f1", "test")),
        ("test/macro_f1", None, ("macro_f1", "test")),
        ("val/macro_f1", None, ("macro_f1", "val")),
        ("macro_f1", "val", ("macro_f1", "val")),
        ("val/macro_f1", "val", ("macro_f1", "val")),
    ],
)
def test_the_split_is_typed_by_itself_or_with_the_metric(
    metric: str | None, split: str | None, found: tuple[str | None, str]
) -> None:
    assert splits.read(metric, split) == found


@pytest.mark.parametrize(
    ("metric", "split", "said"),
    [
        ("val/mcc", "test", "metric=val/mcc and split=test contradict each other"),
        ("mcc", "vall", r"split=vall: there is no such split; did you mean 'val'\?"),
    ],
)
def test_what_contradicts_itself_is_refused(metric: str, split: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        splits.read(metric, split)


def test_the_configured_rule_is_what_a_configuration_is_ranked_by(runs: list[Logged]) -> None:
    (table,) = compare(runs, "macro_f1", "val").tables
    assert [(row.configuration.label, row.spreads["macro_f1"].mean) for row in table.rows] == [
        ("none", pytest.approx(0.45)),
        ("balanced", pytest.approx(0.3)),
    ]
    (of_test,) = compare(runs, "macro_f1").tables
    assert of_test.rows[0].configuration.label == "balanced"
    tuned = [judged("none", 2, {"argmax": 0.1, "tuned": 0.7}, configured="tuned")]
    (row,) = compare(tuned, "macro_f1", "val").tables[0].rows
    assert row.spreads["macro_f1"].mean == 0.7


def test_every_rule_is_compared_on_validation_alone(runs: list[Logged]) -> None:
    comparison = compare(runs, "macro_f1", "val")
    (table,) = comparison.tables
    assert table.by_rule["none"] == pytest.approx({"argmax": 0.45, "tuned": 0.9})
    assert table.by_rule["balanced"] == pytest.approx({"argmax": 0.3, "tuned": 0.6})
    assert display.rules(table, "macro_f1") == (
        ["configuration", "argmax", "tuned"],
        [["none", "0.450", "0.900 ●"], ["balanced", "0.300", "0.600"]],
    )
    assert display.rules(compare(runs, "macro_f1").tables[0], "macro_f1") == ([], [])
    shown = as_page(comparison, Context("these", "Verdict")).as_html()
    assert "0.900 ●" in shown
    assert json.loads(report.as_json(comparison))["split"] == "val"


def test_a_rule_that_some_run_lacks_has_no_mean() -> None:
    runs = [judged("none", 0, {"argmax": 0.4, "tuned": 0.9}), judged("none", 1, {"argmax": 0.6})]
    (table,) = compare(runs, "macro_f1", "val").tables
    assert table.by_rule["none"]["argmax"] == 0.5
    assert math.isnan(table.by_rule["none"]["tuned"])


def test_each_title_says_what_its_split_is_for(runs: list[Logged]) -> None:
    (table,) = compare(runs, "macro_f1").tables
    assert display.title(table).startswith("data: test split, for judging, not choosing; mean")
    (table,) = compare(runs, "macro_f1", "val").tables
    assert display.title(table).startswith("data: validation split, for choosing, cross-fitted; mean")
    assert display.rules_title(table, "macro_f1").startswith("data: validation split, for choosing")


def test_units_are_corrected_for_the_validation_samples() -> None:
    """10 validation and 70 training samples, where the test split has 20."""
    sizes = {"samples/validation": 10.0}
    runs = [
        run(name, 0, 0.5, {"dataset.split_seed": str(unit)}, **{"val/decision/argmax/mcc": value + gain}, **sizes)
        for unit, value in enumerate((0.1, 0.2, 0.4))
        for name, gain in (("none", 0.0), ("balanced", value))
    ]
    (table,) = compare(runs, "mcc", "val").tables
    assert table.test_over_train == pytest.approx(1 / 7)
    assert any("n_validation / n_train = 0.143" in note for note in table.notes)


def test_log_loss_is_that_of_the_last_epoch(runs: list[Logged]) -> None:
    (table,) = compare(runs, "log_loss", "val").tables
    assert table.rows[0].spreads["log_loss"].mean == 0.75
    assert table.by_rule == {}
    assert "val/log_loss is that of the last epoch, which early stopping need not have kept." in table.notes


def test_log_loss_is_shown_only_where_it_is_asked_for(runs: list[Logged]) -> None:
    """It is of the last epoch, and of no other decision rule than the configured one."""
    (table,) = compare(runs, "macro_f1", "val").tables
    assert all("log_loss" not in row.spreads for row in table.rows)
    assert splits.key(runs[0], "log_loss", "val", "logit_adjusted") not in runs[0].metrics


def test_a_metric_that_validation_lacks(runs: list[Logged]) -> None:
    with pytest.raises(ConfigError, match=r"on validation there are macro_f1, log_loss"):
        compare(runs, "brier", "val")
    with pytest.raises(ConfigError, match=r"earlier version .* sweep=new"):
        compare([run("none", 0, 0.5)], "macro_f1", "val")


def test_the_test_split_is_not_read_for_choosing() -> None:
    assert not any(key.startswith(("test/", "decision/")) for key in wanted("macro_f1", "val"))
