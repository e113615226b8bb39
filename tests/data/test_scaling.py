"""Moments of blocks against NumPy's of the whole, where E[x²] − E[x]² fails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.scaling import FAR, Fitting, Moments


def fitted(values: np.ndarray, block: int = 7) -> Moments:
    fitting = Fitting()
    for start in range(0, len(values), block):
        fitting.add(values[start : start + block])
    return fitting.moments()


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 1e3), st.integers(20, 60), st.integers(0, 2**32 - 1))
def test_the_deviation_is_one_after_scaling_whatever_the_offset(
    offset: float, spread: float, rows: int, seed: int
) -> None:
    values = offset + spread * np.random.default_rng(seed).standard_normal((rows, 2))
    found = fitted(values)
    if (np.ptp(values, axis=0) > 1e-9 * abs(offset)).all():  # else there is no more than rounding left of the spread
        np.testing.assert_allclose(((values - found.mean) / found.deviation).std(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal([found.low, found.high], [values.min(axis=0), values.max(axis=0)])


@pytest.mark.parametrize("value", [14.62, 1e-9, 0.1 + 0.2, -1.7e12, 0.0])
def test_a_constant_is_no_deviation_at_any_magnitude(value: float) -> None:
    noisy = np.full((300, 1), value)
    noisy[::3] = np.nextafter(value, np.inf)  # the last bit
    for values in (np.full((300, 1), value), noisy):
        assert fitted(values).deviation == [1.0]
        assert fitted(values).constant


def test_whole_seconds_since_1970_keep_their_deviation() -> None:
    # Population variance of 0, 1, 2, 3: (9 + 1 + 1 + 9) / 16. E[x²] − E[x]² gives 0 at this offset.
    found = fitted(1.7e9 + np.arange(4.0)[:, np.newaxis], block=1)
    np.testing.assert_allclose([found.mean[0], found.deviation[0]], [1.7e9 + 1.5, np.sqrt(1.25)], rtol=1e-12)


def test_small_numbers_are_no_constant() -> None:
    values = np.random.default_rng(0).normal(0, 1e-15, (100, 1))
    np.testing.assert_allclose(fitted(values).deviation, values.std(axis=0))


def test_missing_values_are_left_out_and_what_cannot_be_squared_has_no_deviation() -> None:
    found = fitted(np.array([[np.nan, 1, 1e308], [np.nan, np.nan, -1e308], [np.nan, 3, 0]]))
    np.testing.assert_array_equal(found.mean[1:], [2, 0])
    np.testing.assert_array_equal(found.deviation, [np.nan, 1, np.nan])
    assert np.isnan(found.mean[0])


def test_a_feature_without_a_value_in_the_first_blocks() -> None:
    values = np.full((30, 1), np.nan)
    values[20:, 0] = np.arange(10)
    found = fitted(values)
    np.testing.assert_allclose([found.mean[0], found.deviation[0]], [4.5, np.arange(10).std()])


def test_far_is_outside_the_range_by_many_deviations() -> None:
    found = fitted(np.array([[-1.0, 5.0], [1.0, 5.0]]))
    np.testing.assert_array_equal(
        found.far(np.array([[1 + FAR, 5 + FAR], [1.1 + FAR, -5.1], [np.nan, 5]])),
        [[False, False], [True, True], [False, False]],
    )
