"""Calibrations against scikit-learn, SciPy and cases by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.methods.calibration import CALIBRATIONS, Rows, calibrated, calibrated_labels, check, notes
from equipoise.methods.decisions import Known
from equipoise.methods.folds import folds
from equipoise.metrics.calibrated import Affine, as_data, from_data

UNIFORM = np.full(3, 1 / 3)


def drawn(seed: int = 0, samples: int = 400) -> tuple[Integers, Floats]:
    """Labels of three classes, 6:3:1, and logits that are three times too large and tilted."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(samples, 3)) + np.log([0.6, 0.3, 0.1])
    labels = np.array([generator.choice(3, p=softmax(row)) for row in honest])
    labels[:3] = 0, 1, 2
    return labels, 3 * honest + np.array([0.5, -1.0, 2.0])


def rows(seed: int = 0, samples: int = 400) -> Rows:
    return Rows(*drawn(seed, samples), np.zeros(3))


def loss(labels: Integers, logits: Floats) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def test_temperature_is_that_of_scikit_learn_and_of_a_search_over_one_number() -> None:
    found = CALIBRATIONS["temperature"](rows())
    assert isinstance(found, Affine)
    labels, logits = drawn()
    best = minimize_scalar(lambda scale: loss(labels, scale * logits), bounds=(0.01, 100), method="bounded")
    np.testing.assert_allclose(found.scale, best.x, rtol=1e-5)
    assert (found.bias == 0).all()
    linear = LogisticRegression().fit(logits, labels)  # any classifier, whose decision values are then the logits
    values = linear.decision_function(logits)
    theirs = CalibratedClassifierCV(linear, method="temperature", cv=[(np.arange(400), np.arange(400))]).fit(
        logits, labels
    )
    ours = CALIBRATIONS["temperature"](Rows(labels, values, np.zeros(3)))
    np.testing.assert_allclose(softmax(ours(values), axis=1), theirs.predict_proba(logits), atol=2e-4)


def test_bias_correction_and_vector_scaling_leave_no_slope() -> None:
    """At the optimum the mean probability of a class is its share, and errors are uncorrelated with the logits."""
    labels, logits = drawn()
    is_of = np.eye(3)[labels]
    for name in ("bias_corrected", "vector"):
        errors = softmax(CALIBRATIONS[name](rows())(logits), axis=1) - is_of
        np.testing.assert_allclose(errors.mean(0), 0, atol=1e-5)
        each = (errors * logits).mean(0)
        np.testing.assert_allclose(each.sum() if name == "bias_corrected" else each, 0, atol=1e-5)
    losses = [loss(labels, CALIBRATIONS[name](rows())(logits)) for name in ("temperature", "bias_corrected", "vector")]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < loss(labels, logits)


def test_of_labels_vector_scaling_is_logistic_regression() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(300, 2)) * [1, 4]
    labels = (generator.uniform(size=(300, 2)) < expit(logits * [2, 0.2] + [1, -1])).astype(np.int64)
    found, _ = calibrated_labels("vector", labels, logits, None)
    assert isinstance(found, Affine)
    for index in range(2):
        theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, [index]], labels[:, index])
        assert found.scale[index] == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
        assert found.bias[index] == pytest.approx(theirs.intercept_[0], abs=1e-4)
    one, _ = calibrated_labels("temperature", labels, logits, np.array([2.0, 0.5]))
    assert isinstance(one, Affine)
    moved = logits - np.log([2.0, 0.5])  # the factor of the odds is taken out first
    np.testing.assert_allclose(one(logits), moved * one.scale[0])


def test_beta_is_logistic_regression_on_two_logs() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(500, 1)) * 2
    labels = (generator.uniform(size=(500, 1)) < expit(0.5 * logits + 0.7)).astype(np.int64)
    p = expit(logits[:, 0])
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.column_stack([np.log(p), -np.log(1 - p)]), labels[:, 0]
    )
    found, _ = calibrated_labels("beta", labels, logits, None)
    assert (theirs.coef_ > 0).all()
    np.testing.assert_allclose(
        found(logits)[:, 0], theirs.decision_function(np.column_stack([np.log(p), -np.log(1 - p)])), atol=1e-3
    )


