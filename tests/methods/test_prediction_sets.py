"""Prediction sets: thresholds by hand, the exact law of their coverage, and what takes it away."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

import equipoise as eq
from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.methods.deciders import ClassSets, LabelSets, as_json, from_json
from equipoise.methods.decisions import DECISIONS, Known, label_rules
from equipoise.methods.prediction_sets import by_class, least_scores

CLASSES = ("fine", "odd", "very rare")
PRIOR = np.array([0.7, 0.25, 0.05])


def drawn(seed: int, n: int, prior: Floats = PRIOR) -> tuple[Integers, Floats]:
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, n, p=prior)
    return labels, generator.normal(size=(n, 3)) + 2 * np.eye(3)[labels]


def rule(labels: Integers, logits: Floats, alpha: Any = 0.1, **known: Any) -> ClassSets:
    base: dict[str, Any] = {"effective": None, "target": PRIOR, "costs": None, "classes": CLASSES}
    found = DECISIONS["conformal"](Known(labels, logits, **(base | known)), alpha=alpha)
    assert isinstance(found, ClassSets)
    return found


def test_thresholds_by_hand() -> None:
    """Of nine rows the lowest score is allowed at alpha 0.1; of 19 the second lowest; of eight none."""
    scores = np.linspace(0.02, 0.72, 36)[::-1].reshape(36, 1) * np.ones(3)
    is_of = np.eye(3, dtype=np.int64)[np.repeat([0, 1, 2], [9, 19, 8])]
    found = least_scores(scores, is_of, by_class(0.1, 3), 0.0)
    np.testing.assert_allclose(found, [scores[8, 0], scores[26, 0], 0.0])
    np.testing.assert_array_equal(by_class(np.array([np.nan, 0.05, np.nan]), 3), [0.1, 0.05, 0.1])


def test_coverage_is_of_the_exact_law() -> None:
    """Given the validation rows it is Beta(n + 1 - l, l), here of n = 29 and l = 3, with the mean 0.9."""
    generator = np.random.default_rng(0)
    is_of = np.ones((29, 1), np.int64)
    covered = [1 - least_scores(generator.uniform(size=(29, 1)), is_of, np.array([0.1]), 0.0)[0] for _ in range(2000)]
    law = stats.beta(27, 3)
    assert stats.kstest(covered, law.cdf).pvalue > 0.01
    assert np.mean(covered) == pytest.approx(law.mean(), abs=4 * law.std() / 2000**0.5)


def test_each_class_is_covered_whatever_the_frequencies_of_new_rows() -> None:
    """Means over splits of 1 - l / (n_c + 1), and never less than was asked; logits are no probabilities here."""
    held, expected = np.zeros(3), np.zeros(3)
    for seed in range(150):
        labels, logits = drawn(seed, 300)
        sets = rule(labels, logits, effective=PRIOR)
        others, new = drawn(1000 + seed, 600, np.full(3, 1 / 3))
        inside = sets.sets(new)[np.arange(600), others]
        held += np.bincount(others, inside) / np.bincount(others) / 150
        counts = np.bincount(labels, minlength=3)
        expected += (1 - np.floor(0.1 * (counts + 1) + 1e-9) / (counts + 1)) / 150
    np.testing.assert_allclose(held, expected, atol=0.012)
    assert (expected >= 0.9).all()


def test_equal_scores_are_in_the_set_together() -> None:
    labels, logits = np.zeros(50, np.int64), np.zeros((50, 3))
    assert rule(labels, logits).sets(logits).all()


def test_a_class_with_too_few_rows_is_in_every_set_and_named() -> None:
    labels, logits = drawn(3, 60)
    counts = np.bincount(labels, minlength=3)
    found = rule(labels, logits, np.array([np.nan, 0.2, 0.01]))
    assert found.sets(drawn(4, 500)[1])[:, 2].all()
    assert f"in every set: very rare ({counts[2]} of 99)" in found.note
    assert "at least 1 - decision.alpha have it" in found.note
    assert "whatever the distribution" in rule(labels, logits).note
    used = rule(labels, logits, used=("chosen the epoch to stop at",)).note
    assert "but about, and not exactly: these rows have chosen the epoch to stop at, too" in used


def test_sets_that_were_written_are_the_same() -> None:
    labels, logits = drawn(5, 200)
    found = rule(labels, logits, effective=np.array([0.4, 0.3, 0.3]))
    again: Any = from_json(json.loads(json.dumps(as_json(found))))
    np.testing.assert_array_equal(again.sets(logits), found.sets(logits))
    np.testing.assert_array_equal(again(logits), logits.argmax(axis=1))
    moved = special.softmax(logits + np.log(PRIOR) - np.log([0.4, 0.3, 0.3]), axis=1)
    np.testing.assert_array_equal(found.sets(logits), moved >= found.least)


@pytest.mark.parametrize("calibration", ["vector", "isotonic"])
def test_a_calibration_on_the_same_rows_takes_nothing_from_the_sets(calibration: str) -> None:
    test, validation = drawn(6, 300), drawn(7, 400)
    how: Any = {"decision": "conformal", "validation": validation, "resamples": 0}
    plain, calibrated = (eq.evaluate(*test, CLASSES, calibration=name, **how) for name in ("none", calibration))
    columns = [f"set({name})" for name in CLASSES]
    assert plain.frame[columns].equals(calibrated.frame[columns])
    assert plain.metrics["log_loss"] == calibrated.metrics["log_loss"]
    assert calibrated.metrics["log_loss_corrected"] < plain.metrics["log_loss"]
    # Sets of validation rows are cross-fitted, and their measures stand beside those of the test split.
    assert set(plain.validation_rules.columns) == set(plain.rules.columns) >= {"set_size", "set_coverage"}
    assert plain.validation_rules.loc["conformal", "set_coverage"] == pytest.approx(0.9, abs=0.04)
    for frame in (plain.frame, calibrated.frame):
        held = [row[f"set({row['label']})"] for row in frame.to_dict("records")]
        assert frame["set(label)"].tolist() == held
        assert frame["set_size"].tolist() == frame[columns].sum(axis=1).tolist()


def test_of_several_labels_each_is_kept_by_itself() -> None:
    generator = np.random.default_rng(0)
    labels = (generator.uniform(size=(400, 2)) < [0.5, 0.03]).astype(np.int64)
    logits = generator.normal(size=(400, 2)) + 2 * labels - 1
    options: Any = type("Options", (), {"name": "conformal", "alpha": 0.1})()
    found = label_rules(options, ("a", "b c"), has_validation=True)["conformal"](labels, logits)
    assert isinstance(found, LabelSets)
    own = np.sort(logits[labels[:, 0] == 1, 0])
    assert found.least[0] == own[int(0.1 * (len(own) + 1)) - 1]
    np.testing.assert_array_equal(found(logits), logits > 0)
    strict = type("Options", (), {"name": "conformal", "alpha": 0.01})()
    few = label_rules(strict, ("a", "b c"), ("chosen the epoch to stop at",), has_validation=True)["conformal"](
        labels, logits
    )
    assert f"in every set: b c ({labels[:, 1].sum()} of 99)" in few.note  # type: ignore[union-attr]
    assert few.sets(logits)[:, 1].all()  # type: ignore[union-attr]
    result = eq.evaluate(labels, logits, ["a", "b c"], validation=(labels, logits), decision="conformal", resamples=0)
    sets = result.frame[["set(a)", "set(b c)"]].to_numpy()
    assert result.metrics["set_coverage"] == pytest.approx((sets & (labels == 1)).sum() / labels.sum())
    assert result.metrics["set_size"] == pytest.approx(sets.sum(axis=1).mean())
    assert result.per_class["set_coverage"].tolist() == pytest.approx(
        [sets[labels[:, each] == 1, each].mean() for each in range(2)]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": {"odd": 1.0}}, "above 0 and below 1, not 1"),
        ({"alpha": 0.0}, "greater than 0"),
        ({"alpha": {"od": 0.1}}, "did you mean 'odd'"),
    ],
)
def test_what_is_no_share_of_misses_is_refused(options: Any, message: str) -> None:
    validation = drawn(0, 50)
    with pytest.raises(ConfigError, match=message):
        eq.evaluate(*validation, CLASSES, validation=validation, decision="conformal", decision_options=options)


def test_sets_want_validation_rows() -> None:
    with pytest.raises(ConfigError, match="needs validation="):
        eq.evaluate(*drawn(0, 50), CLASSES, decision="conformal")
