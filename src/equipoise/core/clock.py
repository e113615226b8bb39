"""Where the time of a run goes: every moment belongs to the innermost of the parts that are under way."""

import builtins
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# In the order of a run. Start-up: of the process, until the options are read; trace: what the first epoch takes longer
# than the others; rest: all that has no name, such as composing the config.
PARTS = ("startup", "import", "prepare", "trace", "train", "evaluate", "pictures", "log", "rest")


class Clock(threading.local):
    """Seconds by part, since it was made or last read; each thread has its own."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = defaultdict(float)
        self._under_way = ["rest"]
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Within it the time is this part's, but for what is another's in it."""
        self._book()
        self._under_way.append(name)
        try:
            yield
        finally:
            self._book()
            self._under_way.pop()

    def move(self, seconds: float, source: str, target: str) -> None:
        """Say of some of one part's time that it was another's."""
        self._spent[source] -= seconds
        self._spent[target] += seconds

    def begin_process(self) -> None:
        """The processor's time until now is the start-up: Linux says to a second only when a process began."""
        self._since = time.perf_counter()
        self._spent["startup"] = time.process_time()

    def lap(self) -> Mapping[str, float]:
        """Seconds of each part, in order, and of all of them as `total`; it begins again at nothing."""
        self._book()
        spent = {name: self._spent[name] for name in PARTS}
        self._spent.clear()
        return {**spent, "total": sum(spent.values())}

    def _book(self) -> None:
        now = time.perf_counter()
        self._spent[self._under_way[-1]] += now - self._since
        self._since = now


clock = Clock()  # the process's: parts are named wherever their work is done


@contextmanager
def imports_counted() -> Iterator[None]:
    """Within it whatever is imported, wherever, is the part `import`."""
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
