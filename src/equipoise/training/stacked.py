"""Jobs that share data and graph, trained as one program: their variables are stacked, and a step is a step of each.

A step of a small model takes the processor less time than TensorFlow takes to call its operations, on a GPU most of
all. A stack calls them once for all of its jobs. Each job has its own weights, order of samples, class weights and
tables of its loss. So it goes through the numbers that it would go through by itself, but for the last bits: a product
of stacked matrices may add up in another order, and a function of many numbers takes some at a time. So a job's last
bits depend on the stack, which is a matter of the sweep alone: the same sweep leaves the same bits.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import keras
import numpy as np
import tensorflow as tf

from equipoise.config.model import Config, Trainer, config_sha256
from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError
from equipoise.core.schema import BEST, Floats
from equipoise.core.state import kept
from equipoise.core.terminal import note
from equipoise.data.feed import class_indices, encode
from equipoise.data.prepared import Prepared
from equipoise.methods.implementations import check_labels
from equipoise.methods.schedules import SCHEDULES, share_at, weights_at
from equipoise.methods.tasks.choose import task_of
from equipoise.methods.weighting import ClassWeights
from equipoise.training.checkpoints import Checkpoints
from equipoise.training.divergence import cure
from equipoise.training.engines.engine import Choice
from equipoise.training.graph import Compiled, fresh_weights
from equipoise.training.keras_learner import KerasLearner
from equipoise.training.learner import OnEpoch
from equipoise.training.loss import ConfiguredLoss, begins_at, loss_function
from equipoise.training.monitored import JUDGED_BEST, score
from equipoise.training.optimizer import is_decayed, optimizer_of

# The weights of one job's model, an array for each of its variables.
Weights = list[Floats]
MOST = 64  # jobs of a stack


@dataclass(frozen=True)
class Member:
    """A job of a stack, and its class weights."""

    config: Config
    weights: ClassWeights


@dataclass
class Learned:
    """What a stack's training leaves of one job.

    Attributes
    ----------
    history : the metrics of each epoch
    weights : the model's, by the number of epochs after which they are asked for, the best and the last included
    error : why the training was no longer one, if it diverged after these epochs
    """

    history: list[dict[str, float]] = field(default_factory=list)
    weights: dict[int, Weights] = field(default_factory=dict)
    error: ConfigError | None = None
    _best: tuple[float, int] = (-math.inf, 0)  # its score, and after how many epochs

    def is_wanted(self, trainer: Trainer) -> bool:
        """Return whether the weights after the last epoch may be asked for; forget those of a best epoch before it."""
        epochs = len(self.history)
        if BEST in trainer.judge_after:
            worth, (highest, before) = score(trainer.monitor, self.history[-1], JUDGED_BEST), self._best
            if worth > highest:
                self._best = worth, epochs
                if not self._is_asked(before, trainer):
                    self.weights.pop(before, None)
                return True
        return self._is_asked(epochs, trainer)

    @staticmethod
    def _is_asked(epochs: int, trainer: Trainer) -> bool:
        return epochs in trainer.judge_after or epochs == trainer.epochs


@dataclass
class Stacks:
    """What was learned for jobs of this process that have not asked for it yet, by the digest of their config."""

    held: dict[str, Learned] = field(default_factory=dict)


class StackedLearner(KerasLearner):
    """A job of a stack as a run's learner: the first that asks trains all, and each is handed its own.

    Parameters
    ----------
    members : returns the jobs of its stack, this one among them
    """

    def __init__(
        self, config: Config, data: Prepared, device: str, choice: Choice, members: Callable[[], Sequence[Member]]
    ) -> None:
        super().__init__(config, data, device, 1, choice)
        self.how = {**self.how, "engine": "stacked", "xla": "false"}
        self._members = members

    def fit(self, weights: ClassWeights, on_epoch: OnEpoch, checkpoints: Checkpoints | None) -> None:
        """Train the stack, unless another job has, and go through this job's epochs as if they were trained now."""
        held, key = kept(Stacks).held, config_sha256(self._config)
        if key not in held:
            members = self._members()
            if len(members) > 1:
                note(f"trainer.stacked=true trains {len(members)} jobs as one program")
            learned = train(self.compiled, members, self._data)
            held |= {config_sha256(member.config): each for member, each in zip(members, learned, strict=True)}
        own = held.pop(key)
        for epoch, metrics in enumerate(own.history):
            there = own.weights.get(epoch + 1)
            if there is not None:
                self.compiled.model.set_weights(there)
            on_epoch(epoch, metrics, there is None)
        if own.error is not None:
            raise own.error


