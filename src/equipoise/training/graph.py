"""A model and all that TensorFlow compiles to train it, which a later job in the same process takes over.

Variables hold what tells one job of a sweep from the next, such as class weights, costs, tau, learning rate and seed.
So jobs that differ in nothing else share one graph, which is traced once, and end with the bits that a process of
their own would leave.
"""

import functools
import gc
import json
import math
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config, below, flat
from equipoise.core import source_code
from equipoise.core.schema import NONE, Floats, arguments
from equipoise.core.state import kept
from equipoise.data.feed import Epochs, is_resident
from equipoise.data.mixing import Mixing
from equipoise.data.prepared import Prepared
from equipoise.data.sampling import sampling
from equipoise.data.texts import decoded
from equipoise.methods.implementations import IMPLEMENTATIONS, Parts, PerSampleLoss, of_pairs
from equipoise.methods.learning_rates import LearningRate
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS, digests_of_file
from equipoise.methods.models import architecture as architecture_of
from equipoise.methods.phases import Phase
from equipoise.training.backbone import Backbone
from equipoise.training.divergence import FirstBadStep
from equipoise.training.engines.choose import choice_of
from equipoise.training.engines.engine import Choice, Work
from equipoise.training.loss import ConfiguredLoss, begins_at, logits_of, loss_function
from equipoise.training.optimizer import optimizer_of, spared_of
from equipoise.training.precision import with_rows
from equipoise.training.predictor import Predictor
from equipoise.training.runtime import device_taken, strategy_of
from equipoise.training.sharpness import sharpness_aware

# What no graph holds: variables hold it, or it matters before or after the training's steps alone.
OF_TRAINER = (
    *("learning_rate", "epochs", "monitor", "early_stopping", "second_stage", "refit", "resume", "profile"),
    "judge_after",
    *LearningRate.model_fields,
)
NOT_IN_GRAPH = (
    *("seed", "weighting", "calibration", "cost", "decision", "evaluation", "tracking", "sweep"),
    *(f"trainer.{key}" for key in OF_TRAINER),
)
MOST_KEPT, MOST_KEPT_BYTES = 8, 512 << 20  # models, and what of their samples is in memory

# Trains on from one epoch until before another.
Enter = Callable[[int, int], None]


def build(config: Config, data: Prepared) -> keras.Model:
    """Build the configured model with freshly drawn weights, which depend on the seed alone."""
    keras.backend.clear_session()
    gc.freeze()  # what outlives a run stays: in a sweep, Python would look for garbage in it again and again
    keras.utils.set_random_seed(config.seed)
    return _drawn(config, data)


def _drawn(config: Config, data: Prepared) -> keras.Model:
    keras.config.set_dtype_policy(config.trainer.precision)
    architecture = architecture_of(config.model.name)
    with strategy_of(config.trainer.strategy).scope():
        options = arguments(config.model, architecture.build)
        texts = decoded(data.split("train").features) if data.texts else None
        known = data.words if architecture.words else data.ids
        model = architecture(data.shape, logits_of(config, data), texts, known, **options)
        head = LOSSES[config.loss.name].head
        if head is not None:
            model = head(model, **arguments(config.loss, head))
    if config.trainer.strategy != "single":
        _normalise_together(model)
    return sharpness_aware(model, config.trainer)


def fresh_weights(config: Config, data: Prepared) -> list[Floats]:
    """Return the weights that the seed draws for the configured model."""
    # Keras's initialisers draw from Python's generator. To seed TensorFlow's as well, as `build` does, would make
    # every graph anew.
    random.seed(config.seed)
    np.random.seed(config.seed)
    found: list[Floats] = _drawn(config, data).get_weights()
    return found


