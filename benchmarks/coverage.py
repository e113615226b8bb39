"""Measure how often the 95 % intervals of a run hold the truth on redrawn test splits; write docs/coverage.md's tables.

    python benchmarks/coverage.py [splits=1000]

The first table covers balanced accuracy. It draws the true recalls anew for each split, so that no row depends on where
one true recall lies between the values that a small count can take. The second table covers all other metrics. Its
model has Gaussian logits, so that the truth is known; test counts are multinomial ("found") or fixed ("design").
"""

import functools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from equipoise.core import key_values
from equipoise.core.schema import Floats, Integers
from equipoise.metrics.classification import Predictions, log_softmax, sample_scores
from equipoise.metrics.counts import Counts, counted_metrics
from equipoise.metrics.intervals import Interval, class_intervals
from equipoise.metrics.proportions import score_interval, wilson
from paired import table

PAGE = REPOSITORY / "docs" / "coverage.md"
SPLITS = 1000
RESAMPLES = 200  # a standard deviation needs no more
LARGE = 2_000_000  # samples that stand for the population
METRICS = {
    "accuracy": "accuracy",
    "worst_class_recall": "worst recall",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "mcc": "MCC",
    "cohen_kappa": "kappa",
    "g_mean": "G-mean",
    "log_loss": "log loss",
    "brier": "Brier",
    "macro_average_precision": "macro AP",
    "macro_auroc": "macro AUROC",
}

# Test samples of each class, and the ranges of the recall of the first class and of the others.
RECALLS: Sequence[tuple[str, Sequence[int], tuple[float, float], tuple[float, float]]] = (
    ("983, 66, 6, 17, 22 (Shuttle)", (983, 66, 6, 17, 22), (0.9, 1), (0.5, 0.9)),
    ("the same, harder", (983, 66, 6, 17, 22), (0.9, 1), (0.1, 0.5)),
    ("829, 7", (829, 7), (0.9, 1), (0.3, 0.8)),
    ("829, 7, nearly always missed", (829, 7), (0.9, 1), (0, 0.1)),
    ("829, 30", (829, 30), (0.9, 1), (0.3, 0.8)),
    ("14, 15, 5, 5, 5, 6 (as Glass)", (14, 15, 5, 5, 5, 6), (0.6, 0.9), (0.4, 0.9)),
    ("5 of each of 2", (5, 5), (0.5, 1), (0.5, 1)),
    ("5 of each of 10", (5,) * 10, (0.6, 1), (0.6, 1)),
    ("10 of each of 10", (10,) * 10, (0.6, 1), (0.6, 1)),
    ("40 of each of 10 (digits_lt)", (40,) * 10, (0.9, 1), (0.9, 1)),
    ("150 of each of 10 (mnist_lt)", (150,) * 10, (0.6, 1), (0.6, 1)),
    ("300 down to 10, long tail of 8", (300, 179, 107, 64, 38, 23, 13, 10), (0.9, 1), (0.3, 0.9)),
)


@dataclass(frozen=True)
class Model:
    """A model with Gaussian logits, and its test split.

    Attributes
    ----------
    counts : test samples of each class, or their expectation
    separation : distance between the mean logit of a class and of the others
    tilt : how far the logits lean towards frequent classes; 1: as those of a model without weights
    fixed : whether a design fixed the counts
    """

    name: str
    counts: tuple[int, ...]
    separation: float
    tilt: float
    fixed: bool

    def logits(self, labels: Integers, generator: np.random.Generator) -> Floats:
        share = np.array(self.counts) / sum(self.counts)
        noise = generator.standard_normal((len(labels), len(share)))
        drawn: Floats = self.separation * (
            noise + self.separation * (labels[:, np.newaxis] == np.arange(len(share)))
        ) + self.tilt * np.log(share)
        return drawn

    def test_split(self, generator: np.random.Generator) -> Integers:
        counts = (
            self.counts
            if self.fixed
            else generator.multinomial(sum(self.counts), np.array(self.counts) / sum(self.counts))
        )
        return np.repeat(np.arange(len(self.counts)), counts)


