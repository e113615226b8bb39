"""The files of the user's own options, as a job takes them to a machine that may not have them, or has others."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from equipoise.core import plugins
from equipoise.core.state import kept

Files = Mapping[str, str]  # the text of each file by its place in its folder


class _Unpacked:
    """The folders that this process has written, which end with it."""

    def __init__(self) -> None:
        self.folders: dict[tuple[tuple[str, str], ...], tempfile.TemporaryDirectory[str]] = {}


def packed() -> dict[str, str]:
    """Return every Python file of the folders of options, with the modules that they import from beside them.

    Of two files with one name, the first folder's is what Python would import. Installed packages are not sent.
    """
    found: dict[str, str] = {}
    for folder in plugins.folders():
        for file in sorted(folder.rglob("*.py")):
            found.setdefault(file.relative_to(folder).as_posix(), file.read_text(encoding="utf-8"))
    return found


def unpack(files: Files) -> None:
    """Have this process take its options from these files, and from no folder that this machine may have.

    Jobs of one process that bring the same files share a folder, so that none of them is imported twice.
    """
    folders, key = kept(_Unpacked).folders, tuple(files.items())
    if key not in folders:
        folders[key] = tempfile.TemporaryDirectory(prefix="equipoise-plugins-")
        for name, text in files.items():
            place = Path(folders[key].name, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    os.environ[plugins.SENT] = folders[key].name
