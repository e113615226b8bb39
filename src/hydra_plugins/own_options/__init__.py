"""Hydra's way to the user's own options: every program that composes a config, DVC too, asks it for more places."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

# At the top: DVC has this project on its path only while it loads its plugins.
from equipoise.config.stored_options import register


class OwnOptions(SearchPathPlugin):
    """Put the options of plugins/ beside those of conf/, before anything is composed."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Register the options; the path itself has the place of registered ones already."""
        register()
