"""How an object of the library shows itself: a sentence and a table, as text in a console and as HTML in a notebook."""

import html
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 60  # of a table in a notebook


class Shown(ABC):
    """What has a title and a table."""

    @property
    @abstractmethod
    def title(self) -> str:
        """One line on the whole."""

    @property
    @abstractmethod
    def frame(self) -> "pd.DataFrame":
        """The table."""

    def __repr__(self) -> str:
        table = self.frame.to_string(max_rows=MOST_ROWS, float_format=_number, na_rep="")
        return "\n".join([self.title, *(line.rstrip() for line in table.splitlines())])

    def _repr_html_(self) -> str:
        table = self.frame.to_html(max_rows=MOST_ROWS, float_format=_number, na_rep="", border=0)
        return f"<p>{html.escape(self.title)}</p>\n{table}"


def _number(value: float) -> str:
    return f"{value:.4g}"
