"""The user's own options in Hydra's ConfigStore."""

from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore

from equipoise.config import own_options
from equipoise.core import plugins


def register() -> None:
    """Make all of them known to Hydra; those that were there before and are gone are forgotten."""
    for registry in own_options.REGISTRIES:
        registry.own()  # refuses a name that the project has already, whose YAML would hide it
    store = ConfigStore.instance()
    for group in own_options.BESIDE:
        there = store.repo.get(group, {})
        for own in plugins.options(group).values():
            store.store(group=group, name=own.name, node=own_options.node(own), provider=plugins.FOLDER)
            file = f"{own.name}.yaml"
            store.repo[group][file] = _Stored(**vars(store.repo[group][file]))
        for file in [file for file, node in there.items() if getattr(node, "provider", "") == plugins.FOLDER]:
            if file.removesuffix(".yaml") not in plugins.options(group):
                del there[file]


class _Stored(ConfigNode):
    """A node that nobody changes, so that its copy may be itself: --help alone copies all of them a hundred times."""

    def __deepcopy__(self, memo: Any) -> "_Stored":
        return self
