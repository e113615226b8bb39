"""Class frequencies that were estimated from rows without labels, in the terminal, and as data for a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equipoise.core import terminal
from equipoise.core.schema import Floats
from equipoise.methods.label_shift import Estimate

MOST_CLASSES = 40  # with a line each; of more those that changed most
ASSUMED = (
    "This assumes that rows of a class look there as in validation, and that the class frequencies alone are others "
    "(label shift)."
)


@dataclass(frozen=True)
class EstimatedPrior:
    """An estimate, and what it is of.

    Attributes
    ----------
    source : what the rows are, such as a file's name
    whole : how many rows there are; the estimate is of those of them that were chosen at random, if it has fewer
    training : float64 (classes,), the shares in training
    true : the shares that labels tell, which the estimate has not seen; None without labels
    """

    estimate: Estimate
    classes: Sequence[str]
    source: str
    whole: int
    training: Floats
    true: Floats | None = None

    @property
    def told(self) -> str:
        """What it is an estimate of."""
        rows = self.estimate.rows
        some = "" if rows == self.whole else f", chosen at random of {self.whole:,}"
        return f"estimated by EM from {rows:,} rows of {self.source}{some}, without labels"

    def as_data(self) -> dict[str, Any]:
        """Return all of it, as JSON takes it: what is not known is null."""
        found = self.estimate
        columns = {
            "training": self.training,
            "used": np.full(len(self.classes), np.nan) if np.isnan(found.em).any() else found.prior,
            "em": found.em,
            "em_low": found.low,
            "em_high": found.high,
            "bbse": found.bbse,
            **({} if self.true is None else {"true": self.true}),
        }
        return {
            "classes": {
                name: {key: _or_none(values[index]) for key, values in columns.items()}
                for index, name in enumerate(self.classes)
            },
            "rows": found.rows,
            "rows_there": self.whole,
            "source": self.source,
            "condition": _or_none(found.condition),
            "p_of_assumption": _or_none(found.p),
            "notes": list(found.notes),
        }


def print_prior(found: EstimatedPrior) -> None:
    """Print a line a class: its share in training, the estimate with its interval, and BBSE's beside it."""
    estimate = found.estimate
    order = np.argsort(-found.training, kind="stable")
    if len(order) > MOST_CLASSES:
        order = np.argsort(-np.abs(estimate.em - found.training), kind="stable")[:MOST_CLASSES]
    headings = ["class", "in training", "estimate (EM)", "95 %", "BBSE"]
    headings += [] if found.true is None else ["by its labels"]
    rows = []
    for index in order.tolist():
        low, high = estimate.low[index], estimate.high[index]
        shown = "–" if np.isnan(low) else f"{low:.4g} to {high:.4g}"
        shares = [found.training[index], estimate.em[index], estimate.bbse[index]]
        cells = ["–" if np.isnan(share) else f"{share:.4g}" for share in shares]
        own = [] if found.true is None else [f"{found.true[index]:.4g}"]
        rows.append([found.classes[index], cells[0], cells[1], shown, cells[2], *own])
    title = f"Class frequencies, {found.told}"
    terminal.print_table(title, headings, rows)
    if len(found.classes) > MOST_CLASSES:
        terminal.console.print(f"The {MOST_CLASSES} of {len(found.classes):,} classes that differ most from training.")
    terminal.console.print(ASSUMED, soft_wrap=True)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
