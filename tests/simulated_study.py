"""A table of runs like that of the study, of known truth: both sides of a difference share their rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

FOLDS = 5
TRAINED = ("none", "power_25", "power_50", "power_75", "balanced", "effective_number", "balanced_softmax", "ldam_drw")
TRAINED += ("class_balanced_sampling", "focal", "smote")
SEEDS = dict.fromkeys(("none", "power_50", "balanced", "balanced_softmax", "class_balanced_sampling"), (0, 1, 2))
SHARED = 0.9  # correlation of what rows do under two trainings


@dataclass(frozen=True)
class World:
    """What is true.

    Attributes
    ----------
    families : tables of each family
    gain : of each method and length, in balanced accuracy, over no weights
    between, training : standard deviations of the gain over families, and over trainings
    growing : what every method gains beside, times the root of 30 over the rows of the rarest class
    """

    families: Mapping[str, int]
    gain: Mapping[tuple[str, int], float]
    between: float = 0.01
    training: float = 0.013
    growing: float = 0.0
    methods: tuple[str, ...] = TRAINED
    lengths: tuple[int, ...] = (30, 100, 300, 1000, 0)
    settings: tuple[str, ...] = ("centre",)
    seeds: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: SEEDS)


def table(world: World, seed: int = 0) -> pd.DataFrame:
    """Return the rows of all runs of the world."""
    generator = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for family, tables in world.families.items():
        moved = {method: generator.normal(0, world.between) for method in world.methods}
        for number in range(tables):
            rows += _of_one(world, (family, f"{family}{number}"), moved, generator)
    return pd.DataFrame(rows)


def _of_one(
    world: World, names: tuple[str, str], moved: Mapping[str, float], generator: np.random.Generator
) -> Iterator[dict[str, Any]]:
    rarest = int(np.exp(generator.uniform(np.log(30), np.log(400))))
    counts = (int(rarest * np.exp(generator.uniform(np.log(2), np.log(30)))), rarest)
    ease = generator.uniform(0.6, 0.85)
    rows = [generator.normal(size=count) for count in counts]
    for setting in world.settings:
        for method in world.methods:
            rules = ("argmax", "post_hoc") if method == "none" else ("argmax",)
            for one in world.seeds.get(method, (0,)):
                luck = generator.normal(0, world.training)
                own = [generator.normal(size=count) for count in counts]
                for epochs in world.lengths:
                    for rule in rules:
                        key = method if rule == "argmax" else rule
                        right = ease + world.gain.get((key, epochs), 0.0) + luck
                        if key not in ("none", "post_hoc"):
                            right += moved[method] + world.growing * np.sqrt(30 / rarest)
                        shown = _shown(rows, own, (min(0.98, right + 0.1), right - 0.1))
                        what = {"method": method, "setting": setting, "seed": one, "epochs": epochs, "rule": rule}
                        yield from _folds(names, what, shown)


def _shown(rows: list[Any], own: list[Any], recalls: tuple[float, float]) -> list[Any]:
    """Return for each class which rows are predicted rightly."""
    share = np.sqrt(SHARED)
    return [
        share * common + np.sqrt(1 - share**2) * of_run < ndtri(recall)
        for common, of_run, recall in zip(rows, own, recalls, strict=True)
    ]


def _folds(names: tuple[str, str], what: dict[str, Any], shown: list[Any]) -> Iterator[dict[str, Any]]:
    for fold in range(FOLDS):
        hits = [int(of_class[fold::FOLDS].sum()) for of_class in shown]
        counts = [len(of_class[fold::FOLDS]) for of_class in shown]
        confusion = [hits[0], counts[0] - hits[0], counts[1] - hits[1], hits[1]]
        yield {
            "config": f"{names[1]}{what}{fold}", "family": names[0], "dataset": names[1], "division": 0, "fold": fold,
            "best_epoch": 1, "confusion": confusion, "validation": [round(0.8 * cell) for cell in confusion],
            "log_loss": 0.5, "train_loss": 0.4, "logits": "", "diverged": False, **what,
        }  # fmt: skip


def synthetic(draws: int = 4, seed: int = 1) -> pd.DataFrame:
    """Return runs on Gaussian classes: `none` by the Bayes rule of the training prior, the others of a uniform one."""
    generator = np.random.default_rng(seed)
    rows = []
    for rarest in (10, 30, 100, 300):
        for ratio in (3, 10, 30):
            for apart in (1, 2, 4):
                for draw in range(draws):
                    for method, rule, moved in (
                        ("none", "argmax", 1),
                        ("none", "post_hoc", 0),
                        ("balanced", "argmax", 0),
                    ):
                        for setting in ("linear", "small"):
                            cut = moved * np.log(ratio) / apart + generator.normal(0, 1 / np.sqrt(rarest))
                            hits = generator.binomial(5000, [ndtr(apart / 2 + cut), ndtr(apart / 2 - cut)])
                            for epochs in (30, 100, 300, 1000, 0):
                                rows.append({
                                    "config": "", "dataset": f"synthetic_r{rarest}_q{ratio}_s{apart}", "method": method,
                                    "family": "synthetic", "setting": setting, "division": draw, "fold": 0, "seed": 0,
                                    "epochs": epochs, "best_epoch": 1, "rule": rule, "log_loss": 0.4, "train_loss": 0.4,
                                    "confusion": [hits[0], 5000 - hits[0], 5000 - hits[1], hits[1]],
                                    "validation": [10, 1, 1, 10], "logits": "", "diverged": False,
                                })  # fmt: skip
    return pd.DataFrame(rows)
