"""Load, check and write a dataset once, under a key made of everything that decides its content.

The folder appears whole or not at all, so that two processes may prepare the same data at once.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from equipoise.data.prepared import METADATA, Prepared, open_prepared
from equipoise.data.sources import SOURCES, SPLITS, Dataset, Source, Splits
from equipoise.options import ConfigError, arguments, keywords, listing

# Part of every key: to be raised when the same options come to mean other arrays.
FORMAT = 1


def source_of(dataset: Dataset) -> Source:
    """The configured source, not yet loaded."""
    function = SOURCES[dataset.name]
    return function(**arguments(dataset, function))


def prepare(dataset: Dataset, cache: Path) -> Prepared:
    """The dataset's prepared form from the cache, made first if it is not there.

    Raises
    ------
    ConfigError
        If a class has no training sample or the features hold NaN or infinity.
    """
    folder = cache / f"{dataset.name}-{_key(dataset)}"
    if not (folder / METADATA).exists():
        source = source_of(dataset)
        loaded = source.load(dataset.split_seed)
        _check(source, loaded)
        _write(source, loaded, folder)
    return open_prepared(folder)


def _key(dataset: Dataset) -> str:
    """Only what changes the arrays: the label form, title and target prior do not."""
    options = {key: getattr(dataset, key) for key in keywords(SOURCES[dataset.name])}
    content = json.dumps([FORMAT, dataset.name, dataset.split_seed, options], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _check(source: Source, loaded: Splits) -> None:
    present = set(loaded.splits["train"].labels.tolist())
    empty = [name for index, name in enumerate(source.classes) if index not in present]
    if empty:
        raise ConfigError(f"no training sample of class {listing(empty)}")
    for name, samples in loaded.splits.items():
        if not np.isfinite(samples.features).all():
            raise ConfigError(f"the {name} split has features that are NaN or infinite")


def _write(source: Source, loaded: Splits, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        digest = hashlib.sha256()
        for name in SPLITS:
            samples = loaded.splits[name]
            for kind, array in (("features", samples.features), ("labels", samples.labels)):
                digest.update(f"{name} {kind} {array.dtype} {array.shape} ".encode() + array.tobytes())
                np.save(aside / f"{name}_{kind}.npy", array, allow_pickle=False)
        counts = np.bincount(loaded.splits["train"].labels, minlength=len(source.classes))
        metadata = {
            "classes": source.classes,
            "shape": source.shape,
            "counts": counts.tolist(),
            "data_sha256": digest.hexdigest(),
            "reference": dict(loaded.reference),
        }
        (aside / METADATA).write_text(json.dumps(metadata, indent=1))
        os.chmod(aside, 0o755)
        os.rename(aside, folder)
    except OSError:
        # Another process was first with the same content; anything else is a real failure.
        if not (folder / METADATA).exists():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
