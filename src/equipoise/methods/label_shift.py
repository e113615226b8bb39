"""Class frequencies where a model is used, estimated from rows without labels. NumPy.

All of it assumes label shift: p(x | class) is there as it was where validation rows are from, and the class frequencies
alone are others. EM goes by calibrated probabilities (Saerens, Latinne & Decaestecker 2002; bias-corrected calibration
makes them good enough for it, Alexandari, Kundaje & Shrikumar 2020). BBSE goes by predicted classes and the confusion
matrix of validation rows, and needs no calibration (Lipton, Wang & Smola 2018). Intervals are of a bootstrap that draws
validation rows, class by class, and rows without labels, and fits the calibration again.
"""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy

from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import NONE, Floats, Integers
from equipoise.methods.calibration import CALIBRATIONS, fitted
from equipoise.metrics.classification import log_softmax

RESAMPLES = 200
FEWEST_DEGREES = 5  # of freedom of an interval
BINS = 3  # by how surely a class is predicted, of the rows by which the assumption is checked
NEAR, NEAR_ENOUGH = 1e-9, 1e-6  # of shares between two steps, at which EM has arrived: the estimate, and a resample
MOST_CYCLES = 2000
LEAST = 0.1  # of its share a class keeps in a leap, so that it can come back
WORST_CONDITION = 30.0  # of the confusion matrix by class, above which an inverse magnifies noise more than it tells
FEW = 10  # validation rows of a class, below which an interval is rough
ODD = 0.001  # p, below which the rows do not look like a mixture of the classes as they were
MOST_ROWS, MOST_CELLS = 100_000, 16_000_000  # that an estimate is of, chosen at random
MOST_KEPT = 1_000_000  # cells of validation logits that a run keeps, and a few more of very many classes
KEPT_OF_EACH = 10_000, 2  # rows of a class that are kept of it at most and at least before the rest is drawn
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, EOFError, MemoryError, zipfile.BadZipFile, TokenError)
ARRAYS = ("labels", "logits", "effective", "calibration", "training")  # of a file of validation rows
WIDE = 0.4  # an interval that tells little of a share
FALL, HALVINGS = 1.92, 20  # of the log likelihood at the end of a 95 % interval (half of chi-squared's 3.84); steps
MOST_PROFILED = 20_000_000  # cells, for all classes whose share may be none, of which other shares are maximised
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
    shares : float64 (classes,), of the classes in training, to be shown; None: not known
    """

    labels: Integers
    logits: Floats
    effective: Floats | None
    calibration: str = NONE
    shares: Floats | None = None

    @property
    def training(self) -> Floats:
        """The shares of the classes in training, float64 (classes,), or of these rows if they are not known."""
        return self.counts / self.counts.sum() if self.shares is None else self.shares

    @property
    def counts(self) -> Integers:
        """Rows of each class, int64 (classes,)."""
        return np.bincount(self.labels, minlength=self.logits.shape[1])

    def save(self, file: Path) -> None:
        """Write it as an npz, at most MOST_KEPT numbers of logits, of rows that are chosen at random class by class.

        Rare classes keep all of their rows. The shares in training are written beside, and a calibration goes by the
        frequencies of the rows that are kept, whatever they are.
        """
        rows = _kept(self.labels, self.counts, MOST_KEPT // self.logits.shape[1])
        effective = np.empty(0) if self.effective is None else self.effective
        logits = self.logits[rows].astype(np.float32)
        np.savez(
            file,
            labels=self.labels[rows],
            logits=logits,
            effective=effective,
            calibration=np.array(self.calibration),
            training=self.training,
        )

    @classmethod
    def load(cls, file: Path) -> "Source":
        """Read what `save` wrote, of whom it may be.

        Raises
        ------
        ConfigError
            If there is no such file, or it is none that `save` wrote.
        """
        try:
            held = _arrays(file)
        except UNREADABLE as error:
            raise ConfigError(f"{file} is damaged: {error}") from None
        labels, logits, effective, calibration, training = (held[name] for name in ARRAYS)
        width = logits.shape[1] if logits.ndim == 2 else 0
        wrong = {
            "logits": width < 2 or logits.dtype.kind != "f" or not np.isfinite(logits).all(),
            "labels": labels.shape != logits.shape[:1]
            or labels.dtype.kind not in "iu"
            or not ((labels >= 0) & (labels < width)).all(),
            "effective": effective.shape != (0,) and not _are_shares(effective, width, least=1e-300),
            "calibration": calibration.shape != () or str(calibration) not in (NONE, *CALIBRATIONS),
            "training": not _are_shares(training, width),
        }
        if any(wrong.values()):
            raise ConfigError(f"{file} is damaged: {listing([name for name in ARRAYS if wrong[name]])}")
        known = effective.astype(np.float64) if len(effective) else None
        return cls(labels.astype(np.int64), logits.astype(np.float64), known, str(calibration), training)


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
    p : about how often rows of these classes would look as odd by chance; NaN if it was not checked
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


def chosen(rows: int, most: int, seed: int = 0) -> Integers:
    """Return the numbers of at most so many rows, int64, ascending, chosen at random; of fewer rows all."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=max(1, most), replace=False))


