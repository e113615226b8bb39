"""A small file of every kind of data, with what is typed to train on it and how its rows look raw."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equipoise.runs.run import Finished, run
from equipoise.runs.session import Session
from equipoise.tracking import history
from equipoise.tracking.store import Store
from helpers import composed

# What is typed, and a function from row numbers to raw rows.
Kind = tuple[list[str], Callable[[Any], Any]]
QUICK = ("trainer.epochs=2", "trainer.threads=1", "trainer.device=cpu", "evaluation.resamples=0")


def trained(store: Store, *overrides: str) -> tuple[history.Logged, pd.DataFrame]:
    """A run that was trained in this process, and what was logged of its test split."""
    folder = Path(store.root, "outputs", os.urandom(4).hex())
    folder.mkdir(parents=True)
    with Session(store, folder) as session:
        finished = run(composed(*overrides, *QUICK), session, store.root / "cache")
    assert isinstance(finished, Finished)
    (logged,) = history.chosen_runs(store, [finished.run_id], ["val/balanced_accuracy"])
    return logged, pd.read_parquet(folder / "evaluation" / "predictions.parquet")


def a_table(folder: Path, n: int = 200) -> pd.DataFrame:
    """What pandas retypes when it reads it: truths, codes with zeros in front, whole numbers; and missing values."""
    generator = np.random.default_rng(0)
    label = np.where(generator.random(n) < 0.2, "rare", "often")
    frame = pd.DataFrame({"x": generator.normal(size=n) + 2 * (label == "rare"), "whole": generator.integers(0, 9, n)})
    frame["gaps"] = np.where(generator.random(n) < 0.1, np.nan, generator.normal(size=n))
    for name, words in {
        "flag": ["true", "false"],
        "code": ["007", "010", "A12"],
        "digits": ["02139", "10115"],
        "city": ["bonn", "köln, süd"],
    }.items():
        frame[name] = generator.choice(words, n)
    frame["y"] = label
    frame.to_csv(folder / "t.csv", index=False)
    return pd.read_csv(folder / "t.csv")


def a_typed_table(folder: Path) -> Kind:
    """Categories that read as missing in a CSV, truths, whole numbers with gaps, decimals."""
    frame = a_table(folder)
    frame["flag"] = frame["flag"].astype(bool)
    frame["city"] = np.where(frame["city"] == "bonn", "NA", "None")
    frame.to_parquet(folder / "t.parquet", index=False)
    return [
        "dataset=csv",
        f"dataset.path='{folder}/t.parquet'",
        "dataset.target=y",
        "calibration=temperature",
    ], lambda rows: frame.iloc[rows]


def several_labels(folder: Path) -> Kind:
    frame = a_table(folder)
    frame["rain"] = (frame["x"] > 0.5).astype(int)
    frame["wind"] = (frame["whole"] > 4).astype(int)
    frame.drop(columns="y").to_csv(folder / "m.csv", index=False)
    overrides = [
        "dataset=multilabel",
        f"dataset.path='{folder}/m.csv'",
        "dataset.targets=[rain,wind]",
        "loss=sigmoid",
        "weighting=balanced",
        "calibration=vector",
    ]
    return overrides, lambda rows: pd.read_csv(folder / "m.csv").iloc[rows]


def a_shipped_table(_: Path) -> Kind:
    from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables

    folder = package_folder()
    frame, _target = frame_of(shipped_tables(folder)["abalone9_18"], folder)
    return ["dataset=tabular", "dataset.id=abalone9_18"], lambda rows: frame.iloc[rows]


def arrays(folder: Path) -> Kind:
    """Bytes of 4 by 3 pixels, standardised by channel."""
    raw = np.random.default_rng(0).integers(0, 256, (120, 4, 3)).astype(np.uint8)
    np.savez(folder / "a.npz", x=raw, y=np.arange(120) % 3)
    return ["dataset=npz", f"dataset.path='{folder}/a.npz'"], lambda rows: raw[rows]


def series(folder: Path) -> Kind:
    raw = np.random.default_rng(0).normal(5, 3, (120, 16))
    np.savez(folder / "s.npz", x=raw, y=np.arange(120) % 2)
    return ["dataset=series", f"dataset.path='{folder}/s.npz'", "model=conv1d"], lambda rows: raw[rows]


def unequal_series(folder: Path) -> Kind:
    """A .ts file, whose rows are its series as they are: (channels, steps)."""
    generator = np.random.default_rng(0)
    raw = [generator.normal(5, 3, (2, generator.integers(6, 16))) for _ in range(80)]
    lines = [
        ":".join([*(",".join(map(repr, channel.tolist())) for channel in one), "ab"[number % 2]])
        for number, one in enumerate(raw)
    ]
    (folder / "s.ts").write_text("@data\n" + "\n".join(lines))
    return ["dataset=series", f"dataset.path='{folder}/s.ts'", "dataset.unequal=pad"], lambda rows: [
        raw[row] for row in rows
    ]


def a_single_logit(folder: Path) -> Kind:
    """It speaks of the rarer class, whose odds pos_weight multiplies."""
    frame = a_table(folder)
    overrides = [
        "dataset=csv",
        f"dataset.path='{folder}/t.csv'",
        "dataset.target=y",
        "dataset.labels=binary",
        "loss=sigmoid",
        "loss.pos_weight=9",
        "calibration=beta",
    ]
    return overrides, lambda rows: frame.iloc[rows]


def a_boosted_table(folder: Path) -> Kind:
    """A table that trees learn, weighted; no TensorFlow."""
    frame = a_table(folder)
    overrides = ["dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=y", "model=boosting"]
    return [*overrides, "model.max_iter=5", "weighting=balanced"], lambda rows: frame.iloc[rows]


def digits(_: Path) -> Kind:
    from sklearn.datasets import load_digits

    return ["dataset=digits_lt", "weighting=balanced", "calibration=isotonic"], lambda rows: load_digits().images[rows]
