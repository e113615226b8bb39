"""The user's own options in Hydra's ConfigStore, and those that YAML files make of them by other defaults."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigNode, ConfigStore

from equipoise.config import own_options
from equipoise.core import plugins
from equipoise.core.paths import config_folder
from equipoise.core.plugins import Own

VARIANTS = "variants"  # the provider of what a YAML of another name lacks


def register() -> None:
    """Make all of them known to Hydra; those that were there before and are gone are forgotten."""
    own_options.check()
    for group in own_options.BESIDE:
        found = plugins.options(group)
        for own in found.values():
            _store(group, own.name, own, plugins.FOLDER)
        _forget(group, plugins.FOLDER, found)
    _store_variants([config_folder()])


def register_variants(folders: Iterable[Path]) -> None:
    """Have the YAML files in the groups' folders take what they lack from the option of the user's own that they name.

    Hydra merges a file with what is stored under its name. It calls that deprecated, and has kept it since. What other
    folders had is forgotten.
    """
    for group in own_options.BESIDE:
        _forget(group, VARIANTS, ())
    _store_variants(folders)


def _store_variants(folders: Iterable[Path]) -> None:
    for group, file, own in _variants(folders):
        warnings.filterwarnings("ignore", message=rf"\s*'{group}/{file}' is validated against ConfigStore schema")
        if file != own.name:
            _store(group, file, own, VARIANTS)


def _variants(folders: Iterable[Path]) -> Iterator[tuple[str, str, Own]]:
    """Yield group, file's name and option of each YAML that names one, and includes nothing by itself."""
    for group in own_options.BESIDE:
        found = plugins.options(group)
        for file in (file for folder in folders if found for file in sorted((folder / group).glob("*.yaml"))):
            values = _read(file, found)
            if values.get("name") in found and "defaults" not in values:
                yield group, file.stem, found[values["name"]]


def _read(file: Path, names: Iterable[str]) -> Mapping[str, Any]:
    """Return what a YAML holds; nothing if it has none of these words, or is none, which Hydra tells."""
    text = file.read_text("utf-8", errors="replace")
    if not any(name in text for name in names):
        return {}
    with contextlib.suppress(yaml.YAMLError):
        values = yaml.safe_load(text)
        return values if isinstance(values, Mapping) else {}
    return {}


def _store(group: str, name: str, own: Own, provider: str) -> None:
    store, file = ConfigStore.instance(), f"{name}.yaml"
    store.store(group=group, name=name, node=own_options.node(own), provider=provider)
    store.repo[group][file] = _Stored(**vars(store.repo[group][file]))


def _forget(group: str, provider: str, known: Iterable[str]) -> None:
    """Remove what the provider has stored, but for these."""
    there = ConfigStore.instance().repo.get(group, {})
    for file in [file for file, node in there.items() if getattr(node, "provider", "") == provider]:
        if file.removesuffix(".yaml") not in known:
            del there[file]


class _Stored(ConfigNode):
    """A node that nobody changes, so that its copy may be itself: --help alone copies all of them a hundred times."""

    def __deepcopy__(self, memo: Any) -> "_Stored":
        return self
