"""How often the 95 % interval of a class frequency, estimated from rows without labels, holds the true one.

    python benchmarks/label_shift.py repetitions=100

A row of the table (docs/coverage.md) draws validation rows, new rows and the new class frequencies anew, so often.
Classes are normal, each as far from each other; the first is ten times as frequent in training as the last. Logits are
those of the true posterior, 1.7 times too sure and with a bias of each class, so that calibration has something to do.
Then what is told if label shift fails: new rows that lie elsewhere, or are noisier.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise.core import key_values
from equipoise.methods.label_shift import ODD, Source, estimate

TOO_SURE, BIAS = 1.7, 0.7


@dataclass(frozen=True)
class Case:
    """Classes, how far apart they are in deviations, rows, and what happens to the new ones."""

    classes: int
    apart: float
    validation: int
    new: int
    calibration: str = "bias_corrected"
    known: bool = False
    moved: float = 0.0
    noise: float = 1.0
    share: float | None = None  # of the last class where the model is used; None: drawn, as all are


CASES = (
    Case(2, 2, 200, 1000),
    Case(2, 3, 200, 1000),
    Case(2, 2, 2000, 1000),
    Case(3, 2, 300, 1000),
    Case(3, 2.5, 1000, 1000, "vector"),
    Case(3, 2.5, 1000, 1000, "beta"),
    Case(3, 2.5, 1000, 1000, "isotonic"),
    Case(3, 2.5, 500, 1000, "temperature", known=True),
    Case(3, 2.5, 500, 1000, "none", known=True),
    Case(5, 3, 500, 2000),
    Case(10, 4, 2000, 2000),
    Case(2, 2, 200, 1000, share=0.05),
    Case(2, 2, 200, 1000, share=0.01),
    Case(2, 2, 200, 1000, share=0),
    Case(3, 2, 300, 1000, share=0.01),
    Case(2, 2, 200, 1000, moved=1),
    Case(2, 2, 1000, 2000, moved=1),
    Case(3, 2, 500, 1000, moved=1),
    Case(3, 2, 500, 1000, noise=1.5),
)


def found(case: Case, repetition: int) -> tuple[Any, Any, Any, float]:
    """Return the truth, the errors of EM and BBSE, whether intervals hold it, and the p of the assumption."""
    generator = np.random.default_rng([repetition, case.classes, case.validation])
    centres = np.eye(case.classes) * case.apart / np.sqrt(2)
    learned = np.geomspace(1, 0.1, case.classes)
    learned /= learned.sum()
    truth = generator.dirichlet(np.full(case.classes, 2.0))
    if case.share is not None:
        truth[-1] = 0
        truth = np.append(truth[:-1] / truth.sum() * (1 - case.share), case.share)
    bias = 0.0 if case.known else generator.normal(size=case.classes) * BIAS

    def logits(labels: Any, noise: float = 1.0, moved: float = 0.0) -> Any:
        rows = centres[labels] + noise * generator.normal(size=(len(labels), case.classes))
        rows[:, 0] += moved
        return (rows @ centres.T - (centres**2).sum(axis=1) / 2 + np.log(learned)) * TOO_SURE + bias

    seen = np.repeat(np.arange(case.classes), np.maximum(2, np.round(learned * case.validation)).astype(int))
    new = generator.choice(case.classes, p=truth, size=case.new)
    source = Source(seen, logits(seen), learned if case.known else None, case.calibration)
    names = [str(index) for index in range(case.classes)]
    one = estimate(source, logits(new, case.noise, case.moved), names, resamples=100, seed=repetition)
    errors = [np.abs(shares - truth).mean() for shares in (one.em, one.bbse)]
    held = (one.low <= truth) & (truth <= one.high)
    return errors, held if case.share is None else held[-1:], (one.high - one.low).mean(), one.p


def main(words: list[str]) -> None:
    """Print the table."""
    repetitions = key_values.whole_number(key_values.read(words, ("repetitions",)), "repetitions") or 100
    print("| classes | apart | validation | new | calibration | new rows | covered | width | EM | BBSE | alarms |")
    for case in CASES:
        rows = [found(case, repetition) for repetition in range(repetitions)]
        errors = np.nanmean([one[0] for one in rows], axis=0)
        what = f"moved by {case.moved:g}" if case.moved else ("noisier" if case.noise > 1 else "as they were")
        what = what if case.share is None else f"{case.share:.0%} of the last class"
        cells = [case.classes, f"{case.apart:g}", case.validation, case.new, case.calibration, what]
        covered = [f"{np.mean([one[1] for one in rows]):.3f}", f"{np.mean([one[2] for one in rows]):.3f}"]
        alarms = f"{np.mean([one[3] < ODD for one in rows]):.2f}"
        print("", *map(str, cells), *covered, *(f"{error:.3f}" for error in errors), alarms, "", sep=" | ", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
