"""What lives as long as the process: the one place where anything is kept from one job of a sweep to the next."""

from typing import Any, TypeVar

Kept = TypeVar("Kept")

_kept: dict[type, Any] = {}


def kept(kind: type[Kept]) -> Kept:
    """Return the process's own object of a class, made without arguments when it is first asked for."""
    if kind not in _kept:
        _kept[kind] = kind()
    found: Kept = _kept[kind]
    return found
