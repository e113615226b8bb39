"""What the recall and precision of single classes must be on validation samples, and whether they are. Pure NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from equipoise.core.schema import Floats, Integers
from equipoise.methods.biases import Score, ascended
from equipoise.methods.reservation import reservation
from equipoise.metrics.counts import Counts
from equipoise.metrics.proportions import least_shown

PARTS = ("recall", "precision")


def _precision(counts: Counts, index: int) -> Floats:
    found: Floats = counts.precision[..., index]
    return found


@dataclass(frozen=True)
class Constraints:
    """The least recall and precision of classes, each float64 (classes,), NaN for a class without one.

    Attributes
    ----------
    confidence : with which all recalls together must be shown by the samples of their classes, each with its part of
        what is left to chance (Bonferroni); None: they are what is counted
    """

    recall: Floats
    precision: Floats
    confidence: float | None = None

    def shortfall(self, counts: Counts) -> Floats:
        """Return what is lacking to the constraints, all together, of shape (…,): 0 if all are met."""
        found = {"recall": counts.recall, "precision": counts.precision}
        if self.confidence is not None:
            each = 1 - (1 - self.confidence) / max(1, int((~np.isnan(self.recall)).sum()))
            found["recall"] = least_shown(counts.hits, counts.support, each)
        lacking: Floats = np.zeros(counts.hits.shape[:-1])
        for part, values in found.items():
            asked = getattr(self, part)
            named = ~np.isnan(asked)
            lacking = lacking + np.maximum(asked[named] - np.nan_to_num(values[..., named]), 0).sum(axis=-1)
        return lacking

    def above_all(self, score: Score) -> Score:
        """Return a score that first lessens what is lacking, and then goes by `score`, which is -1 to 1."""

        def found(counts: Counts) -> Floats:
            lacking = self.shortfall(counts)
            values: Floats = np.where(lacking > 0, -2 - lacking, np.nan_to_num(score(counts), nan=-1.0))
            return values

        return found

    @property
    def is_guaranteed(self) -> bool:
        """Whether the bound holds beyond the samples: of two classes, recalls alone, shown with confidence.

        Those thresholds that show the recall are all on one side of the strictest one, which is found by testing one
        after the other from the most lenient on; so whichever of them is taken, its recall is at least what was asked.
        """
        return self.confidence is not None and len(self.recall) == 2 and bool(np.isnan(self.precision).all())

    def told(self, labels: Integers, logits: Floats, bias: Floats, classes: Sequence[str], used: Sequence[str]) -> str:
        """Return what was reached on the samples, and what it is worth, in a sentence or two.

        Parameters
        ----------
        used : what these samples have chosen before
        """
        counts = Counts.of(labels, (logits + bias).argmax(axis=1), len(classes))
        lacking = float(self.shortfall(counts))
        each = "; ".join(
            f"{part} of {name} {getattr(counts, part)[index]:.3f} (asked {getattr(self, part)[index]:g})"
            for part in PARTS
            for index, name in enumerate(classes)
            if not np.isnan(getattr(self, part)[index])
        )
        if lacking == 0:
            return f"decision=constrained: on {len(labels)} validation rows {each}. {self._worth(used)}"
        best = self._best(labels, logits, classes)
        return f"decision=constrained: {len(labels)} validation rows do not reach all that was asked: {each}{best}"

    def _best(self, labels: Integers, logits: Floats, classes: Sequence[str]) -> str:
        """Return the highest precision that a class can have at the recall that is asked of it, if both are asked."""
        found = ""
        for index in np.flatnonzero(~np.isnan(self.recall) & ~np.isnan(self.precision)).tolist():
            alone = np.full(len(classes), np.nan)
            alone[index] = self.recall[index]
            only = Constraints(alone, np.full(len(classes), np.nan), self.confidence)
            bias = ascended(labels, logits, only.above_all(partial(_precision, index=index)))
            counts = Counts.of(labels, (logits + bias).argmax(axis=1), len(classes))
            if only.shortfall(counts) == 0:
                found += (
                    f"; at recall {self.recall[index]:g} of {classes[index]} its precision is at best "
                    f"{counts.precision[index]:.3f}"
                )
        return found

    def _worth(self, used: Sequence[str]) -> str:
        if self.is_guaranteed:
            return (
                f"With confidence {self.confidence:g} new rows like these have at least the recall that was asked, "
                f"whatever the distribution, {reservation(used)}."
            )
        if self.confidence is not None:
            return (
                "Biases of more than two classes, and precision, are chosen among many that are not ordered: no bound "
                "holds beyond these rows."
            )
        return "No bound holds beyond these rows; decision.confidence=0.95 states one for the recall of two classes."
