"""The user's own options as Hydra composes them: what would be their YAML, from the functions' keys and defaults."""

import functools
from typing import Any

import yaml

from equipoise.core import plugins
from equipoise.core.paths import config_folder
from equipoise.core.plugins import Own
from equipoise.core.registry import Registry
from equipoise.data.catalogue import DATASETS
from equipoise.data.sampling import RULES
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.methods.weighting import STRATEGIES

# The groups of the config, and the keys that the shipped options have in their YAML besides their own. Those of a
# dataset are in a file that every YAML of data that are divided here includes.
BESIDE: dict[str, dict[str, Any]] = {
    "loss": {"implementation": "custom"},
    "model": {},
    "weighting": {"normalize": "none", "schedule": "constant", "start": "auto", "shape": "auto"},
    "dataset": {"scale": "standard"},
    "decision": {},
}

REGISTRIES: tuple[Registry[Any], ...] = (LOSSES, MODELS, STRATEGIES, DATASETS, DECISIONS, RULES)


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
