"""A model's answers after some of the epochs of its training, kept in the run's folder until the training is over.

A training that was interrupted goes on after them, and cannot ask the model as it was then once more.
"""

import io
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from equipoise.core.schema import Floats
from equipoise.training.checkpoints import write

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
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, test=test, validation=validation)
        write(self._file(epochs), stream.getvalue())

    def all(self) -> dict[int, Answers]:
        """Return the answers by the number of epochs, the first first."""
        return {epochs: _read(self._file(epochs)) for epochs in self._epochs}

    def lost(self) -> int | None:
        """Return after how many of the epochs done answers are missing or damaged, the first first; None if none."""
        for epochs in self._epochs:
            try:
                if epochs <= self._done:
                    _read(self._file(epochs))
            except Exception:  # whatever damaged content makes NumPy raise
                return epochs
        return None

    def _file(self, epochs: int) -> Path:
        return self._folder / f"{epochs}.npz"


def remove(folder: Path) -> None:
    """Remove a run's answers: it is finished, or it cannot but fail again."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def _read(file: Path) -> Answers:
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
        return arrays["test"], arrays["validation"]
