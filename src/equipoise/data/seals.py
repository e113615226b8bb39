"""Digests of the files of a folder, by which damage is told before anything is learned from it.

Up to a size all of a file counts; above it its size, its beginning, its end and blocks from all over it, so that the
look takes less than a second however large it is.
"""

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

WHOLE = 1 << 30  # bytes of a file that is read whole: 1.4 s where it was measured, on one of two busy cores
BLOCK, BLOCKS = 1 << 20, 256  # of a larger one


def digests(folder: Path) -> dict[str, str]:
    """Of every file in the folder, by its path below it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): digest(file) for file in files}


def damaged(folder: Path, expected: Mapping[str, str]) -> str | None:
    """The first of the files that is gone or not what it was, if there is one; files beside them do not count.

    Parameters
    ----------
    expected : as `digests` found them
    """
    return next(
        (name for name, known in expected.items() if not (folder / name).is_file() or digest(folder / name) != known),
        None,
    )


def digest(file: Path) -> str:
    """SHA-256 of the file, or of blocks of a large one; read once as long as its size and time stay the same."""
    status = file.stat()
    return _digest(str(file), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(file: str, size: int, _time: int) -> str:
    found = hashlib.sha256(str(size).encode())
    starts = (
        range(0, size, BLOCK) if size <= WHOLE else [(size - BLOCK) * place // (BLOCKS - 1) for place in range(BLOCKS)]
    )
    with open(file, "rb") as stream:
        for start in starts:
            stream.seek(start, os.SEEK_SET)
            found.update(stream.read(BLOCK))
    return found.hexdigest()
