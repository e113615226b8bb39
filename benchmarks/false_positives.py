"""Measure how often a comparison claims a difference that does not exist; a minute on one core.

    python benchmarks/false_positives.py [REPETITIONS]

Two learners are equal by symmetry: both are the same method, each on its own half of identically distributed features.
Each repetition draws a data set, splits it ten times into 70/10/20, and hands the runs to `compare`, as a sweep would.
A paired permutation test that takes the splits for independent is measured on the same runs. Nominal is 5 %.

Then a family of four: no configuration differs from the baseline on the mean, but each has an effect of its own on each
of 3 splits, as large as the noise of 5 seeds. Here the permutation test takes the 15 runs for independent.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import numpy as np

from equipoise.comparison.compare import compare
from equipoise.comparison.significance import ALPHA, permutation_p
from equipoise.core.schema import Floats, Integers
from equipoise.metrics.multiplicity import holm
from equipoise.tracking.history import Logged

Labels = np.ndarray[tuple[int], np.dtype[np.bool_]]

SPLITS, FEATURES, SEPARATION = 10, 5, 1.5
METRIC = "balanced_accuracy"
SETTINGS = ((200, 0.2), (300, 0.5))  # samples, share of the minority
FAMILY = ("none", "a", "b", "c", "d")


@dataclass(frozen=True)
class Rates:
    """Shares of the repetitions in which a p value, after Holm's correction, was at most 5 %."""

    compared: float
    permuted: float


def rates(learner: str, samples: int, minority: float, repetitions: int, seed: int = 0) -> Rates:
    """Return the rates for two equal learners on ten splits."""
    generator = np.random.default_rng(seed)
    compared, permuted = 0, 0
    for _ in range(repetitions):
        scores = np.array(list(_scores(LEARNERS[learner], samples, minority, generator)))
        compared += _is_claimed(scores[:, np.newaxis], ("none", "other"))
        permuted += permutation_p(scores[:, 1] - scores[:, 0]) <= ALPHA
    return Rates(compared / repetitions, permuted / repetitions)


def family_rates(repetitions: int, seed: int = 0) -> Rates:
    """Return the rates of any claim among four configurations on 3 splits with 5 seeds each."""
    generator = np.random.default_rng(seed)
    compared, permuted = 0, 0
    for _ in range(repetitions):
        scores = generator.normal(size=(3, 5, len(FAMILY))) + generator.normal(size=(3, 1, len(FAMILY)))
        compared += _is_claimed(scores, FAMILY)
        differences = (scores[:, :, 1:] - scores[:, :, :1]).reshape(15, -1)
        permuted += min(holm([permutation_p(column) for column in differences.T])) <= ALPHA
    return Rates(compared / repetitions, permuted / repetitions)


def _is_claimed(scores: Floats, names: Sequence[str]) -> bool:
    """Return whether `compare` shows a difference to `none`, given scores (splits, seeds, configurations)."""
    sizes = {"samples/train": 70.0, "samples/test": 20.0}
    runs = [
        Logged(
            f"{name}-{split}-{seed}",
            "1",
            0,
            {"weighting.name": name, "dataset.split_seed": str(split), "seed": str(seed)},
            {},
            metrics,
        )
        for (split, seed, index), score in np.ndenumerate(scores)
        for name, metrics in [(names[index], {f"test/{METRIC}": float(score), **sizes})]
    ]
    return any(row.to_baseline.is_shown for row in compare(runs, METRIC).tables[0].rows if row.to_baseline)


def _scores(learner: "Learner", samples: int, minority: float, generator: np.random.Generator) -> Iterator[list[float]]:
    """Yield balanced accuracy of both learners on each split of a new data set."""
    labels = np.arange(samples) < round(minority * samples)
    features = generator.normal(size=(samples, 2 * FEATURES)) + SEPARATION / np.sqrt(FEATURES) * labels[:, np.newaxis]
    for _ in range(SPLITS):
        train, test = _split(labels, generator)
        found = []
        for half in (features[:, :FEATURES], features[:, FEATURES:]):
            predicted = learner(half[train], labels[train], half[test])
            found.append(float(predicted[labels[test]].mean() + (~predicted[~labels[test]]).mean()) / 2)
        yield found


def _split(labels: Labels, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """Split stratified: 70 % of the rows to train, 20 % to test; the validation rows are not needed here."""
    shuffled = [generator.permutation(np.flatnonzero(labels == label)) for label in (False, True)]
    cuts = [(round(0.7 * len(rows)), round(0.8 * len(rows))) for rows in shuffled]
    train = np.concatenate([rows[:first] for rows, (first, _) in zip(shuffled, cuts, strict=True)])
    test = np.concatenate([rows[second:] for rows, (_, second) in zip(shuffled, cuts, strict=True)])
    return train, test


def _stump(features: Floats, labels: Labels, others: Floats) -> Labels:
    """Predict by the feature and threshold with the best balanced accuracy on the training rows."""
    order = np.argsort(features, axis=0)
    truth = labels[order]
    balanced = (1 - np.cumsum(truth, axis=0) / labels.sum() + np.cumsum(~truth, axis=0) / (~labels).sum()) / 2
    place, feature = np.unravel_index(np.argmax(balanced), balanced.shape)
    above: Labels = others[:, feature] > features[order[place, feature], feature]
    return above


def _nearest(features: Floats, labels: Labels, others: Floats) -> Labels:
    """Predict the class of the nearest training row."""
    distances = ((others[:, np.newaxis] - features) ** 2).sum(axis=2)
    nearest: Labels = labels[distances.argmin(axis=1)]
    return nearest


Learner = Callable[[Floats, Labels, Floats], Labels]
LEARNERS: dict[str, Learner] = {"decision stump": _stump, "nearest neighbour": _nearest}


def main() -> None:
    """Print one line a setting."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| nothing differs, nominal 5 % | `compare` | paired permutation |\n| --- | --- | --- |")
    for learner, (samples, minority) in product(LEARNERS, SETTINGS):
        found = rates(learner, samples, minority, repetitions)
        _print(f"{learner}, 10 splits of {samples} samples, minority {minority}", found)
    _print("3 splits x 5 seeds, any of four comparisons", family_rates(repetitions))


def _print(setting: str, found: Rates) -> None:
    print(f"| {setting} | {found.compared:.1%} | {found.permuted:.1%} |", flush=True)


if __name__ == "__main__":
    main()
