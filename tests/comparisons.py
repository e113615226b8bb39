"""Made-up runs to compare, whose numbers are known by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from equipoise.comparison.compare import Comparison, compare
from equipoise.tracking.history import Logged


def run(
    weighting: str, seed: int, value: float, params: Mapping[str, str] | None = None, digest: str = "", **metrics: float
) -> Logged:
    """Return a run with a balanced accuracy on a split of 70/10/20; other metrics follow from it unless given."""
    name = f"{weighting}-{seed}-{params}"
    every = {
        "dataset.name": "data",
        "dataset.title": "None",
        "dataset.split_seed": "0",
        "seed": str(seed),
        "weighting.name": weighting,
        **(params or {}),
    }
    found = {
        "balanced_accuracy": value,
        "macro_f1": value,
        "mcc": value,
        "log_loss": 1 - value,
        "samples/train": 70,
        "samples/test": 20,
        **metrics,
    }
    keys = {key if "/" in key else f"test/{key}": number for key, number in found.items()}
    return Logged(name, "1", seed, every, {"weights_sha256": digest or name}, keys)


def sweep(seeds: int, gains: Mapping[str, float], **metrics: Any) -> list[Logged]:
    """Return runs of `none` at a level by seed, and of others above it by their gain and a little noise."""
    generator = np.random.default_rng(0)
    levels = generator.uniform(0.4, 0.6, seeds)
    return [
        run(name, seed, levels[seed] + gain + (name != "none") * generator.normal(0, 0.01), **metrics)
        for name, gain in gains.items()
        for seed in range(seeds)
    ]


def on_splits(gains: Mapping[str, float], seeds: int = 1) -> list[Logged]:
    """Return runs of `none` at 0.5, and of `balanced` above it by the gain of each split and 0.01 a seed."""
    return [
        run(name, seed, 0.5 + (gain + 0.01 * seed) * (name == "balanced"), {"dataset.split_seed": split})
        for split, gain in gains.items()
        for seed in range(seeds)
        for name in ("none", "balanced")
    ]


def study(datasets: int, gains: Mapping[str, float], same: tuple[str, ...] = ()) -> list[Logged]:
    """Return one run on each data set; the configurations in `same` train the same bits."""
    return [
        run(
            name,
            0,
            0.5 + gain * (1 + index),
            {"dataset.title": f"d{index:02}"},
            digest=f"bits-{index}" if name in same else "",
        )
        for index in range(datasets)
        for name, gain in gains.items()
    ]


def several(classes: int = 5) -> Comparison:
    """Compare three configurations on four data sets, with metrics by class; the second data set has the control."""
    runs: list[Logged] = []
    per_class = {f"count/c{index}": 100.0 - index for index in range(classes)}
    per_class |= {
        f"test/{name}/c{index}": 0.9 - 0.1 * index for name in ("recall", "precision") for index in range(classes)
    }
    for ratio in ("10", "20", "50", "100"):
        for seed in range(3):
            for name, value in (("none", 0.5), ("power", 0.6), ("balanced", 0.7)):
                control = (
                    {"decision/logit_adjusted/balanced_accuracy": 0.65} if ratio == "20" and name == "none" else {}
                )
                runs.append(
                    run(name, seed, value + 0.01 * seed, {"dataset.imbalance_ratio": ratio}, **per_class, **control)
                )
    return compare(runs, "balanced_accuracy", rope=0.01)
