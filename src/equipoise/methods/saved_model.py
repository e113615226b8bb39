"""Keras models read from `.keras` files, which may come from anyone: numbers and Keras's own layers, never code.

Layers that a file of the user's own defines are loaded if that file is where such files are.

MLflow's loader is not used: it runs what a pickle beside the model says, and imports what `MLmodel` names.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise.core import plugins
from equipoise.core.errors import ConfigError

if TYPE_CHECKING:
    import keras

WEIGHTS = "model.weights.h5"
MEMBERS = {"config.json", "metadata.json", WEIGHTS}
VOCABULARY = re.compile(r"assets(/\w+)+/vocabulary\.txt")  # the words that a layer which makes numbers of texts knows
KERAS = ("keras", "None")  # packages of Keras's own; numbers have none
CURE = (
    "only Keras's own layers are, and those of files in plugins/: save it with layers or keras.ops instead of a "
    "Lambda, and with classes that a file in plugins/ defines"
)
MOST_BYTES = 64 << 20  # of the architecture's description


def check_keras(file: Path, name: str) -> None:
    """Refuse a file as `load_keras` does, by what it says of itself; Keras is not imported.

    Raises
    ------
    ConfigError
        If it is damaged, or names anything that is not Keras's or the user's own.
    """
    try:
        _check_archive(file, name, None)
    except ConfigError:
        raise
    except Exception as error:  # likewise
        raise ConfigError(f"{name} is damaged, and is not loaded ({type(error).__name__})") from None


def load_keras(file: Path, name: str, carried: Path | None = None) -> "keras.Model":
    """Return the model, uncompiled.

    Its own layers must be defined in one of the user's own files, which is imported; a model brings no code along.

    Parameters
    ----------
    name : what messages call the model
    carried : a folder of such files that goes with the model and is trusted as this code is

    Raises
    ------
    ConfigError
        If there is no such file, it is damaged, or it names anything that is not Keras's or the user's own.
    """
    if not file.is_file():
        raise ConfigError(f"{name} has no {file.name}; no other format is loaded, since it could run code")
    try:
        own = _check_archive(file, name, carried)
        import keras

        return keras.saving.load_model(file, compile=False, safe_mode=True, custom_objects=own)
    except ConfigError:
        raise
    except Exception as error:  # a damaged archive makes Keras raise anything
        raise ConfigError(
            f"{name} is damaged or needs code of its own, and is not loaded ({type(error).__name__})"
        ) from None


def _check_archive(file: Path, name: str, carried: Path | None) -> dict[str, type]:
    """Return the classes of the user's own that an archive needs; refuse one that needs other modules."""
    own: dict[str, type] = {}
    with zipfile.ZipFile(file) as archive:
        members = {entry.filename: entry.file_size for entry in archive.infolist()}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ConfigError(
                f"{name} is packed, which Keras's own are not, and is not loaded: it may unpack to any size"
            )
        odd = sorted(name for name in set(members) - MEMBERS if not VOCABULARY.fullmatch(name))
        if odd:
            raise ConfigError(
                f"{name} holds {odd[0]!r}, which is no part of a Keras model of numbers alone, and is not loaded"
            )
        if members["config.json"] > MOST_BYTES:
            raise ConfigError(
                f"{name} describes its layers in {members['config.json']} bytes, more than {MOST_BYTES}, "
                "and is not loaded"
            )
        for part in _parts(json.loads(archive.read("config.json"))):
            module, kind = str(part.get("module")), str(part.get("class_name"))
            if module.split(".")[0] in KERAS and kind not in ("Lambda", "__lambda__", "TorchModuleWrapper"):
                continue
            found = _own_class(module, kind, carried)
            if found is None:
                stem = module.rpartition(".")[2]
                where = f"{plugins.FOLDER}/{stem}.py"
                cure = (
                    f"put its file there: {where}, which the run has among its artifacts"
                    if module == f"{plugins.PACKAGE}.{stem}"
                    else CURE
                )
                raise ConfigError(f"{name} needs the code of {module}.{kind}, and is not loaded: {cure}")
            own |= {str(part.get("registered_name") or kind): found, kind: found}
        odd_array = _odd_array(archive.read(WEIGHTS))
        if odd_array:
            raise ConfigError(
                f"{name} has weights that are no plain array of numbers in it ({odd_array}), and is not loaded"
            )
    return own


def own_modules(description: str) -> list[str]:
    """Return the modules of the layers that are not Keras's, in a model's description as JSON."""
    modules = {str(part.get("module")) for part in _parts(_layers(description))}
    return sorted(module for module in modules if module.split(".")[0] not in KERAS)


def _layers(description: str) -> Any:
    """Return what the description says of the layers, and not how the model was compiled."""
    return json.loads(description)["config"]


def _own_class(module: str, kind: str, carried: Path | None) -> type | None:
    """Return a class that a file of the user's own defines; None if there is none."""
    there = plugins.module_of(module, carried) if module.split(".")[0] not in KERAS else None
    found = vars(there).get(kind) if there else None
    return found if isinstance(found, type) and found.__module__ == module else None


def own_classes(description: str) -> dict[str, type]:
    """Return the classes of the user's own in a model's description as JSON, by their names."""
    parts = ((str(part.get("module")), str(part["class_name"])) for part in _parts(_layers(description)))
    return {kind: found for module, kind in parts if (found := _own_class(module, kind, None)) is not None}


def _odd_array(content: bytes) -> str | None:
    """Return the name of an array that HDF5 would read from another file, unpack or make an object of, if any."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as weights:
        left, seen = [weights["/"]], set()
        while left:
            group = left.pop()
            for key in group:
                item = group[key] if isinstance(group.get(key, getlink=True), h5py.HardLink) else None
                if isinstance(item, h5py.Group) and item.id not in seen:  # a group may hold itself
                    seen.add(item.id)
                    left.append(item)
                elif not isinstance(item, h5py.Dataset) or not _is_plain(item, len(content)):
                    return str(key)
    return None


def _is_plain(array: Any, most_bytes: int) -> bool:
    return (
        array.external is None
        and not array.is_virtual
        and array.chunks is None
        and array.dtype.kind in "biuf"
        and array.nbytes <= most_bytes
    )


def _parts(tree: Any) -> list[dict[str, Any]]:
    """Return every object of the description, at any depth, that Keras would make something of."""
    found, left = [], [tree]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left += part.values()
            if "class_name" in part:
                found.append(part)
        elif isinstance(part, list):
            left += part
    return found
