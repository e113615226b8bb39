"""Probabilities of where a model is used, against those that are known by construction."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from equipoise.metrics.probabilities import OfClasses, OfLabels, as_json, from_json

LOGITS = arrays(np.float64, (4, 3), elements=st.floats(-20, 20))
PRIOR = arrays(np.float64, 3, elements=st.floats(0.01, 1)).map(lambda mass: mass / mass.sum())


@given(LOGITS, PRIOR, PRIOR)
def test_probabilities_of_classes_follow_from_bayes(
    logits: np.ndarray, effective: np.ndarray, target: np.ndarray
) -> None:
    """Posteriors of equal likelihoods under two priors differ by the ratio of the priors."""
    likelihood = np.exp(logits)
    own, moved = (likelihood * prior / (likelihood * prior).sum(axis=1, keepdims=True) for prior in (effective, target))
    found = OfClasses(effective, target)
    np.testing.assert_allclose(found.raw(np.log(own)), own, rtol=1e-9)
    np.testing.assert_allclose(found(np.log(own)), moved, rtol=1e-9)


@given(LOGITS, PRIOR)
def test_probabilities_with_nothing_to_correct_are_the_models_own_to_the_bit(
    logits: np.ndarray, prior: np.ndarray
) -> None:
    for unmoved in (OfClasses(prior, prior.copy()), OfClasses(None, prior, "why")):
        np.testing.assert_array_equal(unmoved(logits), unmoved.raw(logits))


@given(
    arrays(np.float64, (4, 3), elements=st.floats(0.001, 0.999)), arrays(np.float64, 3, elements=st.floats(0.1, 100))
)
def test_probabilities_of_labels_follow_from_the_odds(truth: np.ndarray, factor: np.ndarray) -> None:
    """Weighing positives by v, the best logit is that of v times the odds."""
    found = OfLabels(factor)
    np.testing.assert_allclose(found(np.log(factor * truth / (1 - truth))), truth, rtol=1e-9)
    np.testing.assert_allclose(OfLabels(None, "why")(np.log(truth / (1 - truth))), truth, rtol=1e-9)


@given(PRIOR, PRIOR)
def test_they_are_read_back_from_a_file(effective: np.ndarray, target: np.ndarray) -> None:
    for written in (
        OfClasses(effective, target),
        OfClasses(None, target, "why"),
        OfLabels(effective),
        OfLabels(None, "why"),
    ):
        read = from_json(json.loads(json.dumps(as_json(written))))
        assert type(read) is type(written)
        assert as_json(read) == as_json(written)
