"""Files and folders that options name, relative to the working directory."""

import functools
import hashlib
from pathlib import Path

from equipoise.core.schema import ConfigError, suggestion

READ_BYTES = 1 << 20


def existing_file(path: str, option: str) -> Path:
    """Return the file of that name, which must exist."""
    try:
        file = Path(path).expanduser()
        if not file.exists():
            near = (
                suggestion(file.name, [other.name for other in file.parent.iterdir()]) if file.parent.is_dir() else ""
            )
            raise ConfigError(f"{option}={path}: there is no such file{near if 'did you mean' in near else ''}")
    except (OSError, RuntimeError) as error:  # a name too long, a folder that may not be read, a home that is nobody's
        raise ConfigError(f"{option}={path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not file.is_file():
        raise ConfigError(f"{option}={path} is a {'folder' if file.is_dir() else 'device or a pipe'}, not a file")
    return file.resolve()


def existing_folder(path: str, option: str) -> Path:
    """Return the folder of that name, which must exist."""
    try:
        folder = Path(path).expanduser().resolve()
        there, is_file = bool(path) and folder.is_dir(), folder.is_file()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        there = is_file = False
    if not there:
        raise ConfigError(
            f"{option}={path} is a file, not a folder" if is_file else f"{option}={path}: there is no such folder"
        )
    return folder


def digest_of(file: Path) -> str:
    """Return the SHA-256 of the file's content, which is read once until its size or time changes."""
    status = file.stat()
    return _digest(str(file), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(file: str, _size: int, _time: int) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
