"""A composed config, or one section of it, made into a checked value."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from equipoise.config.messages import explained
from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.plugins import Own
from equipoise.core.schema import OneOf, Section, keywords
from equipoise.core.state import kept

CHECKED = ConfigDict(strict=True, allow_inf_nan=False)  # as every section is
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
    """Have the section's schema know the options of the user's own that the config chooses, and none that are gone.

    The files of those that it chooses are imported.

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
                own = options.registry.own()[name]
                _check_defaults(own, options.registry.function(name))
                chosen.add(own)
    schemas = kept(_Schemas).made
    made = schemas.get(section, frozenset())
    if not chosen <= made or (made and not made <= set(plugins.every())):
        section.model_rebuild(force=True)
        schemas[section] = frozenset(plugins.loaded()) & frozenset(plugins.every())


def _check_defaults(own: Own, function: Callable[..., Any]) -> None:
    """Refuse annotations that are no types, and defaults that they do not allow."""
    key = ""
    try:
        for key, annotation in keywords(function).items():
            TypeAdapter(annotation, config=CHECKED).validate_python(own.defaults[key])
    except ValidationError as error:
        raise ConfigError(
            f"{own}: the default of {key}, {own.defaults[key]!r}, is not what its annotation says: "
            f"{error.errors()[0]['msg']}; change one of the two"
        ) from None
    except Exception as error:  # whatever an annotation may raise
        said = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise ConfigError(
            f"{own}: an annotation of its options is no type: {said}; write int, float, bool, str, or a list of these"
        ) from None


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