MODELS = (
    Model("150 of each of 10 (mnist_lt)", (150,) * 10, 2.0, 0, fixed=True),
    Model("40 of each of 10 (digits_lt)", (40,) * 10, 2.4, 0, fixed=True),
    Model("10 of each of 10", (10,) * 10, 2.0, 0, fixed=True),
    Model("700, 100", (700, 100), 1.4, 0.5, fixed=False),
    Model("829, 30", (829, 30), 1.6, 0.4, fixed=False),
    Model("829, 30, often missed", (829, 30), 1.3, 0.7, fixed=False),
    Model("829, 7", (829, 7), 1.6, 0.4, fixed=False),
    Model("983, 66, 6, 17, 22 (Shuttle)", (983, 66, 6, 17, 22), 1.9, 0.5, fixed=False),
    Model("900 down to 30, long tail of 8", (900, 537, 321, 192, 114, 69, 39, 30), 1.9, 0.5, fixed=False),
    Model("300 down to 10, long tail of 8", (300, 179, 107, 64, 38, 23, 13, 10), 1.9, 0.5, fixed=False),
    Model("56, 60, 24, 24, 28, 24 (4 times Glass)", (56, 60, 24, 24, 28, 24), 1.7, 0.4, fixed=False),
)


def of_recalls(splits: int) -> str:
    """Return the table of how often four kinds of intervals hold balanced accuracy, and the width of a run's."""
    lines = []
    for name, counts, head, others in RECALLS:
        generator, size = np.random.default_rng(0), np.array(counts)
        truth = np.hstack([generator.uniform(*head, (splits, 1)), generator.uniform(*others, (splits, len(size) - 1))])
        hits = generator.binomial(size, truth)
        mean = truth.mean(axis=1)
        ways = (_score, _mover(wilson), _mover(_jeffreys), functools.partial(_percentiles, generator))
        found = [way(hits, size) for way in ways]
        held = [f"{np.mean((low <= mean) & (mean <= high)):.3f}" for low, high in found]
        lines.append(
            [
                name,
                f"{head[0]:g} to {head[1]:g}",
                f"{others[0]:g} to {others[1]:g}",
                *held,
                f"{np.mean(found[0][1] - found[0][0]):.3f}",
            ]
        )
        print(" ", *lines[-1], sep="  ", flush=True)
    headings = ["test samples of the classes", "recall of the first", "of the others"]
    return table(
        [
            *headings,
            "score interval (a run's)",
            "MOVER, Wilson",
            "MOVER, Jeffreys",
            "stratified bootstrap",
            "width of the first",
        ],
        lines,
    )


Ends = tuple[Floats, Floats]


def _score(hits: Integers, size: Integers) -> Ends:
    low, high = np.array([score_interval(row, size) for row in hits]).T
    return low, high


def _mover(of_each: Callable[[Integers, Integers], Ends]) -> Callable[[Integers, Integers], Ends]:
    """Return MOVER (Zou & Donner 2008): it adds the squared distances to each interval's ends as variances."""

    def ends(hits: Integers, size: Integers) -> Ends:
        share, (low, high) = hits / size, of_each(hits, size)
        return tuple(
            share.mean(axis=1) + sign * np.sqrt(((share - end) ** 2).sum(axis=1)) / len(size)
            for sign, end in ((-1, low), (1, high))
        )

    return ends


def _jeffreys(hits: Integers, size: Integers) -> Ends:
    low, high = (stats.beta.ppf(end, hits + 0.5, size - hits + 0.5) for end in (0.025, 0.975))
    return np.where(hits == 0, 0, low), np.where(hits == size, 1, high)


