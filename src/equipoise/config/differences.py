"""What a config has that the default has not, as one line at the start of a run tells it."""

from collections.abc import Mapping
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from equipoise.config.model import Config
from equipoise.config.overrides import compose_words
from equipoise.config.tree import SHIPPED, Tree
from equipoise.config.validation import flattened
from equipoise.core.errors import ConfigError
from equipoise.core.typed import text_of

LONGEST = 40  # characters of one value
NOT_TOLD = ("sweep",)  # which is told with the number of jobs


def differences(composed: Mapping[str, Any], tree: Tree = SHIPPED) -> list[str]:
    """Return `group=option` for each other choice, and `key=value (default)` for each other value; none if unknown.

    The default of a value is that of the option which is chosen. Hydra must be initialised; it composes once, 0.06 s.

    Parameters
    ----------
    composed : a whole config, resolved
    """
    loader = GlobalHydra.instance().config_loader()
    default = loader.compute_defaults_list(tree.primary, [], RunMode.RUN).overrides.known_choices
    names = {group: section["name"] for group, section in composed.items() if _is_named(section)}
    others = {group: name for group, name in names.items() if group in default and name != default[group]}
    try:
        plain = compose_words([f"{group}={name}" for group, name in others.items()], tree)
        base = flattened(OmegaConf.to_container(plain, resolve=True))  # type: ignore[arg-type]
    except ConfigError:  # the user's own option, of another name than its choice
        return []
    found = {key: value for key, value in flattened(composed).items() if key not in NOT_TOLD}
    of_values = [
        f"{key}={_text(value)}" + (f" ({_text(base[key])})" if base.get(key) is not None else "")
        for key, value in found.items()
        if key not in base or base[key] != value
    ]
    groups = [group for group in Config.model_fields if group in others]
    return [*(f"{group}={others[group]}" for group in groups), *of_values]


def line(found: list[str]) -> str:
    """Return the differences as one line."""
    return f"differs from the default: {', '.join(found)}" if found else "the default config"


def line_of_params(params: Mapping[str, Any]) -> str:
    """Return the differences of params.yaml as one line; Hydra must not be initialised."""
    with SHIPPED.opened():
        return line(differences(params))


def _is_named(section: Any) -> bool:
    return isinstance(section, Mapping) and isinstance(section.get("name"), str)


def _text(value: Any) -> str:
    text = f"[{','.join(map(_text, value))}]" if isinstance(value, list) else str(text_of(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
