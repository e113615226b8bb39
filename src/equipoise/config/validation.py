"""A composed config, or one section of it, made into a checked value."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from equipoise.config.messages import explained
from equipoise.core.plugins import Own
from equipoise.core.schema import ConfigError, OneOf, Section
from equipoise.core.state import kept

Checked = TypeVar("Checked", bound=Section)


def validated(section: type[Checked], composed: Mapping[str, Any]) -> Checked:
    """Return the section that the composed and resolved values describe, each option checked by itself.

    Raises
    ------
    ConfigError
        With one line for each option that is wrong.
    """
    leaves = flattened(composed)
    unset = [key for key, value in leaves.items() if value == "???"]
    if unset:
        raise ConfigError("\n".join(f"{key} is not set, and has no default" for key in unset))
    odd = [key for key, value in leaves.items() if not _is_utf8(key, value)]
    if odd:
        raise ConfigError("\n".join(f"{key} holds text that is not UTF-8" for key in odd))
    admit_own(section, composed)
    try:
        return section.model_validate(composed)
    except ValidationError as error:
        raise ConfigError(explained(error, composed)) from None


class _Schemas:
    """The sections whose schemas were made with options of the user's own, and with which."""

    def __init__(self) -> None:
        self.made: dict[type[Section], frozenset[Own]] = {}


def admit_own(section: type[Section], composed: Mapping[str, Any]) -> None:
    """Have the section's schema know the options of the user's own that the config chooses; their files are imported.

    Raises
    ------
    ConfigError
        If one of their files cannot be imported.
    """
    chosen: set[Own] = set()
    for group, field in section.model_fields.items():
        for options in (each for each in field.metadata if isinstance(each, OneOf)):
            name = composed[group].get("name") if isinstance(composed.get(group), Mapping) else None
            if isinstance(name, str) and name not in options.registry.shipped and name in options.registry:
                options.registry.function(name)
                chosen.add(options.registry.own()[name])
    made = kept(_Schemas).made
    if not chosen <= made.get(section, frozenset()):
        section.model_rebuild(force=True)
        made[section] = made.get(section, frozenset()) | chosen


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return every value under its dotted key; lists stay lists."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= flattened(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _is_utf8(key: str, value: Any) -> bool:
    try:
        json.dumps([key, value], ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True
