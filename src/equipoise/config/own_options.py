"""The user's own options as Hydra composes them: what would be their YAML, from the functions' keys and defaults."""

import functools
from importlib import import_module
from typing import Any

import yaml

from equipoise.core import plugins
from equipoise.core.paths import config_folder
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry

# The groups of the config, and the keys that the shipped options have in their YAML besides their own. Those of a
# dataset are in a file that every YAML of data that are divided here includes.
BESIDE: dict[str, dict[str, Any]] = {
    "loss": {"implementation": "custom"},
    "model": {},
    "weighting": {"normalize": "none", "schedule": "constant", "start": "auto", "shape": "auto"},
    "dataset": {"scale": "standard"},
    "decision": {},
}

# Where the registry of each kind is. It is imported for those who have options of their own alone: it takes longer than
# to compose a config.
REGISTRIES = {
    "loss": ("equipoise.methods.losses", "LOSSES"),
    "model": ("equipoise.methods.models", "MODELS"),
    "weighting": ("equipoise.methods.weighting", "STRATEGIES"),
    "dataset": ("equipoise.data.catalogue", "DATASETS"),
    "decision": ("equipoise.methods.decisions", "DECISIONS"),
    "sampling": ("equipoise.data.sampling", "RULES"),
}


def check() -> None:
    """Refuse an option of the user's own that is called as one of the project, whose YAML would hide it.

    Raises
    ------
    ConfigError
        If there is one, or a file of options cannot be read.
    """
    kinds = {own.kind for own in plugins.every()}
    for kind, (module, name) in REGISTRIES.items():
        if kind in kinds:
            registry: Registry[Any] = getattr(import_module(module), name)
            registry.own()


def names(group: str) -> list[str]:
    """Return the names of the user's own options of a group; no file is imported for it."""
    return list(plugins.options(group)) if group in BESIDE else []


def keys(group: str, name: str) -> dict[str, Any] | None:
    """Return the keys of one of the user's own options with their defaults; None if there is no such option."""
    own = plugins.options(group).get(name) if group in BESIDE else None
    return None if own is None else node(own)


def node(own: Own) -> dict[str, Any]:
    """Return what would be the YAML of one of the user's own options, with what it would include."""
    function = {"function": own.name} if own.kind == "loss" else {}
    included = _divided() if own.kind == "dataset" else {}
    return {**included, "name": own.name, **function, **own.defaults, **BESIDE[own.kind]}


@functools.cache
def _divided() -> dict[str, Any]:
    """Return the keys of every dataset that is divided here."""
    found: dict[str, Any] = yaml.safe_load((config_folder() / "dataset" / "shared" / "whole.yaml").read_text("utf-8"))
    return found