def _percentiles(generator: np.random.Generator, hits: Integers, size: Integers) -> Ends:
    resampled = (generator.binomial(size, hits / size, (1000, *hits.shape)) / size).mean(axis=2)
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return low, high


def truth_of(model: Model) -> dict[str, float]:
    """Return each metric on the whole population."""
    classes, share = len(model.counts), np.array(model.counts) / sum(model.counts)
    generator = np.random.default_rng(99)
    labels = np.repeat(np.arange(classes), LARGE // classes**2 if classes > 2 else LARGE // 4)
    logits = model.logits(labels, generator)
    weight = share[labels] * classes / len(labels)
    joint = sklearn_metrics.confusion_matrix(labels, logits.argmax(axis=1), sample_weight=1e6 * weight)
    counts = Counts(np.diag(joint), joint.sum(axis=0), joint.sum(axis=1))
    found = {name: float(value) for name, value in counted_metrics(counts, {}).items()}
    log_probabilities = log_softmax(logits)
    found |= {name: float(values @ weight) for name, values in sample_scores(labels, log_probabilities).items()}
    for name, score in (
        ("macro_average_precision", sklearn_metrics.average_precision_score),
        ("macro_auroc", sklearn_metrics.roc_auc_score),
    ):
        found[name] = float(
            np.mean(
                [score(labels == index, log_probabilities[:, index], sample_weight=weight) for index in range(classes)]
            )
        )
    return found


def coverage(model: Model, splits: int) -> dict[str, tuple[float, float, float]]:
    """Return for each metric: coverage where it is not called rough, coverage everywhere, and how often it is rough."""
    truth, generator = truth_of(model), np.random.default_rng(0)
    held: dict[str, list[tuple[bool, bool]]] = {}
    for seed in range(splits):
        labels = model.test_split(generator)
        logits = model.logits(labels, generator)
        predictions = Predictions(labels, logits, logits.argmax(axis=1))
        known = class_intervals(predictions, {}, fixed=model.fixed, resamples=RESAMPLES, seed=seed)
        for name, interval in known.items():
            held.setdefault(name, []).append((_holds(interval, truth[name]), interval.rough))
    return {name: _summed(np.array(values)) for name, values in held.items()}


def _holds(interval: Interval, value: float) -> bool:
    return interval.low - 1e-9 <= value <= interval.high + 1e-9


def _summed(values: Floats) -> tuple[float, float, float]:
    fine = values[values[:, 1] == 0, 0]
    return float(fine.mean()) if len(fine) else np.nan, float(values[:, 0].mean()), float(values[:, 1].mean())


def of_metrics(splits: int) -> str:
    """Return the coverage of all metrics but balanced accuracy; in brackets where most intervals are called rough."""
    lines = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for model, found in zip(MODELS, pool.map(coverage, MODELS, [splits] * len(MODELS)), strict=True):
            lines.append([model.name, "design" if model.fixed else "found", *(_cell(*found[name]) for name in METRICS)])
            print(" ", *lines[-1], sep="  ", flush=True)
    return table(["test samples of the classes", "counts", *METRICS.values()], lines)


def _cell(fine: float, everywhere: float, rough: float) -> str:
    return f"({everywhere:.2f})" if rough > 0.5 else f"{fine:.2f}"


def _write(name: str, text: str) -> None:
    page = PAGE.read_text()
    PAGE.write_text(
        re.sub(
            rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)",
            lambda found: f"{found[1]}\n{text}\n{found[2]}",
            page,
            flags=re.DOTALL,
        )
    )


def _measure(words: Sequence[str]) -> None:
    splits = key_values.whole_number(key_values.read(words, ["splits"]), "splits") or SPLITS
    parts: Mapping[str, Callable[[int], str]] = {"balanced accuracy": of_recalls, "other metrics": of_metrics}
    for name, part in parts.items():
        print(f"{name}, {splits} test splits a row:", flush=True)
        _write(name, f"{splits:,} test splits a row.\n\n{part(splits)}")


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, _measure))
