"""A dataset whose training split holds all rows: what a model is trained on once more, after it was judged."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipoise.core import source_code
from equipoise.core.schema import Integers
from equipoise.data.catalogue import source_of
from equipoise.data.prepare import cache_key, counted_by, made, surveyed
from equipoise.data.prepared import Prepared
from equipoise.data.types import SPLITS, Dataset, Loaded, Raw, Samples, Source, Splits


def all_rows(dataset: Dataset, cache: Path) -> Prepared:
    """Return the dataset with the rows of all splits to train on; the validation and the test split keep theirs.

    What is learned of raw rows, such as a scale and categories, is learned of all of them; counts are of all of them.
    Of rows that are divided by the config the training split is in their order, of others split after split.

    Raises
    ------
    ConfigError
        As `prepare` does.
    """
    key = f"{cache_key(dataset, surveyed(dataset))} {source_code.digest(together)}"
    folder = cache / f"{dataset.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    giver = f"dataset={dataset.name}: its function gives"
    return replace(made(source_of(dataset, together), dataset.split_seed, folder, giver), count=counted_by(dataset))


def together(given: Source | Raw) -> Source | Raw:
    """Return what a dataset's function gives, with the rows of all splits to train on."""
    if isinstance(given, Source):
        return replace(given, load=lambda seed, folder: _joined(given.load(seed, folder)))

    def load(rows: Mapping[str, Integers], folder: Path) -> Loaded:
        every = {**rows, "train": np.unique(np.concatenate(list(rows.values())))}
        loaded = given.load(every, folder)
        # That all rows of the other splits are among them is no leak that anybody should hear of.
        return replace(loaded, rows=loaded.rows or every, equal_by_chance=math.inf)

    return replace(given, load=load)


def _joined(loaded: Splits) -> Splits:
    parts = [loaded.splits[name] for name in SPLITS]
    rows = [part.rows for part in parts if part.rows is not None]
    weights = [part.weights for part in parts if part.weights is not None]
    train = Samples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate(rows) if len(rows) == len(parts) else None,
        np.concatenate(weights) if len(weights) == len(parts) else None,
    )
    return replace(loaded, splits={**loaded.splits, "train": train}, equal_by_chance=math.inf)
