"""Arrays of an npz file or of npy files, and series of a .ts file."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.typed import for_shell
from equipoise.data.arrays import npz_files
from equipoise.data.arrays.ts_files import read_ts
from equipoise.serving.answers import Answers
from equipoise.serving.blocks import Block, Input, at_once
from equipoise.serving.request import Request


def of_arrays(answers: Answers, request: Request) -> Input:
    """Read an array of samples, each of the shape that the model takes, or of as many numbers."""
    file, alone = npz_files.archive_of(request.source, "input")
    name = _array(file, answers, request.array or alone)
    samples = npz_files.header(file, name)[0]
    if samples == 0:
        raise ConfigError(f"{file}: the array '{name}' has no samples")
    if request.key is not None and request.key not in npz_files.members(file):
        raise ConfigError(
            f"key={request.key}: {file} has no such array{suggestion(request.key, npz_files.members(file))}"
        )
    keys = None if request.key is None else npz_files.whole(file, request.key, name, samples)

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        rows = at_once(answers)
        for start, block in npz_files.blocks(file, name):
            for first in range(0, len(block), rows):
                part = block[first : first + rows].reshape(-1, *answers.shape)
                numbers = np.arange(start + first, start + first + len(part))
                yield Block(pa.array(numbers), None if keys is None else pa.array(keys[numbers]), answers.read(part))

    return Input("row", samples, blocks)


def _array(file: Path, answers: Answers, typed: str | None) -> str:
    """Return the name of the array with the samples: the typed one, or the only one that they can be."""
    names = npz_files.members(file)
    if typed is not None and typed not in names:
        raise ConfigError(f"array={typed}: {file} has no such array{suggestion(typed, names)}")
    shapes = {}
    for name in names if typed is None else [typed]:
        try:
            shapes[name] = npz_files.header(file, name)
        except ConfigError:
            if typed is not None:
                raise
    size = math.prod(answers.shape)
    fitting = [name for name, shape in shapes.items() if len(shape) > 1 and math.prod(shape[1:]) == size]
    if not fitting:
        held = listing([f"'{name}' {shape}" for name, shape in shapes.items()] or names, 5)
        raise ConfigError(
            f"{file} has no array of samples of shape {answers.shape}, which the model takes; it has {held}"
        )
    if len(fitting) > 1:
        either = " or ".join(for_shell(f"array={name}") for name in fitting[:4])
        raise ConfigError(f"{file} has several arrays that the model takes: name one by {either}")
    return fitting[0]


def of_ts(file: Path, answers: Answers, request: Request) -> Input:
    """Read a .ts file of series, each as long as it is; labels, if it has any, are not read."""
    if request.key is not None:
        raise ConfigError(f"key={request.key}: {file} has no columns; the output has each series's number")
    samples, _ = read_ts(file, needs_labels=False)

    def blocks() -> Iterator[Block]:
        import pyarrow as pa

        rows = at_once(answers)
        for first in range(0, len(samples), rows):
            part = samples[first : first + rows]
            yield Block(pa.array(np.arange(first, first + len(part))), None, answers.read(part))

    return Input("row", len(samples), blocks)