@clock.part("train")
def train(compiled: Compiled, members: Sequence[Member], data: Prepared) -> list[Learned]:
    """Train the jobs, which differ in what variables hold alone; return what each of them has learned.

    Parameters
    ----------
    compiled : a model of the first job's config

    Raises
    ------
    ConfigError
        If the labels do not fit the weights.
    """
    program, learned = _Program(compiled, members, data), [Learned() for _ in members]
    for epoch in range(members[0].config.trainer.epochs):
        found = program.epoch(epoch)
        wanted = []
        for place, each in enumerate(learned):
            each.error = each.error or program.error(place, epoch)
            if each.error is None:
                each.history.append(found(place))
                wanted += [place] * each.is_wanted(members[place].config.trainer)
        if wanted:
            weights = program.weights()
            for place in wanted:
                learned[place].weights[epoch + 1] = weights[place]
        if all(each.error is not None for each in learned):
            break
    return learned


class _Program:
    """The stacked variables, and what takes a step of each job.

    A stack's arrays have the jobs first: float32 (jobs, *shape) of a variable of that shape.
    """

    def __init__(self, compiled: Compiled, members: Sequence[Member], data: Prepared) -> None:
        self._members, self._data, self._task = members, data, task_of(data)
        self._config = members[0].config
        self._factors = [self._task.factors(member.weights) for member in members]
        for factors in self._factors:
            check_labels(data.training.labels, factors, len(data.classes))
        self._model, self._validation = compiled.model, data.split("validation")
        self._seed, self._epoch = (tf.Variable(0, trainable=False, dtype=tf.int64) for _ in range(2))
        epochs = replace(compiled.work.epochs, seed=self._seed, epoch=self._epoch)
        self._batches, self._count, self._size = epochs.in_memory(), compiled.work.count, compiled.work.batch_size
        self._variables = self._stacked_variables()
        self._optimizer = self._built_optimizer()
        self._functions = [loss_function(member.config, data) for member in members]
        self._table = tf.Variable(np.stack(self._factors), trainable=False, dtype=tf.float32)
        constant = self._functions[0].record.constant_tables
        names = () if constant else self._functions[0].tables
        self._tables = {
            name: tf.Variable(np.stack([function.tables[name] for function in self._functions]), trainable=False)
            for name in names
        }
        self._shares: list[float] = []  # of the weights, which the table holds
        self._seeds = list(dict.fromkeys(member.config.seed for member in members))
        self._whole = tf.function(self._whole_epoch)

    def epoch(self, epoch: int) -> Callable[[int], dict[str, float]]:
        """Train every job for an epoch; return what gives the metrics of one of them, by its place."""
        self._set_epoch(epoch)
        number = tf.constant(epoch, tf.int64)
        losses, logits, validation, finite = (values.numpy() for values in self._whole(number))
        self._finite = np.isfinite(losses) & finite
        watched = self._task.epoch_metrics_of_each(np.asarray(self._validation.labels), logits)

        def metrics(place: int) -> dict[str, float]:
            config = self._members[place].config
            found = {"train/loss": float(losses[place]), "val/loss": float(validation[place])}
            if SCHEDULES[config.weighting.schedule].has_start:
                found["weight_schedule"] = share_at(config.weighting, epoch, config.trainer.epochs)
            return found | {f"val/{name}": value for name, value in watched[place].items()}

        return metrics

    def error(self, place: int, epoch: int) -> ConfigError | None:
        """Return why a job's last epoch was none, if its numbers are no longer finite."""
        if self._finite[place]:
            return None
        return ConfigError(
            f"training diverged in epoch {epoch + 1}: loss, weights or logits are not finite. "
            f"{cure(self._members[place].config.trainer)}"
        )

    def weights(self) -> list[Weights]:
        """Return the weights of each job's model."""
        every = [variable.numpy() for variable in self._variables]
        return [[values[place] for values in every] for place in range(len(self._members))]

    def _stacked_variables(self) -> list[keras.Variable]:
        """Make the variables of all jobs, each with the weights that its seed draws."""
        if len(self._model.weights) != len(self._model.trainable_variables):
            raise ConfigError(
                f"trainer.stacked=true with model={self._config.model.name}: it has weights that no gradient trains, "
                "which a stack does not know; leave one of the two out"
            )
        drawn: dict[int, Sequence[Floats]] = {}
        for member in self._members:
            if member.config.seed not in drawn:
                drawn[member.config.seed] = fresh_weights(member.config, self._data)
        each = [drawn[member.config.seed] for member in self._members]
        return [
            _stacked(variable, arrays) for variable, *arrays in zip(self._model.trainable_variables, *each, strict=True)
        ]

    def _built_optimizer(self) -> keras.optimizers.Optimizer:
        pairs = zip(self._model.trainable_variables, self._variables, strict=True)
        spared = [stacked for variable, stacked in pairs if not is_decayed(variable)]
        made = optimizer_of(self._config.trainer, spared, np.stack(self._factors))
        made.build(self._variables)
        return made

    def _set_epoch(self, epoch: int) -> None:
        """Set what the epoch decides: how much of the weights is in force, and whether a loss has begun."""
        shares = [share_at(member.config.weighting, epoch, member.config.trainer.epochs) for member in self._members]
        if shares != self._shares:
            pairs = zip(self._factors, shares, strict=True)
            self._table.assign(np.stack([weights_at(factors, share) for factors, share in pairs]))
            self._shares = shares
        if "begun" in self._tables:
            begins = [begins_at(member.config) for member in self._members]
            self._tables["begun"].assign([float(begin is None or epoch >= begin) for begin in begins])

    def _orders(self) -> tf.Tensor:
        """Draw the rows of the epoch for each job by its seed, int64 (jobs, n)."""
        drawn = []
        with tf.device("CPU:0"):  # where a job by itself draws them
            for seed in self._seeds:
                self._seed.assign(seed)
                drawn.append(self._batches.order())
            return tf.stack([drawn[self._seeds.index(member.config.seed)] for member in self._members])

    def _whole_epoch(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Take the steps of an epoch and judge the models; return each job's mean loss, and see `_judge`."""
        self._epoch.assign(epoch)
        losses = self._take_steps(self._orders())
        return losses, *self._judge()

    def _take_steps(self, orders: tf.Tensor) -> tf.Tensor:  # pragma: no cover - runs as AutoGraph has rewritten it
        """Take the steps of an epoch; return the mean loss of each job, float32 (jobs,)."""
        total = tf.zeros(len(self._members))
        for begin in tf.range(0, self._count, self._size):
            rows = orders[:, begin : begin + self._size]
            total += self._take_step(rows)
        return total / self._count

    def _take_step(self, rows: tf.Tensor) -> tf.Tensor:
        """Take one step of each job; return the sums of the losses of its batch."""
        jobs, size = len(self._members), tf.shape(rows)[1]
        flat = self._batches.fetch(tf.reshape(rows, [-1]))
        batch = [tf.reshape(values, (jobs, size, *values.shape[1:])) for values in flat]
        values = [variable.value for variable in self._variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            losses = tf.vectorized_map(self._losses, (values, batch, self._table.read_value(), self._read_tables()))
            sums = tf.reduce_sum(losses, axis=1)
            whole = tf.reduce_sum(sums) / tf.cast(size, tf.float32)
        self._optimizer.apply(tape.gradient(whole, values), self._variables)
        return sums

    def _losses(self, job: tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor, Mapping[str, tf.Tensor]]) -> tf.Tensor:
        """Return the weighted loss of each sample of one job's batch, float32 (n,)."""
        values, (features, labels, *rows), table, tables = job
        return self._weighted(labels, self._logits(values, features, training=True), rows, table, tables)

    def _weighted(
        self,
        labels: tf.Tensor,
        logits: tf.Tensor,
        rows: Sequence[tf.Tensor],
        table: tf.Tensor,
        tables: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        weights = tf.gather(table, class_indices(labels))
        return self._loss(labels, logits, tables) * functools.reduce(tf.multiply, rows, weights)

    def _loss(self, labels: tf.Tensor, logits: tf.Tensor, tables: Mapping[str, tf.Tensor]) -> tf.Tensor:
        function: ConfiguredLoss = self._functions[0]
        if function.record.constant_tables:
            return function(labels, logits)
        return function.record(labels, logits, **tables, **function.options)

    def _logits(self, values: list[tf.Tensor], features: tf.Tensor, *, training: bool) -> tf.Tensor:
        found, _ = self._model.stateless_call(values, [], features, training=training)
        return tf.cast(found, tf.float32)

    def _read_tables(self) -> dict[str, tf.Tensor]:
        return {name: variable.read_value() for name, variable in self._tables.items()}

    def _judge(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return each job's validation logits (jobs, n, logits), its mean loss there, and whether all is finite."""
        features = tf.constant(np.asarray(self._validation.features))
        form = self._config.dataset.labels
        labels = encode(tf.constant(np.asarray(self._validation.labels)), len(self._data.classes), form)
        own = self._validation.weights
        rows = [] if own is None else [tf.constant(np.asarray(own, np.float32))]
        values = [variable.value for variable in self._variables]

        def judged(job: tuple[list[tf.Tensor], tf.Tensor, Mapping[str, tf.Tensor]]) -> tuple[tf.Tensor, tf.Tensor]:
            weights, table, tables = job
            logits = self._logits(weights, features, training=False)
            return logits, self._weighted(labels, logits, rows, table, tables)

        logits, losses = tf.vectorized_map(judged, (values, self._table.read_value(), self._read_tables()))
        finite = [tf.reduce_all(tf.math.is_finite(tf.reshape(each, (len(self._members), -1))), 1) for each in values]
        finite.append(tf.reduce_all(tf.math.is_finite(logits), axis=(1, 2)))
        return logits, tf.reduce_mean(losses, axis=1), tf.reduce_all(tf.stack(finite), axis=0)


def _stacked(variable: keras.Variable, arrays: Sequence[Floats]) -> keras.Variable:
    """Return the variable of all jobs that stands for a model's own, and is kept within its constraint."""
    found, constraint = keras.Variable(np.stack(arrays), name=variable.name), variable.constraint
    if constraint is not None:
        found.constraint = functools.partial(tf.vectorized_map, constraint)
    return found
