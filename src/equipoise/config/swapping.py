"""The file of an option put into a composed config in place of its group's default, where Hydra would do no more.

Hydra needs 50 to 100 ms to compose a config anew for each choice, and this a few.
"""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from equipoise.config import own_options
from equipoise.config.edits import is_unedited
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core.paths import config_folder

# What has Hydra do more with a file than to read it.
MORE = ("defaults:", "@package")


def swaps(choices: Sequence[Override], tree: Tree) -> list[Override]:
    """Return those of the choices of options whose files can be swapped in; none if another may change their groups.

    So it is beside an experiment, in the user's own tree, and where the files of the default config are edited.
    """
    found = [choice for choice in choices if _is_whole(choice)]
    others = [choice for choice in choices if choice not in found and not choice.is_hydra_override()]
    return found if found and not others and tree == SHIPPED and is_unedited() else []


def swap(composed: DictConfig, choice: Override) -> None:
    """Put the chosen option into a config that was composed without the choice."""
    group = choice.key_or_group
    with flag_override(composed, ["struct", "readonly"], False):
        composed[group] = copy.deepcopy(_read(_file(choice)))
        if "hydra" in composed:
            with flag_override(composed.hydra, ["struct", "readonly"], False):
                composed.hydra.runtime.choices[group] = choice.value()


def _is_whole(choice: Override) -> bool:
    """Whether the choice is `group=option`, and its file is all that there is of the option."""
    is_plain = choice.type is OverrideType.CHANGE and choice.package is None and choice.key_or_group.isidentifier()
    if not is_plain or not isinstance(choice.value(), str) or own_options.names(choice.key_or_group):
        return False
    try:
        return _read(_file(choice)) is not None
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException):  # which Hydra tells
        return False


def _file(choice: Override) -> Path:
    return config_folder() / choice.key_or_group / f"{choice.value()}.yaml"


@functools.lru_cache(maxsize=256)
def _read(file: Path) -> DictConfig | None:
    """Return what a file holds, if it includes no other and stands for no other place."""
    if any(word in file.read_text("utf-8") for word in MORE):
        return None
    read = OmegaConf.load(file)
    return read if isinstance(read, DictConfig) else None
