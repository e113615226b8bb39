"""A model and all that TensorFlow compiles to train it, which a later job in the same process takes over.

What tells one job of a sweep from the next, such as class weights, costs, tau, learning rate and seed, is held by variables:
jobs that differ in nothing else share one graph, traced once, and end with the bits that a process of their own would leave.
"""

import functools
import gc
import json
import math
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config, below, flat
from equipoise.core.schema import Floats, arguments
from equipoise.data.feed import is_resident, resident_batches, training_batches
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import sampling
from equipoise.methods.implementations import IMPLEMENTATIONS, Parts, PerSample, PerSampleLoss
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.training.engines import replicas
from equipoise.training.engines.choose import engine_of
from equipoise.training.engines.resident import Resident
from equipoise.training.engines.xla import TrainFunction
from equipoise.training.loss import logits_of, loss_function
from equipoise.training.precision import loss_scaled
from equipoise.training.predictor import Predictor
from equipoise.training.runtime import device_taken, strategy_of

# Steps that one call of the compiled training function takes, the most, and the least that is worth while: fewer returns to Python, the same weights.
STEPS_PER_CALL, LEAST_PER_CALL = 50, 10
# Of a program of XLA, which takes two milliseconds to start and end: more, while it is handed no more than 64 MiB and these products of
# samples and weights take about a second.
STEPS_PER_PROGRAM, NUMBERS_PER_PROGRAM, PRODUCTS_PER_PROGRAM = 250, 2**24, 8e8
# What no graph holds: variables do, or it is for before or after the training's steps.
NOT_IN_GRAPH = (
    *("seed", "weighting", "cost", "decision", "evaluation", "tracking", "sweep"),
    *(
        f"trainer.{key}"
        for key in ("learning_rate", "epochs", "monitor", "early_stopping", "second_stage", "resume", "profile")
    ),
)
MOST_KEPT, MOST_KEPT_BYTES = 8, 512 << 20  # models, and what of their samples is in memory

# Trains on from one epoch until before another.
Enter = Callable[[int, int], None]


def build(config: Config, data: Prepared) -> keras.Model:
    """The configured model with freshly drawn weights, which depend on the seed alone."""
    keras.backend.clear_session()
    gc.freeze()  # what has outlived a run is there to stay: in a sweep, Python would look for garbage in it again and again
    keras.utils.set_random_seed(config.seed)
    return _drawn(config, data)


def _drawn(config: Config, data: Prepared) -> keras.Model:
    keras.config.set_dtype_policy(config.trainer.precision)
    function = MODELS[config.model.name].build
    with strategy_of(config.trainer.strategy).scope():
        model = function(data.shape, logits_of(config, data), **arguments(config.model, function))
        head = LOSSES[config.loss.name].head
        if head is not None:
            model = head(model, **arguments(config.loss, head))
    return model


