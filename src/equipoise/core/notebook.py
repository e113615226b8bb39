"""A live line in a notebook, which rich can draw only where ipywidgets is installed."""

import time
from collections.abc import Callable

CELLS = 16  # of the bar
EVERY = 0.1  # seconds between two changes of what is shown


class LiveLine:
    """A bar with the number of epochs, or of other steps, and a text, changed in place.

    Parameters
    ----------
    total : steps
    update : shows a line in place of the one before
    clock : seconds
    steps : what they are
    """

    def __init__(
        self,
        total: int,
        update: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        steps: str = "epochs",
    ) -> None:
        self._total, self._update, self._clock, self._steps = total, update, clock, steps
        self._done, self._text, self._shown_at = 0, "", float("-inf")

    def advance(self, text: str) -> None:
        """Count a step; show it, unless something was shown a moment ago."""
        self.move(self._done + 1, text)

    def move(self, done: int, text: str) -> None:
        """Say how many steps are done; show it, unless something was shown a moment ago."""
        self._done, self._text = done, text
        if self._clock() - self._shown_at >= EVERY:
            self.show()

    def show(self) -> None:
        """Show how far it is."""
        self._shown_at = self._clock()
        filled = CELLS * self._done // self._total
        self._update(f"{'━' * filled}{'─' * (CELLS - filled)} {self._done}/{self._total} {self._steps}  {self._text}")


def line_below(total: int, steps: str = "epochs") -> LiveLine:
    """Return a line below the cell that is being run."""
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return LiveLine(total, lambda line: handle.update({"text/plain": line}, raw=True), steps=steps)
