"""What takes the steps of a training: what every engine is handed, and what every engine does."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import keras
import tensorflow as tf

from equipoise.data.feed import Epochs, ResidentBatches
from equipoise.methods.implementations import IMPLEMENTATIONS, Parts

# Steps that one call of the compiled training function takes: the most, and the least that is worth while. With more of
# them training returns to Python less often, and leaves the same weights.
STEPS_PER_CALL, LEAST_PER_CALL = 50, 10
# Of a program of XLA, which takes two milliseconds to start and end: more, while it is handed no more than 64 MiB and
# these products of samples and weights take about a second.
STEPS_PER_PROGRAM, NUMBERS_PER_PROGRAM, PRODUCTS_PER_PROGRAM = 250, 2**24, 8e8


class Choice(NamedTuple):
    """Which engine takes the steps, and how.

    Attributes
    ----------
    xla : whether XLA compiles the steps
    in_programs : whether it compiles many of them as one program
    why : it is so
    """

    engine: "type[Engine]"
    xla: bool
    in_programs: bool
    why: str

    def __str__(self) -> str:
        return f"{self.engine.name}{' under XLA' if self.xla else ''}: {self.why}"


@dataclass(frozen=True)
class Work:
    """A model, and the epochs that it is to be trained for.

    Attributes
    ----------
    model : with freshly drawn weights, made under the strategy
    epochs, batch_size : the samples that it is trained on; the last batch of an epoch may be smaller
    choice : of the engine, and whether XLA compiles its steps
    taken : int64 variable, the steps of the epoch so far
    clip_norm : the longest gradient; None: any
    """

    model: keras.Model
    strategy: tf.distribute.Strategy
    epochs: Epochs
    batch_size: int
    choice: Choice
    taken: keras.Variable
    clip_norm: float | None = None

    @property
    def count(self) -> int:
        """How many samples an epoch has."""
        return len(self.epochs.samples.labels)

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return -(-self.count // self.batch_size)

    @property
    def steps_per_call(self) -> int:
        """How many steps one call of the compiled training function takes."""
        programs = self.choice.in_programs
        return min(self.steps, steps_per_program(self.model, self.batch_size) if programs else even_steps(self.steps))


class Engine(ABC):
    """Takes the steps of a training, to the same weights as any other engine up to the last bits.

    Attributes
    ----------
    name : as `trainer.engine` and the run's tag name it
    holds_samples : whether it keeps all samples in memory
    """

    name: ClassVar[str]
    holds_samples: ClassVar[bool] = False

    def __init__(self, work: Work) -> None:
        self.work, self.model = work, work.model

    def put_in(self, implementation: str) -> str:
        """Return how the class weights are put in where this way was asked for.

        Without Keras's `fit` the dataset takes the weights that `fit` would put into it.
        """
        return IMPLEMENTATIONS[implementation].instead or implementation

    @abstractmethod
    def batches(self) -> tf.data.Dataset | ResidentBatches:
        """Return the batches of an epoch, unweighted."""

    def begin(self, parts: Callable[[], Parts]) -> None:
        """Take what training is called with, once the model is compiled."""
        self.parts = parts

    @abstractmethod
    def fit(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        """Train in place, epoch `first` to `end - 1`, as Keras's `fit` does with one callback."""


def even_steps(steps: int) -> int:
    """Return as many as divide an epoch, if these are more than a few."""
    even = max(size for size in range(1, STEPS_PER_CALL + 1) if steps % size == 0)
    return STEPS_PER_CALL if even < LEAST_PER_CALL else even


def steps_per_program(model: keras.Model, batch_size: int) -> int:
    """Return as many as a program of XLA may take, and no fewer than a call."""
    numbers, products = batch_size * math.prod(model.input_shape[1:]), batch_size * model.count_params()
    most = min(STEPS_PER_PROGRAM, NUMBERS_PER_PROGRAM // numbers, PRODUCTS_PER_PROGRAM // products)
    return int(max(STEPS_PER_CALL, most))
