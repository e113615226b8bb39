"""Load, check and write a dataset once, under a key of everything that decides its content.

The folder appears whole or not at all, so that two processes may prepare the same data at once.
"""

import functools
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core import source_code
from equipoise.core.clock import clock
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, control_characters, listing
from equipoise.core.schema import Integers, keywords
from equipoise.data import preprocessing, remote
from equipoise.data.catalogue import DATASETS, source_of
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.prepared import METADATA, Prepared, open_prepared, seal
from equipoise.data.shards import Images, RecordArrays, RecordImages
from equipoise.data.splitting import Divided
from equipoise.data.texts import are_texts
from equipoise.data.types import (
    PATHS,
    SPLITS,
    ArrayPreprocessing,
    CountedBy,
    Dataset,
    Samples,
    Source,
    Splits,
    check_labels,
)

# Their code is part of every key, beside that of the chosen dataset; that of the other datasets is not.
MAKING, CHOSEN_AMONG = (
    ("equipoise.data.catalogue.source_of", "equipoise.data.prepare._make"),
    ("equipoise.data.catalogue.SHIPPED", "equipoise.data.catalogue.DATASETS"),
)
MOST_CHARACTERS = 250  # of a class's name, which appears in tables and pictures
BLOCK_ROWS = 8192
# Samples that equal training samples are copies if at least this share of them have the same class there …
ALIKE = 0.9
SURELY = 0.01  # … and if so many would equal training samples by chance with a smaller probability than this
BLOCK_IMAGES = 64


@clock.part("prepare")
def prepare(dataset: Dataset, cache: Path) -> Prepared:
    """Return the prepared dataset from the cache, made first if it is not there.

    Raises
    ------
    ConfigError
        If the data are not what the config says or cannot be learned from; nothing is left in the cache then.
    """
    source = surveyed(dataset)
    found = made(
        source,
        dataset.split_seed,
        cache / f"{dataset.name}-{cache_key(dataset, source)}",
        f"dataset={dataset.name}: its function gives",
    )
    return replace(found, count=counted_by(dataset))


def counted_by(dataset: Dataset) -> CountedBy:
    """Return what is counted where a count of the dataset's classes decides something."""
    return getattr(dataset, "count", "rows")


def made(source: Source, split_seed: int, folder: Path, giver: str) -> Prepared:
    """Return the source's data from the folder, prepared first if they are not there; `giver` begins an error."""
    if not (folder / METADATA).exists():
        _make(source, split_seed, folder, giver)
    return open_prepared(folder)


def surveyed(dataset: Dataset) -> Source:
    """Return the dataset's source, which is surveyed once in a process, however many jobs use it."""
    return _surveyed(dataset.model_dump_json(), type(dataset))


def survey_anew() -> None:
    """Forget every survey, so that files that have changed since are read again."""
    _surveyed.cache_clear()
    remote.ask_anew()


@functools.lru_cache(maxsize=256)  # a sweep over fifty data sets, each in five folds
def _surveyed(dataset: str, section: type[Dataset]) -> Source:
    source = source_of(section.model_validate_json(dataset))
    for name in source.classes:
        if control_characters(name):
            raise ConfigError(
                f"the class {name!a} has a control character in its name, or what is no UTF-8 text: rename it"
            )
        if len(name) > MOST_CHARACTERS:
            raise ConfigError(
                f"the class '{name[:40]}…' has a name of {len(name)} characters; possible are {MOST_CHARACTERS}"
            )
    return source


def cache_key(dataset: Dataset, source: Source) -> str:
    """Return a digest of what changes the arrays, and of the code that makes them.

    The label form, title, target prior, sampling and what is counted do not change them, nor the folder in which a path
    is typed.
    """
    function = DATASETS[dataset.name].function
    names = [*(name for name in keywords(function) if name not in (*PATHS, "count")), "split_seed"]
    if isinstance(dataset, Divided):
        names += [name for name in Divided.model_fields if name not in Dataset.model_fields]
    options = {name: getattr(dataset, name) for name in names} | (
        {"positive": source.classes[1]} if source.turned else {}
    )
    code = source_code.digest(function, *MAKING, without=CHOSEN_AMONG)
    content = json.dumps([code, dataset.name, options, source.content], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _make(source: Source, split_seed: int, folder: Path, giver: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder.parent)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}@{socket.gethostname()}@{os.getpid()}@", dir=folder.parent))
    try:
        loaded = source.load(split_seed, aside)
        _check(source, loaded, giver)
        _write(source, loaded, aside)
        os.chmod(aside, 0o755)
        os.rename(aside, folder)
    except OSError:
        # Another process was first with the same content; anything else is a real failure.
        if not (folder / METADATA).exists():
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_stale(cache: Path) -> None:
    """Remove what processes of this machine that are gone left half prepared."""
    from psutil import pid_exists

    for aside in cache.glob(".*@*@*@*"):
        _, host, pid, _ = aside.name.rsplit("@", 3)
        if host == socket.gethostname() and not pid_exists(int(pid)):
            shutil.rmtree(aside, ignore_errors=True)


