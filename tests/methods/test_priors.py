"""Effective and target priors by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from equipoise.data.types import ClassCounts
from equipoise.methods.priors import effective_prior, label_odds, target_prior
from equipoise.methods.weighting import ClassWeights

DATA = ClassCounts(("a", "b"), np.array([30, 10]))


def weighted(*weights: float) -> ClassWeights:
    return ClassWeights(("a", "b"), DATA.counts, np.array(weights, dtype=float))


def loss(name: str, **options: Any) -> Any:
    return SimpleNamespace(name=name, **options)


def test_the_effective_prior_is_that_of_the_weighted_samples() -> None:
    assert effective_prior(weighted(1, 1), loss("class_weight")) == pytest.approx([0.75, 0.25])
    assert effective_prior(weighted(1, 6), loss("class_weight")) == pytest.approx([30 / 90, 60 / 90])
    assert effective_prior(weighted(1, 0), loss("class_weight")) is None


def test_a_prior_in_the_loss_is_none_of_the_logits() -> None:
    assert effective_prior(weighted(1, 1), loss("balanced_softmax")) == pytest.approx([0.5, 0.5])
    assert effective_prior(weighted(1, 1), loss("lade")) == pytest.approx([0.5, 0.5])
    assert effective_prior(weighted(1, 1), loss("logit_adjusted", tau=0.0)) == pytest.approx([0.75, 0.25])
    # p^(1 - 1/2) is proportional to sqrt 3 and 1
    assert effective_prior(weighted(1, 1), loss("logit_adjusted", tau=0.5)) == pytest.approx(
        [3**0.5 / (1 + 3**0.5), 1 / (1 + 3**0.5)]
    )
    assert effective_prior(weighted(1, 3), loss("balanced_softmax")) == pytest.approx([0.25, 0.75]), (
        "weights on top overshoot"
    )


def test_weighing_the_positives_moves_the_prior() -> None:
    plain = {"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0}
    assert effective_prior(weighted(1, 1), loss("sigmoid", pos_weight=None, **plain)) == pytest.approx([0.75, 0.25])
    assert effective_prior(weighted(1, 1), loss("sigmoid", pos_weight="auto", **plain)) == pytest.approx([0.5, 0.5])
    assert effective_prior(weighted(1, 1), loss("sigmoid", pos_weight=6.0, **plain)) == pytest.approx(
        [30 / 90, 60 / 90]
    )
    assert effective_prior(weighted(1, 1), loss("sigmoid", **{**plain, "pos_weight": None, "gamma_neg": 4.0})) is None


def test_what_has_no_analytic_form_has_no_prior() -> None:
    of_batches = ("recall", "soft_f1", "auc_margin")
    others = ("class_balanced_focal", "influence_balanced", "label_smoothing", "cost_matrix", "predicted_class")
    for name in ("focal", "ldam", "vs", "poly", *others, *of_batches):
        assert effective_prior(weighted(1, 1), loss(name)) is None
    assert effective_prior(weighted(1, 1), loss("class_weight"), "tau_norm") is None
    assert effective_prior(weighted(1, 9), loss("focal"), "crt") == pytest.approx([0.5, 0.5]), (
        "the second stage is balanced, whatever came before"
    )


@pytest.mark.parametrize(
    ("typed", "expected"), [("training", [0.75, 0.25]), ("uniform", [0.5, 0.5]), ((1.0, 4.0), [0.2, 0.8])]
)
def test_the_target_prior_is_as_typed(typed: Any, expected: list[float]) -> None:
    dataset: Any = SimpleNamespace(target_prior=typed, labels="sparse")
    assert target_prior(dataset, DATA) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("more", "known"), [({}, True), ({"gamma_neg": 2.0}, False), ({"gamma_pos": 1.0}, False), ({"clip": 0.05}, False)]
)
def test_the_odds_of_labels_are_multiplied_by_the_factor_of_their_positives(
    more: dict[str, float], known: bool
) -> None:
    weights = ClassWeights(("rain", "wind"), np.array([10, 90]), np.array([9.0, 1 / 9]))
    loss = SimpleNamespace(
        name="sigmoid", pos_weight="auto", **{"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0, **more}
    )
    found = label_odds(weights, loss)  # type: ignore[arg-type]
    assert (None if found is None else found.tolist()) == ([9.0, 1 / 9] if known else None)
