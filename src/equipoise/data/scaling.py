"""Standardisation by the training rows: scikit-learn's stable moments, fed block by block, and the training range.

Knows nothing of files or columns; a feature is a column of the blocks.
"""

from dataclasses import dataclass

import numpy as np

from equipoise.core.schema import Booleans, Floats

PART = 1 << 18  # numbers that are added at a time; scikit-learn makes several copies of them
ROUNDING = 1e-12  # relative deviation that is no measurement
FAR = 10.0  # a value more training deviations outside the training range is noted


@dataclass(frozen=True)
class Moments:
    """Statistics of each feature over the training rows, each of shape (features,).

    Attributes
    ----------
    mean : NaN where a feature has no value at all
    deviation : of the population; 1 where the feature is constant but for rounding; NaN where there is no value, or
        values are too large to be squared
    low, high : the training range
    constant : whether the feature is constant but for rounding
    """

    mean: Floats
    deviation: Floats
    low: Floats
    high: Floats
    constant: Booleans

    def far(self, values: Floats) -> Booleans:
        """Return which values (n, features) lie more than `FAR` deviations outside the training range; NaN does not."""
        margin = FAR * self.deviation
        return (values < self.low - margin) | (values > self.high + margin)


class Fitting:
    """Running moments of rows that come in blocks, by scikit-learn's `StandardScaler.partial_fit`.

    It merges the blocks' moments (Chan, Golub & LeVeque 1983), which keeps the digits that E[x²] − E[x]² loses where
    the mean is large beside the deviation. It leaves NaN out, and counts a deviation as 0 if rounding of the mean
    explains it, by its magnitude and the number of rows.
    """

    def __init__(self) -> None:
        from sklearn.preprocessing import StandardScaler

        self._scaler = StandardScaler(copy=False)
        self._low: Floats = np.array(np.inf)
        self._high: Floats = np.array(-np.inf)

    def add(self, rows: Floats) -> None:
        """Add rows, (n, features), finite or NaN."""
        step = max(1, PART // max(1, rows.shape[1]))
        for start in range(0, len(rows), step):
            part = rows[start : start + step].astype(np.float64)
            self._low = np.fmin(self._low, np.fmin.reduce(part, axis=0))
            self._high = np.fmax(self._high, np.fmax.reduce(part, axis=0))
            with np.errstate(over="ignore", invalid="ignore"):  # the moments are NaN of numbers too large to be squared
                self._scaler.partial_fit(part)
            # Without a value so far, scikit-learn's 0/0 would make all later moments NaN.
            unseen = np.broadcast_to(self._scaler.n_samples_seen_ == 0, self._scaler.mean_.shape)
            self._scaler.mean_[unseen] = self._scaler.var_[unseen] = 0

    def moments(self) -> Moments:
        """Return the moments of all rows so far."""
        scaler = self._scaler
        unseen = np.broadcast_to(scaler.n_samples_seen_ == 0, scaler.mean_.shape)
        known = np.isfinite(scaler.var_) & ~unseen  # scikit-learn takes an infinite variance for none
        rounded = known & (np.sqrt(scaler.var_) <= ROUNDING * np.abs(scaler.mean_))
        deviation = np.where(known, np.where(rounded, 1.0, scaler.scale_), np.nan)
        constant = known & (deviation != np.sqrt(scaler.var_))
        return Moments(np.where(unseen, np.nan, scaler.mean_), deviation, self._low, self._high, constant)
