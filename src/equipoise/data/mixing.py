"""Pairs of training samples that are mixed, batch by batch: features in one, and the share of each one's label.

A batch has one lambda, from Beta(alpha, alpha), and is mixed with itself in another order, as in the programs of the
papers. What is drawn is a function of (seed, epoch, place in the epoch's order).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise.core.schema import Floats, Integers
from equipoise.data.augmentation import APART, STEPS

if TYPE_CHECKING:
    import tensorflow as tf

NUMBERS = 4  # of a sample: lambda, its place in the other order, and the middle of what is cut out
KAPPA, TAU = 3.0, 0.5  # of Remix, as in the paper


def mixup(
    features: "tf.Tensor", other: "tf.Tensor", share: "tf.Tensor", middle: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Lambda x_i + (1 - lambda) x_j, and the same of the labels (Zhang et al. 2018)."""
    return share * features + (1 - share) * other, share


def cutmix(
    features: "tf.Tensor", other: "tf.Tensor", share: "tf.Tensor", middle: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """A rectangle of 1 - lambda of the area from x_j in x_i; labels by the area that is left (Yun et al. 2019)."""
    import tensorflow as tf

    inside, sides = [], features.shape[1:3]
    for axis, side in enumerate(sides):
        length, centre = tf.floor(side * tf.sqrt(1 - share)), tf.floor(middle[axis] * side)
        half = tf.floor(length / 2)
        place = tf.range(float(side))
        inside.append((place >= centre - half) & (place < centre + half))
    cut = inside[0][:, tf.newaxis] & inside[1][tf.newaxis]
    left = 1 - tf.reduce_mean(tf.cast(cut, tf.float32))
    return tf.where(cut[tf.newaxis, :, :, tf.newaxis], other, features), left


@dataclass(frozen=True)
class Mix:
    """A way to mix.

    Attributes
    ----------
    function : from features, those of the partners, lambda and the middle of a cut to mixed features and the share of
        the first label
    by_count : whether the rarer class of a pair may take the label for itself
    images : whether it takes images alone
    """

    function: "Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]"
    by_count: bool = False
    images: bool = False


def remix(
    features: "tf.Tensor", other: "tf.Tensor", share: "tf.Tensor", middle: "tf.Tensor"
) -> "tuple[tf.Tensor, tf.Tensor]":
    """Mixup, but a class three times as rare takes the label if the other's share is below 1/2 (Chou et al. 2020).

    The share of label i is 0 if n_i / n_j >= kappa and lambda < tau, 1 if n_i / n_j <= 1 / kappa and 1 - lambda < tau,
    and lambda otherwise; kappa = 3, tau = 0.5.
    """
    return mixup(features, other, share, middle)


MIXES: Mapping[str, Mix] = {
    "mixup": Mix(mixup),
    "cutmix": Mix(cutmix, images=True),
    "remix": Mix(remix, by_count=True),
}


@dataclass(frozen=True)
class Mixing:
    """The configured way, with what it knows of the data.

    Attributes
    ----------
    alpha : of the Beta distribution
    counts : (classes,), of the training split
    """

    name: str
    alpha: float
    counts: Integers | Floats

    def numbers(self, count: int, seed: "int | tf.Tensor", epoch: "tf.Tensor") -> "tf.Tensor":
        """Draw the numbers of an epoch, int64 (count, NUMBERS), from 0 to STEPS - 1."""
        import tensorflow as tf

        key = tf.stack([tf.cast(seed, tf.int64) + 2 * APART, tf.cast(epoch, tf.int64)])
        one, two = tf.unstack(tf.random.stateless_gamma((2, count), key, self.alpha, dtype=tf.float64))
        # Of a small alpha both may be 0.
        share = tf.where(one + two > 0, one / (one + two), 0.5)
        drawn = tf.random.stateless_uniform((count, NUMBERS - 1), key, 0, STEPS, tf.int64)
        whole = tf.minimum(tf.cast(share * STEPS, tf.int64), STEPS - 1)
        return tf.concat([whole[:, tf.newaxis], drawn], axis=1)

    def mixed(self, features: "tf.Tensor", index: "tf.Tensor", numbers: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Mix a batch with itself in another order.

        Parameters
        ----------
        features, index : float32 (n, *shape), and int64 (n,), the classes
        numbers : int64 (n, NUMBERS)

        Returns
        -------
        tuple
            Mixed features, and float32 (n, 3): the one class, the other, and the share of the one.
        """
        import tensorflow as tf

        drawn = tf.cast(numbers, tf.float32) / STEPS
        order = tf.argsort(numbers[:, 1], stable=True)
        way, partner = MIXES[self.name], tf.gather(index, order)
        mixed, share = way.function(features, tf.gather(features, order), drawn[0, 0], drawn[0, 2:])
        shares = self.shares(share, index, partner) if way.by_count else tf.fill(tf.shape(index), share)
        return mixed, tf.stack([tf.cast(index, tf.float32), tf.cast(partner, tf.float32), shares], axis=1)

    def shares(self, share: "tf.Tensor", one: "tf.Tensor", other: "tf.Tensor") -> "tf.Tensor":
        """Return Remix's share of the one label, float32 (n,), of classes, int64 (n,) each."""
        import tensorflow as tf

        counts = tf.constant(self.counts, tf.float32)
        ratio = tf.gather(counts, one) / tf.gather(counts, other)
        shares = tf.where((ratio >= KAPPA) & (share < TAU), 0.0, share)
        return tf.where((ratio <= 1 / KAPPA) & (1 - share < TAU), 1.0, shares)
