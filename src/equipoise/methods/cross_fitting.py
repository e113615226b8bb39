"""What a decision rule makes of validation samples that it was not tuned on. Pure NumPy.

A rule that is tuned on the validation split would look better there than it is. So its samples are dealt into FOLDS
folds, the samples of each class evenly, and those of a fold are decided by the rule as the other folds tune it. All
decisions together are judged once. Each tuning has 4 of 5 samples, so the score is rather too low than too high.

Of a class with fewer samples than folds, each is in a fold of its own, and some folds judge none. The only sample of
a class is decided by a rule that was tuned without that class. Samples of one `dataset.group` may be in several folds.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from equipoise.core.schema import Booleans, ConfigError, Floats, Integers
from equipoise.methods.decisions import Decide, Known, Rule

FOLDS = 5
FEWEST = 2  # samples: one to tune on, and one to judge


def cross_fitted(
    known: Known, rules: Mapping[str, tuple[Rule, Mapping[str, Any]]]
) -> tuple[dict[str, Integers], list[str]]:
    """Return what each rule decides of the validation samples, int64 (n,), and why one decides nothing, in sentences.

    A rule that is tuned has no decision on fewer than FEWEST samples, nor if it is the user's own and fails on a part.

    Parameters
    ----------
    rules : by their names, each with its options
    """
    found: dict[str, Integers] = {}
    notes = []
    for name, (rule, options) in rules.items():
        is_tuned = rule.is_tuned(options)
        if len(known.labels) < (FEWEST if is_tuned else 1):
            continue
        try:
            found[name] = _tuned_apart(known, rule, options) if is_tuned else rule(known, **options)(known.logits)
        except ConfigError as error:
            notes.append(f"val/decision/{name} is omitted, since a part of the validation samples is too few: {error}")
    return found, notes


def _tuned_apart(known: Known, rule: Rule, options: Mapping[str, Any]) -> Integers:
    def tune(samples: Booleans) -> Decide:
        return rule(replace(known, labels=known.labels[samples], logits=known.logits[samples]), **options)

    return decided_apart(known.labels, known.logits, tune)


def folds(labels: Integers) -> Integers:
    """Return the fold of each sample, int64 (n,): class after class, the samples are dealt out in turn.

    So the folds of a class, and the folds as a whole, differ by one sample at most.

    Parameters
    ----------
    labels : class indices, or 0 and 1 of one label, (n,)
    """
    found = np.empty(len(labels), np.int64)
    found[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    return found


def decided_apart(labels: Integers, logits: Floats, tune: Callable[[Booleans], Decide]) -> Integers:
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
    apart = [(fold == each, tune(fold != each)) for each in np.unique(fold)]
    decided = [(held_out, decide(logits[held_out])) for held_out, decide in apart]
    found: Integers = np.empty((len(labels), *decided[0][1].shape[1:]), np.int64)
    for held_out, values in decided:
        found[held_out] = values
    return found
