"""Estimators in `.skops` files, which may come from anyone: numbers, and classes of libraries that are known.

A pickle runs whatever it says when it is opened, and is never opened. A `.skops` file names classes and holds their
state; one that names a class of anything but these libraries is not loaded.
"""

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

from equipoise.core import plugins
from equipoise.core.errors import ConfigError, listing

FILE = "model.skops"
LIBRARIES = ("sklearn", "imblearn", "lightgbm", "xgboost", "catboost")
KNOWN = ("collections.OrderedDict",)
SCHEMA = "schema.json"
EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a ZIP file can name
MOST_BYTES = 8 << 30  # of what a file unpacks to
MOST_OF_SCHEMA = 256 << 20  # of its description, which is read as a whole


def write_estimator(estimator: Any, file: Path) -> None:
    """Write the fitted estimator; the same training gives the same bytes.

    Raises
    ------
    ConfigError
        If it has parts that cannot be written, or would not be loaded.
    """
    import skops.io

    part = file.with_name(f"part-{file.name}")
    name = type(estimator).__name__
    try:
        skops.io.dump(estimator, part)
        _write_alike(part, file)
    except OSError:
        raise
    except Exception as error:  # whatever an estimator that anybody has written makes skops raise
        said = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"{name} cannot be saved: {type(error).__name__}: {said}") from None
    finally:
        part.unlink(missing_ok=True)


def load_estimator(file: Path, name: str, carried: Path | None = None) -> Any:
    """Return the estimator.

    Parameters
    ----------
    name : what messages call the model
    carried : a folder of files of the user's own that goes with the model and is trusted as this code is

    Raises
    ------
    ConfigError
        If there is no such file, it is damaged, or it names a class of a library that is not known or not installed.
    """
    import skops.io

    if not file.is_file():
        raise ConfigError(f"{name} has no {file.name}; no other format is loaded, since it could run code")
    try:
        return skops.io.load(file, trusted=trusted_classes(file, name, carried))
    except ConfigError:
        raise
    except Exception as error:  # whatever a damaged file makes skops raise
        raise ConfigError(f"{name} is damaged, and is not loaded ({type(error).__name__})") from None


def trusted_classes(file: Path, name: str, carried: Path | None = None) -> list[str]:
    """Return the classes that the file names, beyond those that skops knows itself; refuse one that is not known.

    Raises
    ------
    ConfigError
        If it names a class of another library, or unpacks to more than any model.
    """
    import skops.io

    try:
        _check_size(file, name)
        found: list[str] = skops.io.get_untrusted_types(file=file)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{name} is damaged, and is not loaded ({type(error).__name__})") from None
    try:
        odd = [kind for kind in found if not _is_known(kind, carried)]
    except ImportError as error:
        raise ConfigError(f"{name} needs {error.name}, which is not installed") from None
    if odd:
        raise ConfigError(
            f"{name} needs the code of {listing(odd)}, and is not loaded: "
            f"only classes of {listing(LIBRARIES)} are, and those of files in {plugins.FOLDER}/"
        )
    return found


def _check_size(file: Path, name: str) -> None:
    """Refuse a file that unpacks to more than any model, before anything of it is read."""
    with zipfile.ZipFile(file) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    for what, size, most in (("it", sum(sizes.values()), MOST_BYTES), (SCHEMA, sizes.get(SCHEMA, 0), MOST_OF_SCHEMA)):
        if size > most:
            raise ConfigError(f"{name}: {what} unpacks to {size} bytes, more than {most}, and is not loaded")


def own_modules_in(file: Path) -> list[str]:
    """Return the modules of the user's own whose classes the file names."""
    import skops.io

    modules = {kind.rpartition(".")[0] for kind in skops.io.get_untrusted_types(file=file)}
    return sorted(module for module in modules if module.partition(".")[0] == plugins.PACKAGE)


def _is_known(kind: str, carried: Path | None) -> bool:
    """Return whether a name is that of a class of a known library, or of a file of the user's own, and of no function.

    A library's module has the names that it imports, too: a class counts where it is defined.
    """
    if kind in KNOWN:
        return True
    module, _, name = kind.rpartition(".")
    library = module.partition(".")[0]
    if library == plugins.PACKAGE:
        own = plugins.module_of(module, carried)
        found = None if own is None else vars(own).get(name)
    else:
        found = vars(importlib.import_module(module)).get(name) if library in LIBRARIES else None
    return isinstance(found, type) and found.__module__.partition(".")[0] in (*LIBRARIES, plugins.PACKAGE)


def _write_alike(file: Path, target: Path) -> None:
    """Copy an archive without its dates, and with numbers for places in memory, which are others every time."""
    with zipfile.ZipFile(file) as given, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        tree = json.loads(given.read(SCHEMA))
        numbers: dict[Any, int] = {}
        members: dict[str, str] = {}
        for node in _nodes(tree):
            if "__id__" in node:
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
            if isinstance(node.get("file"), str) and node["file"] in given.NameToInfo:
                suffix = Path(node["file"]).suffix
                node["file"] = members.setdefault(node["file"], f"{len(members) + 1:06d}{suffix}")
        for before, name in members.items():
            _write(made, name, given.read(before))
        _write(made, SCHEMA, json.dumps(tree).encode())


def _nodes(tree: Any) -> list[dict[str, Any]]:
    """Return every object of the description, those that are around others first."""
    found, left = [], [tree]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            found.append(part)
            left += reversed(part.values())
        elif isinstance(part, list):
            left += reversed(part)
    return found


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
