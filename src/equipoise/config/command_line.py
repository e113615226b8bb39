"""A command line of train.py as Hydra's parser divides it, and what can be answered without a schema."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.utils import get_args_parser

from equipoise.config.edits import is_unedited
from equipoise.config.overrides import as_config_error, check_name, compose_settings, parse, readable
from equipoise.config.tree import SHIPPED, Tree, named
from equipoise.core import plugins
from equipoise.core.errors import ConfigError
from equipoise.core.typed import whole


@dataclass(frozen=True)
class CommandLine:
    """Words that were typed.

    Attributes
    ----------
    words : all of them, in order
    tree : the configs that the overrides choose among
    asks_for_help : whether Hydra answers it, and nothing is composed for a run: help, completion and the like
    shown : the part of the config that is shown while nothing is run, such as `job`; None if none is
    """

    words: tuple[str, ...]
    overrides: tuple[str, ...]
    tree: Tree
    asks_for_help: bool
    shown: str | None
    is_sweep: bool

    @property
    def is_answered(self) -> bool:
        """Whether Hydra answers it with nothing left to be checked: help, or the default config as it is shipped."""
        return self.asks_for_help or (self.shown == "job" and self._is_shipped())

    def check_names(self) -> None:
        """Refuse a name that no group, option or choice has, as it is refused later, but before the schema is imported.

        Raises
        ------
        ConfigError
            With the nearest name.
        """
        if any("hydra" in word for word in self.overrides):  # whose launchers are another's to check
            return
        with self.tree.opened(), as_config_error():
            overrides = parse(readable(self.overrides))
            for override in overrides:
                check_name(override, self.tree)
            compose_settings([override for override in overrides if not override.is_sweep_override()], self.tree)

    def _is_shipped(self) -> bool:
        return not self.overrides and self.tree == SHIPPED and not any(plugins.every()) and is_unedited()


def read(arguments: Sequence[str]) -> CommandLine:
    """Return the command line.

    Raises
    ------
    ConfigError
        If a flag would replace conf/, names what does not exist, or contradicts another.
    """
    words = whole(arguments)
    parsed = get_args_parser().parse_intermixed_args(words)
    if parsed.config_path:
        raise ConfigError(
            f"--config-path={parsed.config_path} would replace conf/, which this program needs; "
            f"to add to it: --config-dir={parsed.config_path}"
        )
    tree = named(parsed.config_name, parsed.config_dir)
    asks_for_help = bool(parsed.help or parsed.hydra_help or parsed.info or parsed.shell_completion)
    if parsed.cfg and parsed.multirun and not asks_for_help:
        raise ConfigError("--cfg shows the config of one run: leave -m out")
    return CommandLine(tuple(words), tuple(parsed.overrides), tree, asks_for_help, parsed.cfg, bool(parsed.multirun))