def _check(source: Source, loaded: Splits, giver: str) -> None:
    for name, samples in loaded.splits.items():
        check_labels(samples.labels, len(source.classes), f"{giver} the {name} split")
        _check_features(samples, loaded.shape, f"{giver} the {name} split")
    counts = _counts(loaded.splits["train"].labels, len(source.classes))
    empty = [name for name, count in zip(source.classes, counts, strict=True) if count == 0]
    if empty:
        raise ConfigError(f"no training sample of class {listing(empty)}: give some, or leave the class out")
    for name, samples in loaded.splits.items():
        for start, block in () if are_texts(samples.features) else _blocks(samples.features):
            finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if not finite.all():
                raise ConfigError(f"sample {start + int(np.argmin(finite))} of the {name} split holds NaN or infinity")


def _check_features(samples: Samples, shape: tuple[int, ...], giver: str) -> None:
    """Refuse features that a dataset function must not give, and that would be called damaged when they are read."""
    features, count = samples.features, len(samples.labels)
    if isinstance(features, Images):
        if len(features) != count:
            raise ConfigError(f"{giver} {len(features)} images and {count} labels")
        return
    if are_texts(features) and features.shape == (count, *shape):
        return
    form = f"{getattr(features, 'dtype', type(features).__name__)} of shape {getattr(features, 'shape', '?')}"
    if form != f"float32 of shape {(count, *shape)}":
        raise ConfigError(f"{giver} features that are {form}; they must be float32 of {(count, *shape)}")


def _counts(labels: Integers, classes: int) -> Integers:
    """Count the samples of each class, or the positives of each label."""
    counts: Integers = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=classes)
    return counts


def _are_even(labels: Integers, classes: int) -> bool:
    """Return whether every class has equally many samples: that is a design, as of a benchmark's test split."""
    return labels.ndim == 1 and len(set(_counts(labels, classes).tolist())) == 1


def _blocks(features: Any) -> Iterator[tuple[int, Any]]:
    """Yield blocks of rows; images have none until they are decoded."""
    if not isinstance(features, Images):
        for start in range(0, len(features), BLOCK_ROWS):
            yield start, features[start : start + BLOCK_ROWS]


def _write(source: Source, loaded: Splits, folder: Path) -> None:
    digest = hashlib.sha256()
    digests = dict(loaded.digests) if loaded.digests is not None else {}
    for name in SPLITS:
        samples = loaded.splits[name]
        if isinstance(samples.features, ImageFiles):
            np.save(folder / f"{name}_paths.npy", samples.features.paths, allow_pickle=False)
        elif isinstance(samples.features, RecordArrays | RecordImages):
            np.save(folder / f"{name}_places.npy", samples.features.records.places, allow_pickle=False)
        elif not (folder / f"{name}_features.npy").exists():
            np.save(folder / f"{name}_features.npy", np.ascontiguousarray(samples.features), allow_pickle=False)
        if isinstance(samples.features, Images):
            np.save(folder / f"{name}_ways.npy", samples.features.ways, allow_pickle=False)
        np.save(folder / f"{name}_labels.npy", np.ascontiguousarray(samples.labels), allow_pickle=False)
        if samples.rows is not None and not isinstance(samples.features, ImageFiles):  # which have their paths
            np.save(folder / f"{name}_rows.npy", np.ascontiguousarray(samples.rows), allow_pickle=False)
        if name not in digests:
            digests[name] = row_digests(samples)
        if samples.weights is not None:
            np.save(folder / f"{name}_weights.npy", np.asarray(samples.weights, np.float64), allow_pickle=False)
            digest.update(np.asarray(samples.weights, np.float64).tobytes())
        digest.update(
            f"{name} {loaded.shape} {samples.labels.shape} ".encode()
            + digests[name].tobytes()
            + samples.labels.tobytes()
        )
    learned = loaded.preprocessing or ArrayPreprocessing(shape=loaded.shape, shift=(0.0,), factor=(1.0,))
    preprocessing.write(learned, folder)
    train = loaded.splits["train"]
    in_shards = isinstance(train.features, RecordArrays | RecordImages)
    shards: tuple[str, ...] = train.features.records.files if in_shards else ()
    metadata = {
        "classes": source.classes,
        "shape": loaded.shape,
        "counts": _counts(train.labels, len(source.classes)).tolist(),
        "data_sha256": digest.hexdigest(),
        "reference": dict(loaded.reference),
        "notes": [
            *loaded.notes,
            *_leakage(digests, loaded),
            *_unseen(loaded.splits["validation"].labels, source.classes),
        ],
        "image_root": train.features.root if isinstance(train.features, ImageFiles) else None,
        "image_formats": train.features.formats if isinstance(train.features, Images) else (),
        "shard_root": str(Path(shards[0]).parent) if in_shards else None,
        "shards": len(shards),
        "ids": learned.category_counts,
        "test_counts_fixed": source.test_counts_fixed or _are_even(loaded.splits["test"].labels, len(source.classes)),
    }
    seal(folder, metadata)


