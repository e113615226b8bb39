"""How Hydra's compositions are shared among jobs: most jobs of a sweep choose the same options and differ in values.

To compose takes Hydra 50 to 200 ms, to copy what it composed 15, to set a value less than one.
"""

import copy
from collections.abc import Callable

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from equipoise.config.model import VALUES

Load = Callable[[ConfigLoaderImpl, DictConfig, list[str]], DictConfig]


def is_value(override: Override) -> bool:
    """Whether it sets a value that is there, and chooses no option of a group."""
    key = override.key_or_group
    return override.type is OverrideType.CHANGE and not key.startswith("hydra") and override.package is None and ("." in key or key in VALUES)


def refers(line: str) -> bool:
    """Whether a value refers to another one, which must be there when Hydra looks for it."""
    return "${" in line


def share_compositions(*, in_turn: bool) -> None:
    """Have Hydra's launcher in this process compose once for each choice of options; values are set as Hydra sets them, after everything else.

    Parameters
    ----------
    in_turn : whether a job is over before the next one's config is made, which then may be the same object with other values
    """
    ConfigLoaderImpl.load_sweep_config = _sharing(ConfigLoaderImpl.load_sweep_config, in_turn=in_turn)  # type: ignore[method-assign, assignment]


def _sharing(load: Load, *, in_turn: bool) -> Load:
    composed: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(loader: ConfigLoaderImpl, master: DictConfig, lines: list[str]) -> DictConfig:
        overrides = OverridesParser.create().parse_overrides(lines)
        values = [] if any(map(refers, lines)) else [override for override in overrides if is_value(override)]
        options = [line for line, override in zip(lines, overrides, strict=True) if override not in values]
        merged = any(isinstance(override.value(), dict) for override in values)  # with what was composed, which no job may have changed
        # Whoever shares an object sets the same values of it.
        kind = (*options, str(merged), *sorted(override.key_or_group for override in values))
        if kind not in composed:
            composed[kind] = load(loader, master, options)
        config = composed[kind] if in_turn and not merged else copy.deepcopy(composed[kind])
        OmegaConf.set_readonly(config.hydra, False)  # which Hydra makes it of each job that it runs
        loader._apply_overrides_to_config(values, config)
        task = [override for override in overrides if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in task]
        naming = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=task, kv_sep=naming.kv_sep, item_sep=naming.item_sep, exclude_keys=naming.exclude_keys
        )
        return config

    return load_sweep_config
