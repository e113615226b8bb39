"""A model's answers after some of the epochs of its training, kept in the run's folder until the training is over.

A training that was interrupted goes on after them, and cannot ask the model as it was then once more.
"""

import io
import math
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from equipoise.core.schema import BEST, Floats
from equipoise.training.checkpoints import write

FOLDER = "earlier"  # in the run's folder
Answers = tuple[Floats, Floats]  # logits of the test split, and of the validation split
Length = int | str  # after how many epochs, or BEST


class Earlier:
    """The answers of one training.

    Parameters
    ----------
    folder : the run's
    asked : after how many epochs the model is asked; BEST: after the epoch with the highest score, the first of equals
    done : how many epochs the training goes on after

    Attributes
    ----------
    best : after how many epochs that was; 0 before any
    """

    def __init__(self, folder: Path, asked: Collection[Length], done: int) -> None:
        self._folder, self._asked, self._done = folder / FOLDER, asked, done
        self._score, self.best = -math.inf, 0

    def reached(self, epochs: int, ask: Callable[[], Answers], score: float) -> None:
        """Ask the model and keep its answers, if it is to be asked after so many epochs and was not before.

        Parameters
        ----------
        score : what the epoch is worth; higher is better
        """
        kept: list[Length] = [epochs] if epochs in self._asked else []
        if score > self._score:
            self._score, self.best = score, epochs
            kept += [BEST] if BEST in self._asked else []
        if not kept or epochs <= self._done:
            return
        self._folder.mkdir(exist_ok=True)
        test, validation = ask()
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, test=test, validation=validation)
        for each in kept:
            write(self._file(each), stream.getvalue())

    def all(self) -> dict[Length, Answers]:
        """Return the answers by the number of epochs, the first first, and those of the best one last."""
        return {each: _read(self._file(each)) for each in self._asked}

    def lost(self) -> Length | None:
        """Return after how many of the epochs done answers are missing or damaged, the first first; None if none."""
        for each in self._asked:
            try:
                if self._done and (each == BEST or int(each) <= self._done):
                    _read(self._file(each))
            except Exception:  # whatever damaged content makes NumPy raise
                return each
        return None

    def _file(self, each: Length) -> Path:
        return self._folder / f"{each}.npz"


def remove(folder: Path) -> None:
    """Remove a run's answers: it is finished, or it cannot but fail again."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _read(file: Path) -> Answers:
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
        return arrays["test"], arrays["validation"]
