"""Class frequencies where a model is used, estimated from rows without labels. NumPy.

All of it assumes label shift: p(x | class) is there as it was where validation rows are from, and the class frequencies
alone are others. EM goes by calibrated probabilities (Saerens, Latinne & Decaestecker 2002; bias-corrected calibration
makes them good enough for it, Alexandari, Kundaje & Shrikumar 2020). BBSE goes by predicted classes and the confusion
matrix of validation rows, and needs no calibration (Lipton, Wang & Smola 2018). Intervals are of a bootstrap that draws
validation rows, class by class, and rows without labels, and fits the calibration again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from equipoise.core.schema import NONE, ConfigError, Floats, Integers, listing
from equipoise.methods.calibration import fitted
from equipoise.metrics.classification import log_softmax

RESAMPLES = 200
LEVEL = (0.025, 0.975)
NEAR = 1e-9  # of shares between two steps, at which EM has arrived
MOST_CYCLES = 2000
LEAST = 0.1  # of its share a class keeps in a leap, so that it can come back
WORST_CONDITION = 30.0  # of the confusion matrix by class, above which an inverse magnifies noise more than it tells
FEW = 10  # validation rows of a class, below which an interval is rough
ODD = 0.001  # p, below which the rows do not look like a mixture of the classes as they were
DIGITS = 6  # significant ones with which shares are used, so that they can be typed


@dataclass(frozen=True)
class Source:
    """What a model's validation rows say of it.

    Attributes
    ----------
    labels : int64 (n,), class indices
    logits : float (n, classes), the model's own
    effective : float64 (classes,), the prior that the model learned under, or None if that is not known
    calibration : the name of how probabilities are calibrated on these rows
    """

    labels: Integers
    logits: Floats
    effective: Floats | None
    calibration: str = NONE

    @property
    def counts(self) -> Integers:
        """Rows of each class, int64 (classes,)."""
        return np.bincount(self.labels, minlength=self.logits.shape[1])


@dataclass(frozen=True)
class Estimate:
    """Shares of the classes among rows without labels, each float64 (classes,) and summing to 1.

    Attributes
    ----------
    em : by the likelihood; NaN where probabilities are under a prior that is not known
    low, high : ends of the 95 % interval of each share
    bbse : by predicted classes; NaN where the confusion matrix does not tell the classes apart
    condition : of the confusion matrix by class; infinite if it is singular
    rows : how many the estimate is of
    p : how often, at most, rows of these classes would look as odd by chance; NaN if it was not asked
    notes : what a reader must know, a sentence each
    """

    em: Floats
    low: Floats
    high: Floats
    bbse: Floats
    condition: float
    rows: int
    p: float
    notes: tuple[str, ...] = ()

    @property
    def prior(self) -> Floats:
        """EM's shares as they are used: a class without a share counts as half a row, and none has more digits."""
        least = np.maximum(self.em, 0.5 / self.rows)
        return np.array([float(f"{share:.{DIGITS}g}") for share in least / least.sum()])


