"""Where the time of a run goes: every moment counts for the innermost part that is under way."""

import builtins
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# In the order of a run. startup: the process until its options are read; trace: the extra time of the first epoch
# over the others; rest: all that has no name, such as composing the config.
PARTS = ("startup", "import", "prepare", "trace", "train", "evaluate", "pictures", "log", "rest")


class Clock(threading.local):
    """Seconds by part, since the clock was made or last read; each thread has its own."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)
        self._under_way = ["rest"]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of the body for this part, except for that of other parts within it."""
        self._book()
        self._under_way.append(name)
        try:
            yield
        finally:
            self._book()
            self._under_way.pop()

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count some of one part's time for another part."""
        self._spent[source] -= seconds
        self._spent[target] += seconds

    def begin_process(self) -> None:
        """Count the processor time until now as start-up: Linux tells the start of a process only to the second."""
        self._since = time.perf_counter()
        self._spent["startup"] = time.process_time()

    def lap(self) -> Mapping[str, float]:
        """Return the seconds of each part, in order, and their sum as `total`, and begin again at zero."""
        self._book()
        spent = {name: self._spent[name] for name in PARTS}
        self._spent.clear()
        return {**spent, "total": sum(spent.values())}

    def _book(self) -> None:
        now = time.perf_counter()
        self._spent[self._under_way[-1]] += now - self._since
        self._since = now


clock = Clock()  # of the process: each part is named where its work is done


@contextmanager
def imports_counted() -> Iterator[None]:
    """Count every import within the body, wherever it stands, as the part `import`."""
    original = builtins.__import__

    def counted(name: str, *arguments: Any, **named: Any) -> Any:
        if name in sys.modules:
            return original(name, *arguments, **named)
        with clock.part("import"):
            return original(name, *arguments, **named)

    builtins.__import__ = counted
    try:
        yield
    finally:
        builtins.__import__ = original
