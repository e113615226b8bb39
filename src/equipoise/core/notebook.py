"""A live line in a notebook, which rich can draw only where ipywidgets is installed."""

import time
from collections.abc import Callable

CELLS = 16  # of the bar
EVERY = 0.1  # seconds between two changes of what is shown


class LiveLine:
    """A bar with the number of epochs and a text, changed in place.

    Parameters
    ----------
    total : epochs
    update : shows a line in place of the one before
    clock : seconds
    """

    def __init__(self, total: int, update: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._update, self._clock = total, update, clock
        self._done, self._text, self._shown_at = 0, "", float("-inf")

    def advance(self, text: str) -> None:
        """Count an epoch; show it, unless something was shown a moment ago."""
        self._done, self._text = self._done + 1, text
        if self._clock() - self._shown_at >= EVERY:
            self.show()

    def show(self) -> None:
        """Show how far it is."""
        self._shown_at = self._clock()
        filled = CELLS * self._done // self._total
        self._update(f"{'━' * filled}{'─' * (CELLS - filled)} {self._done}/{self._total} epochs  {self._text}")


def line_below(total: int) -> LiveLine:
    """Return a line below the cell that is being run."""
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return LiveLine(total, lambda line: handle.update({"text/plain": line}, raw=True))