class Compiled:
    """The configured model, with freshly drawn weights, and its training.

    Attributes
    ----------
    model, predict : the model, and its logits
    function : the loss, one value a sample, without weights
    strategy : how the model is spread over devices
    batches_of : the training batches of the epoch as a tf.data.Dataset
    steps : of an epoch
    first_bad : the first step of the epoch that went out of numbers
    resident_bytes : of the samples that it holds in memory
    """

    def __init__(self, config: Config, data: Prepared) -> None:
        self.model = build(config, data)
        self.predict = Predictor(self.model)
        self.function = function = loss_function(config, data)
        self._tables = function.held()
        self.strategy = strategy_of(config.trainer.strategy)
        self.first_bad = FirstBadStep(self.strategy)
        self._engine = engine_of(config, data, device_taken())
        train = data.split("train")
        self.steps = -(-len(train.labels) // config.trainer.batch_size)
        self.resident_bytes = (
            4 * len(train.labels) * math.prod(data.shape)
            if self._engine.name == "resident" or is_resident(train)
            else 0
        )
        self._samples = len(train.labels)
        self._seed, self._epoch, self._first = (
            tf.Variable(value, trainable=False, dtype=tf.int64) for value in (config.seed, 0, 0)
        )
        self._table = tf.Variable(np.ones(len(data.classes)), trainable=False, dtype=tf.float32)
        decides: dict[str, Any] = {
            "classes": len(data.classes),
            "labels": config.dataset.labels,
            "seed": self._seed,
            "epoch": self._epoch,
            "sampling": sampling(config.dataset.sampling, train.labels, data.counts, config.trainer.epochs),
        }
        self.batches_of = functools.partial(training_batches, train, batch_size=config.trainer.batch_size, **decides)
        part = replicas.place_of_this_worker(self.strategy)
        # Batches without an end, from the epoch `first` on, need calls that end with the epoch: our own, or equal ones of Keras's.
        self._own_calls = self._engine.name == "fit" and self._engine.in_programs
        most = (
            _steps_per_program(self.model, config.trainer.batch_size)
            if self._engine.in_programs
            else _even_steps(self.steps)
        )
        self._steps_per_call = min(self.steps, most)
        endless = self._own_calls or (self._engine.name == "fit" and self.steps % self._steps_per_call == 0)
        going_on = {"epoch": self._first, "endless": True} if endless else {}
        batches = (
            resident_batches(train, **decides)
            if self._engine.name == "resident"
            else self.batches_of(part=part, **going_on)
        )
        # Without Keras's `fit` the dataset takes the weights that `fit` would put into it.
        way = (
            "sample_weight"
            if config.loss.implementation == "class_weight" and self._engine.name != "fit"
            else config.loss.implementation
        )
        bare = Parts(
            batches, PerSampleLoss(self.first_bad.watched(function.reading(self._tables)), config.loss.function)
        )
        self._parts = functools.partial(IMPLEMENTATIONS[way], bare, self._table)
        self._at_start: list[Any] = []  # of the optimiser's variables

    def begin(self, config: Config, weights: Floats, watch: keras.callbacks.Callback) -> Enter:
        """Set all that differs between jobs as this one has it, and compile what is not yet.

        Parameters
        ----------
        config : may differ in NOT_IN_GRAPH alone from what this was made of
        weights : float64 (classes,)
        watch : Keras's callback of the training
        """
        self._seed.assign(config.seed)
        self.set_weights(weights)
        watch.set_model(self.model)
        if not self._at_start:
            self._compile(config, weights)
            self._at_start = [variable.numpy() for variable in self.model.optimizer.variables]
        for variable, value in zip(self.model.optimizer.variables, self._at_start, strict=True):
            variable.assign(value)
        self.model.optimizer.learning_rate = config.trainer.learning_rate
        return functools.partial(self._enter, watch)

    def set_weights(self, weights: Floats) -> None:
        """The class weights from here on."""
        self._table.assign(weights)

    def set_epoch(self, epoch: int) -> None:
        """What the epoch decides: the order of the samples, and what dropout and the like draw, by the seed."""
        self._epoch.assign(epoch)
        self.first_bad.begin()
        weights = {id(variable) for variable in self.model.weights}
        states = [variable for variable in self.model.variables if id(variable) not in weights]
        for place, state in enumerate(states):
            (drawn,) = np.random.SeedSequence([int(self._seed.numpy()), epoch, place]).generate_state(1)
            state.assign([int(drawn) & 0x7FFFFFFF, 0])

    def take_over(self, config: Config, data: Prepared) -> None:
        """Begin anew, with the weights of the seed."""
        # Keras's initialisers draw from Python's generator. Were TensorFlow's seeded as well, as by `build`, it would put up every graph anew.
        random.seed(config.seed)
        np.random.seed(config.seed)
        self.model.set_weights(_drawn(config, data).get_weights())
        self.function = loss_function(config, data)
        for name, variable in self._tables.items():
            variable.assign(self.function.tables[name])

    def _compile(self, config: Config, weights: Floats) -> None:
        trainer, parts = config.trainer, self._parts()
        described = {"class_name": trainer.optimizer, "config": {"learning_rate": trainer.learning_rate}}
        with self.strategy.scope():
            optimizer = loss_scaled(keras.optimizers.get(described), trainer.precision, weights)
            self.model.compile(
                optimizer, parts.loss, jit_compile=self._engine.xla, steps_per_execution=self._steps_per_call
            )
            optimizer.build(self.model.trainable_variables)
        if self._engine.name == "resident":
            self._loop: Any = Resident(
                self.model, parts.batches, trainer.batch_size, in_programs=self._engine.in_programs
            )
        elif self._engine.name == "replicas":
            of_all = {"batch_size": trainer.batch_size, "samples": self._samples}
            self._loop = replicas.Replicas(self.strategy, self.model, steps_per_call=STEPS_PER_CALL, **of_all)
        elif self._own_calls:
            self.model.train_function = TrainFunction(
                self.model, self._samples, trainer.batch_size, self.first_bad.taken
            )

    def _enter(self, watch: keras.callbacks.Callback, first: int, end: int) -> None:
        if self._engine.name == "resident":
            self._loop.fit(watch, first, end)
            return
        parts = self._parts()
        if self._engine.name == "replicas":
            self._loop.fit(parts.batches, watch, first, end)
        else:
            self._first.assign(first)
            # Where the number of steps is not said, Keras (3.15) makes two iterators an epoch, and throws one away.
            usual = {"verbose": 0, "shuffle": False, "callbacks": [watch], "steps_per_epoch": self.steps}
            self.model.fit(parts.batches, initial_epoch=first, epochs=end, **usual, **parts.fit)


def _even_steps(steps: int) -> int:
    """As many as divide an epoch, if these are more than a few."""
    even = max(size for size in range(1, STEPS_PER_CALL + 1) if steps % size == 0)
    return STEPS_PER_CALL if even < LEAST_PER_CALL else even


def _steps_per_program(model: keras.Model, batch_size: int) -> int:
    """As many as a program may take, and no fewer than a call."""
    numbers, products = batch_size * math.prod(model.input_shape[1:]), batch_size * model.count_params()
    return int(
        max(STEPS_PER_CALL, min(STEPS_PER_PROGRAM, NUMBERS_PER_PROGRAM // numbers, PRODUCTS_PER_PROGRAM // products))
    )


class FirstBadStep:
    """Counts the steps of an epoch and notes the first whose logits or loss are not finite, inside the compiled step.

    Attributes
    ----------
    taken : int64 variable, the steps of the epoch so far
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        # Each replica has its own, and sees its own part of a batch.
        of_each = {
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        with strategy.scope():
            self.taken = tf.Variable(0, trainable=False, dtype=tf.int64, **of_each)
            self._found = tf.Variable([-1, -1], trainable=False, dtype=tf.int64, **of_each)

    def watched(self, function: PerSample) -> PerSample:
        """The loss function, which says of each step that uses it whether all was finite."""

        def call(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            losses = function(labels, logits)
            finite = tf.stack([tf.reduce_all(tf.math.is_finite(values)) for values in (logits, losses)])
            self._found.assign(tf.where((self._found >= 0) | finite, self._found, self.taken))
            self.taken.assign_add(1)
            return losses

        return call

    def begin(self) -> None:
        """A new epoch."""
        self.taken.assign(0)
        self._found.assign([-1, -1])

    def found(self, last: int) -> tuple[int, str]:
        """The step, from 0, that broke the numbers, and how; the last that was taken if nothing was seen to break before it.

        Logits that are not finite come of weights that are not, which the step before has made. Every worker must ask.
        """
        own = np.stack([found.numpy() for found in self._strategy.experimental_local_results(self._found)])
        every = np.frombuffer(replicas.of_each_worker(self._strategy, own.tobytes()), own.dtype).reshape(-1, 2)
        logits, loss = (min((step for step in steps if step >= 0), default=-1) for steps in every.T.tolist())
        if loss >= 0 and not 0 <= logits <= loss:
            return loss, "its loss is not finite"
        return max(0, logits - 1) if logits >= 0 else last, "its gradient leaves weights that give no finite logits"


_kept: OrderedDict[str, tuple[Compiled, int]] = OrderedDict()  # the one used last at the end, with its samples' bytes


def compiled(config: Config, data: Prepared) -> Compiled:
    """As `Compiled`, or what an earlier job of this process has left of one that differs in nothing but variables."""
    key = _graph(config, data)
    if key in _kept:
        _kept.move_to_end(key)
        found, _ = _kept[key]
        found.take_over(config, data)
        return found
    made = Compiled(config, data)
    if config.trainer.strategy == "single":
        _kept[key] = made, made.resident_bytes
        while len(_kept) > 1 and (len(_kept) > MOST_KEPT or sum(size for _, size in _kept.values()) > MOST_KEPT_BYTES):
            _kept.popitem(last=False)
    return made


def _graph(config: Config, data: Prepared) -> str:
    """All that decides the graph, as text."""
    variable = [*NOT_IN_GRAPH, *(f"loss.{option}" for option in LOSSES[config.loss.name].in_variables)]
    if config.trainer.precision == "mixed_float16":
        variable.remove("weighting")  # it decides how the loss is scaled
    if config.dataset.sampling != "none":
        variable.remove("trainer.epochs")
    tables = loss_function(config, data).in_graph
    return json.dumps(
        [data.data_sha256, tables, {key: value for key, value in flat(config).items() if not below(key, variable)}],
        sort_keys=True,
    )