def estimate(
    source: Source, logits: Floats, classes: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the class frequencies of rows without labels.

    Parameters
    ----------
    logits : float (n, classes), the model's own, of these rows
    classes : names
    resamples : of the bootstrap; 0: no intervals, and no check of the assumption

    Raises
    ------
    ConfigError
        If there are no such rows, or no validation rows of a class.
    """
    _check(source, logits, classes)
    width, rows = len(classes), len(logits)
    calibrated, effective = fitted(source.calibration, source.labels, source.logits, source.effective)
    seen, new = _Simple.of(source.logits, source.effective), _Simple.of(logits, source.effective)
    whole = np.ones(rows)
    confusion, shares = seen.by_class(source.labels), new.mean(whole)
    by_bbse, condition = bbse(confusion[:width], shares[:width])
    if effective is None:
        nothing = np.full(width, np.nan)
        why = "EM needs the prior that probabilities are under, which is not known: calibration=bias_corrected tells it"
        return Estimate(nothing, nothing, nothing, by_bbse, condition, rows, np.nan, (why, *_of_bbse(condition)))
    em = most_likely(ratios(calibrated(logits), effective), whole)
    oddity = shares - confusion @ em
    generator, found, by_chance = np.random.default_rng(seed), [], []
    for _ in range(resamples):
        labels, drawn = _drawn(source.labels, width, generator)
        weights = np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)
        again, prior = fitted(source.calibration, labels, source.logits[drawn], source.effective)
        assert prior is not None, "it was known before"
        found.append(most_likely(ratios(again(logits), prior), weights, em))
        by_chance.append(new.mean(weights) - seen.by_class(labels, drawn) @ found[-1])
    low, high = np.quantile(found, LEVEL, axis=0) if found else np.full((2, width), np.nan)
    p = _p(oddity, np.array(by_chance)) if found else np.nan
    notes = (*_of_source(source, classes), *_of_bbse(condition), *_of_fit(p, em, by_bbse, classes))
    return Estimate(em, low, high, by_bbse, condition, rows, p, notes)


def ratios(calibrated: Floats, effective: Floats) -> Floats:
    """Return p(class | x) / p(class), float64 (n, classes), up to a factor of each row that likelihoods do not see."""
    logs = log_softmax(calibrated) - np.log(effective)
    found: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    return found


def most_likely(ratios: Floats, weights: Floats, start: Floats | None = None) -> Floats:
    """Return the shares, float64 (classes,), under which rows with these ratios are likeliest.

    Each step is that of EM (Saerens et al. 2002, eq. 2.9). Two of them, and the leap of Varadhan & Roland (2008, scheme
    S3) that they suggest, make a cycle; a leap that makes the rows less likely is not made. The likelihood is concave,
    so no start matters.

    Parameters
    ----------
    ratios : float64 (n, classes), p(class | x) / p(class), each row up to a factor
    weights : float64 (n,), how often each row counts
    start : float64 (classes,); None: equal shares
    """
    total, transposed = weights.sum(), np.ascontiguousarray(ratios.T)

    def stepped(prior: Floats) -> tuple[Floats, float]:
        """Return the next shares, and the log likelihood of these."""
        mixed = ratios @ prior
        return prior * (transposed @ (weights / mixed)) / total, float(weights @ np.log(mixed))

    prior = np.ones(ratios.shape[1]) if start is None else np.maximum(start, NEAR)
    prior = prior / prior.sum()
    for _ in range(MOST_CYCLES):
        one, likelihood = stepped(prior)
        two, _ = stepped(one)
        if np.abs(two - one).max() < NEAR:
            return two
        first, second = one - prior, two - 2 * one + prior
        length = -max(1.0, float(np.linalg.norm(first) / max(np.linalg.norm(second), 1e-300)))
        leap = np.maximum(prior - 2 * length * first + length**2 * second, LEAST * two)
        leaped, reached = stepped(leap / leap.sum())
        prior = leaped if reached >= likelihood else two
    return prior


def bbse(confusion: Floats, predicted: Floats) -> tuple[Floats, float]:
    """Return the shares that explain how often each class is predicted, and the condition of the matrix.

    They solve mu = C pi, C the shares of predictions by true class (Lipton et al. 2018, section 3); negative ones are
    set to 0. They are NaN if C is singular or too near to it.

    Parameters
    ----------
    confusion : float64 (predicted class, true class), each column summing to 1
    predicted : float64 (classes,), the share of rows that each class is predicted for
    """
    values = np.linalg.svd(confusion, compute_uv=False)
    condition = float(values[0] / values[-1]) if values[-1] > NEAR else np.inf
    if condition > WORST_CONDITION:
        return np.full(len(predicted), np.nan), condition
    found = np.maximum(np.linalg.solve(confusion, predicted), 0)
    shares: Floats = found / found.sum()
    return shares, condition


@dataclass(frozen=True)
class _Simple:
    """What is told of each row without a calibration: the class that a balanced prior predicts, and how surely.

    Attributes
    ----------
    decided : int64 (n,)
    surely : float64 (n,)
    width : how many classes there are
    """

    decided: Integers
    surely: Floats
    width: int = field(default=0)

    @classmethod
    def of(cls, logits: Floats, effective: Floats | None) -> "_Simple":
        log_p = log_softmax(np.asarray(logits, np.float64) - (0 if effective is None else np.log(effective)))
        decided = np.argmax(log_p, axis=1)
        return cls(decided, np.exp(log_p[np.arange(len(decided)), decided]), logits.shape[1])

    def mean(self, weights: Floats) -> Floats:
        """Return the share of each predicted class, and the mean of how surely, float64 (classes + 1,)."""
        shares = np.bincount(self.decided, weights, minlength=self.width)
        means: Floats = np.append(shares, weights @ self.surely) / weights.sum()
        return means

    def by_class(self, labels: Integers, rows: Integers | None = None) -> Floats:
        """Return the same of the rows of each class, float64 (classes + 1, classes)."""
        decided, surely = (self.decided, self.surely) if rows is None else (self.decided[rows], self.surely[rows])
        cells = np.bincount(decided * self.width + labels, minlength=self.width**2).reshape(self.width, -1)
        sums = np.bincount(labels, surely, minlength=self.width)
        found: Floats = np.vstack([cells, sums]) / np.bincount(labels, minlength=self.width)
        return found


def _check(source: Source, logits: Floats, classes: Sequence[str]) -> None:
    if not len(logits):
        raise ConfigError("dataset.target_prior=estimate: there are no rows to estimate it from")
    lacking = [name for name, count in zip(classes, source.counts.tolist(), strict=True) if not count]
    if lacking:
        raise ConfigError(
            f"dataset.target_prior=estimate: of {listing(lacking)} there are no validation rows, which say how the "
            "model answers them"
        )


def _drawn(labels: Integers, width: int, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """Return labels and rows, int64 (n,), drawn with replacement class by class."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels, minlength=width)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    places = starts + (generator.random(len(labels)) * np.repeat(counts, counts)).astype(np.int64)
    return labels[order], order[places]


def _p(oddity: Floats, by_chance: Floats) -> float:
    """Return how often the largest of the deviations is reached by chance, if each is normal (Bonferroni)."""
    from scipy.stats import norm

    spread = np.maximum(by_chance.std(axis=0, ddof=1), 1e-12)
    return min(1.0, float(2 * len(oddity) * norm.sf(np.abs(oddity / spread).max())))


def _of_source(source: Source, classes: Sequence[str]) -> list[str]:
    found = []
    if source.calibration == NONE:
        found.append(
            "probabilities are not calibrated, and EM takes them for true: calibration=bias_corrected makes it better"
        )
    few = [name for name, count in zip(classes, source.counts.tolist(), strict=True) if count < FEW]
    if few:
        found.append(
            f"{listing(few)} {'has' if len(few) == 1 else 'have'} fewer than {FEW} validation rows: intervals are rough"
        )
    return found


def _of_bbse(condition: float) -> list[str]:
    if condition <= WORST_CONDITION:
        return []
    how = "is singular" if np.isinf(condition) else f"has the condition {condition:.3g}, above {WORST_CONDITION:g}"
    return [f"no estimate by BBSE: the confusion matrix of validation rows {how}: classes are not told apart"]


def _of_fit(p: float, em: Floats, by_bbse: Floats, classes: Sequence[str]) -> list[str]:
    """Tell loudly where the rows are no mixture of the classes as they were."""
    if not p < ODD:
        return []
    apart = np.abs(em - by_bbse)
    worst = "" if np.isnan(apart).any() else f"; EM and BBSE differ most in {_most(apart, em, by_bbse, classes)}"
    return [
        f"THE ASSUMPTION FAILS (p = {p:.2g}): no class frequencies explain how often, and how surely, each class is "
        f"predicted here{worst}. The rows themselves differ from validation rows, not their frequencies alone: do not "
        "trust the estimate, and label some of these rows"
    ]


def _most(apart: Floats, em: Floats, by_bbse: Floats, classes: Sequence[str]) -> str:
    index = int(np.argmax(apart))
    return f"{classes[index]}, {em[index]:.3f} and {by_bbse[index]:.3f}"
