"""What is asked for when rows are to be predicted, read from the command line and checked without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.data.paths import existing_file, is_several
from equipoise.data.remote import local
from equipoise.data.tables.files import AUTO, checked_encoding
from equipoise.data.types import ESTIMATE
from equipoise.serving.outputs import checked_output

TARGET, DECISION = "dataset.target_prior", "decision"
OPTIONS = ("input", "output", "key", "on_bad_row", "separator", "encoding", "decimal", "array", TARGET, DECISION)

ADJUSTED = "prior_adjusted"

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
    estimated : whether p(class) is to be under the class frequencies of the rows, which are estimated
    adjusted : whether the class with the highest p(class) is to be predicted, whatever the model's decision rule
    """

    source: str
    file: Path
    key: str | None = None
    separator: str = ","
    encoding: str = AUTO
    decimal: str = AUTO
    array: str | None = None
    skip: bool = True
    estimated: bool = False
    adjusted: bool = False


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
    asked = read_source(options)
    skip = key_values.choice(options, "on_bad_row", ("skip", "error")) == "skip"
    file, estimated = checked_output(options["output"], asked.source), _is_estimated(options)
    return replace(asked, file=file, skip=skip, estimated=estimated, adjusted=DECISION in options)


def read_source(options: Mapping[str, str]) -> Request:
    """Return what to read, and how; nothing is to be written.

    Raises
    ------
    ConfigError
        If there is no such source, or an option is wrong.
    """
    source = local(options["input"], "input")
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
    return Request(
        source, Path(), options.get("key"), separator, encoding, MARKS.get(decimal, decimal), options.get("array")
    )


def _is_estimated(options: Mapping[str, str]) -> bool:
    """Return whether the class frequencies of the rows are to be estimated.

    Raises
    ------
    ConfigError
        If others are typed, or a decision rule that only labelled rows can judge.
    """
    typed, decision = options.get(TARGET), options.get(DECISION)
    if typed not in (None, ESTIMATE):
        raise ConfigError(
            f"{TARGET}={typed}: rows are predicted under the class frequencies that the model was judged under, or "
            f"with {TARGET}=estimate; to judge it under others: {command('evaluate')} run=… {TARGET}={typed}, "
            "then predict by that run"
        )
    if decision is not None and (decision != ADJUSTED or typed is None):
        raise ConfigError(
            f"{DECISION}={decision}: rows are decided as the model was judged, or by {DECISION}={ADJUSTED} with "
            f"{TARGET}=estimate; to judge it by another rule: {command('evaluate')} run=… {DECISION}={decision}, "
            "then predict by that run"
        )
    return typed is not None
