"""The .ts text format of time series, as the UEA & UCR archive and aeon use it."""

from pathlib import Path

import numpy as np

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats


def read_ts(file: Path, *, needs_labels: bool = True) -> tuple[list[Floats], list[str]]:
    """Read the samples of a .ts file, each float64 (channels, steps), and their class labels as text.

    Format: lines `@key value`, then `@data`; each line after it is the channels joined by `:`, their values by `,`,
    and the class label last (Middlehurst et al. 2024, aeon).

    Parameters
    ----------
    needs_labels : whether a file that says that it has none is refused; otherwise its labels are ""
    """
    samples: list[Floats] = []
    labels: list[str] = []
    in_data, labelled = False, True
    try:
        with open(file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if in_data:
                    sample, label = _ts_line(text if labelled else f"{text}:", file, number)
                    samples.append(sample)
                    labels.append(label)
                    continue
                if text.lower().split()[:2] == ["@classlabel", "false"] and not needs_labels:
                    labelled = False
                    continue
                _check_ts_header(text.lower(), file)
                in_data = text.lower() == "@data"
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text") from None
    if not samples:
        raise ConfigError(f"{file} has no samples after a line @data: it is no .ts file")
    return samples, labels


def _check_ts_header(text: str, file: Path) -> None:
    if not text.startswith("@"):
        raise ConfigError(f"{file} is no .ts file: a line before @data does not begin with @")
    if text.split()[:2] == ["@timestamps", "true"]:
        raise ConfigError(f"{file} has time stamps, which are not supported: resample the series at equal steps")
    if text.split()[:2] == ["@classlabel", "false"] or text.startswith("@targetlabel true"):
        raise ConfigError(f"{file} has no class labels")


def _ts_line(text: str, file: Path, number: int) -> tuple[Floats, str]:
    *channels, label = text.split(":")
    if not channels:
        raise ConfigError(f"{file}, line {number}: no class label after the last ':'")
    try:
        rows = [[float(value) for value in channel.split(",")] for channel in channels]
    except ValueError:
        raise ConfigError(f"{file}, line {number}: a value is missing or no number") from None
    if len({len(row) for row in rows}) > 1:
        raise ConfigError(f"{file}, line {number}: the channels have different lengths")
    return np.array(rows), label.strip()
