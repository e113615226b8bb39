"""Digests of code that an earlier process has computed, kept beside Python's bytecode while the package stays as it is.

As with bytecode, a file counts as unchanged while its size and times do; here its inode and its change of status count
too, which no copy sets back. Nothing is kept where Python keeps no bytecode.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST = 64  # digests of one state of the package, of about 10 that a command needs


class Kept:
    """The digests of a package as it is now, by what they are of.

    Parameters
    ----------
    package : the folder of the package; its neighbours' names count as well, since they decide what an import finds
    """

    def __init__(self, package: Path) -> None:
        self._file = Path(importlib.util.cache_from_source(str(package / "digests.py"))).with_suffix(".json")
        self._package = package

    def find(self, key: Any) -> str | None:
        """Return the digest that was kept under the key, if the package is what it was then."""
        return self._digests.get(json.dumps(key))

    def keep(self, key: Any, digest: str) -> None:
        """Keep a digest for later processes, if there is a place for it."""
        self._digests[json.dumps(key)] = digest
        if sys.dont_write_bytecode or len(self._digests) > MOST:
            return
        aside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # a folder of somebody else's, or a full disk
            aside.parent.mkdir(exist_ok=True)
            aside.write_text(json.dumps({"state": self._state, "digests": self._digests}), encoding="utf-8")
            os.replace(aside, self._file)

    def forget(self) -> None:
        """Look anew at the package, whose files may have changed."""
        for cached in ("_state", "_digests"):
            self.__dict__.pop(cached, None)

    @functools.cached_property
    def _state(self) -> str:
        seen = [*sorted(os.listdir(self._package.parent)), *sorted(_files(self._package))]
        return hashlib.sha256("\n".join(seen).encode(errors="surrogateescape")).hexdigest()

    @functools.cached_property
    def _digests(self) -> dict[str, str]:
        try:
            kept = json.loads(self._file.read_bytes())
            return dict(kept["digests"]) if kept["state"] == self._state else {}
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or a damaged one
            return {}


def _files(folder: Path) -> Iterator[str]:
    """Yield each Python file below a folder with what changes when it does."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(Path(entry.path))
            elif entry.name.endswith(".py"):
                found = entry.stat()
                yield f"{entry.path} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
