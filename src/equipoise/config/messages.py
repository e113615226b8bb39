"""pydantic's errors in a user's words: the option as it was typed, what is wrong with it, and a way out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from equipoise.core.errors import suggestion
from equipoise.core.typed import as_typed

Path = tuple[str, ...]  # the parts of a dotted key


def explained(error: ValidationError, typed: Mapping[str, Any], section: str = "") -> str:
    """Return one line for each option with a wrong value.

    Parameters
    ----------
    typed : the values that were validated, as they were before any conversion
    section : dotted key that the values stand under, such as `hydra.sweeper`; empty for the whole config
    """
    problems: dict[Path, list[str]] = {}
    for detail in error.errors():
        path = _path(detail["loc"], typed)
        problems.setdefault(path, []).append(_problem(detail, path, typed, section))
    lines = []
    for path, found in problems.items():
        # Of `[0, -1]` the items tell what is wrong; that the whole is no valid list does not help.
        if not any(other[: len(path)] == path for other in problems.keys() - {path}):
            key, value = _key(path, section), _value(typed, path) if path else None
            shown = key if value is None else f"{key}={value}:"
            lines.append(f"{shown} {', or '.join(dict.fromkeys(found))}".strip())
    return "\n".join(lines)


def _path(location: Sequence[str | int], typed: Mapping[str, Any]) -> Path:
    """Return the place of the error in the typed values, without the parts that pydantic adds to it."""
    parts = [str(part) for part in location]
    group = typed.get(parts[0]) if parts else None
    # Below a group, pydantic names the option that was read; the user did not type that.
    if len(parts) > 1 and isinstance(group, Mapping) and parts[1] == group.get("name") and parts[1] not in group:
        del parts[1]
    parts = [part for part in parts if not _is_branch(part)]
    # One name stands for a list of one, and has no items.
    if parts and parts[-1].isdigit() and isinstance(_value(typed, parts[:-1]), str):
        del parts[-1]
    return tuple(parts)


def _is_branch(part: str) -> bool:
    """Whether pydantic made up this part of a location to name one branch of a union."""
    return "[" in part or part.startswith("constrained-") or part == "bool"


def _value(typed: Any, path: Sequence[str]) -> Any:
    """Return the typed value at this place, None if there is none; YAML may have read a mapping's names as numbers."""
    for part in path:
        if isinstance(typed, Mapping):
            typed = {str(name): item for name, item in typed.items()}.get(part)
        elif isinstance(typed, list) and part.isdigit() and int(part) < len(typed):
            typed = typed[int(part)]
        else:
            return None
    return typed


def _key(path: Path, section: str) -> str:
    return ".".join([section, *path] if section else path)


def _problem(detail: Any, path: Path, typed: Mapping[str, Any], section: str) -> str:
    kind, key = detail["type"], _key(path, section)
    if kind == "extra_forbidden":
        siblings = _value(typed, path[:-1])
        known = [str(name) for name in siblings if str(name) != path[-1]] if isinstance(siblings, Mapping) else []
        return "there is no such option" + suggestion(path[-1], known)
    if kind in ("missing", "union_tag_not_found"):
        return "is missing"
    if kind == "too_short":
        return f"needs {detail['ctx']['min_length']} or more"
    if detail["input"] is None:
        names = {"string_type": "null", "tuple_type": ["null"]}.get(kind)
        return "is not set, and has no default" + (f"; if null is a name: {as_typed(key, names)}" if names else "")
    if kind == "string_type" and isinstance(detail["input"], list):
        name = f"[{','.join(map(str, detail['input']))}]"
        head, _, index = key.rpartition(".")
        meant = as_typed(head, [name]) if index.isdigit() else as_typed(key, name)
        return f"must be one name; if it has brackets: {meant}"
    if kind == "dict_type":
        return "must be a mapping of class names, as in {a: …, b: …}"
    return re.sub(r"^\w+ should", "must", str(detail["msg"]).removeprefix("Value error, "))
