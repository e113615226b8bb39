"""Files of data, and the overrides that name them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from helpers import composed, composed_dataset

DIGITS = {"name": "digits_lt", "imbalance_ratio": 20.0, "test_per_class": 50, "validation_per_class": 20}
SYNTHETIC = {
    "name": "synthetic",
    "class_counts": (40, 20, 5),
    "features": 4,
    "form": "vector",
    "separation": 3.0,
    "test_per_class": 400,
    "validation_per_class": 10,
}


def dataset(name: str, **options: Any) -> Any:
    """Return the section of a dataset whose options are given as Python's values."""
    values = {
        key: f"[{','.join(map(str, value))}]" if isinstance(value, tuple) else value for key, value in options.items()
    }
    return composed_dataset(f"dataset={name}", *(f"dataset.{key}={value}" for key, value in values.items()))


def quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(path: Path, *more: str) -> list[str]:
    return ["dataset=csv", f"dataset.path={quoted(path)}", "dataset.target=y", *more]


def folder_of(root: Path, *more: str) -> list[str]:
    return ["dataset=image_directory", f"dataset.path={quoted(root)}", "dataset.image_size=[12,16]", *more]


def npz_with(more: Sequence[str] = (), **arrays: Any) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        np.savez(folder / "a.npz", **arrays)
        return ["dataset=npz", f"dataset.path={quoted(folder / 'a.npz')}", *more]

    return make


def csv_with(text: str | bytes, *more: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return table(folder / "t.csv", *more)

    return make


def parquet_with(**columns: Any) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        pd.DataFrame(columns).to_parquet(folder / "t.parquet")
        return table(folder / "t.parquet")

    return make


def prepared(cache: Path, *overrides: str) -> Prepared:
    """Return the data of these overrides; paths may hold anything, so they come quoted."""
    return prepare(composed("model=linear", *overrides).dataset, cache)
