"""F_beta, constraints and budgets: by exhaustive search, by independent libraries, and what they promise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as oracle

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.methods.constraints import Constraints
from equipoise.methods.deciders import Biased, as_json, from_json
from equipoise.methods.decisions import DECISIONS, Known
from equipoise.metrics.counts import Counts
from equipoise.metrics.proportions import least_shown

NOTHING = np.full(2, np.nan)
CLASSES = ("fine", "fraud")


def drawn(seed: int = 0, n: int = 60, rare: float = 0.15) -> tuple[Integers, Floats]:
    """Labels of two classes, the second one rare, and logits that tell them apart in part."""
    generator = np.random.default_rng(seed)
    labels = (generator.uniform(size=n) < rare).astype(np.int64)
    labels[:2] = 0, 1
    odds = generator.normal(size=n) * 1.5 + 2 * labels - 2
    return labels, np.column_stack([np.zeros(n), odds])


def known(labels: Integers, logits: Floats, **more: Any) -> Known:
    return Known(labels, logits, None, np.full(logits.shape[1], 1 / logits.shape[1]), None, CLASSES, **more)


def decided(rule: str, labels: Integers, logits: Floats, **options: Any) -> tuple[Integers, Biased]:
    found = DECISIONS[rule](known(labels, logits), **options)
    assert isinstance(found, Biased)
    return found(logits), found


def thresholds(logits: Floats) -> Floats:
    """Every way to divide the samples by the odds of the second class."""
    odds = np.sort(logits[:, 1] - logits[:, 0])
    return np.concatenate([[odds[0] - 1], (odds[1:] + odds[:-1]) / 2, [odds[-1] + 1]])


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0]))
def test_f_beta_is_the_best_threshold_s(seed: int, beta: float) -> None:
    labels, logits = drawn(seed)
    for options, how in (
        ({"beta": beta}, {"average": "macro"}),
        ({"beta": np.array([np.nan, beta])}, {"pos_label": 1}),
    ):
        predicted, _ = decided("f_beta", labels, logits, **options)
        each = [
            oracle.fbeta_score(labels, logits[:, 1] > t, beta=beta, zero_division=0, **how) for t in thresholds(logits)
        ]
        assert oracle.fbeta_score(labels, predicted, beta=beta, zero_division=0, **how) == pytest.approx(max(each))


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 1), st.sampled_from([None, 0.9]))
def test_constrained_is_the_best_threshold_that_keeps_the_recall(
    seed: int, least: float, confidence: float | None
) -> None:
    labels, logits = drawn(seed)
    predicted, found = decided(
        "constrained",
        labels,
        logits,
        recall=np.array([np.nan, least]),
        precision=NOTHING,
        maximise="mcc",
        confidence=confidence,
    )
    rare = int(labels.sum())
    shown = [
        hits / rare
        if confidence is None
        else binomtest(hits, rare, alternative="greater").proportion_ci(confidence).low
        for hits in range(rare + 1)
    ]
    each = [logits[:, 1] > t for t in thresholds(logits)]
    kept = [guess for guess in each if shown[int((guess & (labels == 1)).sum())] >= least]
    if kept:
        best = max(oracle.matthews_corrcoef(labels, guess) for guess in kept)
        assert oracle.matthews_corrcoef(labels, predicted) == pytest.approx(best)
        assert ("With confidence 0.9 new rows" in found.note) == (confidence is not None)
    else:
        assert "do not reach all that was asked" in found.note
        assert predicted[labels == 1].all()


def test_the_recall_that_was_asked_is_kept_as_often_as_is_said() -> None:
    """Of 300 data sets, at most a tenth has a true recall below what was asked, and not many fewer."""
    misses = 0
    for seed in range(300):
        labels, logits = drawn(seed, 300)
        options = {"recall": np.array([np.nan, 0.8]), "precision": NOTHING, "maximise": "accuracy", "confidence": 0.9}
        found = DECISIONS["constrained"](known(labels, logits), **options)
        fresh_labels, fresh = drawn(10_000 + seed, 4000, rare=1)
        misses += (found(fresh)[fresh_labels == 1] == 1).mean() < 0.8
    assert 0.03 < misses / 300 < 0.152  # of 0.1, three standard errors are 0.052


def test_what_cannot_be_reached_is_told_with_what_can() -> None:
    labels, logits = drawn(1, 400)
    _, found = decided(
        "constrained",
        labels,
        logits,
        recall=np.array([np.nan, 0.9]),
        precision=np.array([np.nan, 0.95]),
        maximise="macro_f1",
        confidence=None,
    )
    precision, recall, _ = oracle.precision_recall_curve(labels, logits[:, 1])
    best = precision[recall >= 0.9].max()
    assert f"at recall 0.9 of fraud its precision is at best {best:.3f}" in found.note
    assert from_json(as_json(found)).note == found.note  # type: ignore[union-attr]
    calibrated = DECISIONS["constrained"](
        known(labels, logits, used=("fitted the calibration",)),
        recall=np.array([np.nan, 0.5]),
        precision=NOTHING,
        maximise="macro_f1",
        confidence=0.9,
    )
    assert "but about, and not exactly" in calibrated.note


def test_a_budget_gives_the_likeliest_rows_and_keeps_to_it_on_average() -> None:
    labels, logits = drawn(2, 199)
    predicted, found = decided("top_k", labels, logits, budget=np.array([np.nan, 0.05]))
    alerts = np.flatnonzero(predicted == 1)
    assert len(alerts) == 9  # k = 0.05 x 200 - 1
    assert set(alerts) == set(np.argsort(-logits[:, 1])[:9])
    assert found.note == "decision=top_k: 9 of 199 validation rows are fraud (at most 0.05)"
    shares = [
        (
            DECISIONS["top_k"](known(*drawn(seed, 99)), budget=np.array([np.nan, 0.1]))(drawn(5000 + seed, 999)[1]) == 1
        ).mean()
        for seed in range(200)
    ]
    assert np.mean(shares) == pytest.approx(0.09, abs=0.01)  # (k + 0.5) / (n + 1) to (k + 1) / (n + 1)
    nobody, told = decided("top_k", labels[:9], logits[:9], budget=np.array([np.nan, 0.05]))
    assert not nobody.any()
    assert "cannot show a share as small as 0.05" in told.note


@pytest.mark.parametrize("index", [0, 1])
def test_a_budget_holds_where_scores_are_equal(index: int) -> None:
    generator = np.random.default_rng(0)
    logits = np.zeros((300, 2))
    logits[:, index] = generator.integers(-1, 2, 300)
    labels = generator.integers(0, 2, 300)
    budget = np.full(2, np.nan)
    budget[index] = 0.05
    predicted, found = decided("top_k", labels, logits, budget=budget)
    assert (predicted == index).mean() <= 0.05
    assert f"{(predicted == index).sum()} of 300" in found.note


def test_two_recalls_hold_together_as_often_as_is_said() -> None:
    asked = Constraints(np.array([0.8, 0.8]), NOTHING, 0.9)
    counts = Counts(np.array([90, 90]), np.array([100, 100]), np.array([100, 100]))
    each = float(least_shown(90, 100, 0.95))
    assert asked.shortfall(counts) == pytest.approx(2 * max(0, 0.8 - each))
    strict = Constraints(np.array([0.88, 0.88]), NOTHING, 0.9)
    assert strict.shortfall(counts) == pytest.approx(2 * (0.88 - each))


def test_exact_lower_ends_are_scipy_s() -> None:
    for hits, trials in ((0, 5), (3, 5), (5, 5), (90, 100)):
        expected = binomtest(hits, trials, alternative="greater").proportion_ci(0.95).low
        assert least_shown(hits, trials, 0.95) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (
            "constrained",
            {"recall": NOTHING, "precision": NOTHING},
            "keeps what is asked of classes: type decision.recall",
        ),
        ("constrained", {"recall": np.array([2.0, np.nan]), "precision": NOTHING}, "at most 1, not 2"),
        ("top_k", {"budget": None}, "for one class, not 0"),
        ("top_k", {"budget": np.array([0.1, 0.2])}, "for one class, not 2"),
        ("top_k", {"budget": np.array([np.nan, 1.0])}, "above 0 and below 1, not 1"),
    ],
)
def test_what_asks_nothing_is_refused(rule: str, options: dict[str, Floats], message: str) -> None:
    check = DECISIONS[rule].check
    assert check is not None
    with pytest.raises(ConfigError, match=message):
        check(**options)