def _normalise_together(model: keras.Model) -> None:
    """Make batch norm take the whole batch's statistics, as on one device, and not those of each replica's part."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


class Compiled:
    """The configured model, with freshly drawn weights, and its training.

    Attributes
    ----------
    model, predict : the model, and its logits
    function : the loss, one value a sample, without weights
    strategy : how the model is spread over devices
    work : the model, and what an epoch of it is
    first_bad : the first step of the epoch that went out of numbers
    resident_bytes : of the samples that it holds in memory

    Parameters
    ----------
    choice : what takes the steps; None: what `choice_of` says
    """

    def __init__(self, config: Config, data: Prepared, choice: Choice | None = None) -> None:
        self.model = build(config, data)
        self.predict = Predictor(self.model)
        self.function = function = loss_function(config, data)
        self._tables = function.held()
        self.strategy = strategy_of(config.trainer.strategy)
        self.first_bad = FirstBadStep(self.strategy)
        self._seed, self._epoch = (tf.Variable(value, trainable=False, dtype=tf.int64) for value in (config.seed, 0))
        self._table = tf.Variable(np.ones(len(data.classes)), trainable=False, dtype=tf.float32)
        self._choice = choice or choice_of(config, data, device_taken())
        self.work = self._work(config, data)
        self._engine = self._choice.engine(self.work)
        samples = self.work.epochs.samples
        holds = self._choice.engine.holds_samples or is_resident(samples)
        self.resident_bytes = 4 * len(samples.labels) * math.prod(data.shape) if holds else 0
        of_batch, mixed = function.reading(self._tables), self.work.epochs.mixing is not None
        if mixed:
            of_batch = of_pairs(of_batch, len(data.classes), config.dataset.labels)
        watched = self.first_bad.watched(of_batch)
        loss, has_rows = PerSampleLoss(watched, config.loss.function), samples.weights is not None
        bare = Parts(self._engine.batches(), loss, has_rows=has_rows, mixed=mixed)
        chosen = IMPLEMENTATIONS[self._engine.put_in(config.loss.implementation)]
        if mixed and chosen.instead:  # there are no weights then, which Keras would look up by a pair
            chosen = IMPLEMENTATIONS[chosen.instead]
        self._parts = functools.partial(chosen.put_in, bare, self._table)
        self._begins = begins_at(config)
        self._at_start: list[Any] = []  # of the optimiser's variables
        self._backbone = Backbone(self.model)

    def begin(self, config: Config, weights: Floats, watch: keras.callbacks.Callback) -> Enter:
        """Set all that differs between jobs as this one has it, and compile what is not compiled yet.

        Parameters
        ----------
        config : may differ in NOT_IN_GRAPH alone from what this was made of
        weights : float64 (classes,)
        watch : Keras's callback of the training
        """
        self._seed.assign(config.seed)
        self._begins = begins_at(config)
        self.set_weights(weights)
        watch.set_model(self.model)
        if config.trainer.phases:  # of which each begins anew
            return functools.partial(self._engine.fit, watch)
        if not self._at_start:
            self._compile(config, weights)
            self._at_start = [variable.numpy() for variable in self.model.optimizer.variables]
        for variable, value in zip(self.model.optimizer.variables, self._at_start, strict=True):
            variable.assign(value)
        self.set_learning_rate(config.trainer.learning_rate)
        return functools.partial(self._engine.fit, watch)

    def begin_phase(self, config: Config, weights: Floats, phase: Phase) -> None:
        """Freeze the backbone or not, and compile what is trained then, with a new optimiser."""
        self._backbone.freeze(phase.frozen)
        self._compile(config, weights)
        self.set_learning_rate(phase.learning_rate or config.trainer.learning_rate)

    def function_at(self, epoch: int) -> ConfiguredLoss:
        """Return the loss as it is at an epoch, from 0, one value a sample, without weights."""
        return self.function.at(epoch, self._begins)

    def set_weights(self, weights: Floats) -> None:
        """Set the class weights from here on."""
        self._table.assign(weights)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate from here on."""
        self.model.optimizer.learning_rate = rate

    def set_epoch(self, epoch: int) -> None:
        """Set what the epoch decides: the order of the samples, and what dropout and the like draw, by the seed."""
        self._epoch.assign(epoch)
        if self._begins is not None:
            self._tables["begun"].assign(float(epoch >= self._begins))
        self.first_bad.begin()
        weights = {id(variable) for variable in self.model.weights}
        states = [variable for variable in self.model.variables if id(variable) not in weights]
        for place, state in enumerate(states):
            (drawn,) = np.random.SeedSequence([int(self._seed.numpy()), epoch, place]).generate_state(1)
            state.assign([int(drawn) & 0x7FFFFFFF, 0])

    def take_over(self, config: Config, data: Prepared) -> None:
        """Begin anew, with the weights of the seed."""
        self.model.set_weights(fresh_weights(config, data))
        self.function, self._begins = loss_function(config, data), begins_at(config)
        for name, variable in self._tables.items():
            variable.assign(self.function.tables[name])

    def _work(self, config: Config, data: Prepared) -> Work:
        train = data.training
        drawn = sampling(config.dataset.sampling, train.labels, data.counts, config.trainer.epochs)
        dataset = config.dataset
        mixing = None if dataset.mix == NONE else Mixing(dataset.mix, dataset.mix_alpha, data.counts)
        numbers = self._seed, self._epoch
        epochs = Epochs(train, len(data.classes), dataset.labels, *numbers, drawn, dataset.augment, mixing)
        batch_size, taken = config.trainer.batch_size, self.first_bad.taken
        return Work(self.model, self.strategy, epochs, batch_size, self._choice, taken, config.trainer.clip_norm)

    def _compile(self, config: Config, weights: Floats) -> None:
        how = {"jit_compile": self._choice.xla, "steps_per_execution": self.work.steps_per_call}
        with self.strategy.scope():
            largest = with_rows(weights, self.work.epochs.samples)
            optimizer = optimizer_of(config.trainer, spared_of(self.model), largest)
            self.model.compile(optimizer, self._parts().loss, **how)
            optimizer.build(self.model.trainable_variables)
        self._engine.begin(self._parts)


