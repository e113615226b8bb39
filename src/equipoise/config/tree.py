"""Which configs a command line composes: those of conf/, and those that --config-dir and --config-name add."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra

from equipoise.config import own_options, stored_options
from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.paths import config_folder


@dataclass(frozen=True)
class Tree:
    """The configs that Hydra finds.

    Attributes
    ----------
    primary : name of the config that all others hang on
    folder : absolute, of the user's own configs; where conf/ has a file of the same name, that of conf/ counts, as
        Hydra has it
    """

    primary: str = "config"
    folder: Path | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """What is typed for it on the command line."""
        folder = () if self.folder is None else ("--config-dir", str(self.folder))
        return folder if self.primary == "config" else (*folder, "--config-name", self.primary)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Initialise Hydra with the search path that its main makes of the same flags."""
        stored_options.register_variants(self._folders)
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            if self.folder is not None:
                searched = GlobalHydra.instance().config_loader().get_search_path()
                searched.prepend("command-line", f"file://{self.folder}", SearchPathQuery(provider="schema"))
                GlobalHydra.instance().clear()
                Hydra.create_main_hydra2("app", searched)
            yield

    def options(self) -> dict[str, list[str]]:
        """Return the options of each group, the user's own included."""
        groups = {below.name for folder in self._folders for below in folder.iterdir() if below.is_dir()}
        groups = {name for name in groups if name != "hydra" and not name.startswith(".")}
        return {group: sorted({*self._names(group), *own_options.names(group)}) for group in sorted(groups)}

    def check(self) -> None:
        """Refuse a folder or a primary config that does not exist.

        Raises
        ------
        ConfigError
            With the flag that names it.
        """
        if self.folder is not None and not self.folder.is_dir():
            raise ConfigError(f"--config-dir={self.folder}: there is no such folder")
        known = sorted(self._names(""))
        if self.primary.removesuffix(".yaml") not in known and not self._is_below():
            where = " or ".join(map(str, self._folders))
            cure = "" if self.folder else "; --config-dir=FOLDER says where yours is"
            raise ConfigError(
                f"--config-name={self.primary}: there is no {self.primary}.yaml in {where}"
                f"{suggestion(self.primary, known)}{cure}"
            )

    def _is_below(self) -> bool:
        """Whether the primary config lies in a group, as `mine/first`."""
        return any((folder / f"{self.primary.removesuffix('.yaml')}.yaml").is_file() for folder in self._folders)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (config_folder(), *([] if self.folder is None else [self.folder]))

    def _names(self, group: str) -> set[str]:
        return {file.stem for folder in self._folders for file in (folder / group).glob("*.yaml")}


SHIPPED = Tree()


def named(name: str | None, folder: str | None) -> Tree:
    """Return the configs of the two flags, None for one that was not typed.

    Raises
    ------
    ConfigError
        If the folder or the config does not exist.
    """
    tree = Tree(name or SHIPPED.primary, None if folder is None else Path(os.path.abspath(folder)))
    tree.check()
    return tree


def divided(words: Sequence[str]) -> tuple[Tree, list[str]]:
    """Return the configs that `--config-dir` names, and the words without it.

    Raises
    ------
    ConfigError
        If the folder does not exist.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    typed, rest = parser.parse_known_args(list(words))
    return named(None, typed.config_dir), rest
