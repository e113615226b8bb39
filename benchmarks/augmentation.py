"""Measure what altering images adds to an epoch where a folder of images is decoded while a model trains.

    python benchmarks/augmentation.py

The median of rounds in turn: `model=cnn` on PNG files in colour, brought to 64 x 64 pixels.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from equipoise.training import runtime

runtime.start("cpu", "auto", deterministic=True)

from hydra import initialize_config_dir

from equipoise.config.checked import compose_one
from equipoise.core.paths import config_folder
from equipoise.data.augmentation import AUGMENTATIONS
from equipoise.data.prepare import prepare
from equipoise.runs.weigh import weigh
from equipoise.training import fit
from equipoise.training.graph import Compiled

IMAGES, SIDE, ROUNDS = 1500, 96, 3
WAYS = {"none": "", "flip, crop": "flip,crop", "all five": ",".join(AUGMENTATIONS)}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder, "images"))
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(ROUNDS):
            for name, ways in WAYS.items():
                found[name].append(_seconds(Path(folder), ways))
    bare = statistics.median(found["none"])
    for name, seconds in found.items():
        median = statistics.median(seconds)
        print(f"{name:<12}{median:8.2f} s an epoch {median / bare - 1:+8.1%}   cores: {os.cpu_count()}")


def _write(folder: Path) -> None:
    generator = np.random.default_rng(0)
    for index in range(IMAGES):
        file = folder / str(index % 3) / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((SIDE, SIDE)).save(file)


def _seconds(folder: Path, ways: str) -> float:
    """Return how long an epoch takes, after the first."""
    overrides = ["dataset=image_directory", f"dataset.path='{folder}/images'", f"dataset.augment=[{ways}]"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose_one([*overrides, "loss=custom", "weighting=balanced", "trainer.epochs=4"])
    data = prepare(config.dataset, folder / "cache")
    ends: list[float] = []
    fit.fit(Compiled(config, data), config, data, weigh(config, data), lambda *_: ends.append(time.perf_counter()))
    return statistics.median(np.diff(ends).tolist())


if __name__ == "__main__":
    main()
