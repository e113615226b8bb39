"""Files and folders that options name, relative to the working directory, or in an S3 store."""

import functools
import glob
import hashlib
from collections.abc import Sequence
from pathlib import Path

from equipoise.core.errors import ConfigError, counted, listing, suggestion
from equipoise.data.remote import local

READ_BYTES = 1 << 20
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")


def existing_file(path: str, option: str) -> Path:
    """Return the file of that name, which must exist."""
    path = local(path, option)
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
    path = local(path, option)
    try:
        folder = Path(path).expanduser().resolve()
        there, is_file = bool(path) and folder.is_dir(), folder.is_file()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        there = is_file = False
    if not there:
        packed = "; unpack it first" if Path(path).suffix.lower() in ARCHIVES else ""
        raise ConfigError(
            f"{option}={path} is a file, not a folder{packed}"
            if is_file
            else f"{option}={path}: there is no such folder"
        )
    return folder


def is_pattern(path: str) -> bool:
    """Return whether a path is a pattern of several, such as `data/*.csv`, and no file or folder of that very name."""
    return glob.has_magic(path) and not _exists(path)


def is_several(path: str) -> bool:
    """Return whether a path names several files: a pattern, or a folder."""
    return is_pattern(path) or is_folder(path)


def is_folder(path: str) -> bool:
    """Return whether a path names a folder, whatever it holds."""
    try:
        return Path(path).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        return False


def is_there(path: str | Path) -> bool:
    """Return whether a path names a file or a folder, or a pattern one at least."""
    return _exists(str(path)) or (glob.has_magic(str(path)) and bool(_matching(str(path))))


def files_of(path: str, option: str) -> tuple[list[Path], list[str]]:
    """Return the files of a pattern or a folder, in the order of their paths, and notes.

    What begins with `_` or `.`, as `_SUCCESS` beside part files, is left out, and so are empty files.

    Raises
    ------
    ConfigError
        If there is none, or the folder holds folders alone.
    """
    inside = sorted(Path(path).expanduser().iterdir()) if is_folder(path) else [Path(name) for name in _matching(path)]
    found = [file for file in inside if file.is_file() and not file.name.startswith(("_", "."))]
    filled = [file.resolve() for file in found if file.stat().st_size]
    if not filled:
        raise ConfigError(f"{option}={path}: {_nothing(path, inside, found)}")
    empty = [file.name for file in found if not file.stat().st_size]
    told = counted(len(empty), "file is empty, and is left out", "files are empty, and are left out")
    return filled, [f"{option}={path}: {told} ({listing(empty, 3)})"] if empty else []


def _nothing(path: str, inside: Sequence[Path], found: Sequence[Path]) -> str:
    """Return why nothing is read, and what may have been meant."""
    if found:
        return "every file there is empty"
    folders = [file.name for file in inside if file.is_dir() and not file.name.startswith(("_", "."))]
    if folders:
        return f"there are folders alone ({listing(folders, 3)}); **/* names the files in them"
    beside = str(Path(path).parent) if is_pattern(path) else path
    held = Path(beside).expanduser().iterdir() if is_folder(beside) else ()
    others = sorted(file.name for file in held if file.is_file())
    near = f"; {beside} holds {listing(others, 5)}" if others else ""
    return f"no file matches{near}" if is_pattern(path) else f"it is a folder without files{near}"


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # a name too long, a home that is nobody's, a NUL
        return False


def _matching(pattern: str) -> list[str]:
    try:
        return sorted(glob.glob(str(Path(pattern).expanduser()), recursive=True))
    except (OSError, RuntimeError, ValueError):  # as above
        return []


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
