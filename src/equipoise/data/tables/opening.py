"""Open what a path names as tables: a file of any kind that is read, several files as one, or a folder.

The content tells the kind of a file, and its name where the content does not.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.core.errors import ConfigError, counted, listing
from equipoise.data import other_formats
from equipoise.data.paths import digest_of, existing_file, files_of, is_folder, is_several
from equipoise.data.remote import local
from equipoise.data.tables.arrow_files import (
    ARROW,
    ARROW_NAMES,
    STREAM,
    is_parquet,
    is_saved,
    open_arrow,
    open_parquet,
    saved_parts,
)
from equipoise.data.tables.csv_files import open_csv
from equipoise.data.tables.files import Form, Table, unpacked
from equipoise.data.tables.json_lines import is_json, open_json
from equipoise.data.tables.several import as_one
from equipoise.data.types import split_place

if TYPE_CHECKING:
    from equipoise.data.types import Dataset


def form_of(dataset: "Dataset") -> Form:
    """Return how a dataset says that its text files are written."""
    default = Form()
    return Form(*(getattr(dataset, key, getattr(default, key)) for key in ("separator", "encoding", "decimal")))


def open_table(file: Path, form: Form | None = None) -> Table:
    """Open a file: CSV, JSON Lines, Parquet or Arrow.

    Raises
    ------
    ConfigError
        If it is none of them, or damaged.
    """
    form = form or Form()
    if file.stat().st_size == 0:
        raise ConfigError(f"{file} is empty")
    with open(file, "rb") as stream:
        start = stream.read(other_formats.HEAD)
    suffix = file.suffix.lower()
    if is_parquet(file, start):
        return open_parquet(file)
    if start.startswith((ARROW, STREAM)) or suffix in ARROW_NAMES:
        return open_arrow(file)
    told = other_formats.told(file, start)
    if told:
        raise ConfigError(told)
    opener = unpacked(file, start)
    return open_json(file, form) if is_json(file, opener) else open_csv(file, opener, form)


def open_tables(path: str, option: str, form: Form) -> list[Table]:
    """Open what an option names: one table, or one for each of the splits of a folder of Hugging Face's datasets.

    Several files, of a pattern such as `data/*.csv` or of a folder, are one table.

    Raises
    ------
    ConfigError
        If there is no such file, or one cannot be read.
    """
    path = local(path, option)
    if is_folder(path) and is_saved(folder := Path(path).expanduser().resolve()):
        parts, notes = saved_parts(folder, option)
        return [
            as_one([open_arrow(file) for file in files], str(part), split, notes if not place else ())
            for place, (part, split, files) in enumerate(parts)
        ]
    if not is_several(path):
        return [open_table(existing_file(path, option), form)]
    files, notes = files_of(path, option)
    notes = [*notes, *_named_as_splits(files, option)]
    return [as_one([open_table(file, form) for file in files], path, 0, notes)]


def open_one(path: str, option: str, form: Form) -> Table:
    """Open what an option names as one table.

    Raises
    ------
    ConfigError
        As above; or if it has splits.
    """
    tables = open_tables(path, option, form)
    if len(tables) > 1:
        names = [Path(table.name).name for table in tables]
        raise ConfigError(f"{option}={path} has the splits {listing(names)}: name one, {option}={path}/{names[-1]}")
    return tables[0]


def content_of(tables: Sequence[Table]) -> str:
    """Return a digest of the tables' files, one word for each table."""
    return " ".join(_content(table.files) for table in tables)


def _content(files: Sequence[Path]) -> str:
    digests = [digest_of(file) for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _named_as_splits(files: Sequence[Path], option: str) -> list[str]:
    """Tell of files that are called after splits, and are read as one."""
    found = {file.name: split_place(file.name.replace("-", ".").replace("_", ".").split(".")[0]) for file in files}
    named = [name for name, place in found.items() if place]
    if len({place for place in found.values() if place}) < 2:
        return []
    told = counted(len(named), "file is", "files are")
    return [
        f"{told} called after splits ({listing(named, 3)}), and all are read as one and divided here: to keep them "
        f"apart, name the training files by {option} and the test files by dataset.test_path"
    ]
