"""The state of a training run at the end of an epoch, on disk: written whole or not at all, checked when it is read.

A checkpoint is an npz file whose name holds the digest of its content: `checkpoints/00000012-<sha256>.npz`. It is
written aside, brought to the disk and then renamed; the one before it is kept. Nothing is pickled. Knows nothing of
what the arrays mean.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core.schema import Floats

FOLDER = "checkpoints"  # in the run's folder
KEPT = 2
FIRST = 1.0  # seconds of a run that are worth a checkpoint
MOST_SHARE = 0.05  # of the time, for writing checkpoints

Arrays = Mapping[str, Sequence[Floats]]


@dataclass(frozen=True)
class State:
    """Groups of arrays, and what JSON can hold."""

    arrays: Arrays
    values: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Parameters
    ----------
    folder : the run's
    made_by : what a checkpoint must have been made by to be gone on with, such as the config's digest and versions
    first : seconds from now until one is due
    """

    def __init__(self, folder: Path, made_by: Mapping[str, str], *, first: float = FIRST) -> None:
        self.folder, self.made_by = folder / FOLDER, dict(made_by)
        self._next = time.monotonic() + first  # when the next one is due

    def newest(self) -> State | None:
        """The newest that is whole and made by the same; None if there is none."""
        for file in reversed(_files(self.folder)):
            found = _read(file)
            if found is not None and found.values.get("made_by") == self.made_by:
                return found
        return None

    def due(self, *, last: bool) -> bool:
        """Whether to write one now takes no more than its share of the time, or it is the last one."""
        return last or time.monotonic() >= self._next

    def discard(self) -> None:
        """Remove them all: the training begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self, number: int, state: State) -> None:
        """Write the state.

        Parameters
        ----------
        number : of the epoch; checkpoints are in its order
        """
        begin = time.monotonic()
        self.folder.mkdir(exist_ok=True)
        content = pack(State(state.arrays, {**state.values, "made_by": self.made_by}))
        write(self.folder / f"{number:08d}-{hashlib.sha256(content).hexdigest()}.npz", content)
        for old in _files(self.folder)[:-KEPT]:
            old.unlink(missing_ok=True)
        now = time.monotonic()
        self._next = now + (now - begin) / MOST_SHARE


def saved(folder: Path) -> bool:
    """Whether a run's folder holds checkpoints."""
    return bool(_files(folder / FOLDER))


def remove(folder: Path) -> None:
    """Remove a run's checkpoints: it is finished, or it cannot but fail again."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def pack(state: State) -> bytes:
    """The content of a checkpoint."""
    named = {
        f"{group}/{index:06d}": np.asarray(array)
        for group, arrays in state.arrays.items()
        for index, array in enumerate(arrays)
    }
    values = {**state.values, "groups": list(state.arrays)}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, values=np.frombuffer(json.dumps(values).encode(), np.uint8), **named)
    return stream.getvalue()


def unpack(content: bytes) -> State | None:
    """The state in a checkpoint's content; None if it is not what `pack` makes."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as members:
            values = dict(json.loads(members["values"].tobytes()))
            arrays = {
                group: [members[name] for name in members.files if name.startswith(f"{group}/")]
                for group in values["groups"]
            }
    except Exception:  # whatever damaged content makes NumPy raise
        return None
    # Of a member that is no array NumPy gives the bytes.
    return (
        State(arrays, values)
        if all(isinstance(array, np.ndarray) for named in arrays.values() for array in named)
        else None
    )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, so that it is there even if the machine loses its power next."""
    aside = file.with_suffix(".part")
    try:
        with open(aside, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, file)
    except BaseException:  # pragma: no cover - a process whose disk is full writes no coverage either
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name itself
    finally:
        os.close(folder)


def _read(file: Path) -> State | None:
    """The state in a file, or None if it is not what its name says."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return unpack(content) if hashlib.sha256(content).hexdigest() == file.stem.partition("-")[2] else None
