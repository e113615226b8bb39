"""Class counts to class weights. Pure NumPy; knows nothing of TensorFlow or of how weights are put in.

A strategy takes the training counts n_c of all classes, an int64 array of shape (classes,), none of them
zero, and returns one weight a class, float64 of the same shape, before normalisation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core import plugins
from equipoise.core.errors import ConfigError, listing
from equipoise.core.registry import Registry
from equipoise.core.schema import NONE, Floats, Fraction, Integers, KeyOf, PerClass, Positive, arguments
from equipoise.data.types import ClassCounts
from equipoise.methods.schedules import Schedule


def none(counts: Integers | Floats) -> Floats:
    """w_c = 1: every sample counts the same."""
    return np.ones(len(counts))


def balanced(counts: Integers) -> Floats:
    """w_c = N / (C n_c): every class weighs the same (scikit-learn's `class_weight="balanced"`, King & Zeng 2001)."""
    weights: Floats = counts.sum() / (len(counts) * counts)
    return weights


def inverse(counts: Integers) -> Floats:
    """w_c = N / n_c: `balanced` times the number of classes."""
    weights: Floats = counts.sum() / counts
    return weights


def max_ratio(counts: Integers) -> Floats:
    """w_c = n_max / n_c: the largest class weighs 1."""
    weights: Floats = counts.max() / counts
    return weights


def power(counts: Integers, *, alpha: Annotated[float, Field(ge=0, le=10)]) -> Floats:
    """w_c = (N / (C n_c))^alpha: none at 0, balanced at 1; 0.5 is the square-root weighting (Mikolov et al. 2013)."""
    weights: Floats = balanced(counts) ** alpha
    return weights


def effective_number(counts: Integers | Floats, *, beta: Literal["auto"] | Fraction) -> Floats:
    """w_c = (1 - beta) / (1 - beta^n_c): the inverse effective number of samples (Cui et al. 2019).

    `auto` takes beta = 1 - C / N: (M - 1) / M for a volume M of N / C prototypes, the mean class size.
    """
    if beta == "auto":
        beta = float(1 - len(counts) / counts.sum())
    if beta == 0:
        return none(counts)
    # expm1 keeps the digits that 1 - beta^n loses for beta near 1.
    weights: Floats = (1 - beta) / -np.expm1(counts * np.log(beta))
    return weights


def median_frequency(counts: Integers) -> Floats:
    """w_c = median(f) / f_c: the median class weighs 1 (Eigen & Fergus 2015, with f_c = n_c / N)."""
    weights: Floats = np.median(counts) / counts
    return weights


def log_smoothed(counts: Integers, *, c: Annotated[float, Field(gt=1)]) -> Floats:
    """w_c = 1 / ln(c + p_c): bounded by 1 / ln(c) however rare the class (Paszke et al. 2016, ENet)."""
    weights: Floats = 1 / np.log(c + counts / counts.sum())
    return weights


def log_damped(counts: Integers, *, mu: Positive) -> Floats:
    """w_c = max(1, ln(mu N / n_c)): grows with the logarithm of rarity and never below 1."""
    weights: Floats = np.maximum(1, np.log(mu * counts.sum() / counts))
    return weights


def manual(counts: Integers, *, weights: PerClass) -> Floats:
    """w_c as typed: `weighting.weights={cat: 1, dog: 5}`."""
    return weights


SHIPPED: Mapping[str, Callable[..., Floats]] = {
    "none": none,
    "balanced": balanced,
    "inverse": inverse,
    "max_ratio": max_ratio,
    "power": power,
    "effective_number": effective_number,
    "median_frequency": median_frequency,
    "log_smoothed": log_smoothed,
    "log_damped": log_damped,
    "manual": manual,
}

STRATEGIES: Registry[Callable[..., Floats]] = Registry(
    "weighting", SHIPPED, lambda function, _own: function, ("normalize", *Schedule.model_fields)
)

# Each divides the weights by a statistic of theirs, which is 1 afterwards. `sums` are what the rows of each class add
# up to: their number, or the sum of their own weights, so that `sample_mean` keeps the scale of the loss.
NORMALIZERS: Mapping[str, Callable[[Floats, Integers | Floats, int], float]] = {
    "none": lambda weights, sums, samples: 1.0,
    "sample_mean": lambda weights, sums, samples: float(weights @ sums / samples),
    "class_mean": lambda weights, sums, samples: float(weights.mean()),
    "sum": lambda weights, sums, samples: float(weights.sum()),
    "max": lambda weights, sums, samples: float(weights.max()),
    "min": lambda weights, sums, samples: float(weights.min()),
}


# Optimisers whose step is divided by the gradient's own scale: a common factor on the loss cancels but for epsilon.
SCALE_INVARIANT = ("adam", "adamw", "rmsprop")
# What a weighting is where a sample may have several labels: `loss.pos_weight`. The others are for one class a sample.
POS_WEIGHTS: Mapping[str, Literal["auto"] | None] = {NONE: None, "balanced": "auto"}


class Weighting(Schedule):
    """The keys that every strategy has."""

    name: str
    normalize: Annotated[str, KeyOf(NORMALIZERS)]


@dataclass(frozen=True)
class ClassWeights(ClassCounts):
    """The weights of a run and the counts that they came from, in class order; of two classes the positive one."""

    weights: Floats
    positive: str | None = None

    def label(self, index: int) -> str:
        """Return the class as tables show it."""
        return f"{self.classes[index]} (positive)" if self.classes[index] == self.positive else self.classes[index]

    @property
    def share(self) -> Floats:
        """n_c w_c / sum: each class's part of all the weight in the data, with row weights for the n_c rows."""
        mass = self.sums * self.weights
        share: Floats = mass / mass.sum()
        return share

    @property
    def sample_mean(self) -> float:
        """sum p_c w_c: the factor on the loss, since Keras divides by the batch size and not by the weights."""
        return float(self.sums @ self.weights / self.counts.sum())

    @property
    def effective_sample_size(self) -> float:
        """(sum n_c w_c)^2 / sum n_c w_c^2, over rows if they have weights of their own (Kish 1965)."""
        squares = self.counts if self.masses is None else self.masses.squares
        return float((self.sums @ self.weights) ** 2 / (squares @ self.weights**2))


def _check(weights: Any, name: str, classes: Sequence[str]) -> None:
    """Refuse what no strategy may return, whoever wrote it."""
    who = f"weighting={name}: its function {STRATEGIES[name].__name__}"
    if not isinstance(weights, np.ndarray) or weights.shape != (len(classes),) or weights.dtype.kind not in "fiu":
        found = (
            f"{weights.dtype} of shape {weights.shape}" if isinstance(weights, np.ndarray) else type(weights).__name__
        )
        raise ConfigError(
            f"{who} returns {found}; it must return one number a class, a NumPy array of shape ({len(classes)},)"
        )
    odd = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(odd):
        raise ConfigError(
            f"{who} gives the class {classes[odd[0]]} the weight {weights[odd[0]]:g}; "
            "a weight must be finite, and not below 0"
        )
    if not weights.any():
        raise ConfigError(f"weighting={name}: every weight is 0, so nothing would be learned")


def learning_rate_factor(weights: ClassWeights, optimizer: str) -> float:
    """Return what the weights' scale multiplies the learning rate by: Keras divides by the batch size, not by them."""
    return 1.0 if optimizer in SCALE_INVARIANT else weights.sample_mean


def class_weights(section: Weighting, counts: Integers, classes: Sequence[str]) -> ClassWeights:
    """Return the normalised weights of the configured strategy, where rows have no weights of their own.

    Parameters
    ----------
    counts : int array (classes,)
        Samples of each class in the training split.
    classes : names in the same order.

    Raises
    ------
    ConfigError
        If a class has no training sample, or the strategy's options do not fit the classes.
    """
    return weighed(section, ClassCounts(tuple(classes), counts))


def weighed(section: Weighting, data: ClassCounts) -> ClassWeights:
    """Return the normalised weights of the configured strategy.

    Raises
    ------
    ConfigError
        As `class_weights` does.
    """
    counts, classes = data.counted, data.classes
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty:
        raise ConfigError(
            f"no training sample of class {listing(empty)}: a weight for it is not defined; drop the class or add data"
        )
    strategy = STRATEGIES[section.name]
    try:
        options = arguments(section, strategy, classes)
    except ConfigError as error:
        raise ConfigError(f"weighting.{error}") from None
    with plugins.telling(f"weighting={section.name}", strategy):
        weights = strategy(counts.copy(), **options)  # which it may change
        _check(weights, section.name, classes)
    divisor = NORMALIZERS[section.normalize](weights, data.sums, data.counts.sum())
    if divisor == 0:
        raise ConfigError(
            f"weighting.normalize={section.normalize}: that statistic of the weights is 0; choose another"
        )
    with np.errstate(over="ignore"):
        normalised = weights / divisor
        in_training = normalised.astype(np.float32)  # as the model will see them
    if not (np.isfinite(in_training).all() and in_training.any()):
        raise ConfigError(
            f"weighting={section.name}: the weights are too large or too small for float32; choose milder parameters"
        )
    return ClassWeights(
        classes, data.counts, normalised, masses=data.masses, count=data.count, resampled=data.resampled
    )
