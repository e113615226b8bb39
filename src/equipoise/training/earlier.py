"""A model's answers after some of the epochs of its training, kept in the run's folder until the training is over.

A training that was interrupted goes on after them, and cannot ask the model as it was then once more.
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from equipoise.core.schema import Floats

FOLDER = "earlier"  # in the run's folder
Answers = tuple[Floats, Floats]  # logits of the test split, and of the validation split


class Earlier:
    """The answers of one training.

    Parameters
    ----------
    folder : the run's
    epochs : after how many epochs the model is asked
    done : how many epochs the training goes on after
    """

    def __init__(self, folder: Path, epochs: Collection[int], done: int) -> None:
        self._folder, self._epochs, self._done = folder / FOLDER, epochs, done

    def reached(self, epochs: int, ask: Callable[[], Answers]) -> None:
        """Ask the model and keep its answers, if it is to be asked after so many epochs and was not before."""
        if epochs not in self._epochs or epochs <= self._done:
            return
        self._folder.mkdir(exist_ok=True)
        test, validation = ask()
        aside = self._folder / f"{epochs}.part"
        with open(aside, "wb") as stream:
            np.savez(stream, test=test, validation=validation)
        os.replace(aside, self._file(epochs))

    def all(self) -> dict[int, Answers]:
        """Return the answers by the number of epochs, the first first."""
        found = {}
        for epochs in self._epochs:
            with np.load(self._file(epochs), allow_pickle=False) as arrays:
                found[epochs] = (arrays["test"], arrays["validation"])
        return found

    def _file(self, epochs: int) -> Path:
        return self._folder / f"{epochs}.npz"
