"""Prepare a file or folder that a model is judged on: all of it is the test split, encoded as in training."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipoise.core import source_code
from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Floats, Integers, arguments, named
from equipoise.data import preprocessing
from equipoise.data.catalogue import DATASETS
from equipoise.data.images.dataset import ImageFiles
from equipoise.data.prepare import CHOSEN_AMONG, made
from equipoise.data.prepared import Prepared
from equipoise.data.tables.columns import TablePreprocessing
from equipoise.data.tables.dataset import encoded_file, weights_in_file
from equipoise.data.tables.opening import content_of, form_of, open_one
from equipoise.data.types import PATHS, Dataset, Loaded, Preprocessing, Raw, Samples, Source, Splits


def with_test_file(seen: Prepared, dataset: Dataset, cache: Path, option: str = "test_path") -> Prepared:
    """Return prepared data whose test split is another file or folder, encoded by what the training rows say.

    Parameters
    ----------
    option : of the dataset, which names it

    Raises
    ------
    ConfigError
        If its columns, its shape or its labels are not those of training.
    """
    learned = preprocessing.read(seen.folder)
    path = str(getattr(dataset, option))
    if isinstance(learned, TablePreprocessing):
        targets = getattr(dataset, "targets", None) or (getattr(dataset, "target", ""),)
        form = form_of(dataset)
        table, learned = open_one(path, f"dataset.{option}", form), learned.with_decimal(form.decimal)
        features, labels = encoded_file(table, targets, seen.classes, learned, dataset)
        loaded, content = Loaded({"test": features}, seen.shape), content_of([table])
        weights = weights_in_file(table, dataset)
    else:
        loaded, labels, content, weights = _again(learned, dataset, path, seen.classes)
    rows = (loaded.rows or {"test": np.arange(len(labels))})["test"]
    splits = {
        **{name: seen.split(name) for name in ("train", "validation")},
        "test": _of_weight(Samples(loaded.features["test"], labels[rows], rows), weights),
    }
    splits = _with_one_root(splits)
    digests = {"test": loaded.digests["test"]} if loaded.digests and weights is None else None
    source = Source(
        seen.classes,
        seen.counts,
        len(seen.shape),
        content,
        lambda *_: Splits(splits, seen.shape, {}, loaded.notes, digests, learned),
    )
    folder = cache / f"{seen.folder.name}-{_key(dataset, content)}"
    return replace(made(source, 0, folder, f"dataset.{option} gives"), count=seen.count)


def _key(dataset: Dataset, content: str) -> str:
    """Return a digest of the content, of all options that may change how it is read, and of the code that reads it."""
    options = dataset.model_dump(mode="json", exclude={*PATHS})
    code = source_code.digest(with_test_file, DATASETS[dataset.name].function, without=CHOSEN_AMONG)
    return hashlib.sha256(json.dumps([code, content, options], sort_keys=True).encode()).hexdigest()[:16]


def _of_weight(samples: Samples, weights: Floats | None) -> Samples:
    """Return the samples with their weights, without those whose weight is 0."""
    if weights is None or samples.rows is None:
        return samples
    kept = np.flatnonzero(weights[samples.rows])
    rows = samples.rows[kept]
    return Samples(samples.features[kept], samples.labels[kept], rows, weights[rows])


def _again(
    learned: Preprocessing, dataset: Dataset, path: str, classes: Sequence[str]
) -> tuple[Loaded, Integers, str, Floats | None]:
    """Load all samples of a file or folder by what was learned of others; their labels; its digest; their weights."""
    own = {key: path if key == "path" else None for key in PATHS if hasattr(dataset, key)}
    function = DATASETS[dataset.name].function
    raw = function(1, **arguments(dataset.model_copy(update=own), function))
    assert isinstance(raw, Raw)
    assert raw.again is not None
    names = getattr(dataset, "class_names", None) or {}
    codes = [named(name, list(names)) for name in raw.classes]
    meant = [named(names.get(str(code), name), classes) for code, name in zip(codes, raw.classes, strict=True)]
    odd = [name for name, known in zip(raw.classes, meant, strict=True) if known is None]
    if odd:
        near = suggestion(odd[0], classes)
        hint = near if "did you mean" in near else ""
        raise ConfigError(
            f"{path} has the class {listing(odd, 3)}, which the model does not know; it knows {listing(classes)}{hint}"
        )
    place = np.array([classes.index(name) for name in meant if name is not None], dtype=np.int64)
    return raw.again(learned), place[raw.labels], raw.content, raw.weights


def _with_one_root(splits: Mapping[str, Samples]) -> dict[str, Samples]:
    """Turn images of several folders into images of one folder that holds them all."""
    found = {name: samples.features for name, samples in splits.items() if isinstance(samples.features, ImageFiles)}
    if len({images.root for images in found.values()}) < 2:
        return dict(splits)
    root = os.path.commonpath([images.root for images in found.values()])
    formats = tuple(sorted({kind for images in found.values() for kind in images.formats}))
    moved = {}
    for name, images in found.items():
        below = os.fsencode(os.path.relpath(images.root, root) + "/")
        moved[name] = replace(
            splits[name], features=replace(images, root=root, paths=np.char.add(below, images.paths), formats=formats)
        )
    return moved
