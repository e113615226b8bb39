"""Training samples drawn by class: the dual of weighting them. Or resampled before the fit, by `resamplers`.

A rule takes the counts n_c and the progress of training t, from 0 in the first epoch to 1 in the last, and returns the
share of each class in an epoch. Samples are drawn with replacement (Kang et al. 2020, section 4.1).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.registry import Registry
from equipoise.core.schema import NONE, Floats, Integers
from equipoise.data.resamplers import RESAMPLERS, Resampler, of_own

if TYPE_CHECKING:
    import tensorflow as tf


def class_balanced(counts: Integers, progress: float) -> Floats:
    """1 / C: every class as often as any other."""
    return np.full(len(counts), 1 / len(counts)) + 0 * progress


def square_root(counts: Integers, progress: float) -> Floats:
    """sqrt(n_c) / sum sqrt(n): half-way (Mahajan et al. 2018)."""
    roots = np.sqrt(counts)
    share: Floats = roots / roots.sum() + 0 * progress
    return share


def progressive(counts: Integers, progress: float) -> Floats:
    """(1 - t) n_c / N + t / C: from the data's own shares to balanced."""
    share: Floats = (1 - progress) * counts / counts.sum() + progress / len(counts)
    return share


SHIPPED: Mapping[str, Callable[[Integers, float], Floats]] = {
    "class_balanced": class_balanced,
    "square_root": square_root,
    "progressive": progressive,
}

Share = Callable[[Integers, float], Floats]

RULES: Registry[Share | Resampler] = Registry(
    "sampling",
    {**SHIPPED, **RESAMPLERS},
    lambda function, own: of_own(function, own) if own.resamples else function,
)


def resampler(rule: str) -> Resampler | None:
    """Return what resamples the training rows; None of a rule of shares, or where each row is taken once an epoch."""
    own = None if rule == NONE or rule in RULES.shipped else RULES.own().get(rule)
    found = None if rule == NONE or (own is not None and not own.resamples) else RULES[rule]
    return found if isinstance(found, Resampler) else None


def shares_of(rule: str) -> Share | None:
    """Return what gives each class's share; None of a resampling, or where each row is taken once an epoch."""
    if rule == NONE or resampler(rule) is not None:
        return None
    found = RULES[rule]
    assert not isinstance(found, Resampler)
    return found


@dataclass(frozen=True)
class ByClass:
    """The samples of a training split, sorted by class.

    Attributes
    ----------
    rows : int64 (n,), the samples' rows, those of the first class first
    starts : int64 (classes,), where each class begins in `rows`
    counts : int64 (classes,)
    """

    rows: Integers
    starts: Integers
    counts: Integers

    @classmethod
    def of(cls, labels: Integers, classes: int) -> "ByClass":
        """Return the layout of these class indices, int64 (n,)."""
        counts = np.bincount(labels, minlength=classes)
        return cls(np.argsort(labels, kind="stable"), np.cumsum(counts) - counts, counts)

    def balanced(self, size: int, seed: int) -> Integers:
        """Draw rows, int64 (size,): for each a class, all equally probable, then one of its samples."""
        generator = np.random.default_rng(seed)
        classes = generator.integers(len(self.counts), size=size)
        rows: Integers = self.rows[self.starts[classes] + generator.integers(self.counts[classes])]
        return rows


@dataclass(frozen=True)
class Sampling:
    """A rule over the samples of a training split.

    Attributes
    ----------
    shares : float64 (epochs, classes), the share of each class in each epoch
    """

    shares: Floats
    samples: ByClass

    @property
    def ratio(self) -> Floats:
        """How much more often than in the data each class is drawn over the whole training, float64 (classes,)."""
        counts = self.samples.counts
        found: Floats = self.shares.mean(axis=0) / (counts / counts.sum())
        return found

    @property
    def steady(self) -> bool:
        """Whether every epoch draws the classes with the same shares."""
        return bool(np.ptp(self.shares, axis=0).max() < 1e-12)


@dataclass(frozen=True)
class Resampling:
    """How many rows of each class a training split had, and has after it was resampled, int64 (classes,)."""

    before: Integers
    after: Integers

    steady: ClassVar[bool] = True

    @property
    def ratio(self) -> Floats:
        """How much more frequent than in the data each class is, float64 (classes,)."""
        found: Floats = (self.after / self.after.sum()) / (self.before / self.before.sum())
        return found


def sampling(rule: str, labels: Integers, counts: Integers, epochs: int) -> Sampling | None:
    """Return the configured sampling of a training split; None if each sample is taken once an epoch."""
    share = shares_of(rule)
    if share is None:
        return None
    with plugins.telling(f"dataset.sampling={rule}", share):
        found = [share(counts.copy(), epoch / max(1, epochs - 1)) for epoch in range(epochs)]
    with plugins.placing(share):
        shares = np.stack([_checked(each, rule, counts) for each in found])
    return Sampling(shares, ByClass.of(labels, len(counts)))


def _checked(shares: Any, rule: str, counts: Integers) -> Floats:
    """Refuse what no rule may return, whoever wrote it."""
    found = np.asarray(shares)
    if found.shape != counts.shape or found.dtype.kind not in "fiu":
        raise ConfigError(
            f"dataset.sampling={rule}: its function returns {found.dtype} of shape {found.shape}; "
            f"it must return the share of each class, ({len(counts)},)"
        )
    if not (np.isfinite(found).all() and (found >= 0).all() and np.isclose(found.sum(), 1)):
        raise ConfigError(
            f"dataset.sampling={rule}: its function returns shares from {found.min():g} to {found.max():g} "
            f"with the sum {found.sum():g}; shares are not below 0, and their sum is 1"
        )
    return np.asarray(found, np.float64)


def drawn_rows(chosen: Sampling, epoch: "tf.Tensor", key: "tf.Tensor") -> "tf.Tensor":
    """Draw the rows of one epoch, int64 (n,), as a function of the key alone."""
    import tensorflow as tf

    samples, count = chosen.samples, len(chosen.samples.rows)
    limits = tf.constant(np.cumsum(chosen.shares, axis=1))
    uniform = tf.random.stateless_uniform((2, count), key, dtype=tf.float64)
    now = limits[tf.minimum(epoch, len(chosen.shares) - 1)]
    classes = tf.minimum(tf.searchsorted(now, uniform[0], side="right", out_type=tf.int64), len(samples.counts) - 1)
    sizes = tf.gather(tf.constant(samples.counts), classes)
    places = tf.minimum(tf.cast(uniform[1] * tf.cast(sizes, tf.float64), tf.int64), sizes - 1)
    return tf.gather(tf.constant(samples.rows), tf.gather(tf.constant(samples.starts), classes) + places)
