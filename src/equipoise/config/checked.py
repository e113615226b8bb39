"""Overrides made into one checked config: what Hydra composes of them, validated and held against itself."""

import copy
import functools
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from equipoise.config.checks import check_together
from equipoise.config.model import Config, validate
from equipoise.config.overrides import (
    as_config_error,
    check_name,
    compose_words,
    composed_once,
    divided,
    explained,
    made_of,
    parse,
    parse_one,
    readable,
)
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core.errors import ConfigError, counted
from equipoise.core.plugins import Own
from equipoise.core.typed import for_shell
from equipoise.data.types import Dataset

BACKSLASH = "\\"


def compose_one(lines: Sequence[str], tree: Tree = SHIPPED) -> Config:
    """Return the checked config of one job's overrides; Hydra must be initialised.

    Hydra composes as little as need be. The values are set here as Hydra sets them, after everything else.
    """
    parts = divided([parse_one(line) for line in lines], tree)
    composed = copy.deepcopy(_without_hydra(parts.composed, tree, made_of(tree)))
    parts.swap_in(composed)
    for override in parts.values:
        try:
            OmegaConf.update(composed, override.key_or_group, override.value())
        except OmegaConfBaseException as error:
            why = ConfigError(f"{override.input_line} cannot be set: {str(error).splitlines()[0]}")
            raise ConfigError(explained(why, lines, tree)) from None
    config = validate(_resolved(composed, lines))
    _check_epochs(config, [override.value() for override in parts.values if override.key_or_group == "trainer.epochs"])
    check_together(config)
    return config


@functools.lru_cache(maxsize=256)
def _without_hydra(options: tuple[str, ...], tree: Tree, _: tuple[Own | ConfigLoader, ...]) -> DictConfig:
    """Return what the options compose to without Hydra's own, whose copy would take longer than that of all others."""
    composed = copy.copy(composed_once(options, tree))
    with open_dict(composed):
        del composed["hydra"]
    return composed


def _check_epochs(config: Config, typed: Sequence[Any]) -> None:
    """Refuse epochs that were typed beside phases, which have theirs."""
    if config.trainer.phases and typed and typed[-1] != config.trainer.epochs:
        theirs = counted(config.trainer.epochs, "epoch", "epochs")
        raise ConfigError(
            f"trainer.epochs={typed[-1]} with trainer.phases, which have {theirs}: leave trainer.epochs out"
        )


def compose_dataset(lines: Sequence[str], tree: Tree = SHIPPED) -> Dataset:
    """Return the checked dataset section of these overrides; whether a model or a loss fits it is not checked.

    Raises
    ------
    ConfigError
        If an override is wrong, or is of another section.
    """
    with tree.opened(), as_config_error():
        lines = readable(lines)
        for override in parse(lines):
            check_name(override, tree)
            if override.key_or_group.split(".")[0] != "dataset":
                raise ConfigError(f"{override.input_line}: only dataset=… and its options can be typed here")
        return validate(_resolved(compose_words(lines, tree), lines)).dataset


def _resolved(composed: DictConfig, lines: Sequence[str]) -> dict[str, Any]:
    try:
        return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value]
    except InterpolationResolutionError as error:
        key, what = str(error.full_key).partition("[")[0], str(error).splitlines()[0]
        words = [line for line in lines if line.partition("=")[0] == key]
        cure = f"; if it is a text: {for_shell(words[-1].replace('${', BACKSLASH + '${'))}" if words else ""
        raise ConfigError(f"{words[-1] if words else key}: {what}{cure}") from None
