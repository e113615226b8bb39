"""What a run's folder holds of the run, before any of it reaches the store: nothing that was logged is lost with the store.

    metrics.jsonl   the points {key, value, step, timestamp}, as they were logged
    outbox.jsonl    everything else to be done in the store, in order: {do: begin | params | tags | data | file | model | end, …}
    uploaded.json   under which id the run is in the store, and how many bytes of both files are there; if it is lost, all is uploaded again

A folder may have been damaged, or come from someone else: each line must have the form of one that this code writes.
Knows nothing of MLflow.
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

from equipoise.core.schema import ConfigError

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
    },  # it is deleted when the store has it
    "end": {"status": Literal["FINISHED", "FAILED", "KILLED"], "time": Count},
}


@dataclass
class Uploaded:
    """How far the store has got."""

    local_id: OwnName | Literal[""] = ""  # the run's own name, known before the store gives it an id
    run_id: str = ""  # in the store; empty until it is made
    experiment_id: str = ""
    asked: Count = 0  # how often the store was asked to make the run, and may have done so without our hearing of it
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
    mend : whether to cut off what a crash left half written; not while another process may be writing

    Raises
    ------
    ConfigError
        If they are damaged, here and wherever their lines are read.
    """

    def __init__(self, folder: Path, *, mend: bool = True) -> None:
        self.folder = folder
        self._journal, self._operations = folder / JOURNAL, folder / OPERATIONS
        self.uploaded = _read_state(folder / UPLOADED)
        for file in (self._journal, self._operations) if mend else ():
            _mend(file)
        self.recorded = _size(self._journal)  # bytes of points; counted, for the file is asked for at every operation

    def add(self, do: str, **what: Any) -> None:
        """One operation more, after the points that are there by now."""
        _append(self._operations, [{"do": do, **what, "points": self.recorded}])

    def add_points(self, points: Sequence[dict[str, Any]]) -> None:
        self.recorded += _append(self._journal, points)

    def sync(self) -> None:
        """Bring it all to the disk, before the store may have it: a loss of power must not leave fewer bytes than `uploaded` says."""
        for file in (self._journal, self._operations):
            if file.exists():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())

    def save(self) -> None:
        """Write down how far the store has got, whole or not at all."""
        aside = self.folder / f"{UPLOADED}.new"
        aside.write_text(json.dumps(asdict(self.uploaded)))
        os.replace(aside, self.folder / UPLOADED)

    def pending(self) -> bool:
        return self.uploaded.points < self.recorded or self.uploaded.operations < _size(self._operations)

    def operations(self, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """The operations from a byte on, each with the byte where it ends."""
        yield from _lines(self._operations, start, lambda row: OPERATION[row["do"]])

    def points(self, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The points that are not uploaded yet, up to a byte of the journal, each with the byte where it ends."""
        yield from (
            (position, point)
            for position, point in _lines(self._journal, self.uploaded.points, lambda _: POINT)
            if position <= end
        )


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """The points `{key, value, step, timestamp}` that a run's folder holds, oldest first; a line that was cut off in writing is none."""
    return [point for _, point in _lines(folder / JOURNAL, 0, lambda _: POINT)]


def _append(file: Path, rows: Sequence[dict[str, Any]]) -> int:
    """Past this process when this returns, whatever becomes of it. Returns the bytes."""
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
            f"it does not say how far the store has got. rm {shlex.quote(str(file))} has all uploaded again, which doubles nothing",
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
    """Cut off what was half written, so that the next line is a line of its own."""
    if file.exists():
        whole = file.read_bytes()
        os.truncate(file, whole.rfind(b"\n") + 1)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
