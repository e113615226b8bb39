"""What a trained model leaves for its evaluation, in memory or as files whose bytes depend on nothing but it."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.core.schema import BEST, Floats
from equipoise.training.earlier import Answers, Length

ARRAYS, HISTORY, DIGESTS = "trained.npz", "history.csv", "trained.json"


@dataclass(frozen=True)
class Trained:
    """A model's logits and what is known of its training."""

    logits: Floats  # of the test split, as the model gave them
    validation_logits: Floats
    history: Sequence[dict[str, float]]
    shares: Mapping[str, Floats]  # what `audit` found: loss and gradient, at the start and at the end
    weights_sha256: str
    second_stage: Mapping[str, Sequence[float]] = field(default_factory=dict)  # its curves, which no file keeps
    # After how many epochs the model was asked as well: its logits of the test split, and of the validation split.
    earlier: Mapping[Length, Answers] = field(default_factory=dict)
    best: int = 0  # after how many epochs BEST is, if that was asked


def save(trained: Trained, folder: Path, digests: Mapping[str, str]) -> None:
    """Write it to the folder, with digests that say what it was trained from."""
    arrays: dict[str, Any] = {
        "logits": trained.logits,
        "validation_logits": trained.validation_logits,
        **{f"test/{epochs}": test for epochs, (test, _) in trained.earlier.items()},
        **{f"validation/{epochs}": validation for epochs, (_, validation) in trained.earlier.items()},
        **({"best": trained.best} if BEST in trained.earlier else {}),
        **trained.shares,
    }
    np.savez(folder / ARRAYS, **arrays)
    with open(folder / HISTORY, "w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *trained.history[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"epoch": epoch, **metrics} for epoch, metrics in enumerate(trained.history))
    (folder / DIGESTS).write_text(json.dumps({**digests, "weights_sha256": trained.weights_sha256}, indent=1) + "\n")


def load(folder: Path) -> tuple[Trained, dict[str, str]]:
    """What `save` wrote: the model's traces, and its digests."""
    digests = json.loads((folder / DIGESTS).read_text())
    with open(folder / HISTORY, newline="") as file:
        history = [{key: float(value) for key, value in row.items() if key != "epoch"} for row in csv.DictReader(file)]
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays}
    asked = [name.partition("/")[2] for name in found if name.startswith("test/")]  # in their order
    lengths: list[Length] = [each if each == BEST else int(each) for each in asked]
    best = int(found.pop(BEST, np.int64(0)))
    earlier = {epochs: (found.pop(f"test/{epochs}"), found.pop(f"validation/{epochs}")) for epochs in lengths}
    logits, validation = found.pop("logits"), found.pop("validation_logits")
    return Trained(logits, validation, history, found, digests["weights_sha256"], earlier=earlier, best=best), digests
