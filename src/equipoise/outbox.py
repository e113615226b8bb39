"""What a run's folder holds of the run, before any of it reaches the store: nothing that was logged is lost with the store.

    metrics.jsonl   the points {key, value, step, timestamp}, as they were logged
    outbox.jsonl    everything else to be done in the store, in order: {do: begin | params | tags | data | file | model | end, …}
    uploaded.json   under which id the run is in the store, and how many bytes of both files are there

Knows nothing of MLflow.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

JOURNAL = "metrics.jsonl"
OPERATIONS = "outbox.jsonl"
UPLOADED = "uploaded.json"


@dataclass
class Uploaded:
    """How far the store has got."""

    local_id: str = ""  # the run's own name, known before the store gives it an id
    run_id: str = ""  # in the store; empty until it is made
    experiment_id: str = ""
    asked: int = 0  # how often the store was asked to make the run, and may have done so without our hearing of it
    points: int = 0  # bytes of the journal
    operations: int = 0  # bytes of the operations


class Outbox:
    """The files of one run's folder.

    Parameters
    ----------
    mend : whether to cut off what a crash left half written; not while another process may be writing
    """

    def __init__(self, folder: Path, *, mend: bool = True) -> None:
        self.folder = folder
        self._journal, self._operations = folder / JOURNAL, folder / OPERATIONS
        state = folder / UPLOADED
        self.uploaded = Uploaded(**json.loads(state.read_text())) if state.exists() else Uploaded()
        for file in (self._journal, self._operations) if mend else ():
            _mend(file)
        self.recorded = _size(self._journal)  # bytes of points; counted, for the file is asked for at every operation

    def add(self, do: str, **what: Any) -> None:
        """One operation more, after the points that are there by now."""
        _append(self._operations, [{"do": do, **what, "points": self.recorded}])

    def add_points(self, points: Sequence[dict[str, Any]]) -> None:
        self.recorded += _append(self._journal, points)

    def save(self) -> None:
        """Write down how far the store has got, whole or not at all."""
        aside = self.folder / f"{UPLOADED}.new"
        aside.write_text(json.dumps(asdict(self.uploaded)))
        os.replace(aside, self.folder / UPLOADED)

    def pending(self) -> bool:
        return self.uploaded.points < self.recorded or self.uploaded.operations < _size(self._operations)

    def operations(self, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """The operations from a byte on, each with the byte where it ends."""
        yield from _lines(self._operations, start)

    def points(self, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The points that are not uploaded yet, up to a byte of the journal, each with the byte where it ends."""
        yield from ((position, point) for position, point in _lines(self._journal, self.uploaded.points) if position <= end)


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The points `{key, value, step, timestamp}` that a run's folder holds, oldest first; a line that was cut off in writing is none."""
    return [point for _, point in _lines(folder / JOURNAL, 0)]


def _append(file: Path, rows: Sequence[dict[str, Any]]) -> int:
    """On the disk when this returns: a loss of power takes nothing back that a checkpoint builds on. Returns the bytes."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with open(file, "ab") as opened:
        opened.write(lines)
        opened.flush()
        os.fsync(opened.fileno())
    return len(lines)


def _lines(file: Path, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    if not file.exists():
        return
    with open(file, "rb") as opened:
        opened.seek(start)
        for line in opened:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield start, json.loads(line)


def _mend(file: Path) -> None:
    """Cut off what was half written, so that the next line is a line of its own."""
    if file.exists():
        whole = file.read_bytes()
        os.truncate(file, whole.rfind(b"\n") + 1)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
