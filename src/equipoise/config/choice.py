"""One option of a group by itself, as a script takes it: the defaults of its YAML, and the checks of its keys."""

import functools
from collections.abc import Collection, Mapping
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import ValidationError, create_model

from equipoise.config import own_options
from equipoise.config.messages import explained
from equipoise.config.model import Config
from equipoise.config.validation import admit_own
from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.paths import config_folder
from equipoise.core.schema import Section

# Keys that say which option it is, and are no options themselves.
OF_THE_CHOICE = ("name", "function")


def choice(group: str, name: str, given: Mapping[str, Any], *, without: Collection[str] = ()) -> Any:
    """Return the checked section of an option, such as `weighting` and `power`.

    Parameters
    ----------
    given : keys that differ from the defaults; NumPy's numbers and arrays count as Python's
    without : keys that mean nothing where it is used

    Raises
    ------
    ConfigError
        If there is no such option, or no such key, or a value is wrong.
    """
    values = defaults(group, name)
    admit_own(_checked(group), {group: values})
    known = [key for key in values if key not in (*OF_THE_CHOICE, *without)]
    for key in given:
        if key not in known:
            raise ConfigError(f"{key}: {group}={name} has no such option here{suggestion(key, known)}")
    values |= {key: _plain(value) for key, value in given.items()}
    try:
        return getattr(_checked(group).model_validate({group: values}), group)
    except ValidationError as error:
        lines = explained(error, {group: values}).splitlines()
        raise ConfigError("\n".join(line.removeprefix(f"{group}.") for line in lines)) from None


def defaults(group: str, name: str) -> dict[str, Any]:
    """Return the keys of an option with the values of its YAML.

    Raises
    ------
    ConfigError
        If the group has no such option, with the nearest one.
    """
    files = {file.stem: file for file in sorted((config_folder() / group).glob("*.yaml"))}
    own = own_options.keys(group, name)
    if name not in files and own is not None:
        return own
    if name not in files:
        known = [*files, *own_options.names(group)]
        raise ConfigError(f"{group}={name}: there is no such {group}{suggestion(name, known)}")
    found: dict[str, Any] = yaml.safe_load(files[name].read_text(encoding="utf-8"))
    return found


@functools.cache
def _checked(group: str) -> type[Section]:
    """Return a section that holds this group alone, checked as the whole config checks it."""
    field = Config.model_fields[group]
    kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    keys: Any = {group: (kind, ...)}
    return create_model(f"Only_{group}", __base__=Section, **keys)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's, also within a mapping."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
