"""A run to take away: its script of plain Keras, and the prepared arrays that the script reads."""

import json
import os
import shlex
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.config import identity
from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder
from equipoise.data.all_rows import all_rows
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.types import SPLITS
from equipoise.runs.again import DATA, EPOCHS, as_repeated, is_refit
from equipoise.runs.inherit import inherit
from equipoise.runs.weigh import weigh
from equipoise.tracking import history
from equipoise.tracking.artifacts import read_text
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store
from equipoise.training.plain.case import Origin
from equipoise.training.plain.script import ARRAYS, SCRIPT, plain_keras
from equipoise.training.plain.writing import in_docstring

MOST_BYTES = 256 << 20  # of arrays that nobody has asked for
DIGEST = "data_sha256"  # among the arrays


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes
    ----------
    run : the id of the run that trained the model
    lines : of the script
    arrays : the file with what it reads; None: not written
    reads : that file, as the script names it
    """

    run: str
    script: Path
    lines: int
    arrays: Path | None
    reads: str

    @property
    def command(self) -> str:
        """The command that trains the model."""
        folder = "" if self.script.parent == Path() else f"cd {shlex.quote(str(self.script.parent))} && "
        return f"{folder}python {shlex.quote(self.script.name)}"


def export(store: Store, run: str, script: Path, arrays: str | None) -> Exported:
    """Write the script that trains the model of a run again, and the arrays that it reads.

    Parameters
    ----------
    run : its id, or `latest`
    arrays : the file of the arrays, or `none`; None: a file beside the script, unless they are large

    Raises
    ------
    ConfigError
        If there is no such run or no script for it, its data have changed, or a file is in the way.
    """
    trained = history.trained_run(store, run)
    _check_names(script, arrays)
    config = inherit(history.config_of(store, trained), ())
    data = (all_rows if is_refit(trained.tags) else prepare)(config.dataset, cache_folder())
    if data.data_sha256 != trained.tags[DATA if is_refit(trained.tags) else "data_sha256"]:
        raise ConfigError(f"the data that run {trained.id} was trained on have changed since: train it again")
    file = script.with_suffix(".npz") if arrays in (None, "none") else Path(str(arrays))
    inside = file.resolve().is_relative_to(script.parent.resolve())
    reads = file.resolve().relative_to(script.parent.resolve()).as_posix() if inside else str(file.resolve())
    text = _script(store, trained, config, data)
    text = text.replace(f'"{ARRAYS}"', json.dumps(reads, ensure_ascii=False)).replace(ARRAYS, in_docstring(reads))
    text = text.replace(f"output={SCRIPT}", f"output={in_docstring(script.name)}")
    is_written = arrays != "none" and (arrays is not None or _bytes(data) <= MOST_BYTES)
    _check_free(script, text)
    if is_written:
        _write_arrays(data, file)
    script.write_text(text, encoding="utf-8")
    return Exported(trained.id, script, text.count("\n"), file if is_written else None, reads)


def _script(store: Store, run: Logged, config: Config, data: Prepared) -> str:
    """Return the script that the run has logged; of a run of an older version, the one that it would log now."""
    from mlflow.exceptions import MlflowException

    try:
        return read_text(store, run.id, SCRIPT)
    except (MlflowException, OSError):
        digest, refit = run.tags["weights_sha256"], int(run.tags[EPOCHS]) if is_refit(run.tags) else None
        config = config if refit is None else as_repeated(config)
        text = plain_keras(config, data, weigh(config, data), Origin(run.id, run.tags, digest, refit))
    changed = identity.training_changed(run.tags, config)
    if changed:
        raise ConfigError(f"run={run.id} has logged no {SCRIPT}, and {changed} since: train it again")
    return text


def _check_names(script: Path, arrays: str | None) -> None:
    if script.suffix != ".py":
        raise ConfigError(f"output={script}: the script's name must end in .py, as in output=train_plain.py")
    if arrays not in (None, "none") and Path(str(arrays)).suffix != ".npz":
        raise ConfigError(f"data={arrays}: type data=none, or a name that ends in .npz, as in data=arrays.npz")
    for option, file in (("output", script), ("data", Path(arrays or ""))):
        if not file.parent.is_dir():
            raise ConfigError(f"{option}={file}: there is no folder {file.parent}")
        if not str(file).isprintable():
            raise ConfigError(f"{option}={file}: a script cannot name that file; use another name")


def _check_free(script: Path, text: str) -> None:
    """Refuse to write over what somebody may have changed."""
    if script.exists() and (not script.is_file() or script.read_text(encoding="utf-8", errors="replace") != text):
        raise ConfigError(f"output={script}: it exists, and says something else; name another file, or delete it")


def _bytes(data: Prepared) -> int:
    return sum(data.split(name).features.nbytes for name in SPLITS)


def _write_arrays(data: Prepared, file: Path) -> None:
    """Write the features and labels of all splits, unless the file holds them already."""
    if file.exists():
        if _digest(file) != data.data_sha256:
            raise ConfigError(f"{file} exists, and holds something else; name another file with data=…, or delete it")
        return
    arrays: dict[str, Any] = {DIGEST: np.array(data.data_sha256)}
    for name in SPLITS:
        samples = data.split(name)
        arrays |= {f"x_{name}": np.asarray(samples.features), f"y_{name}": np.asarray(samples.labels)}
        arrays |= {} if samples.weights is None else {f"w_{name}": np.asarray(samples.weights)}
    part = file.with_name(f".{file.name}.part")
    with open(part, "wb") as opened:
        np.savez_compressed(opened, allow_pickle=False, **arrays)
    os.replace(part, file)


def _digest(file: Path) -> str | None:
    """Return the digest of the data in a file of arrays; None if it is none."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return str(arrays[DIGEST])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None
