"""Images and texts, each in a file of a folder, and texts that are the lines of a file."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.data.images.decoding import HEAD, KNOWN, looks_like_an_image
from equipoise.data.images.folders import SUFFIXES
from equipoise.data.tables.files import AUTO
from equipoise.serving.answers import MOST_BYTES, Answers, Read
from equipoise.serving.blocks import Block, Input, at_once
from equipoise.serving.request import Request
from equipoise.serving.table_rows import rows_in

OF_TEXTS = ("text", "words")  # kinds of what was learned
TEXT_NAMES = (".txt", ".text")
FILES = 256  # in a block at most


def of_folder(root: Path, answers: Answers, encoding: str = AUTO) -> Input:
    """Read the images, or the .txt files, of a folder and of those in it, in the order of their paths."""
    is_text = answers.learned.kind in OF_TEXTS
    files = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if not name.startswith(".") and _is_wanted(os.path.join(folder, name), is_text=is_text)
    )
    if not files:
        raise ConfigError(f"input={root} holds no {'.txt files' if is_text else f'{KNOWN} files'}")

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        rows = min(FILES, at_once(answers))
        for first in range(0, len(files), rows):
            chosen = files[first : first + rows]
            paths = [os.path.relpath(path, root).encode(errors="replace") for path in chosen]
            yield Block(pa.array(paths).cast(pa.string()), None, _of_files(root, chosen, answers, encoding))

    return Input("path", len(files), blocks)


def _is_wanted(path: str, *, is_text: bool) -> bool:
    suffix = os.path.splitext(path)[1].lower()
    if is_text:
        return suffix in TEXT_NAMES
    if suffix in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return looks_like_an_image(file.read(HEAD))
    except OSError:
        return False


def _of_files(root: Path, paths: Sequence[str], answers: Answers, encoding: str) -> Read:
    """Read the content of each file; one that cannot be read does not affect the others."""
    found: list[str | bytes] = []
    why: dict[int, str] = {}
    for place, path in enumerate(paths):
        try:
            data = _content(root, Path(path))
            found.append(_decoded(data, encoding) if answers.learned.kind in OF_TEXTS else data)
        except ConfigError as error:
            found.append("")
            why[place] = str(error)
    read = answers.read(found)
    read.unreadable[list(why)] = True
    return Read(read.features, read.unreadable, [why.get(place, note) for place, note in enumerate(read.notes)])


def _content(root: Path, file: Path) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    ConfigError
        If it cannot be read, or is a link that leaves the folder.
    """
    try:
        if not file.resolve().is_relative_to(root):
            raise ConfigError(f"is a link that leaves {root}")
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"is no file of at most {MOST_BYTES >> 20} MiB")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from None


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode("utf-8-sig" if encoding == AUTO else encoding)
    except UnicodeError:
        known = "UTF-8" if encoding == AUTO else encoding
        raise ConfigError(f"is not {known} text; type its encoding, such as encoding=cp1252") from None


def of_lines(file: Path, answers: Answers, request: Request) -> Input:
    """Read a text a line."""
    if request.key is not None:
        raise ConfigError(f"key={request.key}: {file} has no columns, but a text a line")

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        start = 0
        try:
            encoding = "utf-8-sig" if request.encoding == AUTO else request.encoding
            with open(file, encoding=encoding) as lines:
                while chosen := [line.rstrip("\n") for line, _ in zip(lines, range(at_once(answers)), strict=False)]:
                    yield Block(pa.array(np.arange(start, start + len(chosen))), None, answers.read(chosen))
                    start += len(chosen)
        except UnicodeError:
            known = "UTF-8" if request.encoding == AUTO else request.encoding
            raise ConfigError(f"{file} is not {known} text: type its encoding, such as encoding=cp1252") from None

    return Input("row", rows_in([file]), blocks)
