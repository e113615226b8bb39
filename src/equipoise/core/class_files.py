"""Files that say something of each class, such as its weight or its name: two columns of a CSV, or YAML, or JSON.

Everything is text as it stands in the file: YAML makes neither `False` of a class called `no` nor 1 of `01`.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

from equipoise.core.paths import is_file, is_folder

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
FORMS = "a CSV of two columns with a header, or a YAML or JSON mapping"


def pairs_in(path: str) -> dict[str, str]:
    """Return what the file says of each class, both as text.

    Raises
    ------
    ValueError
        If there is no such file, it holds no pairs, or a class stands there twice.
    """
    file = Path(path).expanduser()
    if not is_file(file):
        what = "this is a folder, and no file" if is_folder(file) else "there is no such file"
        raise ValueError(f"{what}; give {FORMS}, or type the mapping: {{a: …, b: …}}")
    try:
        text = file.read_text(encoding="utf-8-sig")
        suffix = file.suffix.lower()
        read = _of_json if suffix == ".json" else _of_yaml if suffix in (".yaml", ".yml") else _of_csv
        pairs = [(name.strip(), value.strip()) for name, value in read(text)]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the file cannot be read: {error}") from None
    found = dict(pairs)
    if not found:
        raise ValueError(f"the file names no class; it must be {FORMS}")
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the file names {next(name for name in found if names.count(name) > 1)!r} twice")
    return found


def _of_csv(text: str) -> list[tuple[str, str]]:
    """Read two columns, between commas, or semicolons or tabs if the first line has these.

    The first row is a header, unless its second cell is a number.
    """
    lines = text.splitlines()
    # In `cat;1,5` the comma is a decimal mark.
    marks = ";\t" if lines and re.search(r"[;\t]\s*[+-]?\d+,\d+\s*$", lines[0], re.ASCII) else ",;\t"
    mark = max(marks, key=lines[0].count) if lines else ","
    rows = [row for row in csv.reader(lines, delimiter=mark) if any(cell.strip() for cell in row)]
    odd = [row for row in rows if len(row) != 2]
    if odd:
        raise ValueError(f"the row {mark.join(odd[0])!r} of the file has {len(odd[0])} cells; it must have two")
    first = 1 if rows and not NUMBER.fullmatch(rows[0][1].strip().replace(",", ".")) else 0
    return [(name, value) for name, value in rows[first:]]


def _of_json(text: str) -> list[tuple[str, str]]:
    try:
        found = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str)
    except ValueError as error:
        raise ValueError(f"the file is no JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(pair, tuple) for pair in found):
        raise ValueError("the file holds no JSON object of classes")
    return [(name, _plain(value, name)) for name, value in found]


def _of_yaml(text: str) -> list[tuple[str, str]]:
    import yaml

    try:
        found = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"the file is no YAML: {' '.join(str(error).split())}") from None
    if found is None:
        return []
    if not isinstance(found, yaml.MappingNode):
        raise ValueError("the file holds no YAML mapping of classes")
    pairs = [(name.value, value.value) for name, value in found.value]
    return [(_plain(name, name), _plain(value, name)) for name, value in pairs]


def _plain(value: Any, name: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the file holds no single value for {name!r}")
    return value
