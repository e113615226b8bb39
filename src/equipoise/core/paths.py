"""Where a project and its files are: the same place, however and from wherever a command is started."""

import os
from pathlib import Path

# Environment variable of a job whose code was sent to its machine: the folder that is the project there.
ROOT = "EQUIPOISE_ROOT"


def project_root() -> Path:
    """Return the folder that runs, store and cache lie in: that of conf/ and src/, or the current one if installed.

    In a temporary workspace of DVC it is the repository that the workspace belongs to.
    """
    here = Path.cwd() if installed() else Path(__file__).parents[3]
    return Path(os.environ.get(ROOT) or os.environ.get("DVC_ROOT") or here).resolve()


def installed() -> bool:
    """Return whether this code is a package that was installed, which holds its config tree itself."""
    return (package_folder() / "conf").is_dir()


def package_folder() -> Path:
    """Return the folder of the package `equipoise`."""
    return Path(__file__).parents[1]


def code_root() -> Path:
    """Return the tree that holds this code, which under DVC may be a temporary workspace."""
    return Path(__file__).parents[3]


def config_folder() -> Path:
    """Return the config tree that belongs to this code."""
    return (package_folder() if installed() else code_root()) / "conf"


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file, not a device or a pipe; False if the system cannot have such a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; False if the system cannot have such a name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def cache_folder() -> Path:
    """Return the folder of the prepared datasets."""
    return project_root() / "cache"
