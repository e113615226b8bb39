"""Which run the same command goes on with."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from equipoise.config import identity
from equipoise.config.model import Config, config_sha256
from equipoise.core.errors import ConfigError
from equipoise.core.locks import InUseError
from equipoise.core.terminal import warn
from equipoise.data.prepared import Prepared
from equipoise.runs.log import packages
from equipoise.tracking.outbox import Outbox, read_journal
from equipoise.tracking.run import Pruned
from equipoise.tracking.store import Store
from equipoise.training import checkpoints, earlier


@dataclass(frozen=True)
class Begun:
    """A run that was interrupted."""

    id: str
    folder: Path


@contextlib.contextmanager
def claimed(store: Store, config: Config, data_sha256: str) -> Iterator[Begun | None]:
    """Claim a run that is no job of a sweep, which anybody may do; give the interrupted run to go on with, if any."""
    yield interrupted(store, config, data_sha256)


def interrupted(store: Store, config: Config, data_sha256: str) -> Begun | None:
    """Return the newest run of this config on these data if it was interrupted and `trainer.resume` is on.

    It must be of the same sweep, or of none. A run that other code has begun is told, and is not gone on with.

    A signal, or the next command that finds its process gone, leaves a run KILLED; it may have no checkpoint yet. A run
    that FAILED was interrupted if it left a checkpoint, as it does if its disk was full. A run that cannot but fail
    again, such as one that diverged, leaves none.

    Raises
    ------
    ConfigError
        If what it had logged is damaged.
    """
    if not (config.trainer.resume and store.answers):
        return None
    sweep = None if config.sweep == "auto" else config.sweep
    tags = {"config_sha256": config_sha256(config), "data_sha256": data_sha256}
    tags |= {"sweep_id": sweep} if sweep else {}
    same = [run for run in store.runs(**tags) if "kind" not in run.data.tags and run.data.tags.get("sweep_id") == sweep]
    if not same:
        return None
    newest = same[-1]
    folder = Path(newest.data.tags.get("folder", ""))
    if "pruned" in newest.data.tags or "folder" not in newest.data.tags or not folder.is_dir():
        return None
    cut_off = newest.info.status == "KILLED" or (newest.info.status == "FAILED" and checkpoints.saved(folder))
    if not cut_off:
        return None
    changed = identity.training_changed(newest.data.tags, config)
    if changed:
        warn(f"begun anew: {changed} since run {newest.info.run_id}, which was interrupted")
        return None
    _check_readable(folder)
    return Begun(str(newest.info.run_id), folder)


def _check_readable(folder: Path) -> None:
    """What the run had logged must be whole before anything is added to it."""
    try:
        read_journal(folder)
        for _ in Outbox(folder, mend=False).operations():
            pass
    except ConfigError as error:
        raise ConfigError(f"{error}. To train anew, in another folder: trainer.resume=false") from None


def remove_unused(folder: Path) -> bool:
    """Remove the folder that Hydra has made for a run, if nobody else has written into it; return whether it did."""
    if not folder.is_dir() or not {path.name for path in folder.iterdir()} <= {".hydra", "train.log"}:
        return False
    shutil.rmtree(folder)
    return True


def made_by(config: Config, data: Prepared) -> dict[str, str]:
    """Return what a checkpoint must agree in to be gone on with: other code and versions may train other bits."""
    versions = {name: version(name) for name in ("numpy", *packages(config))}
    digests = {
        "config_sha256": config_sha256(config),
        "data_sha256": data.data_sha256,
        "training_code_sha256": identity.training_code_sha256(config),
    }
    return digests | versions


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Within it a run is carried out, whose checkpoints stay only if what ends it comes from outside."""
    try:
        yield
    except InUseError:  # they are another's
        raise
    except (ConfigError, Pruned):  # the same command would end in the same way
        _remove(folder)
        raise
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what only a later command would go on from."""
    checkpoints.remove(folder)
    earlier.remove(folder)