def row_digests(samples: Samples) -> Any:
    """Return a digest of each sample, (n,): 16 bytes of its features, or 32 of an image's file."""
    if isinstance(samples.features, Images):
        blocks = (
            samples.features[start : start + BLOCK_IMAGES] for start in range(0, len(samples.features), BLOCK_IMAGES)
        )
        return np.array([hashlib.sha256(data).digest() for block in blocks for data in block.encoded()], dtype="S32")
    found = np.empty(len(samples.labels), dtype="S16")
    for start, block in _blocks(samples.features):
        found[start : start + len(block)] = _digests(np.ascontiguousarray(block))
    return found


def _digests(block: Any) -> list[bytes]:
    """Return a digest of each row of a block, (n, …); to copy an empty one takes half as long as to make it anew."""
    empty, found = hashlib.blake2b(digest_size=16), []
    for row in _as_bytes(block):
        one = empty.copy()
        one.update(row)
        found.append(one.digest())
    return found


def _as_bytes(block: Any) -> list[bytes]:
    """Return the bytes of each row; those of a text are its own, without what fills it up."""
    if block.ndim == 1:
        return [row.tobytes() for row in block]
    rows: list[bytes] = block.reshape(len(block), -1).view(f"V{block[0].nbytes}").ravel().tolist()
    return rows


def _unseen(labels: Integers, classes: Sequence[str]) -> list[str]:
    """Tell of classes that the validation split lacks."""
    counts = _counts(labels, len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if not absent:
        return []
    what = (
        f"has samples of class {classes[int(np.argmax(counts))]} alone"
        if labels.ndim == 1 and len(absent) == len(classes) - 1
        else "lacks classes"
    )
    return [
        f"validation: the split {what}: none of {listing(absent)}; trainer.early_stopping, decision=tuned and "
        f"{command('register')} go by it, and cannot judge what it does not hold"
    ]


def _leakage(digests: Mapping[str, Any], loaded: Splits) -> list[str]:
    """Tell of samples that are in the training split and in another one, which makes the other's metrics too good.

    Samples that merely have equal features are no leak: they are few enough to be expected by chance, or their classes
    differ.
    """
    from scipy.stats import binom

    train, first, group = np.unique(digests["train"], return_index=True, return_inverse=True)
    labels = {
        name: np.asarray(samples.labels).reshape(len(samples.labels), -1) for name, samples in loaded.splits.items()
    }
    label = labels["train"][first]
    agree = np.ones(len(train), dtype=bool)  # all training samples of these features have one label
    np.logical_and.at(agree, group, (labels["train"] == label[group]).all(axis=1))
    share = -np.expm1(-loaded.equal_by_chance)  # of samples that equal a training sample by chance (Poisson)
    notes = []
    for name in ("validation", "test"):
        place = np.searchsorted(train, digests[name]).clip(max=len(train) - 1)
        found = train[place] == digests[name]
        copies = found & agree[place] & (labels[name] == label[place]).all(axis=1)
        count, whole = int(found.sum()), len(found)
        if count and copies.sum() >= ALIKE * count and binom.sf(count - 1, whole, share) < SURELY:
            them = f"{count} of {whole} {name} samples {'stands' if count == 1 else 'stand'}"
            notes.append(f"leakage: {them} in the training split as well")
    return notes
