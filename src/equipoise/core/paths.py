"""Where a project keeps what its runs leave: one place, however and from wherever a command is started."""

import os
from pathlib import Path

ROOT = (
    "EQUIPOISE_ROOT"  # in the environment of a job that got the code sent: what stands for the project on its machine
)


def project_root() -> Path:
    """The folder that holds conf/ and src/; under DVC's temporary workspaces, the repository they belong to."""
    return Path(os.environ.get(ROOT) or os.environ.get("DVC_ROOT") or Path(__file__).parents[3]).resolve()


def code_root() -> Path:
    """The tree that this code stands in, which under DVC may be a temporary workspace."""
    return Path(__file__).parents[3]


def config_folder() -> Path:
    """The config tree that belongs to this code."""
    return code_root() / "conf"


def is_file(path: Path) -> bool:
    """Whether it is a regular file: not of a device or a pipe, and no for a name that the system cannot have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def cache_folder() -> Path:
    """Prepared datasets."""
    return project_root() / "cache"
