"""Upload what runs have kept in their folders because the MLflow store did not take it.

  python src/sync.py                what is left below outputs/
  python src/sync.py FOLDER …       what is left in these folders, or below them

Each thing is uploaded exactly once, with its own step and time stamp. A run goes to the store that it was started for:
the project's own, or the server that it was started with (set MLFLOW_TRACKING_URI if that has another address now).
A run that was broken off is marked KILLED; one that is still going on is left alone.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.errors import ConfigError
from equipoise.core.paths import project_root
from equipoise.tracking.outbox import OPERATIONS, UPLOADED, Outbox


def upload_left(words: Sequence[str]) -> int:
    """Upload what is left; return the exit code: 1 if something could not be uploaded."""
    left, damaged = _with_something_left(words)
    given = os.environ.get("MLFLOW_TRACKING_URI")  # read now: opening a store sets it
    done = [_sync(folder, uri, given) for folder, uri in left]
    return 1 if damaged or not all(done) else 0


def _with_something_left(words: Sequence[str]) -> tuple[list[tuple[Path, str]], bool]:
    """Return the folders of runs, each with its store's address, and whether some are damaged, which is told."""
    starts = [Path(word).resolve() for word in words] or [project_root() / "outputs"]
    for word, start in zip(words, starts, strict=False):
        if not start.is_dir():
            raise ConfigError(f"{word}: there is no such folder")
    found, damaged = [], False
    for folder in sorted({file.parent for start in starts for file in start.rglob(OPERATIONS)}):
        try:
            outbox = Outbox(folder, mend=False)
            begun = [operation for _, operation in outbox.operations() if operation["do"] == "begin"]
        except ConfigError as error:
            print(f"error: {error}", file=sys.stderr)
            damaged = True
            continue
        if begun and outbox.pending():
            found.append((folder, begun[-1]["uri"]))
    print(f"{len(found)} run{'' if len(found) == 1 else 's'} with something left to upload")
    return found, damaged


def _sync(folder: Path, uri: str, given: str | None) -> bool:
    from equipoise.tracking import run
    from equipoise.tracking.store import open_store, outages

    where = "server" if uri.startswith("http") else "local"
    if where == "server" and not folder.is_relative_to(project_root()) and given is None:
        # Otherwise whoever made the folder could choose the server that the user's password is sent to.
        raise ConfigError(
            f"{folder} lies outside of the project and asks for the server {uri}: if you trust it, set "
            f"MLFLOW_TRACKING_URI={uri} first"
        )
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    if where == "server":
        os.environ["MLFLOW_TRACKING_URI"] = given or uri
    store = open_store(project_root(), where)
    told: tuple[type[Exception], ...] = (ConfigError, *outages())
    try:
        done = run.sync_folder(store, folder)
    except told as error:
        gone = getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"
        anew = f"; to upload it anew: rm {shlex.quote(str(folder / UPLOADED))}" if gone else ""
        print(f"error: {folder} is kept, and not uploaded: {str(error).splitlines()[0]}{anew}", file=sys.stderr)
        return False
    if done is None:
        print(f"{folder} is being written to by a run that is going on")
        return True
    print(f"{folder} is uploaded as run {done.uploaded.run_id}; to open it in MLflow:")
    print(f"  {store.page(done.uploaded.experiment_id, done.uploaded.run_id)}")
    return True


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, upload_left)
