"""A run's folder, which holds all that the run logs before any of it reaches the store.

    metrics.jsonl   the points {key, value, step, timestamp}, as they were logged
    outbox.jsonl    everything else to be done in the store, in order:
                    {do: begin | params | tags | data | file | model | end, …}
    uploaded.json   the run's id in the store, and how many bytes of both files the store has; if this file is lost,
                    everything is uploaded again

A folder may be damaged, or come from someone else: each line must have the form of one that this code writes. This
module knows nothing of MLflow.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from equipoise.core.errors import ConfigError

JOURNAL = "metrics.jsonl"
OPERATIONS = "outbox.jsonl"
UPLOADED = "uploaded.json"

Count = Annotated[int, Field(ge=0, lt=2**63)]
OwnName = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
FolderName = Annotated[str, Field(pattern=r"^[^./\\\\][^/\\\\]*$")]
PathName = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Texts = dict[str, str]
FIELDS: dict[str, dict[str, Any]] = {
    "begin": {
        "adopt": str | None,
        "local_id": OwnName,
        "experiment": FolderName,
        "name": str,
        "tags": Texts,
        "time": Count,
        "uri": str,
    },
    "params": {"adopted": bool, "params": Texts},
    "tags": {"tags": Texts},
    "data": {"name": str, "digest": str, "source": str, "profile": str},
    "file": {"file": PathName, "to": PathName},
    "model": {
        "folder": Annotated[str, Field(pattern=r"^saved-\w+/model$")],
        "step": Count,
    },  # the folder is deleted when the store has it
    "end": {"status": Literal["FINISHED", "FAILED", "KILLED"], "time": Count},
}


@dataclass
class Uploaded:
    """How far the store has got."""

    local_id: OwnName | Literal[""] = ""  # the run's own name, known before the store gives it an id
    run_id: str = ""  # in the store; empty until it is made
    experiment_id: str = ""
    asked: Count = 0  # how often the store was asked to make the run; it may have done so without an answer
    points: Count = 0  # bytes of the journal
    operations: Count = 0  # bytes of the operations


def _form(fields: dict[str, Any]) -> TypeAdapter[Any]:
    form = TypedDict("form", fields)  # type: ignore[misc]
    form.__pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[attr-defined]
    return TypeAdapter(form)


POINT = _form({"key": str, "value": float, "step": Annotated[int, Field(ge=-(2**63), lt=2**63)], "timestamp": Count})
OPERATION = {do: _form({"do": str, **fields, "points": Count}) for do, fields in FIELDS.items()}


class Outbox:
    """The files of one run's folder.

    Parameters
    ----------
    mend : whether to cut off what a crash left half written; no other process may be writing then

    Raises
    ------
    ConfigError
        If the files are damaged; so do the methods that read their lines.
    """

    def __init__(self, folder: Path, *, mend: bool = True) -> None:
        self.folder = folder
        self._journal, self._operations = folder / JOURNAL, folder / OPERATIONS
        self.uploaded = _read_state(folder / UPLOADED)
        for file in (self._journal, self._operations) if mend else ():
            _mend(file)
        self.recorded = _size(self._journal)  # bytes of points, counted here since every operation needs them

    def add(self, do: str, **what: Any) -> None:
        """Add an operation, to be done after the points that were added before it."""
        _append(self._operations, [{"do": do, **what, "points": self.recorded}])

    def add_points(self, points: Sequence[dict[str, Any]]) -> None:
        self.recorded += _append(self._journal, points)

    def sync(self) -> None:
        """Bring the files to the disk: after a loss of power they must not have fewer bytes than `uploaded` says."""
        for file in (self._journal, self._operations):
            if file.exists():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())

    def save(self) -> None:
        """Write down how far the store has got, completely or not at all."""
        aside = self.folder / f"{UPLOADED}.new"
        aside.write_text(json.dumps(asdict(self.uploaded)))
        os.replace(aside, self.folder / UPLOADED)

    def pending(self) -> bool:
        """Return whether the store lacks something."""
        return self.uploaded.points < self.recorded or self.uploaded.operations < _size(self._operations)

    def operations(self, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the operations from a byte on, each after the byte where it ends."""
        yield from _lines(self._operations, start, lambda row: OPERATION[row["do"]])

    def points(self, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the points that are not uploaded, up to a byte of the journal, each after the byte where it ends."""
        yield from (
            (position, point)
            for position, point in _lines(self._journal, self.uploaded.points, lambda _: POINT)
            if position <= end
        )


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the points `{key, value, step, timestamp}` of a run's folder, oldest first, without a half-written one."""
    return [point for _, point in _lines(folder / JOURNAL, 0, lambda _: POINT)]


def _append(file: Path, rows: Sequence[dict[str, Any]]) -> int:
    """Append rows, which outlive this process from then on, and return the number of bytes."""
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with open(file, "ab") as opened:
        opened.write(lines)
    return len(lines)


def _read_state(file: Path) -> Uploaded:
    if not file.exists():
        return Uploaded()
    try:
        return TypeAdapter(Uploaded).validate_json(file.read_bytes(), strict=True)
    except ValidationError:
        raise _damaged(
            file,
            f"it does not say how far the store has got. rm {shlex.quote(str(file))} has all uploaded again, "
            "which doubles nothing",
        ) from None


def _lines(file: Path, start: int, form: Callable[[Any], TypeAdapter[Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    if not file.exists():
        return
    with open(file, "rb") as opened:
        opened.seek(start)
        for line in opened:
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
                form(row).validate_python(row)
            except (ValueError, TypeError, KeyError, RecursionError):
                raise _damaged(file, f"its line after byte {start} is none that a run writes") from None
            start += len(line)
            yield start, row


def _damaged(file: Path, why: str) -> ConfigError:
    return ConfigError(f"{file} is damaged, or another version's: {why}")


def _mend(file: Path) -> None:
    """Cut off a half-written line, so that the next line starts at a line's beginning."""
    if file.exists():
        whole = file.read_bytes()
        os.truncate(file, whole.rfind(b"\n") + 1)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