def _kept(labels: Integers, counts: Integers, most: int) -> Integers:
    """Return the numbers of about so many rows, int64, ascending; a class with few rows keeps all of them."""
    if len(labels) <= most:
        return np.arange(len(labels))
    first = np.minimum(counts, np.clip(most // (2 * len(counts)), KEPT_OF_EACH[1], KEPT_OF_EACH[0]))
    rest = counts - first
    wanted = first + rest * max(0, most - int(first.sum())) // max(1, int(rest.sum()))
    own = (np.flatnonzero(labels == index) for index in range(len(counts)))
    return np.sort(np.concatenate([rows[chosen(len(rows), int(n))] for rows, n in zip(own, wanted, strict=True)]))


def _arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of an npz that `Source.save` wrote, and believe no header that tells of more than there is."""
    held, size = {}, file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        names = [f"{name}.npy" for name in ARRAYS]
        if sorted(archive.namelist()) != sorted(names):
            raise ValueError(f"it holds {listing(archive.namelist())}, and not {listing(names)}")
        for name in ARRAYS:
            member = archive.getinfo(f"{name}.npy")
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                raise ValueError(f"{name} is packed, or larger than the file")
            content = io.BytesIO(archive.read(member))
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(content)]
            shape, _, dtype = read(content)
            if dtype.hasobject or math.prod(shape) * dtype.itemsize != member.file_size - content.tell():
                raise ValueError(f"{name} is not as long as its header says")
            content.seek(0)
            held[name] = npy.read_array(content, allow_pickle=False)
    return held


def _are_shares(values: Any, width: int, least: float = 0.0) -> bool:
    """Return whether these are shares of so many classes."""
    if values.shape != (width,) or values.dtype.kind != "f":
        return False
    return bool((values >= least).all() and abs(values.sum() - 1) < NEAR_ENOUGH)


def most_rows(classes: int) -> int:
    """Return how many rows an estimate is of at most."""
    return max(1, min(MOST_ROWS, MOST_CELLS // classes))


def estimate(
    source: Source, logits: Floats, classes: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Return the class frequencies of rows without labels.

    The arrays are tall and narrow, for which several threads wait for each other: it takes one.

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
    from threadpoolctl import threadpool_limits

    _check(source, logits, classes)
    with threadpool_limits(1, "blas"):
        return _estimated(source, logits, classes, resamples, seed)


def check_known(em: Floats, cure: str) -> None:
    """Refuse an estimate by BBSE alone, to which no probability can be moved.

    Raises
    ------
    ConfigError
        If EM has none.
    """
    if np.isnan(em).any():
        raise ConfigError(
            "dataset.target_prior=estimate: the prior that the model learned under is not known, so that its "
            f"probabilities cannot be moved to another; calibrate them on validation rows: {cure}"
        )


def _estimated(source: Source, logits: Floats, classes: Sequence[str], resamples: int, seed: int) -> Estimate:
    width, rows = len(classes), len(logits)
    calibrated, effective = fitted(source.calibration, source.labels, source.logits, source.effective)
    seen, new = _Cells.of(source.effective, source.logits, logits)
    whole = np.ones(rows)
    by_class, shares = seen.by_class(source.labels), new.shares(whole)
    by_bbse, condition = bbse(_predicted(by_class), _predicted(shares))
    if effective is None:
        nothing = np.full(width, np.nan)
        why = "EM needs the prior that probabilities are under, which is not known: calibration=bias_corrected tells it"
        return Estimate(nothing, nothing, nothing, by_bbse, condition, rows, np.nan, (why, *_of_bbse(condition)))
    likely = ratios(calibrated(logits), effective)
    em = most_likely(likely, whole)
    oddity, least = shares - by_class @ em, _spread_of_few(by_class, source.counts, em)
    generator, found, by_chance = np.random.default_rng(seed), [], []
    for _ in range(resamples):
        labels, drawn = _drawn(source.labels, width, generator)
        weights = np.bincount(generator.integers(rows, size=rows), minlength=rows).astype(np.float64)
        again, prior = fitted(source.calibration, labels, source.logits[drawn], source.effective)
        assert prior is not None, "it was known before"
        found.append(most_likely(ratios(again(logits), prior), weights, em, NEAR_ENOUGH))
        by_chance.append(new.shares(weights) - seen.by_class(labels, drawn) @ found[-1])
    low, high = _ends(em, np.array(found), likely, int(source.counts.min())) if found else np.full((2, width), np.nan)
    p = _p(oddity, np.array(by_chance), least) if found else np.nan
    notes = (
        *_of_source(source, classes),
        *_of_bbse(condition),
        *_of_width(high - low, classes),
        *(_of_fit(p, em, by_bbse, classes) if found else ()),
    )
    return Estimate(em, low, high, by_bbse, condition, rows, p, notes)


def ratios(calibrated: Floats, effective: Floats) -> Floats:
    """Return p(class | x) / p(class), float64 (n, classes), up to a factor of each row that likelihoods do not see."""
    logs = log_softmax(calibrated) - np.log(effective)
    found: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    return found


def most_likely(ratios: Floats, weights: Floats, start: Floats | None = None, near: float = NEAR) -> Floats:
    """Return the shares, float64 (classes,), under which rows with these ratios are likeliest.

    Each step is that of EM (Saerens et al. 2002, eq. 2.9). Two of them, and the leap of Varadhan & Roland (2008, scheme
    S3) that they suggest, make a cycle; a leap that makes the rows less likely is not made. The likelihood is concave,
    so no start matters.

    Parameters
    ----------
    ratios : float64 (n, classes), p(class | x) / p(class), each row up to a factor
    weights : float64 (n,), how often each row counts; some row does
    start : float64 (classes,); None: equal shares
    near : how little a step changes a share at the end
    """
    counted = weights > 0  # a row that does not count may have no likelihood at all
    if not counted.all():
        ratios, weights = ratios[counted], weights[counted]
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
        if np.abs(two - one).max() < near:
            return two
        first, second = one - prior, two - 2 * one + prior
        length = -max(1.0, float(np.linalg.norm(first)) / max(float(np.linalg.norm(second)), 1e-300))
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
class _Cells:
    """What is told of rows without a calibration: the class that a balanced prior predicts, and how surely.

    Attributes
    ----------
    decided : int64 (n,), class indices
    cell : int64 (n,), of BINS cells a class, from unsure to sure
    width : how many classes there are
    """

    decided: Integers
    cell: Integers
    width: int

    @classmethod
    def of(cls, effective: Floats | None, *several: Floats) -> "list[_Cells]":
        """Return the cells of several arrays of logits, (n, classes); the first one's rows fill a class's evenly."""
        prior = 0.0 if effective is None else np.log(effective)
        found = [log_softmax(np.asarray(logits, np.float64) - prior) for logits in several]
        decided = [np.argmax(log_p, axis=1) for log_p in found]
        surely = [log_p[np.arange(len(log_p)), best] for log_p, best in zip(found, decided, strict=True)]
        cells = [best * BINS for best in decided]
        for index in np.unique(decided[0]):
            cuts = np.quantile(surely[0][decided[0] == index], np.arange(1, BINS) / BINS)
            for best, sure, cell in zip(decided, surely, cells, strict=True):
                own = best == index
                cell[own] += np.searchsorted(cuts, sure[own])
        width = several[0].shape[1]
        return [cls(best, cell, width) for best, cell in zip(decided, cells, strict=True)]

    def shares(self, weights: Floats) -> Floats:
        """Return the share of each cell, float64 (cells,)."""
        found: Floats = np.bincount(self.cell, weights, minlength=BINS * self.width) / weights.sum()
        return found

    def by_class(self, labels: Integers, rows: Integers | slice = slice(None)) -> Floats:
        """Return the share of each cell among the rows of each class, float64 (cells, classes)."""
        cells = BINS * self.width
        counts = np.bincount(self.cell[rows] * self.width + labels, minlength=cells * self.width)
        found: Floats = counts.reshape(cells, self.width) / np.bincount(labels, minlength=self.width)
        return found


def _predicted(cells: Floats) -> Floats:
    """Return shares of predicted classes, (classes, …), from those of cells, (cells, …)."""
    found: Floats = cells.reshape(-1, BINS, *cells.shape[1:]).sum(axis=1)
    return found


def _check(source: Source, logits: Floats, classes: Sequence[str]) -> None:
    if not len(logits):
        raise ConfigError("class frequencies cannot be estimated: there are no rows to estimate them from")
    lacking = [name for name, count in zip(classes, source.counts.tolist(), strict=True) if not count]
    if lacking:
        raise ConfigError(
            f"class frequencies cannot be estimated: of {listing(lacking)} there are no validation rows, which "
            "say how the model answers them"
        )


def _drawn(labels: Integers, width: int, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """Return labels and rows, int64 (n,), drawn with replacement class by class."""
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels, minlength=width)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    places = starts + (generator.random(len(labels)) * np.repeat(counts, counts)).astype(np.int64)
    return labels[order], order[places]


def _ends(em: Floats, found: Floats, ratios: Floats, rarest: int) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % intervals, float64 (classes,): Student's t on the scale of log odds.

    Degrees of freedom are those of the rarest class's validation rows, which know least of their own spread. Half a row
    is added on both sides. The spread is that of the resamples, but not below that of as many rows whose classes are
    seen: so an interval has a width where every resample has no row of a class. Log odds tell little of a share that
    may be none: its interval begins at 0, and ends at the farthest of theirs, of Student's t on shares and of the
    profile likelihood.
    """
    from scipy.stats import t

    rows = len(ratios)

    def odds(shares: Floats) -> Floats:
        within: Floats = (shares * rows + 0.5) / (rows + 1)
        return np.log(within) - np.log1p(-within)

    middle = (em * rows + 0.5) / (rows + 1)
    spread = np.sqrt(np.maximum(odds(found).var(axis=0, ddof=1), 1 / (rows * middle * (1 - middle))))
    times = t.ppf(0.975, max(rarest - 1, FEWEST_DEGREES))
    low, high = (1 / (1 + np.exp(-(odds(em) + side * times * spread))) for side in (-1, 1))
    low, high = np.minimum(low, em), np.maximum(high, em)
    reach = times * found.std(axis=0, ddof=1)
    near = np.flatnonzero((em <= reach) | (low * rows < 0.5))
    maximised = ratios.size * len(near) <= MOST_PROFILED
    for index in near.tolist():
        low[index] = 0
        farthest = max(high[index], em[index] + reach[index], profile_end(ratios, em, index, maximised=maximised))
        high[index] = min(1.0, farthest)
    if len(em) == 2:  # what one class has the other has not
        low, high = np.minimum(low, 1 - high[::-1]), np.maximum(high, 1 - low[::-1])
    return low, high


def profile_end(ratios: Floats, em: Floats, index: int, *, maximised: bool = True) -> float:
    """Return the largest share of a class at which the log likelihood is FALL below its highest.

    The likelihood of a share s is that of rows whose other ratios are s r + (1 - s) r_j, so that EM finds the rest.

    Parameters
    ----------
    ratios : float64 (n, classes), p(class | x) / p(class), each row up to a factor
    em : float64 (classes,), the likeliest shares
    maximised : whether the other shares are those that are likeliest beside it; otherwise they keep their proportions,
        and the end is a little nearer
    """
    whole, highest = np.ones(len(ratios)), np.log(ratios @ em).sum()
    others, start = np.delete(ratios, index, axis=1), np.maximum(np.delete(em, index), NEAR)
    if not maximised:
        others, start = (others @ (start / start.sum()))[:, np.newaxis], np.ones(1)
    low, high = float(em[index]), 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        mixed = share * ratios[:, [index]] + (1 - share) * others
        fall = highest - np.log(mixed @ most_likely(mixed, whole, start, NEAR_ENOUGH)).sum()
        low, high = (share, high) if fall < FALL else (low, share)
    return high


def _spread_of_few(by_class: Floats, counts: Integers, em: Floats) -> Floats:
    """Return the spread of each cell's share that validation rows alone cause, float64 (cells,).

    A class with few rows, none of which is in a cell, has none there in any resample; half a row is added.
    """
    within = (by_class * counts + 0.5) / (counts + 1)
    spread: Floats = np.sqrt((em**2 * within * (1 - within) / counts).sum(axis=1))
    return spread


def _p(oddity: Floats, by_chance: Floats, least: Floats) -> float:
    """Return how often the largest of the deviations is reached by chance, if each is normal (Bonferroni)."""
    from scipy.stats import norm

    spread = np.maximum(by_chance.std(axis=0, ddof=1), np.maximum(least, 1e-12))
    found = float(2 * len(oddity) * norm.sf(np.abs(oddity / spread).max()))
    return found if np.isnan(found) else min(1.0, found)


def _of_source(source: Source, classes: Sequence[str]) -> list[str]:
    found = []
    if source.calibration == NONE:
        found.append(
            "probabilities are not calibrated, EM takes them for true, and the interval does not know of it: "
            "use calibration=bias_corrected"
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


def _of_width(widths: Floats, classes: Sequence[str]) -> list[str]:
    """Tell that an estimate is worth little."""
    wide = [name for name, width in zip(classes, widths.tolist(), strict=True) if width > WIDE]
    return [f"the share of {listing(wide)} is nearly unknown: see its interval, and label some rows"] if wide else []


def _of_fit(p: float, em: Floats, by_bbse: Floats, classes: Sequence[str]) -> list[str]:
    """Tell loudly where the rows do not look like a mixture of the classes as they were."""
    if np.isnan(p):
        return ["whether label shift holds is not checked: resamples are not numbers, since logits are extreme"]
    if not p < ODD:
        return []
    apart = np.abs(em - by_bbse)
    worst = "" if np.isnan(apart).any() else f"; EM and BBSE differ most in {_most(apart, em, by_bbse, classes)}"
    return [
        f"LABEL SHIFT IS IN DOUBT (p = {p:.2g}): no class frequencies explain well how often, and how surely, each "
        f"class is predicted here{worst}. The rows themselves may differ from validation rows, not their frequencies "
        "alone (where they do not, about 1 estimate in 100 has this alarm): label some of these rows before you "
        "trust the estimate"
    ]


def _most(apart: Floats, em: Floats, by_bbse: Floats, classes: Sequence[str]) -> str:
    index = int(np.argmax(apart))
    return f"{classes[index]}, {em[index]:.3f} and {by_bbse[index]:.3f}"