def test_isotonic_is_scikit_learn_s_with_odds_that_n_rows_can_show() -> None:
    labels, logits = drawn()
    p = softmax(logits, axis=1)
    each = [
        IsotonicRegression(y_min=1 / 1206, y_max=1205 / 1206).fit(p[:, index], labels == index).predict(p[:, index])
        for index in range(3)
    ]
    expected = np.column_stack(each)
    found = softmax(CALIBRATIONS["isotonic"](rows())(logits), axis=1)
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-9)
    beyond = CALIBRATIONS["isotonic"](rows())(np.array([[1e3, 0, -1e3]]))
    assert np.isfinite(beyond).all()


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_what_is_calibrated_stays_so_and_is_the_same_after_json(name: str) -> None:
    labels, logits = drawn()
    found = CALIBRATIONS[name](rows())
    before, after = loss(labels, logits), loss(labels, found(logits))
    assert after < before
    if name in ("temperature", "bias_corrected", "vector"):  # the others renormalise
        again = CALIBRATIONS[name](Rows(labels, found(logits), np.zeros(3)))(found(logits))
        assert loss(labels, again) == pytest.approx(after, abs=1e-6)
    np.testing.assert_array_equal(from_data(as_data(found))(logits), found(logits))
    np.testing.assert_array_equal(found(logits[:1]), found(logits)[:1])  # a row by itself


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3))
def test_the_known_prior_is_taken_out_first(seed: int, tilt: float) -> None:
    """Logits that are honest but for a known tilt need a temperature of 1, whatever the tilt."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(3000, 3)) + np.log([0.5, 0.3, 0.2])
    labels = (softmax(honest, axis=1).cumsum(axis=1) < generator.uniform(size=(3000, 1))).sum(axis=1)
    share = np.bincount(labels, minlength=3) / 3000
    learned = share * np.array([1, tilt, tilt**2])
    learned /= learned.sum()
    known = Known(labels, honest + np.log(learned / share), learned, UNIFORM, None)
    found, after = calibrated("temperature", known)
    assert isinstance(found, Affine)
    assert found.scale[0] == pytest.approx(1, abs=0.2)
    np.testing.assert_allclose(after.effective, share)
    np.testing.assert_allclose(softmax(found(known.logits), axis=1), softmax(found.scale * honest, axis=1), atol=0.05)


def test_a_rule_sees_each_row_as_the_other_folds_calibrate_it() -> None:
    labels, logits = drawn(samples=60)
    known = Known(labels, logits, None, UNIFORM, None)
    _, after = calibrated("vector", known)
    fold = folds(labels)
    for each in range(5):
        rest = fold != each
        expected = CALIBRATIONS["vector"](Rows(labels[rest], logits[rest], np.zeros(3)))(logits[~rest])
        np.testing.assert_array_equal(after.logits[~rest], expected)
    nothing, same = calibrated("none", known)
    assert nothing(logits) is logits
    assert same is known


def test_rows_that_are_told_apart_leave_finite_numbers() -> None:
    labels = np.repeat([0, 1, 2], 20)
    for name, method in CALIBRATIONS.items():
        found = method(Rows(labels, 8 * np.eye(3)[labels], np.zeros(3)))(np.array([[8.0, 0, 0], [1e4, -1e4, 0]]))
        assert np.isfinite(found).all(), name
        assert found[0].argmax() == 0


def test_what_cannot_be_calibrated_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="calibration=vector is fitted on validation rows, and there are none"):
        check("vector", np.empty(0, np.int64), ["a", "b"])
    with pytest.raises(ConfigError, match="of the 2 validation rows none is of b"):
        check("vector", np.array([0, 0]), ["a", "b"])
    with pytest.raises(ConfigError, match="of the 2 validation rows all are of a"):
        check("beta", np.array([[1, 0], [1, 1]]), ["a", "b"])
    check("none", np.empty(0, np.int64), ["a", "b"])
    labels = np.repeat([0, 1, 2], [600, 300, 19])
    assert notes("vector", labels, 3) == [
        "calibration=vector fits 2 numbers a class, and the rarest has 19 validation rows of 20; "
        "calibration=temperature fits one number"
    ]
    assert notes("vector", np.append(labels, 2), 3) == []
    assert notes("isotonic", labels, 3)[0].startswith("calibration=isotonic fits steps")
    assert notes("beta", np.repeat([[1], [0]], [900, 29], axis=0), 1)[0].count("29 validation rows of 30") == 1


def test_a_temperature_leaves_a_prior_unknown_that_was() -> None:
    labels, logits = drawn()
    known = Known(labels, logits, None, UNIFORM, None)
    assert calibrated("temperature", known)[1].effective is None
    assert calibrated("bias_corrected", known)[1].effective is not None


def test_a_temperature_scales_the_tilt_that_weights_have_exaggerated() -> None:
    """Logits are three times those that are honest under the prior learned: first the scale, then the prior."""
    generator = np.random.default_rng(0)
    honest = generator.normal(size=(20_000, 2)) * 2 + np.log([0.95, 0.05])
    labels = (generator.uniform(size=20_000) < softmax(honest, axis=1)[:, 1]).astype(np.int64)
    share = np.bincount(labels) / 20_000
    learned, tilt = np.array([0.5, 0.5]), np.log(0.5 / share)
    known = Known(labels, 3 * (honest + tilt), learned, learned, None)
    found, _ = calibrated("temperature", known)
    np.testing.assert_allclose(softmax(found(known.logits), axis=1), softmax(honest, axis=1), atol=0.02)
    beside = Known(labels, 3 * honest + tilt, learned, learned, None)  # as under a loss that holds the prior
    found, _ = calibrated("temperature", beside)
    np.testing.assert_allclose(softmax(found(beside.logits), axis=1), softmax(honest, axis=1), atol=0.02)


def test_a_class_of_one_row_is_not_calibrated_by_rows_without_it() -> None:
    labels, logits = drawn(samples=60)
    labels[labels == 2] = 0
    labels[7] = 2
    _, after = calibrated("vector", Known(labels, logits, None, UNIFORM, None))
    assert abs(after.logits[7]).max() < 40
