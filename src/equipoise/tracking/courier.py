"""When a run's outbox is brought to the store: often enough to watch the run there, seldom enough to cost it little."""

import time
from dataclasses import dataclass

from equipoise.core.commands import command
from equipoise.core.terminal import warn
from equipoise.tracking.outbox import Outbox
from equipoise.tracking.store import Store, outages, said_by
from equipoise.tracking.upload import upload


@dataclass(frozen=True)
class Pace:
    """How often and for how long a run uploads, in seconds.

    Attributes
    ----------
    every : between two uploads; what is logged sooner waits on the disk, so that short epochs share an upload
    part : of uploading at a time while the run goes on
    pause : at least, before a store that did not answer is asked again
    pauses : times what the last request took, before it is asked again: so a store that hangs costs a tenth of the time
    at_the_end : of trying again once the run is over
    """

    every: float = 1
    part: float = 20
    pause: float = 15
    pauses: float = 10
    at_the_end: float = 15


class Courier:
    """Brings one run's outbox to the store, and tells the user when the store stops and starts to answer."""

    def __init__(self, store: Store, outbox: Outbox, pace: Pace) -> None:
        self._store, self._outbox, self.pace = store, outbox, pace
        self._offline, self._next_try = not store.answers, 0.0 if store.answers else time.monotonic() + pace.pause
        self._complete = 0.0  # when the store last had all

    def bring(self) -> None:
        """Bring the store up to date, unless it was a moment ago."""
        if time.monotonic() >= self._complete + self.pace.every:
            self.bring_now(self.pace.part)

    def bring_now(self, seconds: float) -> bool:
        """Bring the store up to date, unless it is known not to answer; return whether it is.

        Parameters
        ----------
        seconds : after which no new step begins
        """
        start = time.monotonic()
        if start < self._next_try:
            return False
        try:
            complete = self._attempt(start + seconds)
        except outages() as error:
            took = time.monotonic() - start
            self._next_try = time.monotonic() + max(self.pace.pause, self.pace.pauses * took)
            if not self._offline:
                warn(
                    f"the MLflow store does not take what is logged ({said_by(error)}); the run goes on, and is "
                    "uploaded when it does"
                )
            self._offline = True
            return False
        if complete and self._offline:
            warn("the MLflow store answers again, and has all that was logged")
            self._offline = False
        if complete:
            self._complete = time.monotonic()
        else:
            self._next_try = time.monotonic() + self.pace.pauses * seconds
        return complete

    def finish(self, status: str) -> None:
        """Bring the rest of a run that is over, if need be again and again for a while.

        If the store does not take it, tell what to do.
        """
        until = time.monotonic() + (self.pace.at_the_end if status == "FINISHED" else 0)
        # Who ends a run does not want to wait for a store that is known not to answer.
        self._next_try = float("inf") if status == "KILLED" and self._offline else 0.0
        while not self.bring_now(float("inf")) and time.monotonic() < until:
            self._next_try = 0.0
            time.sleep(1)
        if self._outbox.pending():
            warn(
                f"the MLflow store did not take all of this run. Nothing is lost: it is kept in {self._outbox.folder}; "
                f"when the store is back: {command('sync')}"
            )

    def _attempt(self, deadline: float) -> bool:
        """Upload; if that fails quickly, once more at once: a server may close a connection that it thinks is idle."""
        start = time.monotonic()
        try:
            return upload(self._outbox, self._store, deadline)
        except outages():
            if self._offline or time.monotonic() - start > 1:
                raise
            return upload(self._outbox, self._store, deadline)
