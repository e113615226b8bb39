"""Equipoise: which class weighting helps on imbalanced data, and what it really did.

`import equipoise as eq` costs nothing: each name is imported when it is first used (docs/library.md).
"""

from importlib import import_module
from typing import Any

# Each public name, and the module that it comes from; the types of all stand in __init__.pyi.
_HOMES = {
    "ConfigError": "equipoise.core.errors",
    "audit": "equipoise.api.audit",
    "class_weights": "equipoise.api.weights",
    "compare": "equipoise.api.compare",
    "estimate_prior": "equipoise.api.estimate_prior",
    "evaluate": "equipoise.api.evaluate",
    "logits": "equipoise.api.logits",
    "losses": "equipoise.losses",
    "run": "equipoise.api.run",
    "sweep": "equipoise.api.sweep",
    # marks of the user's own options (docs/extend.md)
    **dict.fromkeys(("dataset", "decision", "loss", "model", "sampling", "weighting"), "equipoise.core.plugins"),
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'equipoise' has no attribute {name!r}")
    if name in ("run", "sweep"):
        import_module("equipoise.core.commands").ask_for_pipeline(name)
    home = import_module(_HOMES[name])
    return home if home.__name__ == f"equipoise.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
