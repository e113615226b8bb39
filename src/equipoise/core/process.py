"""What every command does first, in each process that it starts."""

import gc
import os

from equipoise.core.streams import never_fail

# With Python's own 700 the collector takes a fifth of the time that TensorFlow and MLflow need to load.
ALLOCATIONS = 20_000


def begin() -> None:
    """Keep encodings from ending the command, and make the garbage collector run less often."""
    never_fail()
    gc.set_threshold(ALLOCATIONS)


def cores() -> int:
    """Return the number of this machine's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
