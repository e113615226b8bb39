"""Measure time and peak memory to list and split an image folder of a million files.

    python benchmarks/listing.py [FILES]

The files are hard links to one image a class: each has a directory entry, as a real file, but no disk blocks.
"""

import os
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from PIL import Image

sys.path[:0] = [str(Path(__file__).parents[1] / "src"), str(Path(__file__).parents[1] / "tests")]

from equipoise.data.prepare import survey_anew, surveyed
from helpers import composed_dataset

CLASSES = 1000


def main() -> None:
    """Print one line."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for index in range(CLASSES):
            name = f"n{index:08d}"
            os.makedirs(f"{folder}/images/{name}")
            Image.new("L", (8, 8), index % 256).save(f"{folder}/{name}.png")
            for number in range(files // CLASSES):
                os.link(f"{folder}/{name}.png", f"{folder}/images/{name}/{name}_{number}.png")
        dataset = composed_dataset("dataset=image_directory", f"dataset.path={folder}/images")
        start = time.perf_counter()
        counts = surveyed(dataset).counts
        seconds = time.perf_counter() - start
        survey_anew()
        tracemalloc.start()  # slows things down, so it has a round of its own
        surveyed(dataset)
        _, peak = tracemalloc.get_traced_memory()
        print(f"{files:,} files of {len(counts)} classes listed and split in {seconds:.1f} s", end=", ")
        print(f"peak {peak / files:.0f} bytes a file")


if __name__ == "__main__":
    main()
