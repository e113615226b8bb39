"""What a decision rule makes of validation samples that it was not tuned on. Pure NumPy.

A rule that is tuned on the validation split would look better there than it is. So its samples are dealt into FOLDS
folds, the samples of each class evenly, and those of a fold are decided by the rule as the other folds tune it. All
decisions together are judged once. Each tuning has 4 of 5 samples, so the score is rather too low than too high. Sets
of classes are larger for it, and cover more: the fewer samples a class has, the less it can be ruled out. A calibration
is fitted to the other folds as well, and all of this again within them.

Of a class with fewer samples than folds, each is in a fold of its own, and some folds judge none. The only sample of
a class is decided by a rule that was tuned without that class. Samples of one `dataset.group` may be in several folds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import NONE, Booleans, Floats, Integers
from equipoise.methods.calibration import calibrated
from equipoise.methods.deciders import Decide
from equipoise.methods.decisions import Known, Rule
from equipoise.methods.folds import folds
from equipoise.metrics.calibrated import Calibrated

FEWEST = 2  # samples: one to tune on, and one to judge


def cross_fitted(
    known: Known, rules: Mapping[str, tuple[Rule, Mapping[str, Any]]], calibration: str = NONE
) -> tuple[dict[str, Integers], list[str]]:
    """Return what each rule decides of the validation samples, int64 (n,), and why one decides nothing, in sentences.

    A rule that is tuned has no decision on fewer than FEWEST samples, nor if it is the user's own and fails on a part.

    Parameters
    ----------
    known : before calibration
    rules : by their names, each with its options
    calibration : its name; with one, every rule depends on the validation samples
    """
    found: dict[str, Integers] = {}
    notes = []
    fitted = None if calibration == NONE else list(_parts(known, calibration))  # once for all rules
    for name, (rule, options) in rules.items():
        is_tuned = rule.is_tuned(options) or calibration != NONE
        if len(known.labels) < (FEWEST if is_tuned else 1):
            continue
        try:
            if is_tuned:
                parts = fitted or _parts(known, calibration)
                apart = ((fold, _then(calibrate, rule(part, **options))) for fold, calibrate, part in parts)
                found[name] = _joined(known.logits, apart)
            else:
                found[name] = rule(known, **options)(known.logits)
        except ConfigError as error:
            notes.append(f"val/decision/{name} is omitted, since a part of the validation samples is too few: {error}")
    return found, notes


def _parts(known: Known, calibration: str) -> Iterator[tuple[Booleans, Calibrated, Known]]:
    """Yield the samples of each fold, bool (n,), and of the others the calibration and what is known after it."""
    fold = folds(known.labels)
    for each in np.unique(fold):
        rest = fold != each
        part = replace(known, labels=known.labels[rest], logits=known.logits[rest])
        yield ~rest, *calibrated(calibration, part)


def _then(calibrate: Calibrated, decide: Decide) -> Callable[[Floats], Integers]:
    return lambda logits: decide(calibrate(logits))


def decided_apart(
    labels: Integers, logits: Floats, tune: Callable[[Booleans], Callable[[Floats], Integers]]
) -> Integers:
    """Return what the rule decides of each sample when the sample's fold does not tune it.

    Parameters
    ----------
    labels : (n,), by which the folds are dealt; FEWEST or more
    logits : (n, …)
    tune : from the samples to tune on, bool (n,), to the decision

    Returns
    -------
    int64, (n,) or, of labels, (n, …).
    """
    fold = folds(labels)
    return _joined(logits, ((fold == each, tune(fold != each)) for each in np.unique(fold)))


def _joined(logits: Floats, apart: Iterable[tuple[Booleans, Callable[[Floats], Integers]]]) -> Integers:
    """Return what is decided of all samples, each fold's by a decision of its own."""
    decided = [(held_out, decide(logits[held_out])) for held_out, decide in apart]
    found: Integers = np.empty((len(logits), *decided[0][1].shape[1:]), np.int64)
    for held_out, values in decided:
        found[held_out] = values
    return found
