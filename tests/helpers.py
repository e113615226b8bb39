"""Composing configs in tests as the command line composes them."""

from hydra import initialize_config_dir

from equipoise.command_line import compose_one
from equipoise.config import Config
from equipoise.paths import config_folder


def composed(*overrides: str) -> Config:
    """The checked config of these overrides."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose_one(overrides)
