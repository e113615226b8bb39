"""What is asked for when rows are to be predicted, read from the command line and checked without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.schema import ConfigError
from equipoise.data.paths import existing_file, is_several
from equipoise.data.tables.files import AUTO, checked_encoding
from equipoise.serving.outputs import checked_output

OPTIONS = ("input", "output", "key", "on_bad_row", "separator", "encoding", "decimal", "array")

MARKS = {"point": ".", "comma": ",", ".": ".", ",": ","}


@dataclass(frozen=True)
class Request:
    """What to read, how, and what to write.

    Attributes
    ----------
    source, file : the file or folder to read, or a pattern of several files, and the file to write
    key : the column, or the array of an npz, that tells which row is which
    separator, encoding : of a CSV; the encoding also of JSON Lines
    decimal : the decimal mark of numbers that are text; `auto`: as in training
    array : of an npz, with the samples
    skip : whether to go on after a row that cannot be read
    """

    source: str
    file: Path
    key: str | None = None
    separator: str = ","
    encoding: str = AUTO
    decimal: str = AUTO
    array: str | None = None
    skip: bool = True


def read_request(options: Mapping[str, str]) -> Request:
    """Return what was asked for.

    Raises
    ------
    ConfigError
        If something is missing or wrong.
    """
    for key, example in (("input", "rows.csv"), ("output", "predictions.csv")):
        if key not in options:
            raise ConfigError(f"{key} is missing, such as {key}={example}")
    source = options["input"]
    if not is_several(source):
        existing_file(source, "input")
    typed = options.get("separator", ",")
    # In quotation marks, as the config needs some marks.
    separator = {"tab": "\t", "\\t": "\t"}.get(typed, typed[1:-1] if typed[:1] == typed[2:] == '"' else typed)
    if len(separator) != 1:
        raise ConfigError(f"separator={typed}: must be one character, such as ';', or tab")
    try:
        encoding = checked_encoding(options.get("encoding", AUTO))
    except ValueError as error:
        raise ConfigError(f"encoding={options['encoding']} {error}") from None
    decimal = key_values.choice(options, "decimal", (AUTO, *MARKS))
    skip = key_values.choice(options, "on_bad_row", ("skip", "error")) == "skip"
    file = checked_output(options["output"], source)
    return Request(
        source, file, options.get("key"), separator, encoding, MARKS.get(decimal, decimal), options.get("array"), skip
    )
