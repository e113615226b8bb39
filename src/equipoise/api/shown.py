"""How an object of the library shows itself: a sentence and a table, as text in a console and as HTML in a notebook."""

import html
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 60  # of a table in a notebook


class Shown(ABC):
    """What has a title, a table, and perhaps more tables and notes."""

    @property
    @abstractmethod
    def title(self) -> str:
        """One line on the whole."""

    @property
    @abstractmethod
    def frame(self) -> "pd.DataFrame":
        """What there is to compute with."""

    @property
    def table(self) -> "pd.DataFrame":
        """What is shown: the frame, if not something shorter."""
        return self.frame

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""
        return ()

    def more(self) -> dict[str, "pd.DataFrame"]:
        """Return the other tables by their titles."""
        return {}

    def __repr__(self) -> str:
        lines = [self.title, *_as_text(self.table)]
        for title, frame in self.more().items():
            lines += ["", title, *_as_text(frame)]
        return "\n".join([*lines, *([""] if self.notes else []), *self.notes])

    def _repr_html_(self) -> str:
        parts = [_paragraph(self.title), _as_html(self.table)]
        for title, frame in self.more().items():
            parts += [_paragraph(title), _as_html(frame)]
        return "\n".join([*parts, *map(_paragraph, self.notes)])


def _as_text(frame: "pd.DataFrame") -> list[str]:
    text = frame.to_string(max_rows=MOST_ROWS, float_format=_number, na_rep="")
    return [line.rstrip() for line in text.splitlines()]


def _as_html(frame: "pd.DataFrame") -> str:
    found: str = frame.to_html(max_rows=MOST_ROWS, float_format=_number, na_rep="", border=0)
    return found


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _number(value: float) -> str:
    return f"{value:.4g}"
