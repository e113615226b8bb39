"""Keras's own `fit`, which a pipeline of tf.data hands every batch."""

from collections.abc import Callable
from dataclasses import replace

import keras
import tensorflow as tf

from equipoise.methods.implementations import Parts
from equipoise.training.engines.engine import Engine, Work
from equipoise.training.engines.xla import TrainFunction


class KerasFit(Engine):
    """Steps taken by Keras."""

    name = "fit"

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._first = tf.Variable(0, trainable=False, dtype=tf.int64)

    def put_in(self, implementation: str) -> str:
        """Return the implementation itself: Keras knows them all, unless rows have weights of their own."""
        return implementation if self.work.epochs.samples.weights is None else super().put_in(implementation)

    def batches(self) -> tf.data.Dataset:
        """Return the batches of an epoch; without an end where each call of the training function ends with the epoch.

        To begin a pipeline anew takes longer than a small epoch.
        """
        work = self.work
        if work.choice.in_programs or work.steps % work.steps_per_call == 0:
            return replace(work.epochs, epoch=self._first).batches(work.batch_size, endless=True)
        return work.epochs.batches(work.batch_size)

    def begin(self, parts: Callable[[], Parts]) -> None:
        """Take what training is called with, once the model is compiled."""
        super().begin(parts)
        work = self.work
        if work.choice.in_programs:
            work.model.train_function = TrainFunction(work.model, work.count, work.batch_size, work.taken)

    def fit(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`."""
        self._first.assign(first)
        parts = self.parts()
        # Where the number of steps is not said, Keras (3.15) makes two iterators an epoch, and throws one away.
        usual = {"verbose": 0, "shuffle": False, "callbacks": [watch], "steps_per_epoch": self.work.steps}
        self.work.model.fit(parts.batches, initial_epoch=first, epochs=end, **usual, **parts.fit)
