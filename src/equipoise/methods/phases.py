"""The phases of a training, such as a head before the whole model: how long each is, what it trains and how fast."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import model_validator

from equipoise.core.errors import suggestion
from equipoise.core.schema import Positive, PositiveInt, Section


class Phase(Section):
    """A part of the epochs.

    Attributes
    ----------
    frozen : whether the backbone keeps its weights
    learning_rate : from its first epoch on, of an optimiser that begins anew; None: the trainer's
    """

    epochs: PositiveInt
    frozen: bool = False
    learning_rate: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_known_keys(cls, values: Any) -> Any:
        for key in values if isinstance(values, Mapping) else ():
            if key not in cls.model_fields:
                raise ValueError(f"a phase has no {key}{suggestion(str(key), list(cls.model_fields))}")
        return values


class Span(NamedTuple):
    """The epochs of a phase, `first` to `end - 1`; None: a training without phases."""

    first: int
    end: int
    phase: Phase | None


def spans(phases: Sequence[Phase], epochs: int) -> Iterator[Span]:
    """Return the epochs of each phase; without phases all epochs at once."""
    if not phases:
        yield Span(0, epochs, None)
    first = 0
    for phase in phases:
        yield Span(first, first + phase.epochs, phase)
        first += phase.epochs