@dataclass
class Graphs:
    """What the jobs of this process have compiled: the one used last at the end, with its samples' bytes."""

    held: OrderedDict[str, tuple[Compiled, int]] = field(default_factory=OrderedDict)


def graphs() -> OrderedDict[str, tuple[Compiled, int]]:
    """Return what the jobs of this process have compiled, by what decides a graph."""
    return kept(Graphs).held


def compiled(config: Config, data: Prepared) -> Compiled:
    """Return what an earlier job has compiled, if only variables tell it from this job; else compile."""
    key, held = graph_of(config, data), graphs()
    if key in held:
        held.move_to_end(key)
        found, _ = held[key]
        found.take_over(config, data)
        return found
    made = Compiled(config, data)
    if config.trainer.strategy == "single":
        held[key] = made, made.resident_bytes
        while len(held) > 1 and (len(held) > MOST_KEPT or sum(size for _, size in held.values()) > MOST_KEPT_BYTES):
            held.popitem(last=False)
    return made


def graph_of(config: Config, data: Prepared) -> str:
    """Return all that decides the graph, as text."""
    variable = [*NOT_IN_GRAPH, *(f"loss.{option}" for option in LOSSES[config.loss.name].in_variables)]
    if config.trainer.precision == "mixed_float16":
        variable.remove("weighting")  # it decides how the loss is scaled
    if config.dataset.sampling != NONE:
        variable.remove("trainer.epochs")
    if data.drawn is not None:
        variable.remove("seed")  # it decides which rows there are
    tables = loss_function(config, data).in_graph
    loss, model = LOSSES[config.loss.name], MODELS[config.model.name]
    # Code of the user's own may be edited while a notebook lives.
    own = [source_code.digest(each) for each, is_own in ((loss.function, loss.own), (model.build, model.own)) if is_own]
    return json.dumps(
        [
            data.data_sha256,
            tables,
            own,
            digests_of_file(config.model),
            {key: value for key, value in flat(config).items() if not below(key, variable)},
        ],
        sort_keys=True,
    )
